"""What the certificate commands share: the run's chain, what was typed, and who signs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from commonwatt.audit.difference import Difference
from commonwatt.audit.published import read_community
from commonwatt.chain.account import Account, checksum
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import TokenId
from commonwatt.errors import InputError
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import FolderFiles
from commonwatt.node.plan import PLAN_FILE, load_plan
from commonwatt.node.wiring import demonstration_account, opened_ledger, read_key
from commonwatt.quantity import TIME_MAX, parse_time
from commonwatt.statement.community import Community

PREFIX_DIGITS_MIN = 4
ID_MAX = 2**256
WH_MAX = 2**37 - 1
"""More than any certificate can have."""


class CertificateInputUnusable(InputError):
    """An address, id, amount or offer's number that is none."""


class CertificateUnknown(InputError):
    """No such certificate, meter or offer on this chain, or no such bundle in its book."""


class CertificateRefused(InputError):
    """A contract or the book refused, in its own words."""


class SignerUnusable(InputError):
    """Nobody, or several, to sign a transaction."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which run, on which chain."""

    folder: Path
    url: str | None


@dataclass(frozen=True, slots=True)
class Who:
    """Who signs, as it was typed."""

    key: Path | None
    member: int | None


@dataclass(frozen=True, slots=True)
class RetireOptions:
    """For whom and for what units are retired, as it was typed."""

    beneficiary: str
    purpose: str
    period_from: str | None = None
    period_until: str | None = None
    meter: str | None = None
    """Of the consumption; bundles only."""
    country: str | None = None
    """Tokens only, and so is the next."""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run's community and its contracts."""

    where: Where
    community: Community
    ledger: Ledger

    def now(self) -> int:
        """UTC seconds of the latest block."""
        block = self.ledger.connection.request("eth_getBlockByNumber", "latest", False)  # noqa: FBT003
        return int(block["timestamp"], 16)

    def account_text(self, account: bytes) -> str:
        """An account for a person: its address, and its member's number."""
        members = [n for n, own in enumerate(self.community.accounts) if own == account]
        of = f" (member {', '.join(map(str, members))})" if members else ""
        return checksum(account) + of


@contextmanager
def opened_run(where: Where) -> Iterator[Run]:
    """A run's chain, to be read and written while inside.

    Raises:
        FolderUnusable: the folder is no run's, or its chain is another.
        JournalLocked: another process has it open.
    """
    files = FolderFiles(where.folder)
    try:
        community = read_community(files)
    except Difference as difference:
        raise FolderUnusable(f"{where.folder}: {difference}; audit it first") from None
    # A demonstration's days are long past: its chain's time stays where its last block left it.
    clock = (lambda: 0) if (where.folder / PLAN_FILE).is_file() else None
    with opened_ledger(where.folder, where.url, community.chain, clock) as found:
        yield Run(where, community, found)


# What was typed


def address_from(text: str, name: str) -> bytes:
    """An address of 40 hex digits; with mixed capitals only as EIP-55 writes them."""
    digits = text.removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{40}", digits):
        raise CertificateInputUnusable(
            f"{name} {text!r:.80}: not an address; write 0x and 40 hex digits"
        )
    address = bytes.fromhex(digits)
    is_mixed = digits not in (digits.lower(), digits.upper())
    if is_mixed and checksum(address) != "0x" + digits:
        raise CertificateInputUnusable(
            f"{name} {text}: its capitals do not go with its digits; is a digit wrong?"
        )
    return address


def whole_from(number: int, name: str, most: int = WH_MAX) -> int:
    """A whole number from 1 to `most`."""
    if not 1 <= number <= most:
        raise CertificateInputUnusable(f"{name} {number}: give 1 to {most}")
    return number


def day_from(text: str, name: str) -> date:
    """A calendar day, as 2016-06-21."""
    day: date | None = None
    with suppress(ValueError):
        day = date.fromisoformat(text)
    if day is None or day.isoformat() != text:
        raise CertificateInputUnusable(f"{name} {text!r:.40}: not a day; write 2016-06-21")
    return day


def days_from(first: str, until: str) -> tuple[date, date]:
    """Days from one to before another; raises `CertificateInputUnusable` where there are none."""
    days = day_from(first, "--from"), day_from(until, "--until")
    if days[1] <= days[0]:
        raise CertificateInputUnusable(
            f"--until {until}: not after --from {first}; name the first day that does not count"
        )
    return days


def token_from(run: Run, text: str) -> TokenId:
    """A certificate by its id or METER@START; raises `CertificateUnknown` unless it was issued."""
    if "@" in text:
        meter, _, start = text.partition("@")
        token = TokenId(_meter_from(run, meter), parse_time(start), run.community.interval_s)
        is_known = 0 <= token.start < TIME_MAX
    else:
        number = _number_from(text)
        token, is_known = TokenId.of(number), True
    if not is_known or not run.ledger.is_issued(token):
        raise CertificateUnknown(
            f"{text}: no such certificate on this chain; commonwatt certificate list tells all"
        )
    return token


def _number_from(text: str) -> int:
    base = 16 if text[:2].lower() == "0x" else 10
    digits = text[2:] if base == 16 else text  # noqa: PLR2004
    if not re.fullmatch(r"[0-9a-fA-F]{1,64}" if base == 16 else r"[0-9]{1,78}", digits):  # noqa: PLR2004
        raise CertificateInputUnusable(
            f"{text!r:.90}: not a certificate; write a token's id, METER@START as "
            "c0ffee00@2016-06-21T10:00:00Z, or a bundle of the book as b17"
        )
    number = int(digits, base)
    if number >= ID_MAX:
        raise CertificateInputUnusable(f"{text}: larger than any id")
    return number


def _meter_from(run: Run, text: str) -> bytes:
    """A meter of the community by its first digits."""
    prefix = text.lower().removeprefix("0x")
    if len(prefix) < PREFIX_DIGITS_MIN or not re.fullmatch(r"[0-9a-f]{1,40}", prefix):
        raise CertificateInputUnusable(
            f"{text!r:.60}: not a meter; write at least {PREFIX_DIGITS_MIN} of its 40 hex digits"
        )
    found = [meter for meter in run.community.by_meter if meter.hex().startswith(prefix)]
    if len(found) != 1:
        how = "several meters begin" if found else "no meter of this community begins"
        raise CertificateUnknown(f"{text}: {how} like this; commonwatt certificate list tells all")
    return found[0]


def signer_of(run: Run, who: Who) -> Account:
    """The account that signs: of a key file, or a demonstration's member.

    Raises:
        SignerUnusable: neither or both are given, or there is no such member.
        KeyFileUnusable: the file holds no key.
    """
    if (who.key is None) == (who.member is None):
        raise SignerUnusable("who signs: give either --key FILE or, in a demonstration, --member N")
    if who.key is not None:
        return read_key(who.key)
    accounts, member, folder = run.community.accounts, who.member or 0, run.where.folder
    if not (folder / PLAN_FILE).is_file():
        raise SignerUnusable(f"{folder}: not a demonstration's folder; sign with --key FILE")
    if not 0 <= member < len(accounts):
        raise SignerUnusable(f"--member {member}: there are members 0 to {len(accounts) - 1}")
    plan = load_plan(folder)
    name = plan.scenario
    if plan.homes is not None:
        name = Path(plan.homes).name.removesuffix(".gz").removesuffix(".csv")
    account = demonstration_account(f"{name}/{member}")
    if account.address_bytes != accounts[member]:
        raise SignerUnusable(f"--member {member}: its key is its own; sign with --key FILE")
    return account
