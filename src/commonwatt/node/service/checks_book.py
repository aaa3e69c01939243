"""Checks of the book of certificates: its lines follow from each other, and the rest from them.

A book may be large, so time and memory are bounded, and the doctor says how far it looked. Each
line's number, time and place among its account's actions come first, which is quick. Then every
action is done again: from the first line on in a small book, from the node's own snapshot in a
large one. What comes of it must be the bundles that the database tells of.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from time import perf_counter

from sqlalchemy import Connection, func, select

from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import NO_HEAD, Log, LogBroken, book_identity, next_head, read_line
from commonwatt.certificate.snapshot import log_of
from commonwatt.chain.account import signer_of
from commonwatt.chain.founding import LIFETIME_S
from commonwatt.chain.ledger import Ledger
from commonwatt.errors import CommonwattError
from commonwatt.node.founding import FOUNDING_GAS
from commonwatt.node.service.finding import Finding, Patient, counted
from commonwatt.node.service.members import CommunityFile, community_key
from commonwatt.node.service.outlook import ledger_of, outlook_of
from commonwatt.node.store.migration import VERSION
from commonwatt.node.store.schema import book_bundle as _bundle
from commonwatt.node.store.schema import book_entry as _entry
from commonwatt.node.store.schema import book_snapshot as _snapshot
from commonwatt.node.store.schema import of
from commonwatt.node.store.scope import Scope

LOOK_S = 60.0
"""So long one book is looked at."""
AGAIN_MAX = 200_000
"""So many actions are done again at most: 7,000 take a second."""
BUNDLES_MAX = 500_000
"""Of a book with more none is done again: each takes a kilobyte of memory."""
LINES_AT_ONCE = 4_096
GO_BACK = "stop the node, keep this database, and go back to the last backup"


class _TimeIsUp(Exception):
    """A book was looked at for as long as it may be."""


class _Unsound(Exception):
    """Something does not follow from the lines: what, and what to do."""

    def __init__(self, says: str, do: str) -> None:
        super().__init__(says)
        self.says, self.do = says, do


@dataclass(slots=True)
class _Links:
    """Lines read one after the other, without doing what they say."""

    count: int = 0
    head: bytes = NO_HEAD
    time: int = 0
    """Of the last one, UTC seconds."""
    nonces: dict[str, int] = field(default_factory=dict)
    """Actions by account."""

    def follow(self, number: int, line: bytes) -> None:
        """The next line; raises `LogBroken` where it does not follow from those before."""
        if number != self.count:
            raise LogBroken(f"entry {self.count}: is missing")
        entry = read_line(line, number)
        if entry.number != number:
            raise LogBroken(f"entry {number}: says that it is entry {entry.number}")
        if entry.time < self.time:
            raise LogBroken(f"entry {number}: is of {entry.time}, the one before of {self.time}")
        expected = self.nonces.get(entry.actor, 0)
        if entry.nonce != expected:
            raise LogBroken(
                f"entry {number}: action {entry.nonce} of its account, {expected} is next"
            )
        self.nonces[entry.actor], self.time = expected + 1, entry.time
        self.head, self.count = next_head(self.head, line), number + 1


def book(patient: Patient) -> Iterator[Finding]:
    """Each community's book of certificates (R28)."""
    if patient.database.version() != VERSION:
        return  # there is none, or the database's check has said why nobody can look
    for file in patient.files:
        if patient.database.note(file.name, FOUNDING_GAS) is not None:
            yield _Look(patient, file).finding()


def posted(patient: Patient, file: CommunityFile, ledger: Ledger) -> Finding:
    """Whether the head that the chain has is one that the lines lead to (R28)."""
    count, head = ledger.book_head()
    own, entries = NO_HEAD, 0
    try:
        for _, line in islice(_Look(patient, file).lines(), count):
            own, entries = next_head(own, line), entries + 1
    except _TimeIsUp:
        says = f"not compared: {count:,} entries take more than {LOOK_S:.0f} s to read"
        return Finding("head", says, community=file.name)
    if entries < count:
        says = f"the chain has its head after {count:,} entries, and only {entries:,} are there"
        step = (
            "was an older backup restored? Stop the node, keep this database, and go back to the "
            "newest; what is missing stands in the published files of the book"
        )
        return Finding("head", says, step, file.name)
    if own != head:
        says = f"the chain has another head after {count:,} entries than these lead to"
        return Finding("head", says, GO_BACK, file.name)
    return Finding("head", f"as on the chain after {count:,} entries", community=file.name)


class _Look:
    """At one community's book."""

    def __init__(self, patient: Patient, file: CommunityFile) -> None:
        self._patient, self._file = patient, file
        self._scope = Scope(patient.database.transactions, community_key(file.name))
        self._began = perf_counter()
        self._told: list[str] = []
        self._left = ""
        """What was not looked at, and why."""

    def finding(self) -> Finding:
        try:
            self._all()
        except _TimeIsUp:
            self._left = f"the rest, for it takes more than {LOOK_S:.0f} s"
        except LogBroken as error:
            says = f"its lines do not follow from each other: {error}"
            return Finding("book", says, GO_BACK, self._file.name)
        except _Unsound as found:
            return Finding("book", found.says, found.do, self._file.name)
        told = [*self._told, *([f"not looked at: {self._left}"] if self._left else [])]
        seconds = perf_counter() - self._began
        return Finding("book", f"{', '.join(told)}; {seconds:.1f} s", community=self._file.name)

    def _all(self) -> None:
        with self._scope.reading() as connection:
            kept = self._snapshot(connection)
        links, at_snapshot = _Links(), NO_HEAD
        try:
            for number, line in self.lines():
                links.follow(number, line)
                if links.count == kept[0]:
                    at_snapshot = links.head
        finally:
            self._told.append(f"{links.count:,} entries follow from each other")
        if kept[0] > links.count:
            says = f"its snapshot has {kept[0]:,} entries, and only {links.count:,} are there"
            raise _Unsound(says, GO_BACK)
        log = self._log(links.count, at_snapshot)
        if log is not None:
            self._again(log)

    def _snapshot(self, connection: Connection) -> tuple[int, bytes]:
        """How many entries the node's snapshot has, and the snapshot."""
        query = select(_snapshot.c.entries, _snapshot.c.book)
        row = connection.execute(query.where(of(_snapshot, self._scope.community))).first()
        return (0, b"") if row is None else (row.entries, row.book)

    def lines(self, since: int = 0) -> Iterator[tuple[int, bytes]]:
        """Numbers and lines from an entry on, as long as there is time."""
        query = select(_entry.c.number, _entry.c.line).order_by(_entry.c.number)
        query = query.where(of(_entry, self._scope.community)).limit(LINES_AT_ONCE)
        while True:
            with self._scope.reading() as connection:
                page = connection.execute(query.where(_entry.c.number >= since)).all()
            for number, line in page:
                if perf_counter() - self._began > LOOK_S:
                    raise _TimeIsUp
                yield number, line
            if len(page) < LINES_AT_ONCE:
                return
            since = page[-1].number + 1

    def _log(self, entries: int, at_snapshot: bytes) -> Log | None:
        """The log to go on from; None where that is too much, or nobody knows whose book it is."""
        with self._scope.reading() as connection:
            mine = of(_bundle, self._scope.community)
            bundles = connection.scalar(select(func.count()).select_from(_bundle).where(mine)) or 0
            _, snapshot = self._snapshot(connection)
        if bundles > BUNDLES_MAX:
            self._left = f"whether {bundles:,} bundles follow from them, which takes much memory"
            return None
        try:
            outlook = outlook_of(self._patient.folder, self._patient.settings, self._file)
        except CommonwattError:
            # What is said of keys and chain tells why.
            self._left = "whether bundles follow from them, without the operator's key or the chain"
            return None
        if any(ledger_of(meter) != outlook.chain.ledger for meter in self._file.meters):
            self._left = "whether bundles follow from them, with another key or chain than theirs"
            return None
        identity = book_identity(outlook.chain.chain_id, outlook.chain.registry)
        # As the node itself opens it; `serve` founds with this lifetime and no other.
        scheme = Scheme(outlook.operator, LIFETIME_S)
        if entries <= AGAIN_MAX:
            return Log(identity, scheme, signer_of)
        log = log_of(snapshot, identity, scheme, signer_of, at_snapshot)
        if log is None or entries - log.book.entries > AGAIN_MAX:
            self._left = f"whether bundles follow from more than {AGAIN_MAX:,} entries"
            return None
        self._told.append(f"the first {log.book.entries:,} by the node's snapshot")
        return log

    def _again(self, log: Log) -> None:
        """Do all actions again that a log lacks, and compare what comes of them."""
        began = log.book.entries
        for _, line in self.lines(began):
            log.redo(line)
        with self._scope.reading() as connection:
            # Of one moment: what was entered meanwhile, and the bundles as they are with it.
            newer = select(_entry.c.line).order_by(_entry.c.number)
            mine = (of(_entry, self._scope.community), _entry.c.number >= log.book.entries)
            log.replay(connection.scalars(newer.where(*mine)))
            self._told.append(f"{counted(log.book.entries - began, 'action')} done again")
            self._compare(connection, log)

    def _compare(self, connection: Connection, log: Log) -> None:
        bundles = log.book.state.bundles
        query = select(_bundle).where(of(_bundle, self._scope.community)).order_by(_bundle.c.number)
        rows = connection.execute(query.execution_options(yield_per=LINES_AT_ONCE))
        made = (_row_of(self._scope.community, bundles[number]) for number in range(len(bundles)))
        for number, (row, expected) in enumerate(zip_longest(rows, made)):
            if row is None or tuple(row) != expected:
                how = "missing" if row is None else "not as the entries make it"
                step = f"{GO_BACK}; who holds what follows from the entries, and those are whole"
                raise _Unsound(f"bundle {number} is {how}", step)
        self._told.append(f"{counted(len(bundles), 'bundle')} as they make them")


def _row_of(community: bytes, bundle: Bundle) -> tuple[object, ...]:
    """A bundle in the order of its table's columns."""
    origin, status = bundle.origin, bundle.status.value
    interval = (origin.meter, origin.start, origin.duration, bundle.first, bundle.end)
    return (community, bundle.number, *interval, bundle.holder, status, bundle.by, bundle.parent)
