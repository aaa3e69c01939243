"""The leaves: what they hold, and what they keep to themselves."""

import hmac
import struct
from dataclasses import fields, replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.market.book import Trade
from commonwatt.market.catalogue import CONTRACT
from commonwatt.meter.record import SignedRecord
from commonwatt.settlement.account import Position
from commonwatt.settlement.adjustment import Adjustment, SupplierPrices
from commonwatt.statement.leaves import (
    PositionLeaf,
    Section,
    TradeLeaf,
    adjustment_leaf,
    day_salt_key,
    party,
    position_leaf,
    read_adjustment,
    record_leaf,
    salt_of,
    trade_leaf,
)

u64 = st.integers(0, 2**64 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
signed = st.integers(-(2**64) + 1, 2**64 - 1)
NUMBERS = [field.name for field in fields(Position) if field.name not in ("silent", "gap")]
positions = st.builds(
    Position,
    silent=st.booleans(),
    gap=st.booleans(),
    **{
        name: st.integers(0, 2**32 - 1)
        if name == "member"
        else signed
        if name.startswith("arrears")
        else u64
        for name in NUMBERS
    },
)
salts = st.binary(min_size=32, max_size=32)
DAY = 86_400


@given(positions, u64, salts)
def test_a_position_is_read_as_it_was_written(position: Position, green: int, salt: bytes) -> None:
    leaf = position_leaf(position, green, salt)
    assert PositionLeaf.decode(leaf) == (position, green, salt)
    assert len(leaf) == 5 + 15 * 8 + 3 * 9 + 32


def test_a_position_leaf_is_laid_out_to_the_byte() -> None:
    names = [name for name in NUMBERS if not name.startswith(("arrears", "adjusted"))]
    values = {name: 100 + index for index, name in enumerate(names)}
    position = Position(
        silent=False, gap=True, arrears_before=-7, arrears_after=8, adjusted=-9, **values
    )
    expected = struct.pack(">IB", values["member"], 2)
    order = [*names[1:8], "green", *names[8:]]
    for name in order:
        expected += (values[name] if name != "green" else 99).to_bytes(8)
    expected += b"\1" + (7).to_bytes(8) + b"\0" + (8).to_bytes(8)
    expected += b"\1" + (9).to_bytes(8) + b"s" * 32
    assert position_leaf(position, 99, b"s" * 32) == expected


@pytest.mark.parametrize("length", [0, 31, 32, 183, 185])
def test_bytes_of_another_length_are_no_position(length: int) -> None:
    with pytest.raises(struct.error):
        PositionLeaf.decode(bytes(length))


adjusted = st.builds(
    Adjustment,
    start=u64,
    meter=st.binary(min_size=20, max_size=20),
    member=st.integers(0, 2**32 - 1),
    record=salts,
    import_wh=i64,
    export_wh=i64,
    prices=st.builds(SupplierPrices, u64, u64, u64),
    before=st.builds(SupplierPrices, u64, u64, u64),
    issued_wh=u64,
)


@given(adjusted, salts)
def test_an_adjustment_is_read_as_it_was_written(adjustment: Adjustment, salt: bytes) -> None:
    leaf = adjustment_leaf(adjustment, salt)
    assert read_adjustment(leaf) == adjustment
    assert leaf[-32:] == salt
    assert len(leaf) == 168


def test_an_adjustment_leaf_is_laid_out_to_the_byte() -> None:
    prices = SupplierPrices(1, 2, 3), SupplierPrices(4, 5, 6)
    adjustment = Adjustment(7, b"m" * 20, 8, b"r" * 32, 9, 10, *prices, issued_wh=11)
    expected = (7).to_bytes(8) + b"m" * 20 + (8).to_bytes(4) + b"r" * 32
    for number in (9, 10, 1, 2, 3, 4, 5, 6, 11):
        expected += number.to_bytes(8)
    assert adjustment_leaf(adjustment, b"s" * 32) == expected + b"s" * 32


@given(st.lists(salts, min_size=2, max_size=6, unique=True), u64, u64, u64, st.data())
def test_a_trade_is_read_as_it_was_written(salts, wh, price, fee, data) -> None:
    member = st.integers(0, len(salts) - 1)
    rule = data.draw(st.integers(0, 255))
    trade = Trade(data.draw(member), data.draw(member), wh, price, fee, rule)
    leaf = TradeLeaf.decode(trade_leaf(trade, salts))
    assert leaf == (
        party(salts[trade.seller], trade.seller),
        party(salts[trade.buyer], trade.buyer),
        wh,
        price,
        fee,
        rule,
    )


def test_a_trade_leaf_is_laid_out_to_the_byte() -> None:
    own, other = b"o" * 32, b"p" * 32
    expected = party(own, 0) + party(other, 1)
    for number in (400, 16_000, 3_440):
        expected += number.to_bytes(8)
    assert trade_leaf(Trade(0, 1, 400, 16_000, 3_440, CONTRACT), [own, other]) == expected + b"e"


@pytest.mark.parametrize("length", [0, 88, 90])
def test_bytes_of_another_length_are_no_trade(length: int) -> None:
    with pytest.raises(struct.error):
        TradeLeaf.decode(bytes(length))


def test_a_party_is_recognised_by_whoever_has_its_salt_and_by_nobody_else() -> None:
    own, other = b"o" * 32, b"p" * 32
    assert party(own, 3) == sha256(b"\x02" + own + (3).to_bytes(4)).digest()
    assert len({party(own, 3), party(other, 3), party(own, 4)}) == 3


def test_a_record_leaf_shows_that_a_record_was_counted_and_not_the_reading() -> None:
    record = SignedRecord(bytes(range(100)), b"s" * 64)
    assert record_leaf(record) == sha256(record.record).digest() + b"s" * 64


@given(salts, st.integers(0, 2**40), st.sampled_from(Section), st.integers(0, 2**32 - 1))
def test_a_salt_is_the_keyed_hash_of_interval_section_and_index(key, start, section, index) -> None:
    message = start.to_bytes(8) + bytes([section]) + index.to_bytes(4)
    assert salt_of(key, start, section, index) == hmac.digest(key, message, "sha256")


def test_salts_never_repeat() -> None:
    found = {
        salt_of(key, start, section, index)
        for key in (b"a", b"b")
        for start in (0, 900, 1_800)
        for section in Section
        for index in range(4)
    }
    assert len(found) == 2 * 3 * 5 * 4


def test_the_key_of_one_day_opens_no_other_day() -> None:
    secret = b"the community's secret"
    assert day_salt_key(secret, 0) == day_salt_key(secret, DAY - 1)
    assert day_salt_key(secret, DAY) != day_salt_key(secret, 0)
    assert day_salt_key(b"another secret", 0) != day_salt_key(secret, 0)


def test_sections_keep_their_order_and_names() -> None:
    assert [(section.value, section.label) for section in Section] == [
        (0, "records"),
        (1, "positions"),
        (2, "trades"),
        (3, "adjustments"),
        (4, "certificates"),
    ]


@given(positions, st.sampled_from(NUMBERS), salts)
def test_no_number_of_a_bill_can_change_without_the_leaf(position, name, salt) -> None:
    changed = replace(position, **{name: getattr(position, name) ^ 1})
    if getattr(changed, name) in range(2**32 if name == "member" else 2**64):
        assert position_leaf(changed, 0, salt) != position_leaf(position, 0, salt)
