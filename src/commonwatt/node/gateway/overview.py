"""What a gateway has: its meters, what waits, what was refused. Read beside it while it runs."""

from collections import Counter

import msgspec

from commonwatt.node.gateway.registers import offset_of
from commonwatt.node.gateway.settings import GatewaySettings
from commonwatt.node.gateway.sources import shown_address
from commonwatt.node.gateway.spool import Opening, Spool
from commonwatt.quantity import time_text


class Registration(msgspec.Struct, frozen=True):
    """What an operator needs of a meter, as a community's file takes it; bytes as hex digits."""

    public_key: str
    role: str
    opening: str
    """The opening record: sequence 0."""
    signature: str


class MeterOverview(msgspec.Struct, frozen=True):
    """One meter."""

    name: str
    meter: str
    registration: Registration
    sequence: int
    """Of the last record that was signed."""
    time_end: str
    import_mwh: int
    export_mwh: int
    added_import_mwh: int
    """In the registers of that record, since the device took another's place."""
    added_export_mwh: int
    waiting: int
    """Records the node has not answered."""
    corrections: int
    """Corrections among these."""


class RefusedOverview(msgspec.Struct, frozen=True):
    """A record that the node will not take."""

    meter: str
    sequence: int
    reason: str


class Overview(msgspec.Struct, frozen=True):
    """A gateway."""

    community: str
    to: str
    ledger: str
    interval_s: int
    waiting: int
    spool_records_max: int
    meters: tuple[MeterOverview, ...]
    correction_retry_s: float
    """After at most so many seconds a correction is sent again whose interval is open."""
    refused: tuple[RefusedOverview, ...]
    """The oldest first."""


def registration_of(role: str, opening: Opening) -> Registration:
    """What the operator needs to register a meter."""
    return Registration(
        public_key=opening.public_key.hex(),
        role=role,
        opening=opening.signed.record.hex(),
        signature=opening.signed.signature.hex(),
    )


def overview_of(settings: GatewaySettings, spool: Spool) -> Overview:
    """What a gateway has; raises `DatabaseUnusable`."""
    states, roles = spool.states(), {meter.name: meter.role for meter in settings.meters}
    corrections = Counter(one.name.meter for one in spool.waiting_corrections())
    meters = []
    for meter, opening in spool.openings().items():
        if opening.name not in roles:
            continue
        last = states[meter].last_record
        added = offset_of(spool.exchanges(meter), last.sequence)
        meters.append(
            MeterOverview(
                name=opening.name,
                meter=meter.hex(),
                registration=registration_of(roles[opening.name], opening),
                sequence=last.sequence,
                time_end=time_text(last.time_end),
                import_mwh=last.import_mwh,
                export_mwh=last.export_mwh,
                added_import_mwh=added.import_mwh,
                added_export_mwh=added.export_mwh,
                waiting=spool.waiting_of(meter),
                corrections=corrections[meter],
            )
        )
    return Overview(
        community=settings.community,
        to=shown_address(settings.to),
        ledger=settings.ledger,
        interval_s=settings.interval_s,
        waiting=spool.count,
        spool_records_max=settings.spool_records_max,
        meters=tuple(sorted(meters, key=lambda meter: meter.name)),
        correction_retry_s=settings.correction_retry_s,
        refused=tuple(
            RefusedOverview(refused.name.meter.hex(), refused.name.sequence, refused.reason)
            for refused in spool.refused()
        ),
    )
