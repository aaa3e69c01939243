"""A community on a chain in memory, and the hands to do right and wrong with it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import pytest

from commonwatt.audit.facts import SUPPLIER_LANE, RegisteredMeter
from commonwatt.chain.connection import Account, Connection, Receipt
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.errors import TransactionReverted
from commonwatt.chain.founding import deploy
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import Production, TokenId
from commonwatt.merkle import EMPTY_ROOT, Tree
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, Record, SignedRecord
from commonwatt.statement.close import packed_deltas
from commonwatt.statement.header import Header, SectionRoot, seal_of

NOON = 1_781_956_800
QUARTER = 900
ROOFTOP = 0x010100
ZONE = b"DE-LU".ljust(16, b"\0")
EMPTY = SectionRoot(0, EMPTY_ROOT)
EURO = 10**8


def account(name: str) -> Account:
    return Account.from_key(sha256(name.encode()).digest())


def leaf(record: SignedRecord, issued: int, free: int, meter: bytes | None = None) -> bytes:
    """A certificate leaf, as the operator would write it."""
    figures = b"".join(part.to_bytes(8) for part in (issued, issued - free, free))
    return (meter or record.record[12:32]) + figures + record.digest


@dataclass
class Meter:
    """A meter, its registration, and the last record it made that counted."""

    key: MeterKey
    registered: RegisteredMeter
    last: SignedRecord

    @property
    def number(self) -> int:
        return int.from_bytes(self.key.meter)

    def next(self, end: int, export_wh: int = 1000, **changes: Any) -> SignedRecord:
        """Its next record, with fields changed as a fault or a forger would."""
        last = Record.decode(self.last.record)
        record = Record(
            version=1, kind=0, quality=1, ledger=last.ledger, meter=last.meter,
            sequence=last.sequence + 1, time_end=end, duration=QUARTER,
            import_mwh=last.import_mwh + 7, export_mwh=last.export_mwh + export_wh * 1000,
            previous=self.last.digest,
        )  # fmt: skip
        return self.key.sign(record._replace(**changes).encode())


@dataclass
class Closed:
    """A closed interval: its header and its certificates."""

    header: Header
    leaves: tuple[bytes, ...]

    def production(self, record: SignedRecord, index: int = 0, **changes: Any) -> Production:
        """What shows the certificate at `index`, with parts changed as a forger would."""
        leaf = self.leaves[index]
        production = Production(
            record=record.record,
            seal=seal_of(self.header.encode()),
            index=index,
            path=tuple(Tree(self.leaves).path(index)),
            issued_wh=int.from_bytes(leaf[20:28]),
            free_wh=int.from_bytes(leaf[36:44]),
        )
        return replace(production, **changes)


@dataclass
class Shown:
    """All that a claim shows."""

    previous: bytes
    production: Production
    signature: bytes


@dataclass
class Clock:
    now: int = NOON

    def __call__(self) -> int:
        return self.now


@dataclass
class Ground:
    """One community; several may stand on the same chain and registry."""

    clock: Clock
    chain: EmbeddedChain
    ledger: Ledger
    members: list[Account] = field(default_factory=list)
    meters: list[Meter] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)

    issuer = account("issuer")
    operator = account("operator")
    supplier = account("supplier")
    grid = account("grid operator")
    stranger = account("stranger")

    @classmethod
    def new(
        cls, beside: "Ground | None" = None, *, shared: bool = True, **changes: Any
    ) -> "Ground":
        """A community without members: on a chain of its own, or on the chain of another one.

        In the second case it shares the other's registry, certificates and token, or nothing.
        """
        clock = beside.clock if beside else Clock()
        chain = beside.chain if beside else EmbeddedChain(clock=clock)
        connection = beside.ledger.connection if beside else Connection.embedded(chain)
        same: dict[str, Any] = {}
        if beside and shared:
            at = beside.ledger.addresses
            same = {
                "token": at.token, "registry": at.registry, "certificate": at.certificate,
                "exchange": at.exchange, "book": at.book,
            }  # fmt: skip
        ledger = deploy(
            connection, issuer=cls.issuer, operator=cls.operator.address_bytes,
            supplier=cls.supplier.address_bytes, grid_operator=cls.grid.address_bytes,
            **(same | changes),
        )  # fmt: skip
        return cls(clock, chain, ledger)

    def join(self, number: int) -> None:
        """Admit members, named by their index."""
        first = len(self.members)
        fresh = [account(f"member {index}") for index in range(first, first + number)]
        self.ledger.join(self.operator, [member.address_bytes for member in fresh])
        self.members += fresh

    def fund(self, lane: int, amount: int) -> None:
        """Put freshly made tokens into a lane."""
        self.ledger.mint(self.issuer, [(self.issuer.address_bytes, amount)])
        self.ledger.deposit(self.issuer, lane, amount)

    def meter(self, name: str, **changes: Any) -> Meter:
        """A rooftop generator of the first member that has made its opening record."""
        key = MeterKey.from_seed(name.encode())
        opening = key.sign(
            Record(
                1, 0, 1, self.ledger.ledger_id, key.meter, 0, self.clock.now, 0, 0, 5_000_400,
                NO_PREVIOUS,
            ).encode()
        )  # fmt: skip
        registered = RegisteredMeter(
            public_key=key.public_key, member=0, role=1, source=ROOFTOP, rated_w=5_000,
            first_day=NOON // 86_400, zone=ZONE, direct=False, opening=opening.digest,
        )  # fmt: skip
        return Meter(key, replace(registered, **changes), opening)

    def register(self, *meters: Meter) -> None:
        """Register meters, by whoever may."""
        self.ledger.register_meters(
            [meter.registered for meter in meters], operator=self.operator, issuer=self.issuer
        )
        self.meters += meters

    @property
    def previous(self) -> bytes:
        return self.closed[-1].header.anchor if self.closed else bytes(32)

    def header(self, deltas: Sequence[int], leaves: Sequence[bytes] = (), **changes: Any) -> Header:
        """The next header, with fields changed as a careless or dishonest operator would."""
        header = Header(
            version=1, rule=1, decimals=8, flags=0, ledger=self.ledger.ledger_id,
            retail=24_000, feed_in=8_000, fee_local=3_440, fee_supplier=8_000, local_price=16_000,
            imported_wh=5_000, exported_wh=4_000, local_wh=3_000,
            issued_wh=1_000, retired_wh=600, free_wh=400, supplier_in=0, supplier_out=0, grid_in=0,
            members_owe=0, supplier_owes=0, flows=self.ledger.flows(),
            deltas_hash=sha256(b"".join(packed_deltas(deltas))).digest(), roll=self.ledger.roll(),
            inputs_hash=sha256(b"inputs").digest(), previous=self.previous,
            records=EMPTY, positions=EMPTY, trades=EMPTY, adjustments=EMPTY,
            community=self.ledger.addresses.settlement, start=self.clock.now - QUARTER,
            duration=QUARTER, certificates=SectionRoot(len(leaves), Tree(leaves).root),
        )  # fmt: skip
        return replace(header, **changes)

    def send_close(self, header: Header, deltas: Sequence[int]) -> Receipt:
        return self.ledger.close(self.operator, header.encode(), packed_deltas(deltas))

    def close_header(self, header: Header, leaves: Sequence[bytes] = ()) -> Closed:
        """Remember a header that was closed."""
        self.closed.append(Closed(header, tuple(leaves)))
        return self.closed[-1]

    def close(
        self, leaves: Sequence[bytes] = (), deltas: Sequence[int] = (), **changes: Any
    ) -> Closed:
        """Let a quarter hour pass and close it."""
        self.clock.now += QUARTER
        return self.close_now(leaves, deltas, **changes)

    def close_now(
        self, leaves: Sequence[bytes] = (), deltas: Sequence[int] = (), **changes: Any
    ) -> Closed:
        """Close the quarter hour that has just ended."""
        deltas = deltas or [0] * len(self.members)
        header = self.header(deltas, leaves, **changes)
        self.send_close(header, deltas)
        return self.close_header(header, leaves)

    def quarter(
        self, meter: Meter, *, issued: int = 1000, free: int = 400, others: int = 4, **changes: Any
    ) -> Shown:
        """One honest quarter hour of a meter among others, unless changes make it another one.

        `leaf` replaces the leaf; everything else are fields of the record.
        """
        self.clock.now += QUARTER
        written = changes.pop("leaf", None)
        record = meter.next(self.clock.now, **changes)
        leaves = [
            leaf(record, 5, 5, sha256(b"%d" % other).digest()[:20]) for other in range(others)
        ]
        index = others // 2
        leaves.insert(index, written or leaf(record, issued, free))
        closed = self.close_now(leaves)
        production = closed.production(record, index, issued_wh=issued, free_wh=free)
        shown = Shown(meter.last.record, production, record.signature)
        meter.last = record
        return shown

    @property
    def last_start(self) -> int:
        """Start of the last interval that was closed; 0 before the first."""
        return self.closed[-1].header.start if self.closed else 0

    def issue(self, meter: Meter, **changes: Any) -> Receipt:
        """One quarter hour of a meter that writes to the chain itself, given to the chain."""
        self.clock.now += QUARTER
        record = meter.next(self.clock.now, **changes)
        receipt = self.ledger.issue_direct(self.stranger, record.record, record.signature)
        meter.last = record
        return receipt

    def claim(self, shown: Shown, sender: Account | None = None) -> Receipt:
        return self.ledger.claim(
            sender or self.stranger, shown.previous, shown.production, shown.signature
        )

    def send(self, sender: Account, where: str, function: str, *values: object) -> Receipt:
        """One call of a contract, as somebody without our client would make it."""
        return self.ledger._send(sender, where, function, *values)

    def allow(self, payer: Account, amount: int) -> None:
        """Give tokens to somebody who lets the exchange take them."""
        self.ledger.mint(self.issuer, [(payer.address_bytes, amount)])
        self.send(payer, "token", "approve", self.ledger.addresses.exchange, 2**256 - 1)

    def token(self, production: Production) -> TokenId:
        start = int.from_bytes(production.seal[52:60])
        return TokenId(production.record[12:32], start, QUARTER)

    def state(self) -> dict[bytes, dict[bytes, int]]:
        """Every storage slot of every contract, and every coin."""
        state = self.chain.producer.world.state
        slots = {
            bytes(address): {bytes(key): int(value) for key, value in trie._data.items()}
            for address, trie in state._storage_tries.items()
        }
        accounts = state._main_trie._data.items()
        slots[b"coins"] = {bytes(who): int(held.balance) for who, held in accounts if held}
        slots[b"code"] = {
            bytes(who): len(held.code) for who, held in accounts if held and held.code
        }
        return slots

    @contextmanager
    def refused(self, reason: str) -> Iterator[None]:
        """What is done inside must be refused for this reason and leave nothing behind."""
        before = self.state()
        with pytest.raises(TransactionReverted) as refusal:
            yield
        assert refusal.value.reason == reason
        after = self.state()
        after[b"coins"] = {who: after[b"coins"][who] for who in before[b"coins"]}
        assert after == before
        receipt = self.ledger.connection.receipt(refusal.value.tx_hash)
        assert receipt is not None
        assert receipt.logs == ()


def fresh_ground(members: int = 7) -> Ground:
    """A community with members whose lanes, and the supplier's, hold 100 euros each."""
    ground = Ground.new()
    ground.join(members)
    ground.fund(SUPPLIER_LANE, (members + 1) * 100 * EURO)
    ground.close(deltas=[100 * EURO] * members, supplier_out=members * 100 * EURO)
    return ground
