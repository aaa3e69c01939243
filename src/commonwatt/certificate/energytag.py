"""Bundles in the names and status words of the EnergyTag API v2, out and in.

Three things differ on the wire. Ranges of units are inclusive at both ends there and half-open
here. Expiry is a status there; here it follows from the time (R22), so a document says how a bundle
stands at one moment. And what is exported (R26) or put into a charge (R24) has no word of its own
there: see `STATUS_WORDS`. Units are numbered within their issuance, so a unit's name is its
`issuance_id` and its number together (R2). Accounts and devices are hex digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

import msgspec

from commonwatt.certificate.bundle import LIVE, Bundle, Origin, Status
from commonwatt.certificate.context import Context, Scheme, meter_of
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import PERMILLE, Device, State
from commonwatt.errors import InputError
from commonwatt.quantity import BadInterval, Interval, parse_time, time_text

EXPIRED = "Expired"
STATUS_WORDS: Mapping[Status, str] = {
    Status.ACTIVE: "Active",
    Status.RESERVED: "Reserved",
    Status.RETIRED: "Cancelled",
    Status.CLAIMED: "Claimed",
    # Their storage records name certificates that were cancelled into a charge.
    Status.STORED: "Cancelled",
    Status.WITHDRAWN: "Withdrawn",
    # Not usable here and not used up either: "Cancelled" would count it as consumed twice.
    Status.EXPORTED: "Locked",
    Status.SPLIT: "Bundle Split",
}
"""Our status and theirs; what is live and past its time is `EXPIRED` instead (R22)."""

COMMUNITY = "the community's buyers of the interval"
"""Beneficiary of units retired at issue: who they are stands in the statement. Left out, the
holder would be taken for the beneficiary, and that is the producer."""
FACE_VALUE_WH = 1
ELECTRICITY = "electricity"
STORAGE_SOURCE, OTHER_SOURCE = "battery_storage", "other"
_SOURCES = {0x02: "wind", 0x03: "hydro", 0x06: "nuclear"}
"""By the first two digits of an AIB technology code; thermal ones do not say their fuel."""
_SOLAR_PV = 0x0101
DOCUMENT_BYTES_MAX = 65_536


class DocumentUnusable(InputError):
    """An EnergyTag document that cannot be read, or that says two things at once."""


class UnitRange(NamedTuple):
    """Units `[first, end)` of one issuance, as everywhere inside."""

    origin: Origin
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class IssuerFacts:
    """What the issuer says of itself and of all its certificates."""

    country_of_issuance: str
    connected_grid_identification: str
    issuing_body: str
    legal_status: str | None = None
    issuance_purpose: str | None = None
    quality_scheme_reference: str | None = None
    dissemination_level: str | None = None


class IssuanceMetadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who issued, where, under which support."""

    country_of_issuance: str
    connected_grid_identification: str
    issuing_body: str
    legal_status: str | None
    issuance_purpose: str | None
    support_received: str | None
    quality_scheme_reference: str | None
    dissemination_level: str | None
    issue_market_zone: str

    @property
    def metadata_id(self) -> str:
        """Digest of all of it: devices of one zone and support share one."""
        return sha256(encode(self)).hexdigest()


class BundleDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle at one moment, in EnergyTag's names."""

    id: int
    issuance_id: str
    """`<device>-<interval start>`; parts keep it."""
    hash: str
    """See `bundle_hash`; it stays the same whatever becomes of the bundle."""
    certificate_bundle_status: str
    account_id: str
    metadata_id: str
    certificate_bundle_id_range_start: int
    certificate_bundle_id_range_end: int
    """The last unit inside."""
    bundle_quantity: int
    beneficiary: str | None
    energy_carrier: str
    energy_source: str
    face_value: int
    """Wh of one unit."""
    issuance_post_energy_carrier_conversion: bool
    emissions_factor_production_device: Decimal | None
    emissions_factor_source: str | None
    device_id: str
    production_starting_interval: str
    production_ending_interval: str
    """The first moment after the interval."""
    expiry_datestamp: str | None
    """The first moment at which units not used have expired; null for never."""
    is_storage: bool
    sdr_allocation_id: str | None
    """The discharge the units are of: one for each device and interval, so the issuance's id."""
    storage_efficiency_factor: Decimal | None

    @property
    def units(self) -> UnitRange:
        """Which units of which interval; raises `DocumentUnusable` or `BadInterval`."""
        start = parse_time(self.production_starting_interval)
        interval = Interval(start, parse_time(self.production_ending_interval) - start)
        origin = Origin(meter_of(self.device_id), interval.start, interval.duration)
        first, end = (
            self.certificate_bundle_id_range_start,
            self.certificate_bundle_id_range_end + 1,
        )
        _require(self.issuance_id == issuance_id(origin), "issuance_id", "not device and interval")
        _require(0 <= first < end, "certificate_bundle_id_range_end", "before the range's start")
        _require(
            self.bundle_quantity == end - first,
            "bundle_quantity",
            f"{self.bundle_quantity}, but the range holds {end - first} units, its end included",
        )
        return UnitRange(origin, first, end)


# As numbers, so that no client has to know which of them are texts; exact all the same.
encode = msgspec.json.Encoder(decimal_format="number").encode
"""A document's bytes: fields in their fixed order, so the same document gives the same bytes."""
_read_bundle = msgspec.json.Decoder(BundleDocument).decode


def issuance_id(origin: Origin) -> str:
    """EnergyTag's name of an issuance.

    >>> issuance_id(Origin(bytes(20), 0, 900))
    '0000000000000000000000000000000000000000-1970-01-01T00:00:00Z'
    """
    return f"{origin.meter.hex()}-{time_text(origin.start)}"


def status_word(scheme: Scheme, state: State, bundle: Bundle, now: int) -> str:
    """How a bundle stands at a moment, in EnergyTag's word (R22)."""
    if bundle.status in LIVE and _context(scheme, state, now).is_expired(bundle.origin):
        return EXPIRED
    return STATUS_WORDS[bundle.status]


def statuses_of(word: str) -> frozenset[Status]:
    """What a bundle with EnergyTag's word may be here, for queries; raises `DocumentUnusable`."""
    if word == EXPIRED:
        return LIVE
    found = frozenset(status for status, said in STATUS_WORDS.items() if said == word)
    known = ", ".join(dict.fromkeys([*STATUS_WORDS.values(), EXPIRED]))
    _require(bool(found), "certificate_bundle_status", f"{word!r:.40}: use one of {known}")
    return found


def metadata_of(device: Device, facts: IssuerFacts) -> IssuanceMetadata:
    """What EnergyTag calls issuance metadata, for all certificates of a device."""
    return IssuanceMetadata(
        country_of_issuance=facts.country_of_issuance,
        connected_grid_identification=facts.connected_grid_identification,
        issuing_body=facts.issuing_body,
        legal_status=facts.legal_status,
        issuance_purpose=facts.issuance_purpose,
        support_received=device.support or None,
        quality_scheme_reference=facts.quality_scheme_reference,
        dissemination_level=facts.dissemination_level,
        issue_market_zone=device.zone,
    )


def bundle_document(
    state: State, bundle: Bundle, scheme: Scheme, facts: IssuerFacts, now: int
) -> BundleDocument:
    """A bundle as it stands at `now`, in UTC seconds."""
    origin, device = bundle.origin, state.devices[bundle.origin.meter]
    stored = device.storage_permille > 0
    document = BundleDocument(
        id=bundle.number,
        issuance_id=issuance_id(origin),
        hash="",
        certificate_bundle_status=status_word(scheme, state, bundle, now),
        account_id=bundle.holder.hex(),
        metadata_id=metadata_of(device, facts).metadata_id,
        certificate_bundle_id_range_start=bundle.first,
        certificate_bundle_id_range_end=bundle.end - 1,
        bundle_quantity=bundle.wh,
        beneficiary=_beneficiary(state, bundle),
        energy_carrier=ELECTRICITY,
        energy_source=energy_source(device),
        face_value=FACE_VALUE_WH,
        issuance_post_energy_carrier_conversion=False,
        emissions_factor_production_device=None,
        emissions_factor_source=None,
        device_id=origin.meter.hex(),
        production_starting_interval=time_text(origin.start),
        production_ending_interval=time_text(origin.end),
        expiry_datestamp=time_text(origin.end + scheme.lifetime_s) if scheme.lifetime_s else None,
        is_storage=stored,
        sdr_allocation_id=issuance_id(origin) if stored else None,
        storage_efficiency_factor=Decimal(device.storage_permille) / PERMILLE if stored else None,
    )
    return msgspec.structs.replace(document, hash=_hash_in(state, bundle, document))


def energy_source(device: Device) -> str:
    """EnergyTag's word for what a device makes energy from."""
    if device.storage_permille:
        return STORAGE_SOURCE
    if device.source >> 8 == _SOLAR_PV:
        return "solar_pv"
    return _SOURCES.get(device.source >> 16, OTHER_SOURCE)


def bundle_hash(document: BundleDocument, parent: str = "") -> str:
    """SHA-256 over what never changes of a bundle, and over the hash of the one it is part of."""
    fixed = (
        document.issuance_id,
        document.certificate_bundle_id_range_start,
        document.certificate_bundle_id_range_end,
        document.energy_carrier,
        document.energy_source,
        document.face_value,
        document.device_id,
        document.production_starting_interval,
        document.production_ending_interval,
        document.is_storage,
        parent,
    )
    return sha256(encode(fixed)).hexdigest()


def read_bundle(text: bytes) -> BundleDocument:
    """A bundle's document that agrees with itself.

    Raises:
        DocumentUnusable: it cannot be read, or its range, quantity, names or times do not fit.
    """
    try:
        document = _read_bundle(text[: DOCUMENT_BYTES_MAX + 1])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentUnusable(unreadable("bundle", error)) from None
    _require(document.face_value == FACE_VALUE_WH, "face_value", "a unit here is 1 Wh")
    _require(document.id >= 0, "id", "a bundle's number is 0 or more")
    statuses_of(document.certificate_bundle_status)
    try:
        document.units  # noqa: B018 - reading it is the check
    except (BadInterval, ActionRefused) as error:
        raise DocumentUnusable(f"an EnergyTag bundle: {error}") from None
    return document


def unreadable(what: str, error: Exception) -> str:
    """Why a document could not be read, on one line."""
    why = " ".join(str(error).split())
    return f"an EnergyTag {what}: {why:.200}; use the names and types of EnergyTag API v2"


def _beneficiary(state: State, bundle: Bundle) -> str | None:
    if bundle.status not in {Status.RETIRED, Status.CLAIMED}:
        return None
    retirement = state.retirements.get(bundle.number)
    return COMMUNITY if retirement is None else retirement.beneficiary.hex()


def _hash_in(state: State, bundle: Bundle, document: BundleDocument) -> str:
    """The bundle's hash, from the first one of its line down: a line may be very long."""
    line = [bundle]
    while (parent := line[-1].parent) is not None:
        line.append(state.bundles[parent])
    found = ""
    for part in reversed(line):
        ranged = msgspec.structs.replace(
            document,
            certificate_bundle_id_range_start=part.first,
            certificate_bundle_id_range_end=part.end - 1,
        )
        found = bundle_hash(ranged, found)
    return found


def _context(scheme: Scheme, state: State, now: int) -> Context:
    return Context(state, scheme, scheme.issuer, now, 0)


def _require(holds: bool, field: str, why: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise DocumentUnusable(f"an EnergyTag bundle: {field}: {why}")
