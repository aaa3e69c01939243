"""Matching carried out: where units come from, what is proposed, and doing it in one go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from commonwatt.certificate import using
from commonwatt.certificate.actions import Retire, Together
from commonwatt.certificate.book import TOGETHER_MAX
from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.draft import draft_of
from commonwatt.certificate.matching import (
    Community,
    Contract,
    Market,
    Own,
    Period,
    Source,
    consumptions_of,
    propose,
)
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import State
from commonwatt.chain.account import Account
from commonwatt.cli.book_run import METER_DIGITS, OpenBook, meter_among
from commonwatt.cli.book_statements import write_statements
from commonwatt.cli.certificate_run import CertificateRefused, CertificateUnknown, address_from
from commonwatt.meter.registration import Role
from commonwatt.node.registrar import sign_actions

TRIES_MAX = 3
"""How often proposals are made again because another entry came first."""
LABELS = {
    Own: "own production",
    Contract: "contracts",
    Community: "community",
    Market: "market",
}


@dataclass(slots=True)
class Matched:
    """What came of the proposals."""

    bundles: list[Bundle] = field(default_factory=list)
    """Retired, in order."""
    by_source: Counter[str] = field(default_factory=Counter)
    """Wh."""
    written: list[Path] = field(default_factory=list)


class Matching:
    """One account's matching over one period."""

    def __init__(
        self, book: OpenBook, account: Account, sources: Sequence[Source], period: Period
    ) -> None:
        self._book, self._account = book, account
        self._sources, self._period = sources, period

    def open_wh(self, state: State) -> int:
        """What is not matched yet."""
        used = consumptions_of(state, self._account.address_bytes, self._period)
        return sum(one.wh - one.matched_wh for one in used)

    def propose(self) -> tuple[Retire, ...]:
        """What could be retired now."""
        book, buyer = self._book, self._account.address_bytes
        scheme = book.store.log.book.scheme
        return propose(book.state, scheme, buyer, self._sources, self._period, now=book.now)

    def dry_run(self) -> Matched:
        """Do the proposals in a draft: the book stays as it is."""
        book = self._book
        context = book.context(self._account.address_bytes)
        draft = replace(context, state=draft_of(book.state))
        made = [bundle for action in self.propose() for bundle in using.retire(draft, action)]
        return self._found(made, draft.state)

    def carry_out(self) -> Matched:
        """Do the proposals in one submission; propose again where another entry came first.

        Raises:
            CertificateRefused: one came first every time.
        """
        book = self._book
        made: list[Bundle] = []
        refused: list[ActionRefused] = []
        for _ in range(TRIES_MAX):
            signed = sign_actions(book.store, self._account, _together(self.propose()))
            answers = book.store.submit_many(signed, book.now)
            refused = [answer for answer in answers if isinstance(answer, ActionRefused)]
            made += [
                bundle
                for answer in answers
                if not isinstance(answer, ActionRefused)
                for bundle in answer
            ]
            if not refused:
                break
        if made:
            book.publish()
        found = self._found(made, book.state)
        found.written = write_statements(book, [bundle.number for bundle in made])
        if refused:
            done = sum(bundle.wh for bundle in made)
            raise CertificateRefused(
                f"{self._account.address}: other entries came in between {TRIES_MAX} times, the "
                f"last time: {refused[0]}; {done:,} Wh were retired, run it again"
            )
        return found

    def _found(self, made: list[Bundle], state: State) -> Matched:
        found = Matched(made)
        for bundle in made:
            source = _source_of(state, self._account.address_bytes, self._sources, bundle)
            found.by_source[LABELS[type(source)]] += bundle.wh
        return found


def _together(proposals: Sequence[Retire]) -> list[Together]:
    """As few entries as possible, each done whole or not at all (R14)."""
    return [
        Together(tuple(proposals[at : at + TOGETHER_MAX]))
        for at in range(0, len(proposals), TOGETHER_MAX)
    ]


def sources_of(book: OpenBook, contracts: Sequence[str]) -> list[Source]:
    """Own production, contracts, the zones of the community's connections, then the market."""
    zones = dict.fromkeys(
        r.zone for r in book.run.community.registrations if r.role is Role.GRID
    )  # fmt: skip
    parties = frozenset(_party(book, text) for text in contracts)
    sources: list[Source] = [Own()]
    if parties:
        sources.append(Contract(parties))
    return [*sources, *(Community(zone) for zone in zones), Market()]


def _party(book: OpenBook, text: str) -> bytes:
    """An account that owns a device of the book, or one of its meters by its first digits."""
    devices = book.state.devices
    if len(text.lower().removeprefix("0x")) < METER_DIGITS:
        return meter_among(text, devices, "--contract")
    party = address_from(text, "--contract")
    owners = {device.owner for device in devices.values()}
    if party not in devices and party not in owners:
        raise CertificateUnknown(
            f"--contract {text}: no device of the book, nor anybody's who has one; name the "
            "producer's account or meter"
        )
    return party


def _source_of(state: State, buyer: bytes, sources: Sequence[Source], bundle: Bundle) -> Source:
    """The first source that a bundle belongs to, as `propose` has it."""
    owner = state.issuances[bundle.origin].numbering(bundle.first).owner
    for source in sources:
        match source:
            case Own():
                belongs = owner == buyer
            case Contract(parties):
                belongs = owner in parties or bundle.origin.meter in parties
            case Community(zone):
                belongs = state.devices[bundle.origin.meter].zone == zone
            case Market():
                belongs = True
        if belongs:
            return source
    return Market()
