"""What a book of certificates holds, and how its bundles are cut, moved and counted."""

from bisect import bisect_left, insort
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import NamedTuple

from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.errors import require
from commonwatt.quantity import Interval

ISSUED, CHARGED, CONSUMED = "issued", "charged", "consumed"
"""Kinds of intervals; within one kind and meter none overlaps another (R3)."""
PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class Device:
    """A generator or a storage device as the issuer admitted it (R11, R12)."""

    meter: bytes
    owner: bytes
    source: int
    rated_w: int
    zone: str
    first_start: int
    support: str
    storage_permille: int
    """Above 0 for a storage device: what comes out of it at most, of a thousand put in (R24)."""
    key: bytes = b""
    """Public key of a meter that signs, 64 bytes (R4)."""
    voucher: str = ""
    """Who vouches for a meter that cannot (R4)."""
    commissioned: str = ""
    """ISO day on which the plant began to produce, or empty."""
    closed_from: int | None = None
    debt_wh: int = 0
    """What a correction took back and was gone already; the next issuances pay it (R10)."""
    handed_to: bytes | None = None
    """Whom the owner wants to have it, until that account accepts (R13)."""
    successor: bytes | None = None
    """The meter that took this one's place at the same plant (R12)."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a discharge's units come from: so much of one charge (R24)."""

    charge: Origin
    wh: int


class Numbering(NamedTuple):
    """Units from `first` on, numbered by one entry for one first holder."""

    first: int
    owner: bytes
    by: int
    """Number of the entry."""


@dataclass(frozen=True, slots=True)
class Issuance:
    """What was issued for one meter and interval, once (R3)."""

    origin: Origin
    owner: bytes
    """The first holder."""
    by: int
    """Number of the entry that issued."""
    metered_wh: int
    retired_wh: int
    """Used up within the community at issue."""
    stored_wh: int
    """Put into storage at issue (R24)."""
    free_wh: int
    """What the statement, or its last correction, leaves free."""
    own_wh: int
    """Of a discharge: what was stored with certificates and used at home, never issued (R24)."""
    issued_wh: int
    """Units numbered so far, retired and stored ones included."""
    withheld_wh: int
    """Not issued: they paid the device's debt (R10)."""
    owed_wh: int
    """Issued beyond what a correction found, and gone already: part of the device's debt."""
    record: bytes
    """SHA-256 of the record it follows from: the last correction's."""
    links: tuple[Link, ...] = ()
    """Of a discharge: what it drew on; the sum is all it gave green, own use included."""
    added: tuple[Numbering, ...] = ()
    """Units that corrections added, ascending (R10)."""

    @property
    def found_wh(self) -> int:
        """What the last reading leaves to be issued."""
        return self.retired_wh + self.stored_wh + self.free_wh

    def numbering(self, unit: int) -> Numbering:
        """Which entry numbered a unit, and for whom."""
        for added in reversed(self.added):
            if added.first <= unit:
                return added
        return Numbering(0, self.owner, self.by)


@dataclass(frozen=True, slots=True)
class Consumption:
    """What one meter took in one interval, and how much is matched (R19)."""

    origin: Origin
    owner: bytes
    zone: str
    wh: int
    matched_wh: int = 0
    """Retired for it, what the community covered included."""
    revoked: bool = False
    covered_wh: int = 0
    """Retired for it at issue, by the interval's statement."""
    voucher: str = ""
    """Who vouches for it, where no signed record stands behind it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a storage device took in within an interval (R24)."""

    origin: Origin
    wh: int
    stored_wh: int = 0
    """Units retired into it, at most `wh`."""
    drawn_wh: int = 0
    """What discharges took out of it, at most `stored_wh` less losses."""


@dataclass(slots=True)
class State:
    """Everything the entries so far lead to."""

    devices: MutableMapping[bytes, Device] = field(default_factory=dict)
    issuances: MutableMapping[Origin, Issuance] = field(default_factory=dict)
    spans: MutableMapping[tuple[str, bytes], list[Origin]] = field(default_factory=dict)
    """Per kind and meter the intervals taken, ascending: none overlaps another (R3)."""
    bundles: MutableMapping[int, Bundle] = field(default_factory=dict)
    held: MutableMapping[bytes, MutableMapping[int, None]] = field(default_factory=dict)
    """Per account the numbers of all bundles it holds, whatever became of them."""
    of_issuance: MutableMapping[Origin, list[int]] = field(default_factory=dict)
    consumptions: MutableMapping[Origin, Consumption] = field(default_factory=dict)
    borders: MutableMapping[tuple[str, str, int, int], tuple[int, int]] = field(
        default_factory=dict
    )
    """Per zones, start and duration: capacity and what is used of it (R21)."""
    border_spans: MutableMapping[tuple[str, str], list[Interval]] = field(default_factory=dict)
    """Per zones the intervals of their rules, ascending: none overlaps another (R21)."""
    charges: MutableMapping[bytes, list[Charge]] = field(default_factory=dict)
    """Per storage device, ascending in time: first in, first out."""
    open_charges: MutableMapping[bytes, list[int]] = field(default_factory=dict)
    """Per storage device the places of charges that something may still come out of, ascending."""
    retirements: MutableMapping[int, "Retirement"] = field(default_factory=dict)
    """Per bundle its holder retired, claimed or not."""
    reservations: MutableMapping[int, tuple[bytes, int]] = field(default_factory=dict)
    """Per bundle: for whom, until when."""
    stored: MutableMapping[int, Origin] = field(default_factory=dict)
    """Per bundle put into a charge: that charge's interval (R24)."""
    exports: MutableMapping[bytes, int | None] = field(default_factory=dict)
    """Per message the bundle it exported; None once that is back (R26)."""

    def plant_of(self, device: Device) -> Device:
        """The device as it is now: its last meter's entry has owner, debt and charges (R12)."""
        while device.successor is not None:
            device = self.devices[device.successor]
        return device

    def is_free(self, kind: str, origin: Origin) -> bool:
        """Whether no interval of this meter taken before overlaps this one (R3)."""
        spans = self.spans.get((kind, origin.meter), [])
        at = bisect_left(spans, origin)
        around = spans[max(at - 1, 0) : at + 1]
        return not any(taken.overlaps(origin.start, origin.end) for taken in around)

    def is_border_free(self, zones: tuple[str, str], interval: Interval) -> bool:
        """Whether no rule from one zone to the other overlaps this interval (R21)."""
        spans = self.border_spans.get(zones, [])
        at = bisect_left(spans, interval)
        around = spans[max(at - 1, 0) : at + 1]
        return all(taken.end <= interval.start or interval.end <= taken.start for taken in around)

    def publish(self, zones: tuple[str, str], interval: Interval, capacity_wh: int) -> None:
        """Enter a border's rule, of which nothing is used yet (R21)."""
        insort(self.border_spans.setdefault(zones, []), interval)
        self.borders[*zones, interval.start, interval.duration] = capacity_wh, 0

    def occupy(self, kind: str, origin: Origin) -> None:
        """Take an interval for good."""
        insort(self.spans.setdefault((kind, origin.meter), []), origin)

    def add(  # noqa: PLR0917 - a bundle's fields
        self, origin: Origin, first: int, end: int, holder: bytes, status: Status, by: int,
        parent: int | None = None,
    ) -> Bundle:  # fmt: skip
        """A new bundle under the next number."""
        number = len(self.bundles)
        bundle = Bundle(number, origin, first, end, holder, status, by, parent)
        self.put(bundle)
        self.of_issuance.setdefault(origin, []).append(number)
        return bundle

    def put(self, bundle: Bundle) -> None:
        """Write a bundle under its number, and whose it is."""
        before = self.bundles.get(bundle.number)
        if before is not None and before.holder != bundle.holder:
            del self.held[before.holder][bundle.number]
        self.bundles[bundle.number] = bundle
        self.held.setdefault(bundle.holder, {})[bundle.number] = None

    def cut(self, bundle: Bundle, wh: int, by: int) -> Bundle:
        """The first `wh` units of a bundle as one of their own; all of it as it is (R15)."""
        return bundle if wh == bundle.wh else self._split(bundle, bundle.first + wh, by)[0]

    def cut_end(self, bundle: Bundle, wh: int, by: int) -> Bundle:
        """The last `wh` units, likewise."""
        return bundle if wh == bundle.wh else self._split(bundle, bundle.end - wh, by)[1]

    def _split(self, bundle: Bundle, middle: int, by: int) -> tuple[Bundle, Bundle]:
        """R15: both parts have units, sum to the parent, and inherit all but its number."""
        self.put(_with(bundle, bundle.holder, Status.SPLIT, by))
        origin, holder, status = bundle.origin, bundle.holder, bundle.status
        low = self.add(origin, bundle.first, middle, holder, status, by, bundle.number)
        high = self.add(origin, middle, bundle.end, holder, status, by, bundle.number)
        promise = self.reservations.pop(bundle.number, None)
        if promise is not None:
            self.reservations[low.number] = self.reservations[high.number] = promise
        return low, high

    def turn(self, bundle: Bundle, status: Status, by: int, holder: bytes | None = None) -> Bundle:
        """Give a bundle another status, and another holder where one is named."""
        turned = _with(bundle, holder or bundle.holder, status, by)
        self.put(turned)
        return turned

    def parts_of(self, origin: Origin) -> Iterator[Bundle]:
        """An issuance's bundles as they are now, without those that were divided."""
        for number in self.of_issuance.get(origin, ()):
            bundle = self.bundles[number]
            if bundle.status is not Status.SPLIT:
                yield bundle


@dataclass(frozen=True, slots=True)
class Retirement:
    """For whom, for what, and for which consumption a bundle was retired (R18)."""

    beneficiary: bytes
    purpose: str
    consumption: Origin | None
    border: tuple[str, str, int, int] | None
    """The border rule it used up a part of, if it crossed one."""
    by: int
    """Number of the entry that retired it."""


def _with(bundle: Bundle, holder: bytes, status: Status, by: int) -> Bundle:
    return Bundle(
        bundle.number, bundle.origin, bundle.first, bundle.end, holder, status, by, bundle.parent
    )


def require_conserved(state: State, origin: Origin) -> None:
    """Raise `InvariantBroken` unless every unit of an issuance is in one bundle, once (R1, R2).

    Issued = active + reserved + retired + claimed + stored + withdrawn + exported, whatever of the
    first two has expired; and never more than was metered, but for what a correction could not
    take back any more; what was withheld for a debt is not issued besides.
    """
    issuance = state.issuances[origin]
    at = withdrawn = 0
    for bundle in sorted(state.parts_of(origin), key=lambda bundle: bundle.first):
        require("unit ranges are disjoint and without gaps", bundle.first == at, origin=origin)
        require("a bundle holds units", bundle.wh > 0, bundle=bundle.number)
        at = bundle.end
        withdrawn += bundle.wh if bundle.status is Status.WITHDRAWN else 0
    require("issued = the sum of all bundles", at == issuance.issued_wh, origin=origin, found=at)
    found = issuance.found_wh
    green = found + issuance.own_wh
    require("never more issued than metered", green <= issuance.metered_wh, origin=origin)
    drawn = sum(link.wh for link in issuance.links)
    stores = state.devices[origin.meter].storage_permille > 0
    require("a discharge is what it drew", not stores or drawn == green, origin=origin)
    out = issuance.issued_wh - withdrawn
    covered = out + issuance.withheld_wh <= found + issuance.owed_wh
    require("never more out than found and owed, less withheld", covered, origin=origin)
