"""What people say of a meter: that its device was exchanged, or what a record should have said."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from commonwatt.meter.driver.energy import ENERGY_MWH_MAX
from commonwatt.meter.record import Kind, Quality, Record, SignedRecord
from commonwatt.node.gateway.delivered import Correctable
from commonwatt.node.gateway.errors import (
    CorrectionUnusable,
    ExchangeUnusable,
    GatewayBusy,
    GatewaySettingsUnusable,
)
from commonwatt.node.gateway.gateway import FolderLock
from commonwatt.node.gateway.key_file import read_key
from commonwatt.node.gateway.registers import Exchange, Offset, Registers, offset_of
from commonwatt.node.gateway.settings import (
    SPOOL_FILE,
    GatewaySettings,
    MeterSettings,
    read_settings,
    write_settings,
)
from commonwatt.node.gateway.spool import MeterState, Spool
from commonwatt.quantity import decimal_text, time_text

MWH_PER_KWH_PLACES = 6


class Shown(NamedTuple):
    """What a device's own display says, in mWh."""

    import_mwh: int
    """Register 1.8.0."""
    export_mwh: int
    """Register 2.8.0."""

    def registers(self, time: int, meter: MeterSettings) -> Registers:
        """As the meter's records have it."""
        into, out = self.export_mwh, self.import_mwh
        return Registers(time, into, out) if meter.reversed else Registers(time, *self)


def exchange_meter(
    folder: Path,
    name: str,
    *,
    final: Shown,
    start: Shown,
    time: int,
    devices: tuple[str, ...] = (),
) -> Exchange:
    """Let a meter's registers go on with another device; the same again changes nothing.

    Args:
        folder: the gateway's; nobody else may work in it.
        name: the meter's.
        final: what the old device said at last.
        start: what the new one said at first.
        time: of the exchange, UTC seconds.
        devices: what the new device calls itself; the same unless given.

    Raises:
        ExchangeUnusable: it cannot be; nothing was changed.
        GatewayBusy: the gateway runs.
        InputError: what is wrong with the folder, and what to do.
    """
    _meter_of(read_settings(folder), folder, name)  # a slip in the name is said first
    try:
        lock = FolderLock(folder)
    except GatewayBusy:
        raise GatewayBusy(
            f"{folder}: its gateway runs; stop it, say the exchange again, then start it again"
        ) from None
    try:
        settings = read_settings(folder)
        meter = _meter_of(settings, folder, name)
        if meter.counts == "intervals":
            raise ExchangeUnusable(
                f"meter {name}: its device says the energy of intervals and no registers, so an "
                "exchange needs no offset; write what the new one calls itself into gateway.toml"
            )
        if devices and meter.source == "homeassistant":
            raise ExchangeUnusable(
                f"meter {name}: its devices are entities of Home Assistant; leave --device away "
                "and write the new ones into gateway.toml"
            )
        spool = Spool(folder / SPOOL_FILE, settings.spool_records_max)
        try:
            made = _exchange(
                spool,
                _meter_id(spool, folder, name),
                meter,
                final.registers(time, meter),
                start.registers(time, meter),
            )
        finally:
            spool.close()
        # The spool goes first: whoever is interrupted here says the same again.
        if devices and devices != meter.devices:
            changed = msgspec.structs.replace(meter, devices=devices)
            meters = tuple(changed if one is meter else one for one in settings.meters)
            write_settings(folder, msgspec.structs.replace(settings, meters=meters))
        return made
    finally:
        lock.close()


def _exchange(
    spool: Spool, meter: bytes, settings: MeterSettings, final: Registers, start: Registers
) -> Exchange:
    state, made = spool.states()[meter], spool.exchanges(meter)
    if made and (made[-1].final[1:], made[-1].start[1:]) == (final[1:], start[1:]):
        return made[-1]
    _require_not_before_read(settings.name, state, made, final.time)
    # One whose record is not signed yet is replaced; a later one comes on top of those before.
    stands = offset_of(made, state.last_record.sequence)
    exchange = exchange_after(settings, state, stands, final, start)
    spool.exchange(meter, exchange)
    return exchange


def _require_not_before_read(
    name: str, state: MeterState, made: Sequence[Exchange], time: int
) -> None:
    read = counts = state.known.at.time
    if made and made[-1].offset.sequence > state.last_record.sequence:
        # What was read since an exchange that is said anew is the new device's.
        counts = min(read, made[-1].offset.time)
    if time < counts:
        raise ExchangeUnusable(
            f"meter {name}: an exchange of {time_text(time)}, but what was read until "
            f"{time_text(counts)} counts already; give --at that time or a later one, and the "
            "final readings as of then"
        )


def exchange_after(
    meter: MeterSettings, state: MeterState, offset: Offset, final: Registers, start: Registers
) -> Exchange:
    """The offset with which a meter's registers go on.

    Args:
        meter: the meter's settings.
        state: where its chain stands.
        offset: the old device's own.
        final: what the old device said at last, turned where the meter is reversed.
        start: what the new one said at first, likewise.

    Raises:
        ExchangeUnusable: the old device said more before, or the registers would not fit.
    """
    read = state.known.at
    name, shown = meter.name, ("export", "import") if meter.reversed else ("import", "export")
    registers = (
        (shown[0], read.import_mwh, final.import_mwh + offset.import_mwh, offset.import_mwh),
        (shown[1], read.export_mwh, final.export_mwh + offset.export_mwh, offset.export_mwh),
    )
    for register, was_read, ends, added in registers:
        if ends < was_read:
            raise ExchangeUnusable(
                f"meter {name}: its final {register} of {_kwh(ends - added)} is less than the "
                f"{_kwh(was_read - added)} that was read at {time_text(read.time)}; write what the "
                "old device's display said at last"
            )
        if ends > ENERGY_MWH_MAX:
            raise ExchangeUnusable(
                f"meter {name}: its {register} register would stand at {_kwh(ends)}, more than a "
                "record is given; check the final readings"
            )
    return Exchange(
        final,
        start,
        Offset(
            offset.import_mwh + final.import_mwh - start.import_mwh,
            offset.export_mwh + final.export_mwh - start.export_mwh,
            state.last_record.sequence + 1,
            final.time,
        ),
    )


def correct_record(
    folder: Path, name: str, *, end: int, shown: Shown, password: str | None = None
) -> Record:
    """Sign what an earlier record should have said, and let it wait for the node (rule R10).

    The gateway may run meanwhile.

    Args:
        folder: the gateway's.
        name: the meter's.
        end: of the record's interval, UTC seconds.
        shown: what the device's registers truly were then.
        password: of the key, where it is encrypted.

    Raises:
        CorrectionUnusable: it cannot be; nothing was signed.
        InputError: what is wrong with the folder, and what to do.
    """
    settings = read_settings(folder)
    meter = _meter_of(settings, folder, name)
    key = read_key(folder / f"{name}.pem", password)
    spool = Spool(folder / SPOOL_FILE, settings.spool_records_max)

    def sign(found: Correctable) -> SignedRecord:
        return key.sign(correction_of(found, shown.registers(end, meter)).encode())

    try:
        signed = spool.correct(_meter_id(spool, folder, name), end, sign)
    finally:
        spool.close()
    return Record.decode(signed.record)


def correction_of(found: Correctable, device: Registers) -> Record:
    """The correction of a record.

    Args:
        found: the record, and what is around it.
        device: what the device's registers truly were at its end.

    Raises:
        CorrectionUnusable: nothing changes, or registers would fall.
    """
    old, offset = found.record, found.offset
    true = Registers(
        old.time_end,
        device.import_mwh + offset.import_mwh,
        device.export_mwh + offset.export_mwh,
    )
    if true == Registers(old.time_end, old.import_mwh, old.export_mwh):
        raise CorrectionUnusable(
            f"{time_text(old.time_end)}: the record says {_both(true)} already{_added(offset)}; "
            "nothing to correct"
        )
    for before, after, other in ((found.before, true, "before"), (true, found.after, "after")):
        if before is None or not _falls(before, after):
            continue
        beside = before if other == "before" else after
        raise CorrectionUnusable(
            f"{time_text(old.time_end)}: {_both(true)} does not go with the registers {other} it, "
            f"{_both(beside)} at {time_text(beside.time)}{_added(offset)}; registers never "
            "fall, so check the values, or correct that one first"
        )
    if min(true[1:]) < 0 or max(true[1:]) > ENERGY_MWH_MAX:
        raise CorrectionUnusable(
            f"{time_text(old.time_end)}: no record holds {_both(true)}{_added(offset)}; check the "
            "values"
        )
    return old._replace(
        kind=Kind.CORRECTION,
        quality=Quality.MANUAL | Quality.VOUCHED,
        import_mwh=true.import_mwh,
        export_mwh=true.export_mwh,
        previous=found.digest,
    )


def _falls(before: Registers, after: Registers) -> bool:
    return after.import_mwh < before.import_mwh or after.export_mwh < before.export_mwh


def _meter_of(settings: GatewaySettings, folder: Path, name: str) -> MeterSettings:
    for meter in settings.meters:
        if meter.name == name:
            return meter
    known = ", ".join(meter.name for meter in settings.meters) or "none"
    raise GatewaySettingsUnusable(f"{folder}: no meter {name!r:.80}; name one of its own: {known}")


def _meter_id(spool: Spool, folder: Path, name: str) -> bytes:
    for meter, opening in spool.openings().items():
        if opening.name == name:
            return meter
    raise GatewaySettingsUnusable(
        f"{folder}: meter {name} has no opening record in the spool; make it with commonwatt "
        "gateway init"
    )


def _added(offset: Offset) -> str:
    """What a person has to know who types registers as `gateway show` or the node has them."""
    if offset.import_mwh == offset.export_mwh == 0:
        return ""
    return (
        f" (since its exchange {_kwh(offset.import_mwh)} in and {_kwh(offset.export_mwh)} out are "
        "added to what the device's display says; give what the display said)"
    )


def _both(registers: Registers) -> str:
    return f"{_kwh(registers.import_mwh)} in and {_kwh(registers.export_mwh)} out"


def _kwh(mwh: int) -> str:
    return f"{decimal_text(mwh, MWH_PER_KWH_PLACES)} kWh"
