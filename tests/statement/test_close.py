"""Closing an interval: the same bytes on every machine, and nothing lost in them."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InvariantBroken
from commonwatt.market.book import Limits, Trade
from commonwatt.market.catalogue import CONTRACT, RULES
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    LevelSettings,
    MarketSettings,
    MemberSettings,
    WindowSettings,
    settings_named,
)
from commonwatt.meter.acceptance import Reason, Refused
from commonwatt.meter.record import SignedRecord
from commonwatt.quantity import Interval
from commonwatt.settlement.account import LANE_MAX
from commonwatt.statement.close import close, inputs_hash, packed_deltas
from commonwatt.statement.header import Header, SectionRoot
from commonwatt.statement.leaves import PositionLeaf, Section, TradeLeaf, party, salt_of
from commonwatt.statement.publication import lines_of
from effort import effort
from markets import CHOICES, NOON, Choice
from street import TARIFF, Street

PRODUCER = 0
amounts = st.lists(st.integers(0, 4_000), min_size=4, max_size=4)


def lanes_of(words: tuple[bytes, ...], members: int) -> list[int]:
    """What the contract reads: six lanes of 42 bits, each plus 2**40, the first one lowest."""
    lanes = []
    for word in words:
        number = int.from_bytes(word)
        assert number >> (6 * 42) == 0
        for _ in range(6):
            lanes.append((number & (2**42 - 1)) - 2**40)
            number >>= 42
    assert lanes[members:] == [0] * (len(lanes) - members)
    return lanes[:members]


def noon(rule: str = "mid_market_rate") -> tuple[Street, list[SignedRecord]]:
    street = Street(members=4, producers=2, market=settings_named(rule))
    return street, street.measure([0, 0, 300, 500], [1_000, 200, 0, 0], made=[900, 200])


@given(amounts, amounts, amounts, st.randoms(use_true_random=False))
@effort(0.5)
def test_the_order_in_which_records_came_leaves_no_trace(taken, gave, made, chance) -> None:
    street = Street(members=4, producers=4)
    batch = street.measure(taken, gave, made)
    batch.append(SignedRecord(batch[0].record[:-1] + b"!", batch[0].signature))
    batch.append(SignedRecord(b"rubbish", b"rubbish"))
    inputs = street.inputs(batch)
    expected, state = close(street.community, street.constitution, street.state, inputs)
    chance.shuffle(batch)
    again = street.inputs(batch)
    shuffled = [*again.accepted]
    chance.shuffle(shuffled)
    again = replace(again, accepted=tuple(shuffled))
    found, next_state = close(street.community, street.constitution, street.state, again)
    assert found.header.encode() == expected.header.encode()
    assert found.sections == expected.sections
    assert found.deltas == expected.deltas
    assert next_state == state
    published = [
        lines_of(street.community, given_, statement, bytes(32))
        for given_, statement in ((inputs, expected), (again, found))
    ]
    assert list(published[0]) == list(published[1])


@given(amounts, amounts, amounts)
@effort(0.5)
def test_a_header_holds_the_sums_of_its_positions(taken, gave, made) -> None:
    street = Street(members=4, producers=4)
    statement = street.close(street.measure(taken, gave, made))
    header = statement.header
    positions = [
        PositionLeaf.decode(leaf).position for leaf in statement.sections[Section.POSITIONS]
    ]
    assert positions == list(statement.settled.positions)
    assert header.imported_wh == sum(taken) == sum(p.imported_wh for p in positions)
    assert header.exported_wh == sum(gave) == sum(p.exported_wh for p in positions)
    assert header.local_wh == sum(p.bought_local_wh for p in positions)
    assert header.members_owe == sum(max(p.arrears_after, 0) for p in positions)
    assert header.supplier_owes == statement.settled.supplier_owes
    trades = [TradeLeaf.decode(leaf) for leaf in statement.sections[Section.TRADES]]
    assert sum(trade.wh for trade in trades) == header.local_wh
    assert {trade.price for trade in trades} <= {header.local_price}
    tariff = (header.retail, header.feed_in, header.fee_local, header.fee_supplier)
    assert tariff == (TARIFF.retail, TARIFF.feed_in, TARIFF.fee_local, TARIFF.fee_supplier)


@given(amounts, amounts, amounts)
@effort(0.5)
def test_the_deltas_are_what_the_header_says_and_sum_to_zero(taken, gave, made) -> None:
    street = Street(members=4, producers=4)
    statement = street.close(street.measure(taken, gave, made))
    header = statement.header
    assert header.deltas_hash == sha256(b"".join(statement.deltas)).digest()
    lanes = lanes_of(statement.deltas, 4)
    assert lanes == [position.delta for position in statement.settled.positions]
    assert sum(lanes) + header.supplier_in - header.supplier_out + header.grid_in == 0


@given(st.lists(st.integers(-LANE_MAX, LANE_MAX), max_size=40))
def test_packed_changes_are_read_as_they_were_written(deltas: list[int]) -> None:
    words = packed_deltas(deltas)
    assert len(words) == -(-len(deltas) // 6)
    assert all(len(word) == 32 for word in words)
    assert lanes_of(words, len(deltas)) == deltas


def test_packed_changes_are_laid_out_to_the_bit() -> None:
    (word,) = packed_deltas([1, -1])
    expected = (2**40 + 1) | (2**40 - 1) << 42
    for lane in range(2, 6):
        expected |= 2**40 << 42 * lane
    assert int.from_bytes(word) == expected


@pytest.mark.parametrize("delta", [2**40, -(2**40), 2**64])
def test_a_change_that_no_lane_can_have_is_stopped(delta: int) -> None:
    with pytest.raises(InvariantBroken, match="a lane's change fits"):
        packed_deltas([0, delta])


def test_statements_are_chained_by_their_anchors() -> None:
    street = Street(members=2, producers=1)
    headers = [street.close(street.measure([1, 2], [3, 4], [5])).header for _ in range(3)]
    assert headers[0].previous == bytes(32)
    assert headers[1].previous == headers[0].anchor
    assert headers[2].previous == headers[1].anchor
    assert [header.start - headers[0].start for header in headers] == [0, 900, 1_800]


def test_section_roots_are_those_of_the_leaves() -> None:
    street, batch = noon()
    statement = street.close(batch)
    header = statement.header
    named = (
        header.records,
        header.positions,
        header.trades,
        header.adjustments,
        header.certificates,
    )
    assert named == tuple(SectionRoot(tree.size, tree.root) for tree in statement.trees)
    assert [root.size for root in named] == [6, 4, len(statement.trades), 0, 2]
    assert Header.decode(header.encode()) == header


def test_each_trade_names_its_parties_by_their_own_salts() -> None:
    street, batch = noon()
    inputs = street.inputs(batch)
    statement = street.close(batch)
    salts = [
        salt_of(inputs.salt_key, inputs.interval.start, Section.POSITIONS, n) for n in range(4)
    ]
    for trade, leaf in zip(statement.trades, statement.sections[Section.TRADES], strict=True):
        decoded = TradeLeaf.decode(leaf)
        assert decoded.seller == party(salts[trade.seller], trade.seller)
        assert decoded.buyer == party(salts[trade.buyer], trade.buyer)


def test_a_meter_that_said_nothing_is_named() -> None:
    street, batch = noon()
    statement = street.close(batch[:-1])
    assert statement.silent == (street.solar[1].key.meter,)


def test_a_gap_costs_its_member_the_neighbours_price_and_the_certificate() -> None:
    street = Street(members=2, producers=1)
    street.close(street.measure([0, 300], [300, 0], [300])[1:])
    statement = street.close(street.measure([0, 300], [300, 0], [300]))
    producer, neighbour = statement.settled.positions
    assert producer.gap
    assert producer.exported_wh == producer.sold_supplier_wh == 600
    assert neighbour.bought_local_wh == 0
    assert statement.trades == ()
    assert statement.certified.certificates == ()


def test_the_call_auction_closes_like_any_other_rule() -> None:
    street, batch = noon("uniform_price")
    limits = [Limits(20_000, 9_000), Limits(20_000, 15_000), Limits(14_000, 0), Limits(13_000, 0)]
    statement = street.close(batch, limits)
    assert statement.header.rule == 2
    assert statement.header.local_price == (13_000 + 9_000) // 2
    assert statement.header.local_wh == 800
    assert {trade.seller for trade in statement.trades} == {PRODUCER}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_rule_and_key_closes(choice: Choice) -> None:
    start = Interval(NOON, choice.interval_s)
    street = Street(members=4, producers=2, market=choice.settings(), start=start)
    batch = street.measure([0, 0, 300, 500], [1_000, 200, 0, 0], made=[900, 200])
    limits = [Limits(20_000, 9_000), Limits(20_000, 15_000), Limits(24_000, 0), Limits(23_000, 0)]
    statement = street.close(batch, limits if choice.key is None else ())
    header = statement.header
    assert header.rule == RULES[choice.rule].number
    assert header.local_wh == sum(trade.wh for trade in statement.trades) > 0
    leaves = [TradeLeaf.decode(leaf) for leaf in statement.sections[Section.TRADES]]
    assert [leaf[2:] for leaf in leaves] == [trade[2:] for trade in statement.trades]
    paid = sum(trade.wh * trade.price for trade in statement.trades)
    assert header.local_price == paid // header.local_wh
    assert {leaf.rule for leaf in leaves} == {header.rule}
    assert {leaf.fee for leaf in leaves} == {TARIFF.fee_local}


GRID = GridSettings(
    levels=(LevelSettings("building", fee="0.01"),),
    windows=(WindowSettings("12:00", "12:15", factor_percent=50),),
)
SHARED = MarketSettings(
    key="organiser",
    grid=GRID,
    contracts=(
        ContractSettings(
            0, 3, "0.1", "2016-06-21T12:00:00Z", "2016-06-21T12:15:00Z", volume_wh=120
        ),
    ),
    members=tuple(
        MemberSettings(n, place=(place,), share=share)
        for n, (place, share) in enumerate(
            [("here", None), ("there", None), ("here", "0.1"), ("there", "0.2")]
        )
    ),
)


def rich_noon() -> tuple[Street, list[SignedRecord]]:
    street = Street(members=4, producers=2, market=SHARED)
    return street, street.measure([0, 0, 300, 500], [1_000, 200, 0, 0], made=[900, 200])


def test_a_header_has_the_suppliers_grid_fee_of_its_hour() -> None:
    street, batch = rich_noon()
    first = street.close(batch)
    second = street.close(street.measure([0, 0, 300, 500], [1_000, 200, 0, 0], made=[900, 200]))
    assert (first.header.fee_supplier, second.header.fee_supplier) == (4_000, 8_000)
    position = first.settled.positions[2]
    local = sum(trade.wh * trade.fee for trade in first.trades if trade.buyer == 2)
    assert position.bought_supplier_wh > 0
    assert position.fee == local + position.bought_supplier_wh * 4_000
    assert {trade.fee for trade in first.trades} == {500, 4_000}
    assert {trade.fee for trade in second.trades} == {1_000, 8_000}


def test_a_contract_is_in_the_statement_of_its_interval_and_in_no_other() -> None:
    street, batch = rich_noon()
    first = street.close(batch)
    assert [trade for trade in first.trades if trade.rule == CONTRACT] == [
        Trade(0, 3, 120, 10_000, 4_000, CONTRACT)
    ]
    second = street.close(street.measure([0, 0, 300, 500], [1_000, 200, 0, 0], made=[900, 200]))
    assert {trade.rule for trade in second.trades} == {1}
    # The mean over contract and rule is what the header calls the local price.
    paid = sum(trade.wh * trade.price for trade in first.trades)
    assert first.header.local_price == paid // first.header.local_wh < second.header.local_price


def test_shares_an_organiser_names_for_an_interval_hold_in_it_alone() -> None:
    street, batch = rich_noon()
    named = street.close(batch, shares=(0, 0, 2 * 10**8, 10**8))
    usual = street.close(street.measure([0, 0, 300, 500], [1_000, 200, 0, 0], made=[900, 200]))
    by_rule = [
        [sum(t.wh for t in statement.trades if (t.buyer, t.rule) == (n, 1)) for n in (2, 3)]
        for statement in (named, usual)
    ]
    assert by_rule == [[(1_200 - 120) // 5, (1_200 - 120) // 10], [120, 240]]


def test_a_community_of_one_has_nobody_to_trade_with() -> None:
    street = Street(members=1, producers=1)
    statement = street.close(street.measure([0], [400], [400]))
    assert statement.trades == ()
    assert statement.header.trades == SectionRoot(0, sha256(b"").digest())
    assert statement.header.free_wh == 400


def test_two_records_of_one_meter_are_never_counted_in_one_interval() -> None:
    street, batch = noon()
    inputs = street.inputs(batch)
    doubled = replace(inputs, accepted=(*inputs.accepted, inputs.accepted[0]))
    with pytest.raises(InvariantBroken, match="one record per meter and interval"):
        close(street.community, street.constitution, street.state, doubled)


def test_a_record_of_another_interval_is_never_counted() -> None:
    street, batch = noon()
    inputs = street.inputs(batch)
    later = replace(inputs, interval=inputs.interval.next)
    with pytest.raises(InvariantBroken, match="records end with the interval"):
        close(street.community, street.constitution, street.state, later)


REFUSED = Refused(SignedRecord(b"r" * 100, b"s" * 64), Reason.OFF_GRID)
OTHERS = [
    Refused(SignedRecord(b"r" * 99 + b"q", b"s" * 64), Reason.OFF_GRID),
    Refused(SignedRecord(b"r" * 100, b"s" * 63 + b"t"), Reason.OFF_GRID),
    Refused(SignedRecord(b"r" * 100, b"s" * 64), Reason.BACKDATED),
    # The same bytes, cut elsewhere.
    Refused(SignedRecord(b"r" * 100 + b"s", b"s" * 63), Reason.OFF_GRID),
    Refused(SignedRecord(b"r" * 100 + b"s" * 64, b""), Reason.OFF_GRID),
]


def test_the_hash_of_the_inputs_holds_every_refused_record_apart() -> None:
    street, batch = noon()
    inputs = street.inputs(batch)
    variants = [(), (REFUSED,), (REFUSED, REFUSED), *((other,) for other in OTHERS)]
    variants += [(REFUSED, OTHERS[0]), (OTHERS[0], REFUSED)]
    found = {
        inputs_hash(street.constitution, replace(inputs, refused=refused)) for refused in variants
    }
    assert len(found) == len(variants)


def test_the_hash_of_the_inputs_holds_constitution_limits_and_the_suppliers_funds() -> None:
    street, batch = noon()
    inputs = street.inputs(batch)
    found = {
        inputs_hash(street.constitution, inputs),
        inputs_hash(bytes(32), inputs),
        inputs_hash(street.constitution, replace(inputs, supplier=1)),
        inputs_hash(street.constitution, replace(inputs, limits=(Limits(1, 2),))),
        inputs_hash(street.constitution, replace(inputs, limits=(Limits(2, 1),))),
        inputs_hash(street.constitution, replace(inputs, limits=(Limits(1, 2), Limits(0, 0)))),
    }
    assert len(found) == 6


def test_the_hash_of_the_inputs_holds_shares_and_the_whole_grids_fee() -> None:
    street, batch = rich_noon()
    inputs = street.inputs(batch)
    variants = [(), (0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (1, 0, 0, 0), (0, 0, 0)]
    found = {inputs_hash(street.constitution, replace(inputs, shares=named)) for named in variants}
    # Half of it, rounded down, is the same: the header alone would not tell.
    tariff = replace(inputs.tariff, fee_supplier=inputs.tariff.fee_supplier + 1)
    found.add(inputs_hash(street.constitution, replace(inputs, tariff=tariff)))
    assert len(found) == len(variants) + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda inputs: replace(inputs, flows=inputs.flows + 1),
        lambda inputs: replace(inputs, supplier=inputs.supplier + 1),
        lambda inputs: replace(inputs, balances=(inputs.balances[0] + 1, *inputs.balances[1:])),
        lambda inputs: replace(inputs, salt_key=b"another day"),
        lambda inputs: replace(inputs, tariff=replace(inputs.tariff, retail=24_001)),
        lambda inputs: replace(inputs, accepted=inputs.accepted[1:]),
        lambda inputs: replace(inputs, refused=(REFUSED,)),
    ],
    ids=["flows", "supplier", "balance", "salt", "price", "record", "quarantine"],
)
def test_nothing_that_goes_into_a_close_can_change_without_its_anchor(change) -> None:
    street, batch = noon()
    inputs = street.inputs(batch)
    before, _ = close(street.community, street.constitution, street.state, inputs)
    after, _ = close(street.community, street.constitution, street.state, change(inputs))
    assert after.header.anchor != before.header.anchor
