"""The leaves of a statement's sections, in bytes.

A position leaf holds one member's line and is salted, as is an adjustment; a trade leaf names its
two parties by hashes that only they, and an auditor, can recognise. So whoever holds one leaf and
the roots learns nothing of the others, not even by guessing.
"""

import hmac
from enum import IntEnum
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from commonwatt.market.book import Trade
from commonwatt.meter.record import SignedRecord
from commonwatt.settlement.account import Position
from commonwatt.settlement.adjustment import Adjustment, SupplierPrices

SALT_BYTES = 32
_SALT_INDEX = Struct(">QBI")
_MEMBER = Struct(">I")
_POSITION = Struct(">IB" + "Q" * 8 + "Q" * 5 + "QQ" + "BQ" * 3)
_TRADE = Struct(">32s32sQQQB")
_ADJUSTMENT = Struct(">Q20sI32sqq" + "Q" * 7)
SILENT, GAP = 1, 2


class Section(IntEnum):
    """The sections, in the order in which a header names their roots."""

    RECORDS = 0
    POSITIONS = 1
    TRADES = 2
    ADJUSTMENTS = 3
    CERTIFICATES = 4

    @property
    def label(self) -> str:
        """The section's name in files."""
        return self.name.lower()


def salt_of(salt_key: bytes, start: int, section: Section, index: int) -> bytes:
    """HMAC-SHA-256(day's key, interval, section, index): repeatable, and secret with the key."""
    return hmac.digest(salt_key, _SALT_INDEX.pack(start, section, index), "sha256")


def day_salt_key(secret: bytes, start: int) -> bytes:
    """The key for one UTC day's salts; an auditor of one day gets only this one.

    Args:
        secret: the community's 32-byte secret.
        start: any UTC second of the day.
    """
    return hmac.digest(secret, (start // 86_400).to_bytes(8), "sha256")


def record_leaf(signed: SignedRecord) -> bytes:
    """Digest and signature: shows that a record was counted without showing the reading."""
    return signed.digest + signed.signature


def party(salt: bytes, member: int) -> bytes:
    """How a trade leaf names a member: a hash under the member's own position salt."""
    return sha256(b"\x02" + salt + _MEMBER.pack(member)).digest()


def trade_leaf(trade: Trade, salts: list[bytes]) -> bytes:
    """Seller, buyer, Wh, price, fee, rule; `salts` are the members' position salts."""
    seller, buyer = party(salts[trade.seller], trade.seller), party(salts[trade.buyer], trade.buyer)
    return _TRADE.pack(seller, buyer, trade.wh, trade.price, trade.fee, trade.rule)


class TradeLeaf(NamedTuple):
    """A trade leaf, decoded."""

    seller: bytes
    buyer: bytes
    wh: int
    price: int
    fee: int
    rule: int

    @classmethod
    def decode(cls, leaf: bytes) -> "TradeLeaf":
        """Read a trade leaf."""
        return cls._make(_TRADE.unpack(leaf))


def position_leaf(position: Position, green_wh: int, salt: bytes) -> bytes:
    """One member's energy and money, and 32 bytes of salt."""
    return (
        _POSITION.pack(
            position.member,
            SILENT * position.silent | GAP * position.gap,
            position.imported_wh,
            position.exported_wh,
            position.own_wh,
            position.bought_local_wh,
            position.sold_local_wh,
            position.bought_supplier_wh,
            position.sold_supplier_wh,
            green_wh,
            position.local_cost,
            position.local_income,
            position.fee,
            position.supplier_cost,
            position.supplier_income,
            position.balance_before,
            position.balance_after,
            position.arrears_before < 0,
            abs(position.arrears_before),
            position.arrears_after < 0,
            abs(position.arrears_after),
            position.adjusted < 0,
            abs(position.adjusted),
        )
        + salt
    )


class PositionLeaf(NamedTuple):
    """A position leaf, decoded."""

    position: Position
    green_wh: int
    salt: bytes

    @classmethod
    def decode(cls, leaf: bytes) -> "PositionLeaf":
        """Read a position leaf; raises `struct.error` for another length."""
        values = _POSITION.unpack(leaf[:-SALT_BYTES])
        member, flags = values[:2]
        imported, exported, own, bought, sold, from_supplier, to_supplier, green = values[2:10]
        cost, income, fee, supplier_cost, supplier_income, before, after = values[10:17]
        owed, owes, adjusted = (
            -amount if negative else amount
            for negative, amount in (values[17:19], values[19:21], values[21:23])
        )
        position = Position(
            member=member,
            silent=bool(flags & SILENT),
            gap=bool(flags & GAP),
            imported_wh=imported,
            exported_wh=exported,
            own_wh=own,
            bought_local_wh=bought,
            sold_local_wh=sold,
            bought_supplier_wh=from_supplier,
            sold_supplier_wh=to_supplier,
            local_cost=cost,
            local_income=income,
            fee=fee,
            supplier_cost=supplier_cost,
            supplier_income=supplier_income,
            adjusted=adjusted,
            balance_before=before,
            balance_after=after,
            arrears_before=owed,
            arrears_after=owes,
        )
        return cls(position, green, leaf[-SALT_BYTES:])


def adjustment_leaf(adjustment: Adjustment, salt: bytes) -> bytes:
    """What a late record moves, at which prices, and 32 bytes of salt.

    Energy is two's complement, as a correction may say less.
    """
    return (
        _ADJUSTMENT.pack(
            adjustment.start,
            adjustment.meter,
            adjustment.member,
            adjustment.record,
            adjustment.import_wh,
            adjustment.export_wh,
            *adjustment.prices,
            *adjustment.before,
            adjustment.issued_wh,
        )
        + salt
    )


def read_adjustment(leaf: bytes) -> Adjustment:
    """Read an adjustment leaf; raises `struct.error` for another length."""
    start, meter, member, record, import_wh, export_wh, *prices = _ADJUSTMENT.unpack(
        leaf[:-SALT_BYTES]
    )
    return Adjustment(
        start=start,
        meter=meter,
        member=member,
        record=record,
        import_wh=import_wh,
        export_wh=export_wh,
        prices=SupplierPrices(*prices[:3]),
        before=SupplierPrices(*prices[3:6]),
        issued_wh=prices[6],
    )
