"""Members and their meters: each sees itself in full, and its neighbours as sums."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeVar

import msgspec

from commonwatt.meter.registration import Registration
from commonwatt.node.service.hosted import Hosted
from commonwatt.quantity import SECONDS_PER_DAY, Currency
from commonwatt.settlement.adjustment import Adjustment
from commonwatt.statement.leaves import (
    PositionLeaf,
    Section,
    TradeLeaf,
    party,
    read_adjustment,
)
from commonwatt.statement.proof import Proof, read_proof
from commonwatt.statement.publication import day_of, member_folder
from commonwatt.web.api import shapes
from commonwatt.web.api.limits import PAGE_BYTES_MAX
from commonwatt.web.api.parameters import cursor_of, cursor_text
from commonwatt.web.api.route import FRESH, PRIVATE, Answer, Call, Page, unknown
from commonwatt.web.api.routes.intervals import day_asked, headers_of, last_day

_P = TypeVar("_P", bound=msgspec.Struct)
_ROLES = ("grid", "generation", "storage")


class _When(msgspec.Struct):
    """What of a proof tells which interval it is of."""

    start: int


_read_when = msgspec.json.Decoder(_When).decode


# Whose it is


def member_of(call: Call) -> int:
    """The member in the path; raises `Problem` for one that there is not."""
    member: int = call.path["member"]
    many = len(call.hosted.community.accounts)
    if member >= many:
        raise unknown(f"member {member}: the community has {many}, counted from 0")
    return member


def is_own_member(call: Call) -> bool:
    """Whether the member in the path is the asker."""
    return call.path["member"] in call.principal.members(call.hosted)


def is_own_meter(call: Call) -> bool:
    """Whether the meter in the path is the asker's."""
    found = call.hosted.community.by_meter.get(call.path["meter"])
    return found is not None and found.member in call.principal.members(call.hosted)


# Meters


def meters(call: Call) -> Page:
    """All meters, as everybody may know them, in the order of their registration."""
    cursor = cursor_of(call.query.cursor, 1)
    first = cursor[0] if cursor else 0
    every = call.api.meters(call.hosted)
    items = every[first : first + call.query.limit]
    after = first + len(items)
    return Page(items, shapes.MeterOf, str(after) if after < len(every) else None, FRESH)


def meter(call: Call) -> Answer:
    """One meter with its key and its opening record."""
    found = call.hosted.community.by_meter.get(call.path["meter"])
    if found is None:
        raise unknown(f"meter {call.path['meter'].hex()}: not of this community")
    return Answer(_meter(found), cache=PRIVATE)


def _meter(found: Registration) -> shapes.MeterDetail:
    return shapes.MeterDetail(
        meter=found.meter.hex(),
        member=found.member,
        role=_ROLES[found.role],  # type: ignore[arg-type]
        public_key=found.public_key.hex(),
        source=f"T{found.source:06x}" if found.source else "",
        rated_w=found.rated_w,
        in_service=day_of(found.first_day * SECONDS_PER_DAY),
        zone=found.zone,
        direct=found.direct,
        opening=found.opening.record.hex(),
        opening_signature=found.opening.signature.hex(),
    )


# Members


def participants(call: Call) -> Answer:
    """Who takes part, and what all of them together did in a day."""
    accounts = call.hosted.community.accounts
    day = day_asked(call)
    headers = [header for _, header in headers_of(call.hosted, day)]
    sums = shapes.Sums(
        day=day,
        intervals=len(headers),
        imported_wh=sum(h.imported_wh for h in headers),
        exported_wh=sum(h.exported_wh for h in headers),
        local_wh=sum(h.local_wh for h in headers),
        issued_wh=sum(h.issued_wh for h in headers),
        retired_wh=sum(h.retired_wh for h in headers),
        free_wh=sum(h.free_wh for h in headers),
    )
    listed = tuple(account.hex() for account in accounts)
    found = shapes.Participants(members=len(listed), accounts=listed, sums=sums)
    return Answer(found, cache=FRESH)


def participant(call: Call) -> Answer:
    """One member: its account, meters and last interval."""
    member, community = member_of(call), call.hosted.community
    lines = _lines(call.hosted, member, last_day(call))
    last = _Own.of(lines[-1], member) if lines else None
    return Answer(
        shapes.Participant(
            member=member,
            account=community.accounts[member].hex(),
            meters=tuple(_meter(r) for r in community.registrations if r.member == member),
            last=None if last is None else _position(last, call.hosted),
        ),
        cache=PRIVATE,
    )


def positions(call: Call) -> Page:
    """A member's energy and money, interval by interval."""
    found, more = _page(call)
    return Page([_position(one, call.hosted) for one in found], shapes.Position, more, PRIVATE)


def payments(call: Call) -> Page:
    """What each interval moved in a member's lane."""
    found, more = _page(call)
    currency = call.hosted.community.currency
    lines = {line.start: line.transaction for line, _ in headers_of(call.hosted, day_asked(call))}
    items = [
        shapes.PaymentOf(
            start=one.start,
            end=one.start + call.hosted.community.interval_s,
            amount=currency.amount_text(one.leaf.position.delta),
            balance_after=currency.amount_text(one.leaf.position.balance_after),
            arrears_after=currency.amount_text(one.leaf.position.arrears_after),
            transaction=lines[one.start],
        )
        for one in found
        if one.start in lines
    ]
    return Page(items, shapes.PaymentOf, more, PRIVATE)


def trades(call: Call) -> Page:
    """What a member sold to neighbours and bought of them; who they are stays hidden."""

    def of(own: _Own) -> Iterable[shapes.TradeOf]:
        return (_trade(own, leaf, call.hosted) for leaf in own.trades)

    return _page_of_parts(call, of, shapes.TradeOf)


def adjustments(call: Call) -> Page:
    """What was settled with a day's intervals of intervals before, of which records came late."""

    def of(own: _Own) -> Iterable[shapes.AdjustmentOf]:
        return (_adjustment(own, one, call.hosted) for one in own.adjustments)

    return _page_of_parts(call, of, shapes.AdjustmentOf)


def _page_of_parts(call: Call, of: Callable[["_Own"], Iterable[_P]], kind: type[_P]) -> Page:
    """A page of a day's entries of which an interval may have any number."""
    member, limit = member_of(call), call.query.limit
    cursor: tuple[int, ...] = cursor_of(call.query.cursor, 2) or (-1, -1)
    last = cursor
    items: list[_P] = []
    for line in _lines(call.hosted, member, day_asked(call)):
        if _read_when(line).start < cursor[0]:
            continue
        own = _Own.of(line, member)
        for place, part in enumerate(of(own)):
            if (own.start, place) <= cursor:
                continue
            if len(items) == limit:
                return Page(items, kind, cursor_text(*last), PRIVATE)
            items.append(part)
            last = own.start, place
    return Page(items, kind, None, PRIVATE)


def proofs(call: Call) -> Page:
    """A member's own leaves of each interval, with their paths to the anchor."""
    lines, more = _lines_of_page(call)
    found = [read_proof(line) for line in lines]
    items = [
        shapes.ProofOf(
            start=proof.start,
            header=proof.header,
            anchor=proof.anchor,
            leaves=tuple(
                shapes.ProvenLeafOf(
                    section=leaf.section,
                    index=leaf.index,
                    leaf=leaf.leaf,
                    path=leaf.path,
                    record=leaf.record,
                )
                for leaf in proof.leaves
            ),
            format=proof.format,
        )
        for proof in found
    ]
    return Page(items, shapes.ProofOf, more, PRIVATE)


class _Own(NamedTuple):
    """What a member's line of one interval says."""

    start: int
    leaf: PositionLeaf
    trades: tuple[TradeLeaf, ...]
    adjustments: tuple[Adjustment, ...]
    party: bytes
    """How the trades' leaves name this member."""

    @classmethod
    def of(cls, line: bytes, member: int) -> "_Own":
        """Out of a published line."""
        proof = read_proof(line)
        [position] = _leaves(proof, Section.POSITIONS)
        leaf = PositionLeaf.decode(position)
        trades = tuple(TradeLeaf.decode(trade) for trade in _leaves(proof, Section.TRADES))
        adjusted = tuple(read_adjustment(one) for one in _leaves(proof, Section.ADJUSTMENTS))
        return cls(proof.start, leaf, trades, adjusted, party(leaf.salt, member))


def _leaves(proof: Proof, section: Section) -> Iterator[bytes]:
    return (bytes.fromhex(one.leaf) for one in proof.leaves if one.section == section.label)


def _lines(hosted: Hosted, member: int, day: str) -> Sequence[bytes]:
    return hosted.lines(f"{member_folder(member)}/{day}.jsonl")


def _lines_of_page(call: Call) -> tuple[list[bytes], str | None]:
    """The published lines of a page, and the cursor of the next one."""
    member, limit = member_of(call), call.query.limit
    cursor = cursor_of(call.query.cursor, 1)
    lines = _lines(call.hosted, member, day_asked(call))
    if cursor is not None:
        lines = [line for line in lines if _read_when(line).start > cursor[0]]
    sizes = accumulate(map(len, lines[:limit]))
    # One at least, so that who asks for the next page gets on.
    page = list(lines[: max(1, sum(size <= PAGE_BYTES_MAX for size in sizes))])
    more = cursor_text(_read_when(page[-1]).start) if len(lines) > len(page) else None
    return page, more


def _page(call: Call) -> tuple[list[_Own], str | None]:
    lines, more = _lines_of_page(call)
    return [_Own.of(line, call.path["member"]) for line in lines], more


def _position(own: _Own, hosted: Hosted) -> shapes.Position:
    position, text = own.leaf.position, hosted.community.currency.amount_text
    return shapes.Position(
        start=own.start,
        end=own.start + hosted.community.interval_s,
        silent=position.silent,
        gap=position.gap,
        imported_wh=position.imported_wh,
        exported_wh=position.exported_wh,
        own_wh=position.own_wh,
        bought_local_wh=position.bought_local_wh,
        sold_local_wh=position.sold_local_wh,
        bought_supplier_wh=position.bought_supplier_wh,
        sold_supplier_wh=position.sold_supplier_wh,
        green_wh=own.leaf.green_wh,
        local_cost=text(position.local_cost),
        local_income=text(position.local_income),
        fee=text(position.fee),
        supplier_cost=text(position.supplier_cost),
        supplier_income=text(position.supplier_income),
        adjusted=text(position.adjusted),
        bill=text(position.bill),
        balance_before=text(position.balance_before),
        balance_after=text(position.balance_after),
        arrears_before=text(position.arrears_before),
        arrears_after=text(position.arrears_after),
    )


def _trade(own: _Own, leaf: TradeLeaf, hosted: Hosted) -> shapes.TradeOf:
    currency: Currency = hosted.community.currency
    return shapes.TradeOf(
        start=own.start,
        end=own.start + hosted.community.interval_s,
        side="sold" if leaf.seller == own.party else "bought",
        wh=leaf.wh,
        price=currency.price_text(leaf.price),
        fee=currency.price_text(leaf.fee),
        amount=currency.amount_text(leaf.wh * leaf.price),
        rule=leaf.rule,
    )


def _adjustment(own: _Own, one: Adjustment, hosted: Hosted) -> shapes.AdjustmentOf:
    community = hosted.community
    return shapes.AdjustmentOf(
        start=own.start,
        meter=one.meter.hex(),
        of_start=one.start,
        of_end=one.start + community.interval_s,
        record=one.record.hex(),
        imported_wh=one.import_wh,
        exported_wh=one.export_wh,
        amount=community.currency.amount_text(one.due.whole),
        issued_wh=one.issued_wh,
    )
