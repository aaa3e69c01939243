"""What each meter of a home counts: the battery's rule, and the law that no energy is lost.

A battery stores what the roof gives beyond what the home uses, and gives it back as soon as the
home uses more than the roof gives, as most home batteries do. In the evening, when a street needs
most and its roofs give nothing, it takes nothing in, and gives the street what it holds beyond a
reserve for its own night, spread evenly. It never charges from the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonwatt.errors import require
from commonwatt.microgrid.neighbourhood import PERMILLE, Battery, Home, Neighbourhood
from commonwatt.quantity import MWH_PER_WH, SECONDS_PER_DAY, SECONDS_PER_HOUR

EVENING_S = (18 * SECONDS_PER_HOUR, 22 * SECONDS_PER_HOUR)
"""Seconds of the local day in which batteries give to the street: the hours of most use."""
RESERVE_PERMILLE = 500
"""So much of its capacity a battery keeps for its own home's night."""


@dataclass(frozen=True, slots=True)
class Flows:
    """The energy that each meter of a home counted, and what its battery held, per interval.

    In every interval `load + export + charge = import + pv + discharge`; and
    `charge = discharge + loss + change of stored`. All are milliwatt-hours, none is negative.
    """

    import_mwh: NDArray[np.int64]
    """Grid meter, in."""
    export_mwh: NDArray[np.int64]
    """Grid meter, out."""
    pv_mwh: NDArray[np.int64]
    """Generation meter; zeros without PV."""
    charge_mwh: NDArray[np.int64]
    """Storage meter, in; zeros without a battery."""
    discharge_mwh: NDArray[np.int64]
    """Storage meter, out; zeros without a battery."""
    stored_mwh: NDArray[np.int64]
    """What the battery holds at the end of the interval, as what it can still give back."""
    loss_mwh: NDArray[np.int64]
    """What became heat in the battery; counted in full while charging."""


def flows_of(neighbourhood: Neighbourhood, home: Home) -> Flows:
    """What the meters of a home count; its battery starts empty.

    Args:
        neighbourhood: where and when the home is.
        home: one of its homes, with `n` intervals of load and PV.

    Returns:
        Arrays of length `n`.

    Raises:
        InvariantBroken: if energy appeared or vanished; a defect, never a matter of input.

    """
    load = home.load_mwh
    pv = home.pv_mwh if home.pv_mwh is not None else np.zeros_like(load)
    surplus = pv - load
    charge, discharge, stored = _battery_run(neighbourhood, home, surplus)
    net = surplus - charge + discharge
    loss = charge - discharge - np.diff(stored, prepend=0)
    flows = Flows(
        import_mwh=np.maximum(-net, 0),
        export_mwh=np.maximum(net, 0),
        pv_mwh=pv,
        charge_mwh=charge,
        discharge_mwh=discharge,
        stored_mwh=stored,
        loss_mwh=loss,
    )
    _require_conserved(home, flows)
    return flows


def _battery_run(
    neighbourhood: Neighbourhood, home: Home, surplus: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Charge, discharge and stored energy per interval, given PV minus load per interval."""
    charge, discharge, stored = (np.zeros_like(surplus) for _ in range(3))
    if home.battery is None:
        return charge, discharge, stored
    battery = _Limits.of(home.battery, home.connection_w, neighbourhood.interval_s)
    held = 0
    for index, (spare, left) in enumerate(
        zip(surplus.tolist(), evening_left(neighbourhood), strict=True)
    ):
        if spare > 0 and not left:
            taken, kept = battery.takes(spare, held)
            held += kept
            charge[index] = taken
        else:
            given = battery.gives(spare, held, left)
            held -= given
            discharge[index] = given
        stored[index] = held
    return charge, discharge, stored


def evening_left(neighbourhood: Neighbourhood) -> Sequence[int]:
    """Per interval how many of its evening are left, itself included; 0 outside of evenings."""
    first, end = EVENING_S
    step = neighbourhood.interval_s
    left = []
    for index in range(neighbourhood.intervals):
        local = neighbourhood.start + index * step + neighbourhood.utc_offset_s
        clock = local % SECONDS_PER_DAY
        left.append(-(-(end - clock) // step) if first <= clock < end else 0)
    return left


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a battery can do within one interval, in milliwatt-hours."""

    capacity: int
    charge: int
    discharge: int
    reserve: int
    efficiency: int
    connection: int
    """The most that the home may give the street."""

    @classmethod
    def of(cls, battery: Battery, connection_w: int, interval_s: int) -> "_Limits":
        capacity = battery.capacity_wh * MWH_PER_WH
        return cls(
            capacity=capacity,
            charge=_energy_mwh(battery.charge_w, interval_s),
            discharge=_energy_mwh(battery.discharge_w, interval_s),
            reserve=capacity * RESERVE_PERMILLE // PERMILLE,
            efficiency=battery.efficiency_permille,
            connection=_energy_mwh(connection_w, interval_s),
        )

    def takes(self, spare: int, held: int) -> tuple[int, int]:
        """What goes in of what the roof has to spare, and what is left of it after the loss."""
        fits = (self.capacity - held) * PERMILLE // self.efficiency
        taken = min(spare, self.charge, fits)
        return taken, taken * self.efficiency // PERMILLE

    def gives(self, spare: int, held: int, evening: int) -> int:
        """What comes out: the home's own need first, then the street's share of the evening."""
        own = min(max(-spare, 0), self.discharge, held)
        if not evening:
            return own
        share = max(held - own - self.reserve, 0) // evening
        room = max(self.connection - max(spare, 0), 0)
        return own + min(share, self.discharge - own, room)


def _energy_mwh(power_w: int, interval_s: int) -> int:
    """The energy of a power over an interval, the last part of a milliwatt-hour left off."""
    return power_w * interval_s * MWH_PER_WH // SECONDS_PER_HOUR


def _require_conserved(home: Home, flows: Flows) -> None:
    """Energy in equals energy out in every interval, and the battery stays within its walls."""
    left = home.load_mwh + flows.export_mwh + flows.charge_mwh
    right = flows.import_mwh + flows.pv_mwh + flows.discharge_mwh
    require("load + export + charge = import + pv + discharge", _all(left == right), home=home.name)
    require("a battery makes no energy", _all(flows.loss_mwh >= 0), home=home.name)
    capacity = home.battery.capacity_wh * MWH_PER_WH if home.battery is not None else 0
    within = (flows.stored_mwh >= 0) & (flows.stored_mwh <= capacity)
    require("stored energy lies between 0 and the capacity", _all(within), home=home.name)


def _all(holds: NDArray[np.bool_]) -> bool:
    return bool(holds.all())
