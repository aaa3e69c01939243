"""What the commands on the book of certificates share: the book, bundles' names, acts in it."""

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from commonwatt.certificate.actions import Action
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Context
from commonwatt.certificate.log import Entry, LogBroken, read_line
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import State
from commonwatt.chain.account import Account
from commonwatt.cli.book_place import DATABASE_VARIABLE, place_of
from commonwatt.cli.certificate_run import (
    CertificateInputUnusable,
    CertificateRefused,
    CertificateUnknown,
    Run,
    SignerUnusable,
    Where,
    opened_run,
)
from commonwatt.cli.certificate_words import moment, short_meter
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.founding import FIRST_NONCE
from commonwatt.node.plan import PLAN_FILE, load_plan
from commonwatt.node.registrar import open_book, publish_book, sign_actions
from commonwatt.node.service.settings import NODE_FILE
from commonwatt.node.store import Store
from commonwatt.node.wiring import (
    DATABASE_FILE,
    NODE_FOLDER,
    demonstration_account,
    read_key,
)

_BUNDLE = re.compile(r"b([0-9]{1,15})")
METER_DIGITS, PREFIX_DIGITS_MIN = 40, 4
OPERATOR = "operator"
"""Who keeps the book of a demonstration that was given no key."""


@dataclass(frozen=True, slots=True)
class OpenBook:
    """A run's book, to be read and acted in."""

    run: Run
    store: BookStore
    chain_time: int
    """UTC seconds of the chain's latest block."""

    @property
    def state(self) -> State:
        """All that the entries lead to."""
        return self.store.log.book.state

    @property
    def entries(self) -> int:
        """How many there are."""
        return self.store.log.book.entries

    @property
    def now(self) -> int:
        """The time of an entry made now: the chain's, but not before the last entry's."""
        return max(self.chain_time, self.store.log.book.now)

    def context(self, actor: bytes = b"") -> Context:
        """What an action of an account would find now."""
        return Context(self.state, self.store.log.book.scheme, actor, self.now, self.entries)

    def expires(self, origin: Origin) -> int | None:
        """When units of an interval expire, UTC seconds; None: never (R22)."""
        lifetime = self.store.log.book.scheme.lifetime_s
        return origin.end + lifetime if lifetime else None

    def bundle(self, number: int) -> Bundle:
        """A bundle by its number; raises `CertificateUnknown`."""
        found = self.state.bundles.get(number)
        if found is None:
            raise CertificateUnknown(
                f"b{number}: no such bundle, the book has {len(self.state.bundles):,} from b0 on; "
                "commonwatt certificate list --day DAY tells those of a day"
            )
        return found

    def entries_of(self, numbers: AbstractSet[int]) -> dict[int, Entry]:
        """Entries of the log by their numbers, read in one pass."""
        found: dict[int, Entry] = {}
        if numbers:
            for number, line in enumerate(self.store.lines(min(numbers)), min(numbers)):
                if number in numbers:
                    found[number] = read_line(line, number)
                if len(found) == len(numbers):
                    break
        return found

    def publish(self) -> None:
        """Write out what the book has and the published files have not (R28)."""
        publish_book(self.store, self.run.where.folder)


@contextmanager
def opened_book(where: Where) -> Iterator[OpenBook]:
    """A run's chain and book, to be read and written while inside; errors as below and above."""
    with opened_run(where) as run, book_of(run) as book:
        yield book


@contextmanager
def book_of(run: Run) -> Iterator[OpenBook]:
    """The book of a run whose chain is open.

    Raises:
        FolderUnusable: the folder has no book.
        DatabaseUnusable: its database cannot be used.
        LogBroken: it is another registry's, or was changed.
    """
    folder, place = run.where.folder, place_of(run.where.folder)
    if place is None:
        raise FolderUnusable(
            f"{folder}: keeps no book of certificates, there is neither {NODE_FOLDER}/"
            f"{DATABASE_FILE} in it nor {NODE_FILE} beside it; name the folder of a run that has "
            f"one, or its database in {DATABASE_VARIABLE}"
        )
    store = Store(place.url)
    try:
        book = _book_in(store, place.community, run)
        try:
            yield OpenBook(run, book, run.now())
        finally:
            book.close()
    finally:
        store.close()


def _book_in(store: Store, community: bytes, run: Run) -> BookStore:
    database, ledger = store.database(community), run.ledger
    if database.note(FIRST_NONCE) is None:
        raise FolderUnusable(
            f"{run.where.folder}: {store.name} knows no community of this name; name the database "
            f"of its node in {DATABASE_VARIABLE}"
        )
    try:
        return open_book(database.scope, run.community, ledger.issuer(), ledger.lifetime_s())
    except LogBroken as error:
        raise LogBroken(
            f"{store.name}: {error}; the book is another community's or was changed, restore the "
            "database from a backup"
        ) from None


# What was typed


def bundle_from(text: str) -> int | None:
    """The number of a bundle that is named as `b17`; None where it is no bundle's name."""
    found = _BUNDLE.fullmatch(text)
    return None if found is None else int(found[1])


def bundle_number(text: str) -> int:
    """The same where nothing but a bundle will do."""
    number = bundle_from(text)
    if number is None:
        raise CertificateInputUnusable(
            f"{text!r:.90}: not a bundle of the book; write b and its number, as b17"
        )
    return number


def meter_among(text: str, known: Iterable[bytes], name: str) -> bytes:
    """The one meter of some that begins with these digits."""
    prefix = text.lower().removeprefix("0x")
    if not re.fullmatch(rf"[0-9a-f]{{{PREFIX_DIGITS_MIN},{METER_DIGITS}}}", prefix):
        raise CertificateInputUnusable(
            f"{name} {text!r:.60}: not a meter; write at least {PREFIX_DIGITS_MIN} of its "
            f"{METER_DIGITS} hex digits"
        )
    found = {meter for meter in known if meter.hex().startswith(prefix)}
    if len(found) != 1:
        how = (
            "several meters of the book begin like this; write more of its digits"
            if found
            else "no meter of the book begins like this; commonwatt certificate list tells them"
        )
        raise CertificateUnknown(f"{name} {text}: {how}")
    return found.pop()


def issuer_of(run: Run, key: Path | None) -> Account:
    """Whoever keeps the book: of a key file, or a demonstration's operator.

    Raises:
        SignerUnusable: there is no key, or it is another account's.
        KeyFileUnusable: the file holds no key.
    """
    folder = run.where.folder
    if key is not None:
        account = read_key(key)
    elif (folder / PLAN_FILE).is_file():
        plan = load_plan(folder)
        own = demonstration_account(OPERATOR)
        account = own if plan.key_file is None else read_key(Path(plan.key_file))
    else:
        raise SignerUnusable(f"{folder}: not a demonstration's folder; sign with --key FILE")
    issuer = run.ledger.issuer()
    if account.address_bytes != issuer:
        raise SignerUnusable(
            f"{account.address}: not the issuer, which is {run.account_text(issuer)}; "
            "sign with its --key FILE"
        )
    return account


# Acting


def act(book: OpenBook, account: Account, operand: str, action: Action) -> Bundle:
    """Do one action of an account, and publish it; returns what came of it.

    Args:
        book: in which.
        account: who signs.
        operand: what was named, for the refusal's words.
        action: of one bundle.

    Raises:
        CertificateRefused: the book says no; it is as it was.
    """
    [signed] = sign_actions(book.store, account, [action])
    try:
        [made] = book.store.submit(signed, book.now)
    except ActionRefused as refused:
        hint = _hint(book, account, bundle_from(operand))
        raise CertificateRefused(
            f"{operand}: refused: {refused}; nothing was changed{hint}"
        ) from None
    book.publish()
    return made


def _hint(book: OpenBook, account: Account, number: int | None) -> str:
    """What helps whoever named a bundle that the book does not let go."""
    bundle = None if number is None else book.state.bundles.get(number)
    if bundle is None:
        return ""
    if bundle.holder != account.address_bytes:
        return f": its holder is {book.run.account_text(bundle.holder)}"
    if bundle.status is Status.SPLIT:
        parts = (part for part in book.state.bundles.values() if part.parent == bundle.number)
        return ": its parts are " + " and ".join(f"b{part.number}" for part in parts)
    if bundle.status is Status.RESERVED:
        whom, until = book.state.reservations[bundle.number]
        return f": it is for {book.run.account_text(whom)} until {moment(until)}"
    if bundle.status is not Status.ACTIVE or book.context().is_expired(bundle.origin):
        return ": commonwatt certificate list --account tells what else the account holds"
    return ""


def published_text(book: OpenBook, entry: int) -> str:
    """Where an entry is now, and what is still to be done about it."""
    return (
        f"entry {entry:,} is published; the head on the chain does not cover it until the issuer "
        f"posts it: commonwatt certificate post {book.run.where.folder}"
    )


def bundle_text(bundle: Bundle) -> str:
    """A bundle's name, with meter and start of its interval."""
    return f"b{bundle.number} ({short_meter(bundle.origin.meter)}@{moment(bundle.origin.start)})"
