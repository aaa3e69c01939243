"""A small street in memory: members, meters and a chain that is only facts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from random import Random

from commonwatt.audit.facts import (
    SUPPLIER_LANE,
    AnchoredClose,
    ChainFacts,
    Flow,
    RegisteredMeter,
)
from commonwatt.market.book import Limits, Tariff
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.acceptance import Accepted, Late, Refused
from commonwatt.meter.correction import (
    Around,
    around_of,
    is_correction,
    judge_correction,
    judge_counted,
)
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import NO_PREVIOUS, Kind, Record, SignedRecord
from commonwatt.meter.registration import NO_SOURCE, SOLAR_ROOFTOP, Registration, Role
from commonwatt.quantity import Currency, Interval
from commonwatt.statement.close import Inputs, State, Statement, close, first_state
from commonwatt.statement.community import ChainAddress, Community
from commonwatt.statement.leaves import day_salt_key
from commonwatt.statement.publication import (
    CONSTITUTION_PATH,
    MARKET_PATH,
    REGISTER_PATH,
    constitution_bytes,
    lines_of,
    market_bytes,
    register_bytes,
)

MIDSUMMER_NOON = Interval.parse("2016-06-21T12:00:00Z", 900)
TARIFF = Tariff(retail=24_000, feed_in=8_000, fee_local=3_440, fee_supplier=8_000)
CHAIN = ChainAddress(31_337, b"R" * 20, b"S" * 20, b"C" * 20, b"T" * 20, b"X" * 20, b"K" * 20)
EURO = 10**8
ISSUER, LIFETIME_S = b"I" * 20, 2 * 365 * 86_400


class SimulatedMeter:
    """A meter with its key, its registers and its last record."""

    def __init__(
        self, name: str, opened: int, *, ledger: bytes = CHAIN.ledger, duration: int = 900
    ) -> None:
        self.key = MeterKey.from_seed(name.encode())
        self.ledger, self.duration = ledger, duration
        self.import_mwh = self.export_mwh = 1_234_567
        self.sequence, self.previous = 0, NO_PREVIOUS
        self.opening = self._sign(opened)

    def record(self, time_end: int, **changes: object) -> Record:
        """The record it would make now, with fields changed as a forger or a fault would."""
        record = Record(
            version=1,
            kind=0,
            quality=1,
            ledger=self.ledger,
            meter=self.key.meter,
            sequence=self.sequence,
            time_end=time_end,
            duration=self.duration,
            import_mwh=self.import_mwh,
            export_mwh=self.export_mwh,
            previous=self.previous,
        )
        return record._replace(**changes)  # type: ignore[arg-type]

    def _sign(self, time_end: int, **changes: object) -> SignedRecord:
        signed = self.key.sign(self.record(time_end, **changes).encode())
        self.sequence, self.previous = self.sequence + 1, signed.digest
        return signed

    def measure(
        self, time_end: int, import_mwh: int = 0, export_mwh: int = 0, **changes: object
    ) -> SignedRecord:
        """Count some energy and sign; `changes` are to other fields of the record."""
        self.import_mwh += import_mwh
        self.export_mwh += export_mwh
        return self._sign(time_end, **changes)

    def correct(
        self, wrong: SignedRecord, import_mwh: int = 0, export_mwh: int = 0, **changes: object
    ) -> SignedRecord:
        """Say that at the end of an earlier record the registers were so much higher."""
        record = Record.decode(wrong.record)
        said = record._replace(
            kind=Kind.CORRECTION,
            import_mwh=record.import_mwh + import_mwh,
            export_mwh=record.export_mwh + export_mwh,
            previous=wrong.digest,
        )
        return self.key.sign(said._replace(**changes).encode())  # type: ignore[arg-type]


@dataclass
class Counted:
    """What was counted with which interval; see `meter.correction.History`."""

    start: int
    """Of the open interval."""
    rows: list[tuple[int, SignedRecord]] = field(default_factory=list)

    def around(self, meter: bytes, time_end: int, *, settled: bool) -> Around:
        versions: dict[int, list[SignedRecord]] = {}
        for start, signed in sorted(self.rows, key=lambda row: (is_correction(row[1]), row[0])):
            if signed.meter == meter and (start < self.start or not settled):
                versions.setdefault(Record.decode(signed.record).time_end, []).append(signed)
        return around_of(versions.values(), time_end)


@dataclass
class Street:
    """`members` homes with a grid meter each; the first `producers` have roofs and batteries.

    Each producer has `roofs` PV meters; the first `batteries` producers have a battery's meter.
    """

    members: int = 3
    producers: int = 1
    roofs: int = 1
    batteries: int = 0
    storage_permille: int = 0
    market: MarketSettings = field(default_factory=MarketSettings)
    balance: int = 10 * EURO
    supplier: int = 1_000 * EURO
    start: Interval = MIDSUMMER_NOON
    community: Community = field(init=False)
    state: State = field(init=False)
    closes: list[AnchoredClose] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    counted: list[tuple[int, SignedRecord]] = field(default_factory=list)
    """Records, and the start of the interval that each was settled with."""
    last_inputs: Inputs = field(init=False)
    last_statement: Statement = field(init=False)

    def __post_init__(self) -> None:
        self.grid = [self._meter(f"grid {n}") for n in range(self.members)]
        self.solar = [self._meter(f"solar {n}") for n in range(self.producers * self.roofs)]
        self.stores = [self._meter(f"store {n}") for n in range(self.batteries)]
        registrations = [
            *(registration(meter, n, Role.GRID, NO_SOURCE) for n, meter in enumerate(self.grid)),
            *(
                registration(meter, n // self.roofs, Role.GENERATION, SOLAR_ROOFTOP)
                for n, meter in enumerate(self.solar)
            ),
            *(
                registration(meter, n, Role.STORAGE, NO_SOURCE)
                for n, meter in enumerate(self.stores)
            ),
        ]
        self.community = Community(
            chain=CHAIN,
            currency=Currency(),
            interval_s=self.start.duration,
            grace_s=60,
            market=self.market,
            accounts=tuple(sha256(b"account %d" % n).digest()[:20] for n in range(self.members)),
            registrations=tuple(registrations),
            supplier=b"U" * 20,
            grid_operator=b"G" * 20,
            first_start=self.start.start,
            storage_permille=self.storage_permille,
        )
        self.balances = [self.balance] * self.members
        self.supplier_balance, self.grid_balance = self.supplier, 0
        self.interval = self.start
        self.flows = [
            Flow(n + 1, n, account, self.balance)
            for n, account in enumerate(self.community.accounts)
        ]
        self.flows.append(
            Flow(len(self.flows) + 1, SUPPLIER_LANE, self.community.supplier, self.supplier)
        )
        self.found(self.community)

    def _meter(self, name: str) -> SimulatedMeter:
        return SimulatedMeter(name, self.start.start, duration=self.start.duration)

    def found(self, community: Community) -> None:
        """Begin with these members and meters, honest or not."""
        self.community = community
        self.constitution = sha256(constitution_bytes(community)).digest()
        self.state = first_state(community)
        self.files[CONSTITUTION_PATH] = constitution_bytes(community)
        self.files[REGISTER_PATH] = register_bytes(community.registrations)
        self.files[MARKET_PATH] = market_bytes(community.market)

    def move(self, lane: int, amount: int) -> None:
        """Pay into a lane, or with an amount below zero out of it; only its own account does."""
        owners = {SUPPLIER_LANE: self.community.supplier}
        account = owners.get(lane) or self.community.accounts[lane]
        self.flows.append(Flow(len(self.flows) + 1, lane, account, amount))
        if lane == SUPPLIER_LANE:
            self.supplier_balance += amount
        else:
            self.balances[lane] += amount

    def measure(
        self,
        taken: Sequence[int],
        given: Sequence[int],
        made: Sequence[int] = (),
        stored: Sequence[int] = (),
    ) -> list[SignedRecord]:
        """Each meter's record for the open interval, from whole Wh.

        `made` is by roof; `stored` by battery, above zero what was charged. Roofs and batteries
        that are not named say nothing.
        """
        end = self.interval.end
        pairs = zip(self.grid, taken, given, strict=True)
        records = [
            meter.measure(end, wh_in * 1000, wh_out * 1000) for meter, wh_in, wh_out in pairs
        ]
        for meter, wh in zip(self.solar, made, strict=False):
            records.append(meter.measure(end, 0, wh * 1000))
        for meter, wh in zip(self.stores, stored, strict=False):
            records.append(meter.measure(end, max(wh, 0) * 1000, max(-wh, 0) * 1000))
        return records

    def inputs(
        self,
        records: Sequence[SignedRecord],
        limits: Sequence[Limits] = (),
        shares: Sequence[int] = (),
    ) -> Inputs:
        """The open interval's inputs from a batch of records."""
        gate = self.state.gate(CHAIN.ledger, self.interval, self.interval.end)
        start = self.interval.start
        counts, known = list(self.counted), self.community.by_meter
        wrong: list[Refused] = []
        batch = [signed for signed in records if not is_correction(signed)]
        for signed in filter(is_correction, records):
            registration = known.get(signed.meter)
            verdict = judge_correction(signed, registration, gate, Counted(start, counts))
            if isinstance(verdict, Late):
                counts.append((start, signed))
                batch.append(signed)
            elif isinstance(verdict, Refused):
                wrong.append(verdict)
        history = Counted(start, counts)
        verdicts = [*judge_counted(batch, known, self.state.standings, gate, history), *wrong]
        return Inputs(
            interval=self.interval,
            tariff=TARIFF,
            accepted=tuple(v for v in verdicts if isinstance(v, Accepted)),
            late=tuple(v for v in verdicts if isinstance(v, Late)),
            refused=tuple(v for v in verdicts if isinstance(v, Refused)),
            limits=tuple(limits),
            shares=tuple(shares),
            flows=len(self.flows),
            balances=tuple(self.balances),
            supplier=self.supplier_balance,
            salt_key=day_salt_key(b"secret", self.interval.start),
        )

    def close(
        self,
        records: Sequence[SignedRecord],
        limits: Sequence[Limits] = (),
        shares: Sequence[int] = (),
    ) -> Statement:
        """Close the open interval, publish it, and go on to the next."""
        return self.conclude(self.inputs(records, limits, shares))

    def conclude(self, inputs: Inputs) -> Statement:
        """Close on inputs that need not be honest."""
        self.last_inputs = inputs
        statement, self.state = close(self.community, self.constitution, self.state, inputs)
        self.last_statement = statement
        self.counted += [
            (inputs.interval.start, verdict.signed) for verdict in (*inputs.late, *inputs.accepted)
        ]
        self.balances = [p.balance_after for p in statement.settled.positions]
        self.supplier_balance += statement.settled.supplier_in - statement.settled.supplier_out
        self.grid_balance += statement.settled.grid_in
        anchor, start = statement.header.anchor, self.interval.start
        transaction = sha256(b"transaction at %d" % start).digest()
        duration, paid = self.interval.duration, self.interval.end + 60
        self.closes.append(
            AnchoredClose(start, duration, anchor, transaction, len(self.closes), paid)
        )
        for line in lines_of(self.community, inputs, statement, transaction):
            self.files[line.path] = self.files.get(line.path, b"") + line.text + b"\n"
        self.interval = self.interval.next
        return statement

    def facts(self) -> ChainFacts:
        """What a chain that closed these intervals would say."""
        in_lanes = sum(self.balances) + self.supplier_balance + self.grid_balance
        return ChainFacts(
            chain_id=CHAIN.chain_id,
            registry=CHAIN.registry,
            settlement=CHAIN.settlement,
            certificate=CHAIN.certificate,
            token=CHAIN.token,
            exchange=CHAIN.exchange,
            book=CHAIN.book,
            roll=self.community.roll,
            accounts=self.community.accounts,
            meters=tuple(RegisteredMeter.of(r) for r in self.community.registrations),
            flows=tuple(self.flows),
            closes=tuple(self.closes),
            balances=tuple(self.balances),
            supplier=self.supplier_balance,
            grid_operator=self.grid_balance,
            token_supply=in_lanes,
            wallets={CHAIN.settlement: in_lanes},
            claims=(),
            retirements=(),
            issuer=ISSUER,
            lifetime_s=LIFETIME_S,
        )


class MemoryFiles:
    """Published files in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def paths(self) -> frozenset[str]:
        return frozenset(self._files)

    def lines(self, path: str) -> Iterator[bytes]:
        # Like an open file: a line ends with a line feed, and with nothing else.
        return iter(BytesIO(self._files[path]))


def corrections(
    chance: Random, street: Street, counted: Iterable[SignedRecord]
) -> Iterator[SignedRecord]:
    """Some records are said to have been otherwise; not all of it can be."""
    meters = {meter.key.meter: meter for meter in (*street.grid, *street.solar)}
    for signed in counted:
        if chance.random() > 0.85:
            change = [chance.randrange(-500_000, 500_000) for _ in range(2)]
            yield meters[signed.meter].correct(signed, *change)


def registration(
    meter: SimulatedMeter, member: int, role: Role, source: int, *, direct: bool = False
) -> Registration:
    """A meter as the street registered it."""
    return Registration(
        public_key=meter.key.public_key,
        member=member,
        role=role,
        source=source,
        rated_w=30_000,
        first_day=16_973,
        zone="DE-LU",
        direct=direct,
        opening=meter.opening,
    )
