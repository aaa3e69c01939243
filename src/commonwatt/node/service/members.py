"""A community's file: who takes part, which meters they have, what energy costs.

TOML in, a `Community` out once the contracts' addresses are known. Prices are decimal strings per
kWh, amounts decimal strings of the currency, times have their offset.
"""

import re
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.chain.founding import Deposit
from commonwatt.errors import CommonwattError, InputError
from commonwatt.market.book import Limits, Tariff
from commonwatt.market.charter import charter_of
from commonwatt.market.settings import MarketSettings
from commonwatt.meter.record import SignedRecord
from commonwatt.meter.registration import NO_SOURCE, Registration, Role
from commonwatt.node.toml_file import read_toml
from commonwatt.quantity import SECONDS_PER_DAY, Currency, parse_time
from commonwatt.statement.community import ChainAddress, Community

FILE_BYTES_MAX, HEAD_BYTES = 64 * 1024 * 1024, 16 * 1024
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ROLES = {"grid": Role.GRID, "generation": Role.GENERATION, "storage": Role.STORAGE}
_SOURCE = re.compile(r"T([0-9]{6})")


class CommunityFileUnusable(InputError):
    """A community's file that cannot be read, or that describes no community."""


class TariffEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices and fees, per kWh."""

    retail: str
    feed_in: str
    fee_local: str
    fee_supplier: str


class MemberEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One participant."""

    name: str
    account: str
    """Address, 40 hex digits, with or without 0x."""
    advance: str = "0"
    """Paid into its lane at the founding, in the currency."""


class MeterEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One meter, as `commonwatt gateway init` or its maker tells."""

    member: int
    role: str
    """`grid`, `generation` or `storage`."""
    rated_w: int
    zone: str
    in_service: str
    """Time with offset at which it was put in service; its UTC day counts."""
    public_key: str
    opening: str
    """Its first record, sequence 0."""
    signature: str
    source: str = ""
    """AIB technology code of a generator, such as T010100."""
    tokens: bool = False
    """Its free certificates may become tokens; they are kept in the book otherwise."""


class CommunityFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    name: str
    """Lower-case letters, digits and hyphens: part of paths and topics."""
    first_start: str
    """Start of the first interval, with offset."""
    supplier: str
    """Account."""
    grid_operator: str
    """Account."""
    tariff: TariffEntry
    members: tuple[MemberEntry, ...]
    meters: tuple[MeterEntry, ...] = ()
    """`commonwatt init --meter` adds them."""
    currency: str = "EUR"
    decimals: int = 8
    interval_s: int = 900
    grace_s: int = 60
    storage_permille: int = 0
    supplier_advance: str = "0"
    market: MarketSettings = MarketSettings()


def read_community_file(path: Path) -> CommunityFile:
    """A community's file, checked as far as it can be without a chain.

    Raises:
        CommunityFileUnusable: naming the file, the entry, and what to write instead.
    """
    found = read_toml(
        path,
        CommunityFile,
        CommunityFileUnusable,
        most_bytes=FILE_BYTES_MAX,
        advice="commonwatt init writes one, docs/service.md explains it",
    )
    if not NAME.fullmatch(found.name):
        raise CommunityFileUnusable(
            f"{path}: name {found.name!r:.80}: use lower-case letters, digits and hyphens"
        )
    _require_usable(found, path)
    return found


def name_in_file(path: Path) -> str:
    """The name in a community's file, and nothing else of it; raises `CommunityFileUnusable`."""
    try:
        with path.open("rb") as opened:
            head = opened.read(HEAD_BYTES).decode(errors="replace")
        # Its own values stand before its first table, and the rest is long.
        return str(tomllib.loads(head[: head.index("\n[") + 1])["name"])
    except (OSError, ValueError, KeyError):
        return read_community_file(path).name


def _require_usable(file: CommunityFile, path: Path) -> None:
    try:
        tariff_of(file)
        deposits_of(file)
        community_of_file(file, ChainAddress(1, *(bytes(20) for _ in range(6))))
        charter_of(file.market, currency_of(file), len(file.members), file.interval_s)
    except (ValueError, CommonwattError) as error:
        raise CommunityFileUnusable(f"{path}: {error}") from None


def currency_of(file: CommunityFile) -> Currency:
    """The ledger's unit."""
    return Currency(file.currency, file.decimals)


def tariff_of(file: CommunityFile) -> Tariff:
    """Prices and fees in whole units per Wh."""
    price, entry = currency_of(file).price, file.tariff
    return Tariff(
        retail=price(entry.retail),
        feed_in=price(entry.feed_in),
        fee_local=price(entry.fee_local),
        fee_supplier=price(entry.fee_supplier),
    )


def limits_of_file(file: CommunityFile, community: Community) -> tuple[Limits, ...]:
    """Standing limits where the rule needs them: nobody pays more nor gets less than at retail."""
    if not community.charter.rule.needs_limits:
        return ()
    tariff = tariff_of(file)
    return (Limits(bid=tariff.retail, ask=tariff.feed_in),) * len(file.members)


def deposits_of(file: CommunityFile) -> list[Deposit]:
    """What is paid into the lanes at the founding."""
    amount = currency_of(file).amount
    deposits = [Deposit(lane, amount(member.advance)) for lane, member in enumerate(file.members)]
    deposits.append(Deposit(SUPPLIER_LANE, amount(file.supplier_advance)))
    return [deposit for deposit in deposits if deposit.amount]


def community_of_file(file: CommunityFile, chain: ChainAddress) -> Community:
    """The community that the file describes, at these contracts.

    Raises:
        ValueError: where an account, a key or a time is none; its text names the entry.
    """
    registrations = [_registration(entry, number) for number, entry in enumerate(file.meters)]
    known = range(len(file.members))
    for number, entry in enumerate(file.meters):
        if entry.member not in known:
            raise ValueError(f"meter {number}: member {entry.member}: there are {len(known)}")
    return Community(
        chain=chain,
        currency=currency_of(file),
        interval_s=file.interval_s,
        grace_s=file.grace_s,
        market=file.market,
        accounts=tuple(
            account_in(member.account, f"member {number}")
            for number, member in enumerate(file.members)
        ),
        # Generators last: they are registered by the issuer, the others by the operator.
        registrations=tuple(sorted(registrations, key=lambda r: r.role is Role.GENERATION)),
        supplier=account_in(file.supplier, "supplier"),
        grid_operator=account_in(file.grid_operator, "grid_operator"),
        first_start=parse_time(file.first_start),
        storage_permille=file.storage_permille,
    )


def kept_of(file: CommunityFile, community: Community) -> Mapping[bytes, int]:
    """Generators whose certificates are kept in the book from the beginning."""
    tokens = {entry.public_key for entry in file.meters if entry.tokens}
    return {
        r.meter: community.first_start
        for r in community.registrations
        if r.role is Role.GENERATION and r.public_key.hex() not in tokens
    }


def community_key(name: str) -> bytes:
    """Under which a database keeps a community, 20 bytes: it has no address before its founding."""
    return sha256(b"community/" + name.encode()).digest()[:20]


def account_in(text: str, name: str) -> bytes:
    """An account's 20 bytes; raises ValueError naming the entry."""
    digits = text.removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{40}", digits):
        raise ValueError(f"{name}: account {text!r:.80} is none: write 0x and 40 hex digits")
    return bytes.fromhex(digits)


def _registration(entry: MeterEntry, number: int) -> Registration:
    role = ROLES.get(entry.role)
    if role is None:
        raise ValueError(f"meter {number}: role {entry.role!r:.40}: use {', '.join(ROLES)}")
    source = NO_SOURCE
    if role is Role.GENERATION:
        code = _SOURCE.fullmatch(entry.source)
        if code is None:
            raise ValueError(f"meter {number}: source {entry.source!r:.40}: write it as T010100")
        source = int(code[1], 16)
    try:
        opening = SignedRecord(bytes.fromhex(entry.opening), bytes.fromhex(entry.signature))
        return Registration(
            public_key=bytes.fromhex(entry.public_key),
            member=entry.member,
            role=role,
            source=source,
            rated_w=entry.rated_w,
            first_day=parse_time(entry.in_service) // SECONDS_PER_DAY,
            zone=entry.zone,
            direct=False,
            opening=opening,
        )
    except (ValueError, CommonwattError) as error:
        raise ValueError(f"meter {number}: {error}") from None
