"""Who gets to see what: the published files, byte for byte.

===================================  =========================================================
`public/community.json`              the constitution: chain, currency, rule, accounts
`public/DAY.jsonl`                   each interval's header, anchor and transaction
`members/NNN/DAY.jsonl`              one member's own leaves, each interval with its proof
`audit/register.jsonl`               every meter's registration and opening record
`audit/market.json`                  the market settings: key, shares, grid, contracts, wishes
`audit/DAY.inputs.jsonl`             every record, limit and refusal: all that a close needs
`audit/DAY.leaves.jsonl`             every leaf of every section
`audit/DAY.certificates.jsonl`       the book of certificates: what was entered on this day
===================================  =========================================================

All files but the last are functions of the statements, so an auditor writes them again and
compares; the book's entries are signed by whoever made them, and linked by hashes. Days are
UTC days. Lines are JSON with fixed member order; bytes are lower-case hex digits.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from commonwatt.market.settings import MarketSettings
from commonwatt.meter.acceptance import Accepted, Late
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import Currency, time_text
from commonwatt.statement.close import Inputs, Statement
from commonwatt.statement.community import ChainAddress, Community
from commonwatt.statement.leaves import Section
from commonwatt.statement.proof import Proof, ProvenLeaf

CONSTITUTION_PATH = "public/community.json"
REGISTER_PATH = "audit/register.jsonl"
MARKET_PATH = "audit/market.json"
BOOK_SUFFIX = ".certificates.jsonl"
INPUTS_SUFFIX = ".inputs.jsonl"
CONSTITUTION_FORMAT = "commonwatt-community-4"


class Constitution(msgspec.Struct, frozen=True):
    """`public/community.json`."""

    format: str
    chain_id: int
    registry: str
    settlement: str
    certificate: str
    token: str
    exchange: str
    book: str
    currency: str
    decimals: int
    interval_s: int
    grace_s: int
    rule: str
    first_start: int
    storage_permille: int
    """The published efficiency of the members' batteries (R24)."""
    supplier: str
    grid_operator: str
    accounts: tuple[str, ...]
    register: str
    """SHA-256 of `audit/register.jsonl`."""
    market: str
    """SHA-256 of `audit/market.json`."""


class RegisterLine(msgspec.Struct, frozen=True):
    """One meter of `audit/register.jsonl`."""

    meter: str
    public_key: str
    member: int
    role: int
    source: int
    rated_w: int
    first_day: int
    zone: str
    direct: bool
    opening: str
    signature: str


class HeaderLine(msgspec.Struct, frozen=True):
    """One interval of `public/DAY.jsonl`."""

    start: int
    header: str
    anchor: str
    transaction: str


class IntervalLine(msgspec.Struct, frozen=True):
    """The first line of each interval in `audit/DAY.inputs.jsonl`."""

    start: int
    tariff: tuple[int, int, int, int]
    """Retail, feed-in, local fee, supplier fee; units per Wh."""
    limits: tuple[tuple[int, int], ...]
    shares: tuple[int, ...]
    flows: int
    salt_key: str
    records: int
    """How many record lines follow, then how many late ones, and how many refused ones."""
    late: int
    refused: int


class RecordLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that counted."""

    record: str
    signature: str
    released: bool = False
    """Whether the operator let it count in spite of its rated power."""

    @classmethod
    def of(cls, verdict: Accepted | Late) -> "RecordLine":
        """The line of one that counts."""
        record, signature = verdict.signed
        return cls(record.hex(), signature.hex(), verdict.released)


class RefusedLine(msgspec.Struct, frozen=True):
    """A record that did not, and why."""

    refused: str
    signature: str
    reason: str


class LeafLine(msgspec.Struct, frozen=True):
    """One leaf of `audit/DAY.leaves.jsonl`."""

    start: int
    section: str
    index: int
    leaf: str


class Line(NamedTuple):
    """One line of one published file."""

    path: str
    text: bytes
    place: str
    """The interval and leaf it is about, in words."""


_encode = msgspec.json.Encoder().encode
_SECTION_LABELS = tuple(section.label for section in Section)


def constitution_bytes(community: Community) -> bytes:
    """The bytes of `public/community.json`; their SHA-256 is in every statement's inputs."""
    chain = community.chain
    constitution = Constitution(
        format=CONSTITUTION_FORMAT,
        chain_id=chain.chain_id,
        registry=chain.registry.hex(),
        settlement=chain.settlement.hex(),
        certificate=chain.certificate.hex(),
        token=chain.token.hex(),
        exchange=chain.exchange.hex(),
        book=chain.book.hex(),
        currency=community.currency.code,
        decimals=community.currency.decimals,
        interval_s=community.interval_s,
        grace_s=community.grace_s,
        rule=community.market.rule,
        first_start=community.first_start,
        storage_permille=community.storage_permille,
        supplier=community.supplier.hex(),
        grid_operator=community.grid_operator.hex(),
        accounts=tuple(account.hex() for account in community.accounts),
        register=sha256(register_bytes(community.registrations)).hexdigest(),
        market=sha256(market_bytes(community.market)).hexdigest(),
    )
    return msgspec.json.format(_encode(constitution), indent=2) + b"\n"


def market_bytes(settings: MarketSettings) -> bytes:
    """The bytes of `audit/market.json`; only auditors get it, it names who trades with whom."""
    return msgspec.json.format(_encode(_told(settings)), indent=2) + b"\n"


def _told(value: object) -> object:
    """Settings without what is as it usually is: the same bytes however they were given.

    The library's own way of leaving defaults out asks whether a text is the very same object.
    """
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        found = ((field, getattr(value, field.name)) for field in fields)
        return {f.encode_name: _told(own) for f, own in found if own != _default_of(f)}
    return [_told(one) for one in value] if isinstance(value, tuple) else value


def _default_of(field: msgspec.structs.FieldInfo) -> object:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()


def register_bytes(registrations: Sequence[Registration]) -> bytes:
    """The bytes of `audit/register.jsonl`."""
    lines = (
        RegisterLine(
            meter=r.meter.hex(),
            public_key=r.public_key.hex(),
            member=r.member,
            role=r.role,
            source=r.source,
            rated_w=r.rated_w,
            first_day=r.first_day,
            zone=r.zone,
            direct=r.direct,
            opening=r.opening.record.hex(),
            signature=r.opening.signature.hex(),
        )
        for r in registrations
    )
    return b"".join(_encode(line) + b"\n" for line in lines)


def community_of(
    constitution: Constitution, register: Sequence[RegisterLine], market: MarketSettings
) -> Community:
    """The community that the three files describe; raises ValueError for what no community has."""
    return Community(
        chain=ChainAddress(
            constitution.chain_id,
            bytes.fromhex(constitution.registry),
            bytes.fromhex(constitution.settlement),
            bytes.fromhex(constitution.certificate),
            bytes.fromhex(constitution.token),
            bytes.fromhex(constitution.exchange),
            bytes.fromhex(constitution.book),
        ),
        currency=Currency(constitution.currency, constitution.decimals),
        interval_s=constitution.interval_s,
        grace_s=constitution.grace_s,
        market=market,
        accounts=tuple(bytes.fromhex(account) for account in constitution.accounts),
        registrations=tuple(
            Registration(
                public_key=bytes.fromhex(line.public_key),
                member=line.member,
                role=Role(line.role),
                source=line.source,
                rated_w=line.rated_w,
                first_day=line.first_day,
                zone=line.zone,
                direct=line.direct,
                opening=SignedRecord(bytes.fromhex(line.opening), bytes.fromhex(line.signature)),
            )
            for line in register
        ),
        supplier=bytes.fromhex(constitution.supplier),
        grid_operator=bytes.fromhex(constitution.grid_operator),
        first_start=constitution.first_start,
        storage_permille=constitution.storage_permille,
    )


def day_of(start: int) -> str:
    """The UTC day of an interval, as files are named."""
    return time_text(start)[:10]


def member_folder(member: int) -> str:
    """The folder of a member, by index."""
    return f"members/{member:03d}"


def paths_of(day: str, members: int) -> set[str]:
    """Every file published about one UTC day."""
    folders = (member_folder(member) for member in range(members))
    own = {f"{folder}/{day}.jsonl" for folder in folders}
    return own | {f"public/{day}.jsonl", inputs_path(day), f"audit/{day}.leaves.jsonl"}


def inputs_path(day: str) -> str:
    """The file with what a UTC day's intervals were closed from."""
    return f"audit/{day}{INPUTS_SUFFIX}"


def book_path(day: str) -> str:
    """The file with the book's entries of a UTC day."""
    return f"audit/{day}{BOOK_SUFFIX}"


def book_days_of(paths: Iterable[str]) -> list[str]:
    """The UTC days, ascending, of which there are files with entries of the book."""
    return sorted(
        path.removeprefix("audit/").removesuffix(BOOK_SUFFIX)
        for path in paths
        if path.startswith("audit/") and path.endswith(BOOK_SUFFIX)
    )


def lines_of(
    community: Community, inputs: Inputs, statement: Statement, transaction: bytes
) -> Iterator[Line]:
    """Every published line about one interval, in the order of each file.

    Args:
        community: members, meters, rules.
        inputs: what the interval was closed from.
        statement: what was concluded.
        transaction: 32-byte hash of the transaction that anchored and paid it.
    """
    header = statement.header
    start, day = header.start, day_of(header.start)
    header_hex, anchor_hex = header.encode().hex(), header.anchor.hex()
    when = time_text(start)
    head = HeaderLine(start, header_hex, anchor_hex, transaction.hex())
    yield Line(f"public/{day}.jsonl", _encode(head), f"{when}, header")
    yield from _input_lines(inputs, inputs_path(day), when)
    path = f"audit/{day}.leaves.jsonl"
    for label, leaves in zip(_SECTION_LABELS, statement.sections, strict=True):
        for index, leaf in enumerate(leaves):
            line = LeafLine(start, label, index, leaf.hex())
            yield Line(path, _encode(line), f"{when}, {label}, leaf {index}")
    for member, leaves_of_member in enumerate(_by_member(community, inputs, statement)):
        proof = Proof(start, header_hex, anchor_hex, leaves_of_member)
        path = f"{member_folder(member)}/{day}.jsonl"
        yield Line(path, _encode(proof), f"{when}, positions, leaf {member}")


def _input_lines(inputs: Inputs, path: str, when: str) -> Iterator[Line]:
    tariff = inputs.tariff
    first = IntervalLine(
        start=inputs.interval.start,
        tariff=(tariff.retail, tariff.feed_in, tariff.fee_local, tariff.fee_supplier),
        limits=tuple((limits.bid, limits.ask) for limits in inputs.limits),
        shares=inputs.shares,
        flows=inputs.flows,
        salt_key=inputs.salt_key.hex(),
        records=len(inputs.accepted),
        late=len(inputs.late),
        refused=len(inputs.refused),
    )
    yield Line(path, _encode(first), f"{when}, inputs")
    ordered = sorted(inputs.accepted, key=lambda verdict: verdict.record.meter)
    for index, verdict in enumerate(ordered):
        line = RecordLine.of(verdict)
        yield Line(path, _encode(line), f"{when}, records, leaf {index}")
    for index, late in enumerate(in_order(inputs.late)):
        line = RecordLine.of(late)
        yield Line(path, _encode(line), f"{when}, late record {index}")
    for index, refused in enumerate(inputs.refused):
        record, signature = refused.signed
        entry = RefusedLine(record.hex(), signature.hex(), refused.reason.name)
        yield Line(path, _encode(entry), f"{when}, refused record {index}")


def in_order(late: Iterable[Late]) -> list[Late]:
    """Late records in the order of their lines: by interval and meter, as what they move."""
    return sorted(late, key=lambda verdict: (verdict.record.time_end, verdict.record.meter))


def _by_member(
    community: Community, inputs: Inputs, statement: Statement
) -> list[tuple[ProvenLeaf, ...]]:
    """Each member's own leaves with their paths, section by section."""
    shown: list[list[ProvenLeaf]] = [[] for _ in community.accounts]

    def show(member: int, section: Section, index: int, record: str = "") -> None:
        leaf = statement.sections[section][index].hex()
        siblings = tuple(statement.trees[section].path_text(index))
        shown[member].append(ProvenLeaf(section.label, index, leaf, siblings, record))

    for position in statement.settled.positions:
        show(position.member, Section.POSITIONS, position.member)
    ordered = sorted(inputs.accepted, key=lambda verdict: verdict.record.meter)
    for index, verdict in enumerate(ordered):
        owner = community.by_meter[verdict.record.meter].member
        show(owner, Section.RECORDS, index, verdict.signed.record.hex())
    for index, trade in enumerate(statement.trades):
        show(trade.seller, Section.TRADES, index)
        show(trade.buyer, Section.TRADES, index)
    for index, adjustment in enumerate(statement.adjustments):
        show(adjustment.member, Section.ADJUSTMENTS, index)
    for index, certificate in enumerate(statement.certified.certificates):
        show(certificate.member, Section.CERTIFICATES, index)
    return [tuple(leaves) for leaves in shown]
