"""`commonwatt certificate show` of a bundle: where it comes from, whose it is, how it got there."""

from collections.abc import Iterator

from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.state import Device, Issuance
from commonwatt.chain.account import checksum
from commonwatt.cli.book_history import Step, history_of
from commonwatt.cli.book_list import EXPIRED, RETIRED_AT_ISSUE, state_of
from commonwatt.cli.book_run import OpenBook, book_of
from commonwatt.cli.book_statements import RETIREMENTS
from commonwatt.cli.certificate_run import Run
from commonwatt.cli.certificate_words import (
    LABEL,
    moment,
    print_json,
    print_table,
    printable,
    short_meter,
)


def show_bundle(run: Run, number: int, *, as_json: bool) -> None:
    """Print all there is to know of one bundle."""
    with book_of(run) as book:
        bundle = book.bundle(number)
        steps = history_of(book, bundle)
        if as_json:
            print_json(_as_json(book, bundle, steps))
            return
        for label, text in _lines(book, bundle):
            print(f"{label:<{LABEL}}{printable(text)}".rstrip())
        print()
        rows = [
            (f"{step.number:,}", moment(step.time), _actor(book, step.actor), step.words)
            for step in steps
        ]
        print_table(("entry", "time", "account", "what"), rows, right=range(1))


def _lines(book: OpenBook, bundle: Bundle) -> Iterator[tuple[str, str]]:
    state, origin = book.state, bundle.origin
    issuance, device = state.issuances[origin], state.devices[origin.meter]
    units = f"{bundle.first:,} to {bundle.end - 1:,} of the {issuance.issued_wh:,} issued"
    yield "bundle", f"b{bundle.number}, {bundle.wh:,} Wh, units {units}"
    if bundle.parent is not None:
        yield "part of", f"b{bundle.parent}"
    yield "meter", origin.meter.hex()
    yield "interval", f"{moment(origin.start)} to {moment(origin.end)}"
    yield "zone", device.zone
    yield "source", _source(device)
    yield "record", f"{issuance.record.hex()}, {_proof(device)}"
    if device.commissioned:
        yield "in service", f"since {device.commissioned}"
    if device.support:
        yield "support", device.support
    for label, link in zip(_labels("charged"), issuance.links, strict=False):
        put = [f"b{number}" for number, charge in state.stored.items() if charge == link.charge]
        yield label, f"{link.wh:,} Wh of {_place(link.charge)}, of {' and '.join(put)}"
    yield "holder", book.run.account_text(bundle.holder)
    expires, found = book.expires(origin), state_of(book, bundle)
    yield "state", _state_words(book, bundle, found)
    if found == EXPIRED or bundle.status in {Status.ACTIVE, Status.RESERVED}:
        yield "expired" if found == EXPIRED else "expires", moment(expires) if expires else "never"
    yield from _retirement_lines(book, bundle)


def _retirement_lines(book: OpenBook, bundle: Bundle) -> Iterator[tuple[str, str]]:
    retirement = book.state.retirements.get(bundle.number)
    if retirement is None:
        return
    yield "beneficiary", book.run.account_text(retirement.beneficiary)
    yield "purpose", retirement.purpose
    used = retirement.consumption
    if used is None:
        yield "consumption", "none named"
    else:
        found = book.state.consumptions[used]
        yield "consumption", f"{used.meter.hex()} in {found.zone}, {_span(used)}"
        vouched = f", vouched for by {found.voucher}" if found.voucher else ""
        yield "", f"{found.wh:,} Wh, {found.matched_wh:,} Wh of them matched{vouched}"
    yield "statement", f"{RETIREMENTS}/b{bundle.number}.json"


def _state_words(book: OpenBook, bundle: Bundle, found: str) -> str:
    """What became of a bundle, with what belongs to it."""
    if found == RETIRED_AT_ISSUE:
        return f"{found}, for those who bought the energy in this interval"
    if bundle.status is Status.STORED:
        return f"{found}, put into {_place(book.state.stored[bundle.number])}"
    if bundle.status is Status.RESERVED:
        whom, until = book.state.reservations[bundle.number]
        return f"{found} for {book.run.account_text(whom)} until {moment(until)}"
    if bundle.status is Status.SPLIT:
        parts = (part for part in book.state.bundles.values() if part.parent == bundle.number)
        return "divided into " + " and ".join(f"b{part.number}" for part in parts)
    return found


def _source(device: Device) -> str:
    power = f"{device.rated_w:,} W"
    if device.storage_permille:
        return f"storage, {power}, {device.storage_permille / 10:g} % comes out again at most"
    return f"T{device.source:06x}, {power}"


def _proof(device: Device) -> str:
    return "signed by the meter" if device.key else f"vouched for by {device.voucher}"


def _actor(book: OpenBook, account: bytes) -> str:
    is_issuer = account == book.store.log.book.scheme.issuer
    return checksum(account) + " (issuer)" if is_issuer else book.run.account_text(account)


def _labels(first: str) -> Iterator[str]:
    yield first
    while True:
        yield ""


def _place(origin: Origin) -> str:
    return f"{short_meter(origin.meter)}@{moment(origin.start)}"


def _span(origin: Origin) -> str:
    return f"{moment(origin.start)} to {moment(origin.end)}"


def _as_json(book: OpenBook, bundle: Bundle, steps: list[Step]) -> dict[str, object]:
    origin, expires = bundle.origin, book.expires(bundle.origin)
    issuance, device = book.state.issuances[origin], book.state.devices[origin.meter]
    reservation = book.state.reservations.get(bundle.number)
    stored = book.state.stored.get(bundle.number)
    return {
        "bundle": bundle.number,
        "part_of": bundle.parent,
        **_interval_json(origin),
        "zone": device.zone,
        "source": None if device.storage_permille else f"T{device.source:06x}",
        "rated_w": device.rated_w,
        "storage_permille": device.storage_permille or None,
        "support": device.support,
        "commissioned": device.commissioned,
        "record": issuance.record.hex(),
        "voucher": device.voucher,
        "charges": _charges_json(issuance),
        "issued_wh": issuance.issued_wh,
        "first": bundle.first,
        "wh": bundle.wh,
        "account": checksum(bundle.holder),
        "state": state_of(book, bundle),
        "expires": None if expires is None else moment(expires),
        "reserved_for": None if reservation is None else checksum(reservation[0]),
        "reserved_until": None if reservation is None else moment(reservation[1]),
        "stored_in": None if stored is None else _interval_json(stored),
        "retirement": _retirement_json(book, bundle),
        "entries": [step.as_json() for step in steps],
    }


def _charges_json(issuance: Issuance) -> list[dict[str, object]]:
    return [{**_interval_json(link.charge), "wh": link.wh} for link in issuance.links]


def _interval_json(origin: Origin) -> dict[str, object]:
    return {
        "meter": origin.meter.hex(),
        "start": moment(origin.start),
        "end": moment(origin.end),
    }


def _retirement_json(book: OpenBook, bundle: Bundle) -> dict[str, object] | None:
    retirement = book.state.retirements.get(bundle.number)
    if retirement is None:
        return None
    used = retirement.consumption
    return {
        "beneficiary": checksum(retirement.beneficiary),
        "purpose": retirement.purpose,
        "consumption": None
        if used is None
        else {**_interval_json(used), "zone": book.state.consumptions[used].zone},
        "statement": f"{RETIREMENTS}/b{bundle.number}.json",
    }
