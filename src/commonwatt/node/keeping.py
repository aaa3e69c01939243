"""How inputs and states are kept in the database: compact bytes that read back exactly."""

import msgspec

from commonwatt.certificate.home import Lot
from commonwatt.market.book import Limits, Tariff
from commonwatt.meter.acceptance import Accepted, Gap, Late, Refused, Standing
from commonwatt.meter.record import Record
from commonwatt.quantity import Interval
from commonwatt.settlement.adjustment import SupplierPrices
from commonwatt.statement.close import Inputs, State


class _KeptInputs(msgspec.Struct, array_like=True):
    """An interval's inputs without its records, which have a table of their own."""

    tariff: tuple[int, int, int, int]
    limits: tuple[tuple[int, int], ...]
    shares: tuple[int, ...]
    flows: int
    balances: tuple[int, ...]
    supplier: int
    salt_key: bytes


class _KeptGap(msgspec.Struct, array_like=True):
    before: bytes
    digest: bytes
    after: bytes


class _KeptState(msgspec.Struct, array_like=True):
    standings: tuple[bytes, ...]
    """Each meter's last record."""
    digests: tuple[bytes, ...]
    gaps: tuple[tuple[_KeptGap, ...], ...]
    arrears: tuple[int, ...]
    grid_arrears: int
    previous: bytes
    lots: tuple[tuple[bytes, tuple[tuple[int, int], ...]], ...]
    """By storage meter: start and Wh of each."""
    prices: tuple[tuple[int, int, int], ...]
    owed: tuple[tuple[int, int], ...] = ()
    """Member and Wh of certificates; states kept before corrections were taken have none."""


_encoder = msgspec.msgpack.Encoder()
_read_inputs = msgspec.msgpack.Decoder(_KeptInputs)
_read_state = msgspec.msgpack.Decoder(_KeptState)


def keep_inputs(inputs: Inputs) -> bytes:
    """The bytes of all but the records."""
    tariff = inputs.tariff
    return _encoder.encode(
        _KeptInputs(
            (tariff.retail, tariff.feed_in, tariff.fee_local, tariff.fee_supplier),
            tuple((limits.bid, limits.ask) for limits in inputs.limits),
            inputs.shares,
            inputs.flows,
            inputs.balances,
            inputs.supplier,
            inputs.salt_key,
        )
    )


def kept_inputs(
    kept: bytes,
    interval: Interval,
    accepted: tuple[Accepted, ...],
    late: tuple[Late, ...],
    refused: tuple[Refused, ...],
) -> Inputs:
    """The inputs again, joined with the interval's records."""
    found = _read_inputs.decode(kept)
    return Inputs(
        interval=interval,
        tariff=Tariff(*found.tariff),
        accepted=accepted,
        late=late,
        refused=refused,
        limits=tuple(Limits(*pair) for pair in found.limits),
        shares=found.shares,
        flows=found.flows,
        balances=found.balances,
        supplier=found.supplier,
        salt_key=found.salt_key,
    )


def keep_state(state: State) -> bytes:
    """The bytes of a state."""
    standings = sorted(state.standings.values(), key=lambda standing: standing.record.meter)
    return _encoder.encode(
        _KeptState(
            tuple(standing.record.encode() for standing in standings),
            tuple(standing.digest for standing in standings),
            tuple(tuple(map(_keep_gap, standing.gaps)) for standing in standings),
            state.arrears,
            state.grid_arrears,
            state.previous,
            tuple(sorted((meter, tuple(lots)) for meter, lots in state.lots.items())),
            state.prices,
            tuple(sorted(state.owed.items())),
        )
    )


def _keep_gap(gap: Gap) -> _KeptGap:
    return _KeptGap(gap.before.encode(), gap.digest, gap.after.encode())


def _kept_gap(kept: _KeptGap) -> Gap:
    return Gap(Record.decode(kept.before), kept.digest, Record.decode(kept.after))


def kept_state(kept: bytes) -> State:
    """The state again."""
    found = _read_state.decode(kept)
    records = [Record.decode(record) for record in found.standings]
    standings = {
        record.meter: Standing(record, digest, tuple(map(_kept_gap, gaps)))
        for record, digest, gaps in zip(records, found.digests, found.gaps, strict=True)
    }
    lots = {meter: tuple(Lot(*lot) for lot in of_meter) for meter, of_meter in found.lots}
    prices = tuple(SupplierPrices(*one) for one in found.prices)
    return State(
        standings,
        found.arrears,
        found.grid_arrears,
        found.previous,
        lots,
        prices,
        dict(found.owed),
    )
