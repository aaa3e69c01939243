"""From a finished run to the data of its report."""

from commonwatt.node.demo import Outcome
from commonwatt.node.plan import GRACE_S, TARIFF, Plan
from commonwatt.node.tally import MemberSum
from commonwatt.web.report import MemberLine, ReportData, Text
from commonwatt.web.rule_words import rule_in_words

_TITLES = {
    "village": Text(ko="마을의 하루", en="A village's day"),
    "suburb": Text(ko="교외 동네의 하루", en="A suburb's day"),
    "town": Text(ko="도심 동네의 하루", en="A town quarter's day"),
}
_HOMES = Text(ko="우리 동네의 하루", en="A neighbourhood's day")


def report_data(plan: Plan, outcome: Outcome) -> ReportData:
    """Everything the report shows, from the statements as the audit recomputed them."""
    homes, tally, audit = outcome.neighbourhood, outcome.tally, outcome.audit
    rows = tally.intervals
    days = -(-homes.intervals * homes.interval_s // 86_400)

    def series(name: str) -> tuple[int, ...]:
        return tuple(getattr(row, name) for row in rows)

    return ReportData(
        title=_TITLES.get(homes.name, _HOMES),
        scenario=_conditions(outcome, days),
        source=Text(ko=homes.source, en=homes.source),
        rule=rule_in_words(plan.market.rule, outcome.community.charter.key_name),
        currency=outcome.community.currency.code,
        decimals=outcome.community.currency.decimals,
        interval_s=homes.interval_s,
        utc_offset_s=homes.utc_offset_s,
        starts=series("start"),
        own_sun_wh=series("own_sun_wh"),
        own_battery_wh=series("own_battery_wh"),
        from_neighbours_wh=series("from_neighbours_wh"),
        from_supplier_wh=series("from_supplier_wh"),
        to_neighbours_wh=series("from_neighbours_wh"),
        to_supplier_wh=series("to_supplier_wh"),
        to_battery_wh=series("to_battery_wh"),
        local_price=series("local_price"),
        retail=TARIFF.retail,
        feed_in=TARIFF.feed_in,
        fee_local=TARIFF.fee_local,
        fee_supplier=TARIFF.fee_supplier,
        certificates_issued_wh=series("issued_wh"),
        certificates_retired_wh=series("retired_wh"),
        certificates_stored_wh=series("stored_wh"),
        certificates_free_wh=series("free_wh"),
        members=tuple(_line(outcome, index, member) for index, member in enumerate(tally.members)),
        grace_s=GRACE_S,
        close_seconds=outcome.close_seconds,
        audit=audit.verdict,
        transactions=outcome.transactions,
        gas_total=outcome.gas_total,
        records=audit.records,
        rejected=audit.refused,
        root=audit.last_anchor.hex(),
        chain=outcome.chain_name,
    )


def _conditions(outcome: Outcome, days: int) -> Text:
    members, meters = len(outcome.community.accounts), len(outcome.community.registrations)
    minutes = outcome.community.interval_s // 60
    return Text(
        ko=f"참여자 {members}곳과 계량기 {meters}대가 {days}일 동안 "
        f"{minutes}분마다 측정값에 서명했고, "
        "구간이 끝날 때마다 이웃끼리 거래하고 바로 정산했습니다.",
        en=f"{members} participants and {meters} meters signed what they measured every {minutes} "
        f"minutes for {days} {'day' if days == 1 else 'days'}; neighbours traded and were paid as "
        "each interval closed.",
    )


def _line(outcome: Outcome, index: int, member: MemberSum) -> MemberLine:
    home = outcome.neighbourhood.homes[index]
    extras = ["sun"] * (home.pv_mwh is not None) + ["battery"] * (home.battery is not None)
    return MemberLine(
        name=home.name,
        kind="+".join([home.kind, *extras]),
        generation_wh=member.generation_wh,
        consumption_wh=member.consumption_wh,
        bought_local_wh=member.bought_local_wh,
        sold_local_wh=member.sold_local_wh,
        bought_supplier_wh=member.bought_supplier_wh,
        sold_supplier_wh=member.sold_supplier_wh,
        green_wh=min(member.own_sun_wh + member.green_wh, member.consumption_wh),
        bill_with=member.bill_with,
        bill_without=member.bill_without,
        debt=max(member.arrears, 0),
        certificates_issued_wh=member.issued_wh,
        certificates_retired_wh=member.retired_wh,
        certificates_stored_wh=member.stored_wh,
        certificates_free_wh=member.free_wh,
    )
