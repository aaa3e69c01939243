"""Automatic matching: what is proposed is never refused, and nothing that fits is left over."""

from collections import Counter
from contextlib import suppress
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificate.little_book import (
    BROKER,
    BUYER,
    DAY,
    FARM,
    HERE,
    HOUR,
    LATER,
    NOON,
    PRODUCER,
    QUARTER,
    THERE,
    LittleBook,
    meter,
)
from commonwatt.certificate import actions
from commonwatt.certificate.bundle import Status
from commonwatt.certificate.matching import Community, Contract, Market, Own, Period, propose
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import require_conserved
from effort import effort

SUPPLY = [
    Own(),
    Contract(frozenset({FARM})),
    Contract(frozenset({meter(5)})),
    Community(HERE),
    Market(),
]
TWO_HOURS = Period(NOON, LATER)
ROOF, FIRST_FARM, SECOND_FARM, NEIGHBOUR, ABROAD, HOME = range(1, 7)


def proposed(little: LittleBook, sources=SUPPLY, now: int = LATER) -> tuple[actions.Retire, ...]:
    return propose(little.state, little.book.scheme, BUYER, sources, TWO_HOURS, now=now)


def carry_out(little: LittleBook, found: tuple[actions.Retire, ...]) -> None:
    for action in found:
        (bundle,) = little.do(action, BUYER)
        assert bundle.status is Status.RETIRED
        assert bundle.wh == action.wh


def a_street() -> LittleBook:
    little = LittleBook()
    little.admit(ROOF, BUYER)
    little.admit(FIRST_FARM, FARM)
    little.admit(SECOND_FARM, FARM)
    little.admit(NEIGHBOUR, PRODUCER)
    little.admit(ABROAD, BROKER, THERE)
    return little


def by_meter(little: LittleBook) -> Counter[int]:
    found: Counter[int] = Counter()
    for number in little.state.retirements:
        bundle = little.state.bundles[number]
        found[int.from_bytes(bundle.origin.meter, "big")] += bundle.wh
    return found


# Worked examples


def test_own_production_comes_first_then_contracts_community_and_market() -> None:
    little = a_street()
    little.issue(ROOF, 100)
    for number in (FIRST_FARM, NEIGHBOUR, ABROAD):
        little.give(little.issue(number, 100))
    little.border(1_000)
    little.consume(HOME, 350)
    carry_out(little, proposed(little))
    expected = {ROOF: 100, FIRST_FARM: 100, ABROAD: 100, NEIGHBOUR: 50}
    assert by_meter(little) == expected, "meter 5 is under contract, the neighbour is not"


def test_one_source_gives_in_proportion_and_the_last_wh_goes_by_the_order_of_meters() -> None:
    little = a_street()
    little.give(little.issue(SECOND_FARM, 50))
    little.give(little.issue(FIRST_FARM, 50))
    little.consume(HOME, 33)
    carry_out(little, proposed(little))
    assert by_meter(little) == {FIRST_FARM: 17, SECOND_FARM: 16}


def test_ones_own_is_what_one_was_first_to_have_whoever_had_the_roof_before() -> None:
    little = a_street()
    made = little.issue(NEIGHBOUR, 100)
    little.do(actions.Hand(meter(NEIGHBOUR).hex(), BUYER.hex()), PRODUCER)
    little.do(actions.Accept(meter(NEIGHBOUR).hex()), BUYER)
    record = little.state.issuances[made.origin].record.hex()
    more = actions.Correct(meter(NEIGHBOUR).hex(), NOON, QUARTER, 130, 130, record, little.record())
    (added,) = little.do(more)
    bought = little.give(made)
    little.consume(HOME, 200)
    own = proposed(little, [Own()])
    assert [(action.bundle, action.wh) for action in own] == [(added.number, 30)]
    bundles = [action.bundle for action in proposed(little)]
    assert bundles == [added.number, bought.number]


def test_an_unnamed_source_gives_nothing() -> None:
    little = a_street()
    little.give(little.issue(NEIGHBOUR, 100))
    little.consume(HOME, 100)
    assert proposed(little, [Own(), Contract(frozenset({FARM}))]) == ()
    assert proposed(little, []) == ()
    assert [action.wh for action in proposed(little, [Community(HERE)])] == [100]


def test_two_consumptions_share_a_bundle_that_is_divided_on_the_way() -> None:
    little = a_street()
    little.issue(ROOF, 100)
    for home in (HOME, HOME + 1, HOME + 2):
        little.consume(home, 40)
    found = proposed(little)
    assert [action.wh for action in found] == [40, 40, 20]
    carry_out(little, found)
    assert by_meter(little) == {ROOF: 100}


def test_only_units_of_the_consumptions_own_interval_are_proposed() -> None:
    little = a_street()
    little.issue(ROOF, 100, NOON + QUARTER)
    little.issue(ROOF, 100, NOON + HOUR)
    little.consume(HOME, 500, NOON)
    assert proposed(little) == ()
    little.consume(HOME + 1, 500, NOON, HOUR)
    assert [(action.wh, action.duration) for action in proposed(little)] == [(100, HOUR)]


def test_a_quarter_hour_chooses_before_an_hour_that_could_use_other_units() -> None:
    little = a_street()
    little.issue(ROOF, 100, NOON)
    little.issue(ROOF, 100, NOON + QUARTER)
    little.consume(HOME, 100, NOON, HOUR)
    little.consume(HOME + 1, 100, NOON, QUARTER)
    carry_out(little, proposed(little))
    assert by_meter(little) == {ROOF: 200}


def test_a_border_lets_in_what_its_capacity_allows_for_all_consumptions_together() -> None:
    little = a_street()
    little.give(little.issue(ABROAD, 500))
    little.consume(HOME, 100)
    little.consume(HOME + 1, 100)
    assert proposed(little) == (), "no rule is published"
    little.border(130)
    found = proposed(little)
    assert [action.wh for action in found] == [100, 30]
    carry_out(little, found)


def test_what_a_border_keeps_out_the_same_zone_gives() -> None:
    little = a_street()
    little.admit(7, FARM, THERE)
    little.give(little.issue(FIRST_FARM, 60))
    little.give(little.issue(7, 600))
    little.border(40)
    little.consume(HOME, 100)
    carry_out(little, proposed(little))
    assert by_meter(little) == {FIRST_FARM: 60, 7: 40}


def test_reserved_given_away_and_expired_units_are_left_alone() -> None:
    little = LittleBook(lifetime_s=DAY)
    little.admit(ROOF, BUYER)
    little.admit(FIRST_FARM, BUYER)
    kept, given = little.issue(ROOF, 100), little.issue(FIRST_FARM, 100)
    little.consume(HOME, 100)
    little.give(given, to=BROKER)
    assert [action.bundle for action in proposed(little)] == [kept.number]
    assert proposed(little, now=NOON + QUARTER + DAY - 1)
    assert proposed(little, now=NOON + QUARTER + DAY) == ()
    little.do(actions.Reserve(kept.number, 100, BROKER.hex(), LATER + HOUR), BUYER)
    assert proposed(little) == ()


def test_others_withdrawn_and_matched_consumptions_get_nothing() -> None:
    little = a_street()
    little.issue(ROOF, 500)
    little.consume(HOME, 100, owner=PRODUCER)
    little.consume(HOME + 1, 100)
    wrong = little.consume(HOME + 2, 100)
    little.do(actions.Revoke(wrong.meter.hex(), wrong.start, wrong.duration, "meter exchanged"))
    carry_out(little, proposed(little))
    assert by_meter(little) == {ROOF: 100}
    assert proposed(little) == ()


def test_a_period_ends_before_its_end() -> None:
    little = a_street()
    little.issue(ROOF, 100, NOON)
    little.consume(HOME, 100, NOON)
    scheme = little.book.scheme
    before, within = Period(NOON - HOUR, NOON), Period(NOON, NOON + 1)
    assert propose(little.state, scheme, BUYER, SUPPLY, before, now=LATER) == ()
    assert len(propose(little.state, scheme, BUYER, SUPPLY, within, now=LATER)) == 1


# Properties


lengths = st.sampled_from([QUARTER, 1_200, 1_800, HOUR])


@st.composite
def moments(draw) -> tuple[int, int]:
    duration = draw(lengths)
    return NOON + duration * draw(st.integers(0, 2 * HOUR // duration - 1)), duration


@st.composite
def books(draw, zones=(HERE, THERE)) -> LittleBook:
    """Any holdings, consumptions and borders, some units given on, reserved or retired."""
    little = LittleBook(lifetime_s=draw(st.sampled_from([0, 0, HOUR])))
    for number in range(1, draw(st.integers(1, 5)) + 1):
        owner = draw(st.sampled_from([BUYER, FARM, PRODUCER]))
        little.admit(number, owner, draw(st.sampled_from(zones)))
        for start, duration in draw(st.lists(moments(), max_size=6)):
            _unless_refused(little.issue, number, draw(st.integers(1, 60)), start, duration)
    for number in range(11, 11 + draw(st.integers(1, 4))):
        zone = draw(st.sampled_from(zones))
        for start, duration in draw(st.lists(moments(), max_size=4)):
            wh = draw(st.integers(1, 100))
            _unless_refused(little.consume, number, wh, start, duration, zone)
            if draw(st.booleans()):
                _unless_refused(little.border, draw(st.integers(0, 80)), start, duration)
    for number in list(little.state.bundles):
        bundle = little.state.bundles[number]
        if draw(st.integers(0, 9)) and bundle.holder != BUYER:
            _unless_refused(little.give, bundle, draw(st.integers(1, bundle.wh)))
    for number in list(little.state.held.get(BUYER, ())):
        wh = draw(st.integers(1, 20))
        if not draw(st.integers(0, 4)):
            reserve = actions.Reserve(number, wh, BROKER.hex(), LATER + HOUR)
            _unless_refused(little.do, reserve, BUYER)
    return little


def _unless_refused(act, *arguments) -> None:
    with suppress(ActionRefused):
        act(*arguments)


supplies = st.permutations(SUPPLY).flatmap(
    lambda found: st.integers(0, len(found)).map(lambda count: found[:count])
)


@given(books(), supplies)
@effort(3)
def test_no_proposal_is_ever_refused_and_nothing_is_left_to_propose(little, sources) -> None:
    before = deepcopy(little.state)
    found = proposed(little, sources)
    assert little.state == before, "a proposal changes nothing"
    carry_out(little, found)
    assert proposed(little, sources) == ()
    for origin in little.state.issuances:
        require_conserved(little.state, origin)


@given(books(), st.integers(1, 4))
def test_the_same_units_and_consumptions_lead_to_the_same_matches(little, count) -> None:
    again = deepcopy(little)
    for number in list(again.state.held.get(BUYER, ()))[:count]:
        bundle = again.state.bundles[number]
        if bundle.status is Status.ACTIVE and bundle.wh > 1:
            # Given away and back: other numbers, the same units.
            _unless_refused(_there_and_back, again, bundle)
    for one in (little, again):
        carry_out(one, proposed(one))
    matched = [
        {origin: found.matched_wh for origin, found in one.state.consumptions.items()}
        for one in (little, again)
    ]
    assert matched[0] == matched[1]


def _there_and_back(little: LittleBook, bundle) -> None:
    little.give(little.give(bundle, to=BROKER), to=BUYER)


quarters = st.lists(st.integers(0, 90), min_size=4, max_size=4)


@given(quarters, quarters, st.integers(0, 200), st.integers(0, 300))
def test_within_one_zone_as_much_is_matched_as_can_be(made, used, hourly_made, hourly_used) -> None:
    little = a_street()
    for at in range(4):
        start = NOON + at * QUARTER
        if made[at]:
            little.issue(ROOF, made[at], start)
        if used[at]:
            little.consume(HOME, used[at], start)
    if hourly_made:
        little.give(little.issue(NEIGHBOUR, hourly_made, NOON, HOUR))
    if hourly_used:
        little.consume(HOME + 1, hourly_used, NOON, HOUR)
    carry_out(little, proposed(little))
    short = sum(map(min, made, used))
    most = short + min(hourly_used, sum(made) - short + hourly_made)
    assert sum(by_meter(little).values()) == most


def test_a_purpose_is_the_retirements() -> None:
    little = a_street()
    little.issue(ROOF, 10)
    little.consume(HOME, 10)
    (found,) = propose(
        little.state, little.book.scheme, BUYER, SUPPLY, TWO_HOURS, now=LATER, purpose="bread"
    )
    assert found.purpose == "bread"
    with pytest.raises(ActionRefused, match="another's"):
        little.do(found, PRODUCER)
