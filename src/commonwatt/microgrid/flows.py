"""What each meter of a home counts: the battery's rule, and the law that no energy is lost.

The rule of the demo is the one most home batteries follow: store what the roof gives beyond what
the home uses, and give it back as soon as the home uses more than the roof gives. A battery
never charges from the grid and never discharges into it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from commonwatt.errors import require
from commonwatt.microgrid.neighbourhood import PERMILLE, Battery, Home
from commonwatt.quantity import MWH_PER_WH, SECONDS_PER_HOUR


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


def flows_of(home: Home, interval_s: int) -> Flows:
    """What the meters of a home count; its battery starts empty.

    Args:
        home: the home, with `n` intervals of load and PV.
        interval_s: length of one interval in seconds.

    Returns:
        Arrays of length `n`.

    Raises:
        InvariantBroken: if energy appeared or vanished; a defect, never a matter of input.

    """
    load = home.load_mwh
    pv = home.pv_mwh if home.pv_mwh is not None else np.zeros_like(load)
    surplus = pv - load
    charge, discharge, stored = _battery_run(home.battery, surplus, interval_s)
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
    battery: Battery | None, surplus: NDArray[np.int64], interval_s: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Charge, discharge and stored energy per interval, given PV minus load per interval."""
    charge, discharge, stored = (np.zeros_like(surplus) for _ in range(3))
    if battery is None:
        return charge, discharge, stored
    capacity = battery.capacity_wh * MWH_PER_WH
    charge_max = _energy_mwh(battery.charge_w, interval_s)
    discharge_max = _energy_mwh(battery.discharge_w, interval_s)
    efficiency = battery.efficiency_permille
    held = 0
    for index, spare in enumerate(surplus.tolist()):
        if spare > 0:
            # The most that may go in: what is left of it after the loss still fits.
            fits = (capacity - held) * PERMILLE // efficiency
            taken = min(spare, charge_max, fits)
            held += taken * efficiency // PERMILLE
            charge[index] = taken
        elif spare < 0:
            given = min(-spare, discharge_max, held)
            held -= given
            discharge[index] = given
        stored[index] = held
    return charge, discharge, stored


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
