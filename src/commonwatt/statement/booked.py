"""What the book of certificates takes over from a community: its devices, and each interval.

A pure function of what was closed, so the issuer has nothing to decide: whoever recomputes the
statements knows every entry the issuer must have made, and every one it must not have made.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from commonwatt.certificate.actions import Action, Admit, Charge, Consume, Discharge, Issue, Put
from commonwatt.certificate.home import is_sound
from commonwatt.certificate.issue import Certificate
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import SECONDS_PER_DAY, Interval, split_exactly
from commonwatt.statement.close import Inputs, Statement
from commonwatt.statement.community import Community
from commonwatt.statement.publication import in_order


def devices_of(community: Community, kept: Mapping[bytes, int]) -> dict[bytes, int]:
    """The community's devices of the book, and the start from which each is one (R12).

    Args:
        community: members and meters.
        kept: generators whose certificates are kept in the book, and from which start, as the
            chain has it.

    Returns:
        By meter in the order of registration: generators that are kept; and batteries of members
        whose generators are all kept, since what is in them came from all of these.
    """
    roofs: dict[int, list[bytes]] = {}
    for registration in community.registrations:
        if registration.role is Role.GENERATION:
            roofs.setdefault(registration.member, []).append(registration.meter)
    devices = {}
    for registration in community.registrations:
        meter, own = registration.meter, roofs.get(registration.member, ())
        if registration.role is Role.GENERATION and meter in kept:
            devices[meter] = kept[meter]
        is_battery = registration.role is Role.STORAGE and community.storage_permille > 0
        if is_battery and own and all(roof in kept for roof in own):
            devices[meter] = max(kept[roof] for roof in own)
    return devices


def admissions(community: Community, devices: Mapping[bytes, int]) -> Iterator[Admit]:
    """What admits the community's devices to the book, in order (R11, R12)."""
    for registration in community.registrations:
        if registration.meter in devices:
            yield _admission(community, registration, devices[registration.meter])


def _admission(community: Community, registration: Registration, first_start: int) -> Admit:
    is_battery = registration.role is Role.STORAGE
    commissioned = datetime.fromtimestamp(registration.first_day * SECONDS_PER_DAY, UTC).date()
    return Admit(
        meter=registration.meter.hex(),
        owner=community.accounts[registration.member].hex(),
        source=registration.source,
        rated_w=registration.rated_w,
        zone=registration.zone,
        first_start=first_start,
        storage_permille=community.storage_permille if is_battery else 0,
        key=registration.public_key.hex(),
        commissioned=commissioned.isoformat(),
    )


def entries(
    community: Community, inputs: Inputs, statement: Statement, devices: Mapping[bytes, int]
) -> Iterator[Action]:
    """What the book takes over of one interval, in order.

    Charges come before what is put into them, and both before what comes out (R24). Then what each
    connection took, of which the statement's own retirements cover a part (R19).
    """
    interval = inputs.interval
    present = {meter for meter, first in devices.items() if first <= interval.start}
    batteries = [b for b in statement.certified.batteries if b.verdict.record.meter in present]
    issued = {c.meter: c for c in statement.certified.certificates if c.meter in present}
    made = {verdict.record.meter: verdict.export_wh for verdict in inputs.accepted}
    for battery in batteries:
        if battery.charged_wh:
            store = battery.verdict.record.meter.hex()
            yield Charge(store, interval.start, interval.duration, battery.charged_wh)
    for meter, certificate in issued.items():
        if community.by_meter[meter].role is Role.GENERATION:
            issue = _issue(certificate, made[meter], interval, present)
            if issue.retired_wh or issue.stored or issue.free_wh:
                yield issue
    for battery in batteries:
        out, meter = battery.verdict.export_wh, battery.verdict.record.meter
        if out:
            yield Discharge(
                meter=meter.hex(),
                start=interval.start,
                duration=interval.duration,
                wh=out,
                given_wh=battery.given_wh,
                retired_wh=issued[meter].retired_wh if meter in issued else 0,
                record=battery.verdict.digest.hex(),
            )
    yield from _consumptions(community, inputs, statement)
    yield from _late(community, inputs, statement, devices)


def _late(
    community: Community, inputs: Inputs, statement: Statement, devices: Mapping[bytes, int]
) -> Iterator[Action]:
    """What late records bring for intervals before: certificates, all free, and consumption."""
    for adjustment in statement.adjustments:
        start = adjustment.start
        if adjustment.issued_wh and devices.get(adjustment.meter, start + 1) <= start:
            yield Issue(
                meter=adjustment.meter.hex(),
                start=start,
                duration=inputs.interval.duration,
                metered_wh=adjustment.export_wh,
                retired_wh=0,
                free_wh=adjustment.issued_wh,
                record=adjustment.record.hex(),
            )
    for verdict in in_order(inputs.late):
        registration, record = community.by_meter[verdict.record.meter], verdict.record
        is_known = not verdict.gap and is_sound(record) and verdict.import_wh > 0
        if registration.role is Role.GRID and is_known:
            yield Consume(
                meter=registration.meter.hex(),
                start=record.time_end - record.duration,
                duration=record.duration,
                wh=verdict.import_wh,
                zone=registration.zone,
                owner=community.accounts[registration.member].hex(),
                covered_wh=0,
            )


def _issue(
    certificate: Certificate, metered_wh: int, interval: Interval, present: set[bytes]
) -> Issue:
    """One certificate; what went into a battery that is not in the book is told nowhere."""
    return Issue(
        meter=certificate.meter.hex(),
        start=interval.start,
        duration=interval.duration,
        metered_wh=metered_wh,
        retired_wh=certificate.retired_wh,
        free_wh=certificate.free_wh,
        record=certificate.proof.hex(),
        stored=tuple(Put(store.hex(), wh) for store, wh in certificate.put if store in present),
    )


def _consumptions(community: Community, inputs: Inputs, statement: Statement) -> Iterator[Consume]:
    """What each connection took in within this very interval, by a record that counts (R4, R19)."""
    found: dict[int, list[tuple[Registration, int]]] = {}
    for verdict in sorted(inputs.accepted, key=lambda verdict: verdict.record.meter):
        registration = community.by_meter[verdict.record.meter]
        is_known = not verdict.gap and is_sound(verdict.record) and verdict.import_wh > 0
        if registration.role is Role.GRID and is_known:
            found.setdefault(registration.member, []).append((registration, verdict.import_wh))
    interval, green = inputs.interval, statement.certified.green_wh
    for member, connections in sorted(found.items()):
        taken = [wh for _, wh in connections]
        covered = split_exactly(min(green[member], sum(taken)), taken)
        for (registration, wh), green_wh in zip(connections, covered, strict=True):
            yield Consume(
                meter=registration.meter.hex(),
                start=interval.start,
                duration=interval.duration,
                wh=wh,
                zone=registration.zone,
                owner=community.accounts[member].hex(),
                covered_wh=green_wh,
            )
