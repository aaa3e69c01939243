"""The book of certificates, rules 13 to 23: what holders do with units, and what they cannot."""

import pytest
from msgspec.structs import replace

from certificate.desk import (
    ADMIT,
    BATTERY,
    BORDER,
    BUYER,
    CELLAR,
    CLOSE,
    CONSUME,
    DAY,
    EXPORT,
    FORGER,
    FREE,
    HOUR,
    ISSUE,
    ISSUER,
    KITCHEN,
    LIFETIME,
    MATCH,
    NEIGHBOUR,
    NEXT,
    NOON,
    PRODUCER,
    QUARTER,
    RESERVE,
    RESTORE,
    RETIRE,
    RETIRED,
    REVOKE,
    STORE,
    TRANSFER,
    TURBINE,
    WITHDRAW,
    Desk,
    digest,
)
from commonwatt.certificate.actions import (
    Action,
    Border,
    Claim,
    Close,
    Reinstate,
    Release,
    Take,
    Together,
)
from commonwatt.certificate.book import TOGETHER_MAX
from commonwatt.certificate.bundle import FINAL, Bundle, Origin, Status
from commonwatt.certificate.context import REASON_MAX, WH_MAX, Scheme
from commonwatt.certificate.log import Log, SignedAction
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.using import PURPOSE_MAX, RESERVATION_MAX_S
from commonwatt.meter.registration import ZONE_BYTES

# Rule 13: only the holder


@pytest.mark.parametrize("action", [TRANSFER, RESERVE, RETIRE])
def test_units_do_not_go_to_nobody(battery: Desk, action: Action) -> None:
    nobody = "00" * 20
    for field in ("to", "for_whom", "beneficiary"):
        if hasattr(action, field):
            battery.refuses(PRODUCER, replace(action, **{field: nobody}), "R13")


HOLDERS_ACTS = [TRANSFER, RESERVE, RETIRE, EXPORT, STORE]


@pytest.mark.parametrize("actor", [FORGER, BUYER, ISSUER])
@pytest.mark.parametrize("action", HOLDERS_ACTS, ids=lambda action: type(action).__name__.lower())
def test_nobody_but_the_holder_disposes_of_units(
    battery: Desk, action: Action, actor: bytes
) -> None:
    battery.refuses(actor, action, "R13")
    battery.does(PRODUCER, action)


@pytest.mark.parametrize("action", [*HOLDERS_ACTS, Take(0), Release(0), Claim(0), WITHDRAW])
def test_there_is_no_bundle_beyond_the_last(battery: Desk, action: Action) -> None:
    for number in (99, -1):
        actor = ISSUER if action is WITHDRAW else PRODUCER
        battery.refuses(actor, replace(action, bundle=number), "R13")


def test_units_that_were_given_away_are_the_others(desk: Desk) -> None:
    (given,) = desk.does(PRODUCER, TRANSFER)
    desk.refuses(PRODUCER, replace(RETIRE, bundle=given.number, wh=1), "R13")
    desk.does(NEIGHBOUR, replace(RETIRE, bundle=given.number, wh=1))


def test_only_whom_units_are_reserved_for_takes_them(desk: Desk) -> None:
    (kept,) = desk.does(PRODUCER, RESERVE)
    for actor in (FORGER, PRODUCER, ISSUER):
        desk.refuses(actor, Take(kept.number), "R13")
    (taken,) = desk.does(NEIGHBOUR, Take(kept.number))
    assert (taken.holder, taken.status, taken.wh) == (NEIGHBOUR, Status.ACTIVE, 200)
    assert kept.number not in desk.state.reservations
    desk.does(NEIGHBOUR, replace(RETIRE, bundle=taken.number))


def test_units_go_into_ones_own_battery_only(battery: Desk) -> None:
    (given,) = battery.does(PRODUCER, TRANSFER)
    battery.refuses(NEIGHBOUR, replace(STORE, bundle=given.number, wh=1), "R13")


@pytest.mark.parametrize("account", ["", "05", "ab" * 20 + "00", "AB" * 20, "0x" + "05" * 19])
def test_an_account_is_written_in_one_way_only(desk: Desk, account: str) -> None:
    desk.refuses(PRODUCER, replace(TRANSFER, to=account), "R13")
    desk.refuses(PRODUCER, replace(RESERVE, for_whom=account), "R13")
    desk.refuses(PRODUCER, replace(RETIRE, beneficiary=account), "R13")
    desk.refuses(ISSUER, replace(ADMIT, meter=TURBINE.hex(), owner=account), "R13")
    desk.refuses(ISSUER, replace(CONSUME, owner=account), "R13")


def test_a_signature_has_65_bytes_whoever_looks_at_it() -> None:
    log = Log(bytes(8), Scheme(ISSUER, LIFETIME), lambda _, __: ISSUER)
    for length in (0, 64, 66):
        with pytest.raises(ActionRefused, match="65 bytes") as refusal:
            log.submit(SignedAction(ISSUER.hex(), 0, ADMIT, bytes(length).hex()), NOON)
        assert refusal.value.rule == "R13"
    log.submit(SignedAction(ISSUER.hex(), 0, ADMIT, bytes(65).hex()), NOON)


# Rule 14: whole or not at all, within the balance, frozen means frozen


@pytest.mark.parametrize("wh", [0, -1, -600, 601, 10**30])
@pytest.mark.parametrize("action", HOLDERS_ACTS, ids=lambda action: type(action).__name__.lower())
def test_no_more_is_used_than_there_is_and_no_less_than_something(
    battery: Desk, action: Action, wh: int
) -> None:
    battery.refuses(PRODUCER, replace(action, wh=wh), "R14")


@pytest.mark.parametrize("action", HOLDERS_ACTS, ids=lambda action: type(action).__name__.lower())
def test_reserved_units_are_frozen(battery: Desk, action: Action) -> None:
    (kept,) = battery.does(PRODUCER, RESERVE)
    battery.refuses(PRODUCER, replace(action, bundle=kept.number, wh=1), "R14")


def test_nothing_moves_from_an_account_to_itself(desk: Desk) -> None:
    desk.refuses(PRODUCER, replace(TRANSFER, to=PRODUCER.hex()), "R14")
    desk.refuses(PRODUCER, replace(RESERVE, for_whom=PRODUCER.hex()), "R14")


@pytest.mark.parametrize("ahead", [0, -1, RESERVATION_MAX_S + 1])
def test_a_reservation_has_an_end_to_come_within_a_year(desk: Desk, ahead: int) -> None:
    desk.refuses(PRODUCER, replace(RESERVE, until=desk.now + ahead), "R14")
    desk.does(PRODUCER, replace(RESERVE, until=desk.now + RESERVATION_MAX_S))


def test_whom_it_is_for_ends_a_reservation_and_after_its_time_anybody(desk: Desk) -> None:
    (first,) = desk.does(PRODUCER, RESERVE)
    (second,) = desk.does(PRODUCER, replace(RESERVE, bundle=3))
    for actor in (PRODUCER, FORGER, ISSUER):
        desk.refuses(actor, Release(first.number), "R14")
    (freed,) = desk.does(NEIGHBOUR, Release(first.number))
    assert (freed.holder, freed.status) == (PRODUCER, Status.ACTIVE)
    desk.now = RESERVE.until - 1
    desk.refuses(FORGER, Release(second.number), "R14")
    desk.now += 1
    desk.refuses(NEIGHBOUR, Take(second.number), "R14")
    (freed,) = desk.does(FORGER, Release(second.number))
    assert (freed.holder, freed.status) == (PRODUCER, Status.ACTIVE)
    assert not desk.state.reservations


def test_a_reservation_is_taken_until_its_last_second(desk: Desk) -> None:
    (kept,) = desk.does(PRODUCER, RESERVE)
    desk.now = RESERVE.until - 1
    desk.does(NEIGHBOUR, Take(kept.number))


def test_what_is_not_reserved_is_neither_taken_nor_released(desk: Desk) -> None:
    for number in (FREE, RETIRED):
        desk.refuses(NEIGHBOUR, Take(number), "R14")
        desk.refuses(NEIGHBOUR, Release(number), "R14")


def test_what_is_left_of_a_reserved_bundle_stays_promised(desk: Desk) -> None:
    (kept,) = desk.does(PRODUCER, RESERVE)
    (gone,) = desk.does(ISSUER, replace(WITHDRAW, bundle=kept.number, wh=50))
    assert gone.status is Status.WITHDRAWN
    rest = gone.number + 1
    desk.refuses(PRODUCER, replace(TRANSFER, bundle=rest, wh=1), "R14")
    assert list(desk.state.reservations) == [rest]
    (taken,) = desk.does(NEIGHBOUR, Take(rest))
    assert taken.wh == 150
    assert not desk.state.reservations


# Rule 14: several actions together


@pytest.fixture
def two(desk: Desk) -> Desk:
    """Two quarter hours of the roof: bundles 1 and 3 are the producer's."""
    desk.does(ISSUER, NEXT)
    return desk


def test_several_actions_are_done_one_after_the_other_in_one_entry(two: Desk) -> None:
    entries = two.book.entries
    rest = replace(RETIRE, bundle=5, wh=10)
    made = two.does(PRODUCER, Together((TRANSFER, rest, replace(TRANSFER, bundle=3, wh=600))))
    assert [(b.number, b.wh, b.status, b.holder) for b in made] == [
        (3, 600, Status.ACTIVE, NEIGHBOUR),
        (4, 200, Status.ACTIVE, NEIGHBOUR),
        (6, 10, Status.RETIRED, PRODUCER),
    ]
    assert two.book.entries == entries + 1
    assert {bundle.by for bundle in made} == {entries}


def test_of_several_actions_none_is_done_where_one_is_refused(two: Desk) -> None:
    for wrong, rule in (
        (replace(TRANSFER, bundle=3, wh=601), "R14"),
        (TRANSFER, "R17"),
        (replace(TRANSFER, bundle=RETIRED, wh=1), "R17"),
        (WITHDRAW, "R11"),
    ):
        two.refuses(PRODUCER, Together((TRANSFER, wrong)), rule)
    with pytest.raises(ActionRefused, match=r"^2 of 2: bundle 1 is split, for good \(R17\)$"):
        two.book.act(Together((TRANSFER, TRANSFER)), PRODUCER, two.now)


def test_of_several_retirements_all_fit_into_the_consumption_or_none_is_done(
    two: Desk,
) -> None:
    two.does(ISSUER, CONSUME)
    both = (replace(MATCH, wh=300), replace(MATCH, bundle=3, wh=101))
    two.refuses(PRODUCER, Together(both), "R19")
    two.does(PRODUCER, Together((both[0], replace(both[1], wh=100))))
    assert two.state.consumptions[Origin(KITCHEN, NOON, HOUR)].matched_wh == 400


@pytest.mark.parametrize("many", [0, TOGETHER_MAX + 1])
def test_several_are_neither_none_nor_too_many(desk: Desk, many: int) -> None:
    desk.refuses(PRODUCER, Together((replace(TRANSFER, wh=1),) * many), "R14")


def test_a_hundred_are_not_too_many(desk: Desk) -> None:
    one = [replace(TRANSFER, bundle=FREE, wh=1)]
    # Each divides the rest that the one before left.
    one += [replace(TRANSFER, bundle=3 + 2 * n, wh=1) for n in range(TOGETHER_MAX - 1)]
    assert len(desk.does(PRODUCER, Together(tuple(one)))) == TOGETHER_MAX
    assert desk.units(NEIGHBOUR, Status.ACTIVE) == TOGETHER_MAX


# Rule 15: dividing


def test_parts_have_units_sum_to_the_whole_and_inherit_everything(desk: Desk) -> None:
    (given,) = desk.does(PRODUCER, TRANSFER)
    whole, rest = desk.state.bundles[FREE], desk.state.bundles[given.number + 1]
    assert whole.status is Status.SPLIT
    assert (given.first, given.end, rest.first, rest.end) == (300, 500, 500, 900)
    assert given.origin == rest.origin == whole.origin
    assert given.parent == rest.parent == FREE
    assert (rest.holder, rest.status) == (PRODUCER, Status.ACTIVE)
    desk.refuses(PRODUCER, TRANSFER, "R17")


def test_the_whole_of_a_bundle_is_not_divided(desk: Desk) -> None:
    (given,) = desk.does(PRODUCER, replace(TRANSFER, wh=600))
    assert (given.number, given.parent) == (FREE, None)


# Rule 17: final is final


def dead(desk: Desk, status: Status) -> int:
    """Some bundle of this status that was the producer's."""
    made: tuple[Bundle, ...] = ()
    match status:
        case Status.RETIRED:
            made = desk.does(PRODUCER, RETIRE)
        case Status.CLAIMED:
            made = desk.does(PRODUCER, RETIRE)
            desk.does(NEIGHBOUR, Claim(made[0].number))
        case Status.STORED:
            made = desk.does(PRODUCER, STORE)
        case Status.WITHDRAWN:
            made = desk.does(ISSUER, WITHDRAW)
        case Status.EXPORTED:
            made = desk.does(PRODUCER, EXPORT)
        case Status.SPLIT:
            desk.does(PRODUCER, TRANSFER)
            return FREE
    return made[0].number


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.ACTIVE, Status.RESERVED}, key=str))
def test_what_is_used_or_gone_is_used_or_gone_for_good(battery: Desk, status: Status) -> None:
    number = dead(battery, status)
    assert battery.state.bundles[number].status is status
    for action in HOLDERS_ACTS:
        fresh = replace(action, message=digest(77)) if action is EXPORT else action
        battery.refuses(PRODUCER, replace(fresh, bundle=number, wh=1), "R17")
    battery.refuses(ISSUER, replace(WITHDRAW, bundle=number, wh=1), "R17")
    if status is not Status.RETIRED:
        battery.refuses(NEIGHBOUR, Claim(number), "R17")
    if status in FINAL or status is Status.EXPORTED:
        battery.refuses(ISSUER, Reinstate(number, "wanted"), "R17")


def test_a_device_is_taken_out_of_service_once_and_not_before_its_last_interval(
    battery: Desk,
) -> None:
    battery.refuses(ISSUER, replace(CLOSE, from_start=NOON), "R17")
    battery.refuses(ISSUER, Close(BATTERY.hex(), NOON + HOUR - 1), "R17")
    battery.does(ISSUER, replace(CLOSE, from_start=NOON + QUARTER))
    battery.refuses(ISSUER, CLOSE, "R17")


# Rule 18: for one beneficiary and purpose


@pytest.mark.parametrize("purpose", ["", "  ", "x" * (PURPOSE_MAX + 1)])
def test_a_retirement_says_for_what(desk: Desk, purpose: str) -> None:
    desk.refuses(PRODUCER, replace(RETIRE, purpose=purpose), "R18")
    desk.does(PRODUCER, replace(RETIRE, purpose="x" * PURPOSE_MAX))


def test_only_the_beneficiary_claims_and_once(desk: Desk) -> None:
    (used,) = desk.does(PRODUCER, RETIRE)
    found = desk.state.retirements[used.number]
    assert (found.beneficiary, found.purpose) == (NEIGHBOUR, "cooking")
    for actor in (PRODUCER, FORGER, ISSUER):
        desk.refuses(actor, Claim(used.number), "R18")
    (claimed,) = desk.does(NEIGHBOUR, Claim(used.number))
    assert claimed.status is Status.CLAIMED
    desk.refuses(NEIGHBOUR, Claim(used.number), "R17")


def test_what_the_community_used_is_nobodys_to_claim_nor_to_give_back(desk: Desk) -> None:
    for actor in (PRODUCER, NEIGHBOUR):
        desk.refuses(actor, Claim(RETIRED), "R17")
    desk.refuses(ISSUER, Reinstate(RETIRED, "wanted"), "R17")


def test_nobody_is_beneficiary_of_anothers_consumption(kitchen: Desk) -> None:
    kitchen.refuses(PRODUCER, replace(MATCH, beneficiary=BUYER.hex()), "R18")


# Rule 19: never more than was consumed


def test_each_watt_hour_consumed_is_matched_once(kitchen: Desk) -> None:
    (first,) = kitchen.does(PRODUCER, replace(MATCH, wh=300))
    rest = first.number + 1
    kitchen.refuses(PRODUCER, replace(MATCH, bundle=rest, wh=101), "R19")
    kitchen.does(PRODUCER, replace(MATCH, bundle=rest, wh=100))
    assert kitchen.state.consumptions[Origin(KITCHEN, NOON, HOUR)].matched_wh == 400
    kitchen.refuses(PRODUCER, replace(MATCH, bundle=rest + 2, wh=1), "R19")


def test_what_the_community_covered_is_matched_from_the_start(desk: Desk) -> None:
    desk.does(ISSUER, replace(CONSUME, covered_wh=250, voucher="the grid operator"))
    found = desk.state.consumptions[Origin(KITCHEN, NOON, HOUR)]
    assert (found.covered_wh, found.matched_wh, found.voucher) == (250, 250, "the grid operator")
    desk.refuses(PRODUCER, replace(MATCH, wh=151), "R19")
    (used,) = desk.does(PRODUCER, replace(MATCH, wh=150))
    desk.does(ISSUER, REVOKE)
    desk.does(ISSUER, Reinstate(used.number, "the consumption was withdrawn"))
    assert desk.state.consumptions[found.origin].matched_wh == 250


@pytest.mark.parametrize("covered", [-1, 401])
def test_no_more_is_covered_than_was_consumed(desk: Desk, covered: int) -> None:
    desk.refuses(ISSUER, replace(CONSUME, covered_wh=covered), "R19")
    desk.does(ISSUER, replace(CONSUME, covered_wh=400))


@pytest.mark.parametrize("voucher", [" ", "two\nlines", "x" * 101])
def test_whoever_vouches_for_a_consumption_has_a_name(desk: Desk, voucher: str) -> None:
    desk.refuses(ISSUER, replace(CONSUME, voucher=voucher), "R4")


def test_a_consumption_is_known_once_overlap_included(kitchen: Desk) -> None:
    kitchen.refuses(ISSUER, CONSUME, "R19")
    kitchen.refuses(ISSUER, replace(CONSUME, start=NOON + QUARTER, duration=QUARTER), "R19")
    kitchen.does(ISSUER, replace(CONSUME, start=NOON + HOUR))


def test_nothing_is_matched_to_a_consumption_that_nobody_metered(kitchen: Desk) -> None:
    kitchen.refuses(PRODUCER, replace(MATCH, duration=QUARTER), "R19")
    kitchen.refuses(PRODUCER, replace(MATCH, meter=CELLAR.hex()), "R19")


@pytest.mark.parametrize("meter", ["ab", KITCHEN.hex().upper(), " " + KITCHEN.hex(), "xy" * 20])
def test_a_consumptions_meter_is_written_in_one_way_only(kitchen: Desk, meter: str) -> None:
    kitchen.refuses(PRODUCER, replace(MATCH, meter=meter), "R4")
    kitchen.refuses(ISSUER, replace(REVOKE, meter=meter), "R4")


def test_nothing_is_matched_to_a_consumption_that_was_withdrawn(kitchen: Desk) -> None:
    kitchen.does(ISSUER, REVOKE)
    kitchen.refuses(PRODUCER, MATCH, "R19")
    kitchen.refuses(ISSUER, CONSUME, "R19")


def test_the_use_of_a_consumption_that_was_withdrawn_is_not_claimed(kitchen: Desk) -> None:
    (used,) = kitchen.does(PRODUCER, MATCH)
    kitchen.does(ISSUER, REVOKE)
    kitchen.refuses(NEIGHBOUR, Claim(used.number), "R19")


# Rule 20: the same time


@pytest.mark.parametrize("start", [NOON + QUARTER, NOON - QUARTER, NOON + DAY - QUARTER])
def test_only_what_was_produced_within_the_consumption_is_matched(desk: Desk, start: int) -> None:
    desk.does(ISSUER, replace(CONSUME, start=start, duration=QUARTER))
    desk.refuses(PRODUCER, replace(MATCH, start=start, duration=QUARTER), "R20")


def test_a_production_longer_than_the_consumption_is_not_matched(desk: Desk) -> None:
    desk.does(ISSUER, replace(CONSUME, duration=300))
    desk.refuses(PRODUCER, replace(MATCH, duration=300), "R20")


# Rule 21: the same place, or a border with capacity


@pytest.fixture
def abroad(desk: Desk) -> Desk:
    desk.does(ISSUER, replace(CONSUME, zone="JP"))
    return desk


def test_nothing_crosses_a_border_without_a_rule(abroad: Desk) -> None:
    abroad.refuses(PRODUCER, MATCH, "R21")
    abroad.does(ISSUER, Border("JP", "KR", NOON, HOUR, 250))
    abroad.does(ISSUER, replace(BORDER, start=NOON + HOUR))
    abroad.refuses(PRODUCER, MATCH, "R21")


def test_no_more_crosses_a_border_than_its_capacity(abroad: Desk) -> None:
    abroad.does(ISSUER, BORDER)
    abroad.refuses(PRODUCER, replace(MATCH, wh=251), "R21")
    (used,) = abroad.does(PRODUCER, MATCH)
    rest = used.number + 1
    abroad.refuses(PRODUCER, replace(MATCH, bundle=rest, wh=51), "R21")
    abroad.does(PRODUCER, replace(MATCH, bundle=rest, wh=50))
    abroad.refuses(PRODUCER, replace(MATCH, bundle=rest + 2, wh=1), "R21")


def test_at_home_no_border_is_used_up(kitchen: Desk) -> None:
    kitchen.does(ISSUER, BORDER)
    kitchen.does(PRODUCER, MATCH)
    assert set(kitchen.state.borders.values()) == {(250, 0)}


def test_a_border_is_published_once_between_two_zones(desk: Desk) -> None:
    desk.refuses(ISSUER, replace(BORDER, to_zone="KR"), "R21")
    for capacity in (-1, WH_MAX + 1):
        desk.refuses(ISSUER, replace(BORDER, wh=capacity), "R21")
    desk.does(ISSUER, BORDER)
    desk.refuses(ISSUER, replace(BORDER, wh=10**6), "R21")


@pytest.mark.parametrize(
    ("start", "duration"),
    [(NOON, QUARTER), (NOON + QUARTER, QUARTER), (NOON + HOUR - 60, 60), (NOON, 1_800)],
)
def test_a_border_has_one_rule_for_any_moment(desk: Desk, start: int, duration: int) -> None:
    short = replace(BORDER, start=start, duration=duration)
    desk.does(ISSUER, BORDER)
    desk.refuses(ISSUER, short, "R21")
    desk.does(ISSUER, replace(short, from_zone="JP", to_zone="KR"))
    desk.refuses(ISSUER, replace(BORDER, from_zone="JP", to_zone="KR"), "R21")
    desk.does(ISSUER, replace(short, start=NOON - duration))
    desk.does(ISSUER, replace(short, start=NOON + HOUR))


@pytest.mark.parametrize(("start", "duration"), [(NOON + 1, HOUR), (NOON, 700), (NOON, 0)])
def test_a_border_rule_is_for_an_interval(desk: Desk, start: int, duration: int) -> None:
    desk.refuses(ISSUER, replace(BORDER, start=start, duration=duration), "R6")


def test_a_border_rule_is_published_before_its_time(desk: Desk) -> None:
    desk.does(ISSUER, replace(BORDER, start=NOON + 30 * DAY))


@pytest.mark.parametrize("zone", ["", "\N{HANGUL SYLLABLE SEO}", "K\n", "K" * (ZONE_BYTES + 1)])
def test_a_device_stands_in_a_zone_that_can_be_written(zone: str) -> None:
    desk = Desk()
    desk.refuses(ISSUER, replace(ADMIT, zone=zone), "R21")
    desk.refuses(ISSUER, replace(CONSUME, zone=zone), "R21")
    desk.refuses(ISSUER, replace(BORDER, from_zone=zone), "R21")
    desk.refuses(ISSUER, replace(BORDER, to_zone=zone), "R21")
    desk.does(ISSUER, replace(ADMIT, zone="K" * ZONE_BYTES))


# Rule 22: expiry


def test_units_are_used_until_the_last_second_and_not_after_it(battery: Desk) -> None:
    (kept,) = battery.does(PRODUCER, replace(RESERVE, until=NOON + 100 * DAY))
    last = kept.number + 1
    battery.now = NOON + QUARTER + LIFETIME - 1
    (given,) = battery.does(PRODUCER, replace(TRANSFER, bundle=last, wh=1))
    mine = given.number + 1
    battery.now += 1
    battery.refuses(NEIGHBOUR, Take(kept.number), "R22")
    for action in HOLDERS_ACTS:
        change = {"until": battery.now + 1} if action is RESERVE else {}
        battery.refuses(PRODUCER, replace(action, bundle=mine, wh=1, **change), "R22")


def test_what_expired_can_be_withdrawn_and_what_was_used_before_is_claimed(desk: Desk) -> None:
    (used,) = desk.does(PRODUCER, RETIRE)
    desk.now += 10 * LIFETIME
    desk.does(NEIGHBOUR, Claim(used.number))
    desk.does(ISSUER, replace(WITHDRAW, bundle=used.number + 1))


def test_without_a_lifetime_units_never_expire() -> None:
    desk = Desk(lifetime_s=0)
    desk.does(ISSUER, ADMIT)
    desk.does(ISSUER, ISSUE)
    desk.now += 100 * 365 * DAY
    desk.does(PRODUCER, TRANSFER)


# Rule 23: withdrawal and return


@pytest.mark.parametrize("reason", ["", " \n", "x" * (REASON_MAX + 1)])
def test_the_issuer_says_why_it_takes_back_or_gives_back(kitchen: Desk, reason: str) -> None:
    (used,) = kitchen.does(PRODUCER, MATCH)
    rest = used.number + 1
    (out,) = kitchen.does(PRODUCER, replace(EXPORT, bundle=rest, wh=1))
    kitchen.refuses(ISSUER, replace(WITHDRAW, bundle=out.number + 1, reason=reason), "R23")
    kitchen.refuses(ISSUER, replace(RESTORE, reason=reason), "R23")
    kitchen.refuses(ISSUER, replace(REVOKE, reason=reason), "R23")
    kitchen.does(ISSUER, replace(REVOKE, reason="x" * REASON_MAX))
    kitchen.refuses(ISSUER, Reinstate(used.number, reason), "R23")


@pytest.mark.parametrize("wh", [0, -1, 601])
def test_no_more_is_withdrawn_than_there_is(desk: Desk, wh: int) -> None:
    desk.refuses(ISSUER, replace(WITHDRAW, wh=wh), "R23")


def test_the_issuer_withdraws_units_that_are_held_or_reserved(desk: Desk) -> None:
    (kept,) = desk.does(PRODUCER, RESERVE)
    desk.does(ISSUER, replace(WITHDRAW, bundle=kept.number))
    desk.does(ISSUER, replace(WITHDRAW, bundle=kept.number + 1, wh=400))
    assert desk.units(PRODUCER, Status.WITHDRAWN) == 600
    assert not desk.state.reservations


@pytest.mark.parametrize("claimed", [False, True])
def test_a_use_is_undone_only_after_its_consumption_was_withdrawn(
    kitchen: Desk, *, claimed: bool
) -> None:
    (used,) = kitchen.does(PRODUCER, MATCH)
    if claimed:
        kitchen.does(NEIGHBOUR, Claim(used.number))
    back = Reinstate(used.number, "the consumption was withdrawn")
    kitchen.refuses(ISSUER, back, "R23")
    kitchen.does(ISSUER, REVOKE)
    (returned,) = kitchen.does(ISSUER, back)
    assert (returned.holder, returned.status, returned.wh) == (PRODUCER, Status.ACTIVE, 200)
    assert kitchen.state.consumptions[Origin(KITCHEN, NOON, HOUR)].matched_wh == 0
    kitchen.refuses(ISSUER, back, "R17")
    kitchen.does(PRODUCER, replace(TRANSFER, bundle=used.number))


def test_a_use_without_a_consumption_is_never_undone(kitchen: Desk) -> None:
    (used,) = kitchen.does(PRODUCER, RETIRE)
    kitchen.does(ISSUER, REVOKE)
    kitchen.refuses(ISSUER, Reinstate(used.number, "wanted"), "R23")


def test_an_undone_use_gives_its_border_back(abroad: Desk) -> None:
    abroad.does(ISSUER, BORDER)
    (used,) = abroad.does(PRODUCER, MATCH)
    abroad.does(ISSUER, REVOKE)
    abroad.does(ISSUER, Reinstate(used.number, "the consumption was withdrawn"))
    assert set(abroad.state.borders.values()) == {(250, 0)}


def test_a_consumption_is_withdrawn_once_if_it_is_known(kitchen: Desk) -> None:
    kitchen.refuses(ISSUER, replace(REVOKE, duration=QUARTER), "R23")
    kitchen.does(ISSUER, REVOKE)
    kitchen.refuses(ISSUER, REVOKE, "R23")
