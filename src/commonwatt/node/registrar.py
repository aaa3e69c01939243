"""The issuer's hand in the book: takes over each closed interval, posts heads, publishes entries.

What is entered follows from the statements alone (`statement/booked.py`); here it is signed, kept
and made public. Everything can be done again after a crash: what the book has already is left.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from commonwatt.audit.facts import BookPost
from commonwatt.certificate.actions import Action, Admit, Charge, Consume, Discharge, Issue
from commonwatt.certificate.bundle import Origin
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import SignedAction, book_identity, signed_text
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import CHARGED, CONSUMED, ISSUED, State
from commonwatt.chain.abi import contract
from commonwatt.chain.account import Account, signer_of
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.unit_events import UnitEvents
from commonwatt.errors import require
from commonwatt.node.book_store import BookStore
from commonwatt.node.errors import FolderUnusable
from commonwatt.node.folder import FolderFiles, write_whole
from commonwatt.node.pipeline import Closed
from commonwatt.node.store.scope import Scope
from commonwatt.statement.booked import admissions, devices_of, entries
from commonwatt.statement.community import Community
from commonwatt.statement.publication import book_days_of, book_path, day_of

_OLD_FILE = "node/certificates.sqlite"
COUNTED, TRIES_MAX = "R5", 10
"""The rule by which an account's actions are counted; how often they are counted again."""


def open_book(scope: Scope, community: Community, issuer: bytes, lifetime_s: int) -> BookStore:
    """A community's book, opened or begun.

    Args:
        scope: the community in its database.
        community: whose registry it belongs to.
        issuer: account of the registry's issuer.
        lifetime_s: of a unit, as its contract has it; 0 for ever.
    """
    identity = book_identity(community.chain.chain_id, community.chain.registry)
    return BookStore(scope, identity, Scheme(issuer, lifetime_s), signer_of)


def sign_actions(store: BookStore, actor: Account, wanted: Iterable[Action]) -> list[SignedAction]:
    """Actions signed as an account's next ones, in order (R5, R13)."""
    own, identity = actor.address_bytes, store.log.identity
    first = store.log.nonces.get(own, 0)
    return [
        SignedAction(
            actor=own.hex(),
            nonce=nonce,
            action=action,
            signature=actor.sign_text(signed_text(identity, nonce, action)).hex(),
        )
        for nonce, action in enumerate(wanted, start=first)
    ]


class Registrar:
    """Keeps a community's book up with its statements."""

    def __init__(
        self,
        store: BookStore,
        issuer: Account,
        community: Community,
        kept: Mapping[bytes, int],
        folder: Path,
    ) -> None:
        """Admit the community's devices, unless the book has them.

        Args:
            store: the community's book.
            issuer: account of the registry's issuer, with its key.
            community: whose statements are taken over.
            kept: generators whose certificates are kept in the book, and from which start.
            folder: where entries are published.

        Raises:
            FolderUnusable: the folder has a book of its own, from before it was in the database.
        """
        if (folder / _OLD_FILE).exists():
            raise FolderUnusable(
                f"{folder}: keeps its book in {_OLD_FILE}, as no release did; begin it anew in "
                "another directory, the book is in the node's database now"
            )
        self._store, self._issuer, self._community = store, issuer, community
        self._folder = folder
        self._devices = devices_of(community, kept)
        self._waiting: deque[Closed] = deque()
        """Intervals that the book has still to take over."""
        admitted = tuple(admissions(community, self._devices))
        self._enter(admitted, community.first_start)

    def enter(self, closed: Closed) -> None:
        """Take over a closed interval, unless the book has it; durable on return.

        Raises:
            DatabaseUnusable: it waits, and is taken over before the next one.
            LeaseLost: another node works for the community, and takes it over.
        """
        self._waiting.append(closed)
        self._enter_waiting()

    def _enter_waiting(self) -> None:
        community = self._community
        while self._waiting:
            inputs, statement = self._waiting[0].inputs, self._waiting[0].statement
            wanted = tuple(entries(community, inputs, statement, self._devices))
            self._enter(wanted, inputs.interval.end + community.grace_s)
            self._waiting.popleft()

    def _enter(self, wanted: Sequence[Action], now: int) -> None:
        for tries_left in reversed(range(TRIES_MAX)):
            state = self._store.follow().book.state
            missing = [action for action in wanted if not is_entered(state, action)]
            if not missing:
                return
            signed = sign_actions(self._store, self._issuer, missing)
            answers = self._store.submit_many(signed, now, in_order=True)
            last = answers[-1]
            if not isinstance(last, ActionRefused):
                return
            # Somebody else may have acted for the issuer meanwhile: then it is counted again.
            again = last.rule == COUNTED and tries_left > 0
            refused = missing[len(answers) - 1]
            require("the book takes over what was stated", again, why=last, action=refused)

    def publish(self, ledger: Ledger) -> None:
        """Publish all entries, then post the head on the chain if it is not there (R28)."""
        self._enter_waiting()
        publish_book(self._store, self._folder)
        post_head(self._store, self._issuer, ledger)


def is_entered(state: State, action: Action) -> bool:
    """Whether the issuer has taken this over before (R3, R12, R19)."""
    if isinstance(action, Admit):
        return bytes.fromhex(action.meter) in state.devices
    if isinstance(action, Charge | Issue | Discharge | Consume):
        origin = Origin(bytes.fromhex(action.meter), action.start, action.duration)
        return not state.is_free(_KINDS[type(action)], origin)
    return False


_KINDS = {Charge: CHARGED, Issue: ISSUED, Discharge: ISSUED, Consume: CONSUMED}


def post_head(store: BookStore, issuer: Account, ledger: Ledger) -> int:
    """Post the book's head, unless the chain has it; returns the gas it took (R28)."""
    count, _ = ledger.book_head()
    log = store.log
    if log.book.entries <= count:
        return 0
    return ledger.post(issuer, log.book.entries, log.head).gas_used


class _When(msgspec.Struct):
    """What of an entry tells in which file it stands."""

    time: int


_read_when = msgspec.json.Decoder(_When).decode


def _day(line: bytes) -> str:
    return day_of(_read_when(line).time)


def publish_book(store: BookStore, folder: Path) -> None:
    """Write out the entries that are not published yet; the last day's file is written anew."""
    with store.publishing:
        _publish_book(store, folder)


def _publish_book(store: BookStore, folder: Path) -> None:
    files = FolderFiles(folder)
    while True:
        *before, _last = book_days_of(files.paths()) or [""]
        done = sum(1 for day in before for _ in files.lines(book_path(day)))
        if next((_day(line) for line in store.lines(done)), "") in before:
            done = 0  # a file is not what was written: all are written anew
        for day, lines in groupby(store.lines(done), key=_day):
            written = list(lines)
            write_whole(folder / book_path(day), written)
            done += len(written)
        # Another process may have entered something meanwhile, and published before.
        if next(iter(store.lines(done)), None) is None:
            return


def posts_of(ledger: Ledger) -> tuple[BookPost, ...]:
    """The heads of the book on the chain, in order, and nothing else of it (R28)."""
    events, topic = UnitEvents(()), contract("Book").topics["Posted"]
    for log in ledger.connection.logs("0x" + ledger.addresses.book.hex(), [topic]):
        events.read_post(log)
    return tuple(events.posts)
