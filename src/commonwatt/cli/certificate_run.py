"""What the certificate commands share: the run's chain, what was typed, and who signs."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from commonwatt.audit.difference import Difference
from commonwatt.audit.published import read_community
from commonwatt.chain.abi import contract
from commonwatt.chain.account import Account, checksum, created_address
from commonwatt.chain.errors import CallReverted
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import TokenId
from commonwatt.errors import InputError
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import FolderFiles
from commonwatt.node.plan import PLAN_FILE, load_plan
from commonwatt.node.wiring import demonstration_account, opened_ledger, read_key
from commonwatt.quantity import TIME_MAX, parse_time, time_text
from commonwatt.statement.community import Community

EXCHANGE_STEP = 4
"""The exchange is the fifth contract of a founding, the token the first."""
FOUNDINGS_MAX = 20_000
"""Transactions of an issuer among which the founding is looked for."""
SHORT_DIGITS = 8
"""Of a meter's 40 hex digits, as people read it."""
PREFIX_DIGITS_MIN = 4
ID_MAX = 2**256
WH_MAX = 2**37 - 1
"""More than any certificate can have."""


class CertificateInputUnusable(InputError):
    """An address, id, amount or offer's number that is none."""


class CertificateUnknown(InputError):
    """No such certificate, meter or offer on this chain."""


class SignerUnusable(InputError):
    """Nobody, or several, to sign a transaction."""


class ExchangeUnknown(InputError):
    """The community's exchange cannot be found."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which run, on which chain."""

    folder: Path
    url: str | None
    exchange: str | None = None
    """Its address, if it was given."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who signs, as it was typed."""

    key: Path | None
    member: int | None


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
        at = replace(found.addresses, exchange=_exchange_of(found, where.exchange))
        yield Run(where, community, Ledger(found.connection, at))


def require_exchange(run: Run) -> bytes:
    """The exchange's address; raises `ExchangeUnknown` where it is not known."""
    if run.ledger.addresses.exchange is None:
        raise ExchangeUnknown(
            f"{run.where.folder}: the exchange is not where a founding makes it; name it with "
            "--exchange ADDRESS"
        )
    return run.ledger.addresses.exchange


def _exchange_of(ledger: Ledger, named: str | None) -> bytes | None:
    """The exchange that was named, or the one made together with the token."""
    if named is not None:
        address = address_from(named, "--exchange")
        if not _is_exchange(ledger, address):
            raise ExchangeUnknown(
                f"--exchange {named}: does not sell these certificates for this token"
            )
        return address
    issuer, token = ledger.issuer(), ledger.addresses.token
    count = ledger.connection.request("eth_getTransactionCount", "0x" + issuer.hex(), "latest")
    for first in range(min(int(count, 16), FOUNDINGS_MAX)):
        if created_address(issuer, first) == token:
            address = created_address(issuer, first + EXCHANGE_STEP)
            return address if _is_exchange(ledger, address) else None
    return None


def _is_exchange(ledger: Ledger, address: bytes) -> bool:
    at, known = "0x" + address.hex(), contract("Exchange")
    if not ledger.connection.code(at):
        return False
    sells = (("certificate", ledger.addresses.certificate), ("token", ledger.addresses.token))
    try:
        return all(
            ledger.connection.call(at, known.data(name))[-len(own) :] == own for name, own in sells
        )
    except CallReverted:
        return False


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
            f"{text!r:.90}: not a certificate; write its id, or METER@START as "
            "c0ffee00@2016-06-21T10:00:00Z"
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


# What is printed


def short(token: TokenId) -> str:
    """A certificate as people read it; can be typed, too."""
    when = time_text(token.start) if token.start < TIME_MAX else str(token.start)
    return f"{token.meter.hex()[:SHORT_DIGITS]}@{when}"


def id_text(token: TokenId) -> str:
    """A certificate's id as JSON has it."""
    return f"0x{token.number:064x}"


def printable(text: str) -> str:
    """A text that somebody else wrote, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_json(answer: Mapping[str, object]) -> None:
    """One JSON object on one line."""
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
