"""The book of certificates, done again from what was published and compared with the chain.

Whoever has the published files and the chain does every entry of the log again, compares what the
issuer took over with what the statements say, and comes to everybody's units, retirements and
scores without asking anybody (R28).
"""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from commonwatt.audit.difference import Difference
from commonwatt.audit.facts import BookPost, ChainFacts
from commonwatt.audit.published import Files, read_community
from commonwatt.audit.recompute import Audit, Witness, audit
from commonwatt.audit.units import units_of
from commonwatt.certificate.actions import (
    Action,
    Admit,
    Charge,
    Consume,
    Correct,
    Discharge,
    Issue,
    Replace,
    Together,
)
from commonwatt.certificate.bundle import Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import NO_HEAD, Entry, Log, LogBroken, SignerOf, book_identity
from commonwatt.certificate.matching import Period, consumptions_of
from commonwatt.certificate.state import State, require_conserved
from commonwatt.errors import InvariantBroken
from commonwatt.statement.booked import admissions, devices_of, entries
from commonwatt.statement.close import Inputs, Statement
from commonwatt.statement.community import Community
from commonwatt.statement.publication import book_days_of, book_path

_TAKEN_OVER = (Admit, Issue, Correct, Charge, Discharge, Consume, Replace)
"""What the issuer says of a meter: it must follow from the statements, or name who vouches."""
_FOREVER = 2**63


@dataclass(slots=True)
class Holder:
    """One account's units, by what has become of them, in Wh."""

    units: Counter[str] = field(default_factory=Counter)
    """By status in the book; those on the chain as `token held`, `token retired` and so on."""
    consumed_wh: int = 0
    matched_wh: int = 0
    """Of what it consumed, retired for that very interval (R19 to R21)."""


@dataclass(slots=True)
class BookAudit:
    """What doing the log again came to."""

    entries: int = 0
    posted: int = 0
    """How many of them a head on the chain covers."""
    head: bytes = NO_HEAD
    devices: int = 0
    issued_wh: int = 0
    units: Counter[str] = field(default_factory=Counter)
    """All units of the book by status, Wh."""
    holders: dict[bytes, Holder] = field(default_factory=dict)
    retirements: int = 0
    """Made by holders, for a beneficiary and a purpose (R18)."""
    vouched: int = 0
    """Entries that rest on somebody's word alone, not on a signed record."""
    tokens_wh: int = 0
    """Issued on the chain, whatever became of them."""


class BookCheck:
    """A witness of the statements' audit that knows what the book must have taken over."""

    def __init__(self, community: Community, facts: ChainFacts) -> None:
        """Start before the first interval."""
        self._community, self._facts = community, facts
        self._devices = devices_of(community, facts.kept)
        self._expected: list[Action] = list(admissions(community, self._devices))

    def __call__(self, inputs: Inputs, statement: Statement) -> None:
        """Take in one interval that was found to agree."""
        self._expected += entries(self._community, inputs, statement, self._devices)

    def conclude(self, files: Files, signer_of: SignerOf) -> BookAudit:
        """Do the published log again.

        Args:
            files: what was published.
            signer_of: tells who signed a text.

        Raises:
            Difference: at the first entry that does not follow, or that the chain contradicts.
        """
        community, facts = self._community, self._facts
        identity = book_identity(facts.chain_id, facts.registry)
        log = Log(identity, Scheme(facts.issuer, facts.lifetime_s), signer_of)
        heads = _Heads(facts.posts)
        expected, own = iter(self._expected), community.by_meter.keys()
        found = BookAudit()
        for place, line in _lines(files):
            try:
                entry = log.redo(line)
            except LogBroken as error:
                raise Difference(place, str(error)) from None
            heads.check(log.book.entries, log.head, place)
            for action in _singly(entry.action):
                if not isinstance(action, _TAKEN_OVER):
                    continue
                if bytes.fromhex(action.meter) in own:
                    _require_same(action, next(expected, None), place)
                else:
                    _require_vouched(action, log.book.state, place)
                    found.vouched += 1
        missing = next(expected, None)
        if missing is not None:
            what = f"the issuer has not taken over: {_in_words(missing)}"
            raise Difference(f"entry {log.book.entries}", what)
        heads.require_reached(log.book.entries)
        found.entries, found.head, found.posted = log.book.entries, log.head, heads.posted
        _count(found, log.book.state)
        _count_tokens(found, facts)
        return found


def audit_all(
    files: Files, facts: ChainFacts, signer_of: SignerOf, witness: Witness = lambda *_: None
) -> tuple[Audit, BookAudit]:
    """Audit the statements, then the book of certificates that follows from them.

    Args:
        files: what was published.
        facts: what the chain says.
        signer_of: tells who signed a text.
        witness: is shown each interval once it has been found to agree.

    Returns:
        The audit, whose difference may be one of the book, and what the book came to.

    Raises:
        NothingPublished: where there is nothing to audit.
    """
    book = BookAudit()
    try:
        check = BookCheck(read_community(files), facts)
    except Difference as difference:
        return Audit(difference=str(difference), place=difference.place), book

    def both(inputs: Inputs, statement: Statement) -> None:
        check(inputs, statement)
        witness(inputs, statement)

    found = audit(files, facts, both)
    if found.difference is None:
        try:
            book = check.conclude(files, signer_of)
        except Difference as difference:
            found.difference, found.place = str(difference), difference.place
    return found, book


class _Heads:
    """The heads on the chain, compared with those that the log leads to."""

    def __init__(self, posts: tuple[BookPost, ...]) -> None:
        self._posts = {post.count: post.head for post in posts}
        self.posted = max(self._posts, default=0)

    def check(self, count: int, head: bytes, place: str) -> None:
        posted = self._posts.get(count, head)
        if posted != head:
            what = f"the chain's head over {count} entries is {posted.hex()[:24]}…, not this one's"
            raise Difference(place, what)

    def require_reached(self, count: int) -> None:
        if self.posted > count:
            what = f"the chain has a head over {self.posted} entries, {count} are published"
            raise Difference("the book", what)


def _lines(files: Files) -> Iterator[tuple[str, bytes]]:
    """The log's lines, and where each stands."""
    for day in book_days_of(files.paths()):
        path = book_path(day)
        for number, line in enumerate(files.lines(path), start=1):
            yield f"{path}, line {number}", line


def _singly(action: Action) -> tuple[Action, ...]:
    """One action, or the several that were done together."""
    return action.actions if isinstance(action, Together) else (action,)


def _require_same(action: Action, expected: Action | None, place: str) -> None:
    if action != expected:
        said, should = _in_words(action), _in_words(expected) if expected else "nothing more"
        raise Difference(place, f"the issuer took over: {said}; the statements say: {should}")


def _require_vouched(action: Action, state: State, place: str) -> None:
    """R4: what no signed record of a member stands behind says who vouches for it."""
    if isinstance(action, Admit | Consume):
        voucher = action.voucher
    else:
        device = state.devices.get(bytes.fromhex(action.meter))  # type: ignore[union-attr]
        voucher = device.voucher if device is not None else ""
    if not voucher:
        raise Difference(
            place, f"nobody vouches for it, and no statement has it: {_in_words(action)}"
        )


def _in_words(action: Action) -> str:
    name = type(action).__struct_config__.tag
    fields = ((field, getattr(action, field)) for field in action.__struct_fields__)
    return f"{name} " + ", ".join(f"{field} {value}" for field, value in fields if value != "")


def _count(found: BookAudit, state: State) -> None:
    """Every unit of the book, by what has become of it and by whose it is (R1, R2)."""
    found.devices = len(state.devices)
    for origin, issuance in state.issuances.items():
        try:
            require_conserved(state, origin)
        except InvariantBroken as error:
            raise Difference(
                f"issuance of {origin.meter.hex()} at {origin.start}", str(error)
            ) from None
        found.issued_wh += issuance.issued_wh
    for bundle in state.bundles.values():
        if bundle.status is not Status.SPLIT:
            found.units[bundle.status.value] += bundle.wh
            holder = found.holders.setdefault(bundle.holder, Holder())
            holder.units[bundle.status.value] += bundle.wh
    if sum(found.units.values()) != found.issued_wh:
        raise Difference("the book", "its bundles are not what was issued")
    found.retirements = len(state.retirements)
    for account in {used.owner for used in state.consumptions.values()}:
        holder = found.holders.setdefault(account, Holder())
        for used in consumptions_of(state, account, Period(0, _FOREVER)):
            holder.consumed_wh += used.wh
            holder.matched_wh += min(used.matched_wh, used.wh)


def _count_tokens(found: BookAudit, facts: ChainFacts) -> None:
    """Units on the chain, followed from their issue through all that happened to them (R1)."""
    try:
        tokens = units_of(facts.movements, facts.escrows)
    except InvariantBroken as error:
        raise Difference("tokens", str(error)) from None
    for units in tokens:
        found.tokens_wh += units.issued_wh
        for place, wh in units.places.items():
            holder = found.holders.setdefault(place.holder, Holder())
            holder.units[f"token {place.state}"] += wh


@dataclass(frozen=True, slots=True)
class Replayed:
    """The published log done again, and the chain's heads found to be its own."""

    state: State
    count: int
    """Entries published."""
    posted: int
    """How many of them a head on the chain covers."""
    entries: Mapping[int, Entry]
    """Those that were asked for, as far as there are such."""

    def digest_of(self, number: int) -> str:
        """SHA-256 of the line of an entry that was asked for."""
        return sha256(self.entries[number].line()).hexdigest()


def replay(
    files: Files,
    identity: bytes,
    scheme: Scheme,
    posts: tuple[BookPost, ...],
    signer_of: SignerOf,
    *,
    wanted: Container[int] = (),
) -> Replayed:
    """Do the published log again, whatever the statements say (R28).

    Args:
        files: what was published.
        identity: the book's id, 8 bytes.
        scheme: the rules fixed beforehand.
        posts: the heads on the chain.
        signer_of: tells who signed a text.
        wanted: numbers of entries to give back.

    Raises:
        Difference: at the first line that does not follow, or that the chain contradicts.
    """
    log, heads = Log(identity, scheme, signer_of), _Heads(posts)
    found = {}
    for place, line in _lines(files):
        try:
            entry = log.redo(line)
        except LogBroken as error:
            raise Difference(place, str(error)) from None
        heads.check(log.book.entries, log.head, place)
        if entry.number in wanted:
            found[entry.number] = entry
    heads.require_reached(log.book.entries)
    return Replayed(log.book.state, log.book.entries, heads.posted, found)
