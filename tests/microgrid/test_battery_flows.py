"""What each meter counts: the battery's rule, and that no energy appears or vanishes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.errors import InvariantBroken
from commonwatt.microgrid import Battery, Flows, Home, Neighbourhood, flows_of
from commonwatt.microgrid import flows as flows_module

QUARTER = 900
MIDNIGHT, EVENING = 86_400 * 365, 86_400 * 365 + 18 * 3_600
MWH_PER_KWH = 1_000_000


def home(load: list[int], pv: list[int] | None, battery: Battery | None = None) -> Home:
    """A home with the given series in mWh."""
    return Home(
        name="Household 01",
        kind="household",
        load_mwh=np.array(load, np.int64),
        pv_mwh=None if pv is None else np.array(pv, np.int64),
        pv_peak_w=0 if pv is None else 10_000,
        battery=battery,
        connection_w=20_000,
    )


def wall_battery(**changes: int) -> Battery:
    """A battery of 10 kWh, 4 kW, that loses a tenth."""
    usual = {
        "capacity_wh": 10_000,
        "charge_w": 4_000,
        "discharge_w": 4_000,
        "efficiency_permille": 900,
    }
    return Battery(**(usual | changes))


def counted(subject: Home, interval_s: int = QUARTER, *, start: int = MIDNIGHT) -> Flows:
    """What the meters of one home count, from a start on."""
    alone = Neighbourhood(
        name="test",
        source="test",
        interval_s=interval_s,
        start=start,
        utc_offset_s=0,
        homes=(subject,),
    )
    return flows_of(alone, subject)


def of(series: np.ndarray) -> list[int]:
    """A series as plain integers."""
    return [int(value) for value in series]


def test_a_home_without_pv_imports_what_it_uses() -> None:
    flows = counted(home([5, 0, 7], None))
    assert of(flows.import_mwh) == [5, 0, 7]
    assert of(flows.export_mwh) == of(flows.pv_mwh) == of(flows.charge_mwh) == [0, 0, 0]


def test_pv_beyond_the_need_is_exported_without_a_battery() -> None:
    flows = counted(home([5, 5], [2, 9]))
    assert of(flows.import_mwh) == [3, 0]
    assert of(flows.export_mwh) == [0, 4]


def test_a_battery_stores_surplus_and_gives_it_back_less_its_loss() -> None:
    flows = counted(home([0, 600], [1_000, 0], wall_battery()))
    assert of(flows.charge_mwh) == [1_000, 0]
    assert of(flows.stored_mwh) == [900, 300]
    assert of(flows.loss_mwh) == [100, 0]
    assert of(flows.discharge_mwh) == [0, 600]
    assert of(flows.import_mwh) == of(flows.export_mwh) == [0, 0]


def test_a_battery_charges_no_faster_than_its_power() -> None:
    flows = counted(home([0], [3 * MWH_PER_KWH], wall_battery()))
    assert of(flows.charge_mwh) == [MWH_PER_KWH]
    assert of(flows.export_mwh) == [2 * MWH_PER_KWH]


def test_a_battery_discharges_no_faster_than_its_power() -> None:
    battery = wall_battery(discharge_w=400)
    flows = counted(home([0, MWH_PER_KWH], [MWH_PER_KWH, 0], battery))
    assert of(flows.discharge_mwh) == [0, 100_000]
    assert of(flows.import_mwh) == [0, 900_000]


def test_a_full_battery_takes_nothing_more() -> None:
    battery = wall_battery(capacity_wh=1, efficiency_permille=1_000)
    flows = counted(home([0, 0], [5_000, 5_000], battery))
    assert of(flows.charge_mwh) == [1_000, 0]
    assert of(flows.export_mwh) == [4_000, 5_000]


def test_a_battery_starts_empty_and_never_charges_from_the_grid() -> None:
    flows = counted(home([500, 500], [0, 0], wall_battery()))
    assert of(flows.import_mwh) == [500, 500]
    assert of(flows.charge_mwh) == of(flows.discharge_mwh) == [0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity_wh": -1},
        {"charge_w": -1},
        {"discharge_w": -1},
        {"efficiency_permille": 0},
        {"efficiency_permille": 1_001},
    ],
)
def test_an_impossible_battery_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="battery"):
        wall_battery(**changes)


def test_energy_that_appears_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(
        _neighbourhood: Neighbourhood, _home: Home, surplus: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return surplus * 0, np.full_like(surplus, 5), surplus * 0

    monkeypatch.setattr(flows_module, "_battery_run", generous)
    with pytest.raises(InvariantBroken, match="makes no energy"):
        counted(home([10], [0], wall_battery()))


energies = st.integers(0, 5 * MWH_PER_KWH)
days = st.lists(st.tuples(energies, energies), min_size=1, max_size=96)
batteries = st.builds(
    Battery,
    capacity_wh=st.integers(0, 20_000),
    charge_w=st.integers(0, 20_000),
    discharge_w=st.integers(0, 20_000),
    efficiency_permille=st.integers(1, 1_000),
)
lengths = st.sampled_from([60, 300, 900, 1_800, 3_600])


def run(
    day: list[tuple[int, int]],
    battery: Battery | None,
    interval_s: int,
    *,
    start: int = MIDNIGHT,
) -> tuple[Home, Flows]:
    """A home with the day's (load, PV) pairs, and what its meters count."""
    subject = home([load for load, _ in day], [pv for _, pv in day], battery)
    return subject, counted(subject, interval_s, start=start)


@given(day=days, battery=st.none() | batteries, interval_s=lengths)
def test_energy_is_conserved_in_every_interval(
    day: list[tuple[int, int]], battery: Battery | None, interval_s: int
) -> None:
    subject, flows = run(day, battery, interval_s)
    left = subject.load_mwh + flows.export_mwh + flows.charge_mwh
    right = flows.import_mwh + flows.pv_mwh + flows.discharge_mwh
    assert of(left) == of(right)


@given(day=days, battery=batteries, interval_s=lengths)
def test_a_battery_keeps_within_its_capacity_and_power_and_loses_what_it_says(
    day: list[tuple[int, int]], battery: Battery, interval_s: int
) -> None:
    _, flows = run(day, battery, interval_s)
    held = 0
    for charge, discharge, stored, loss in zip(
        of(flows.charge_mwh),
        of(flows.discharge_mwh),
        of(flows.stored_mwh),
        of(flows.loss_mwh),
        strict=True,
    ):
        assert 0 <= stored <= battery.capacity_wh * 1_000
        assert 0 <= charge * 3_600 <= battery.charge_w * interval_s * 1_000
        assert 0 <= discharge * 3_600 <= battery.discharge_w * interval_s * 1_000
        assert not (charge and discharge)
        assert stored - held == charge - loss - discharge
        assert (charge - loss) * 1_000 <= charge * battery.efficiency_permille
        held = stored


@given(day=days, battery=batteries, interval_s=lengths)
def test_outside_of_evenings_a_battery_touches_only_its_own_homes_energy(
    day: list[tuple[int, int]], battery: Battery, interval_s: int
) -> None:
    six_hours = day[: 6 * 3_600 // interval_s]
    _, flows = run(six_hours, battery, interval_s)
    _, without = run(six_hours, None, interval_s)
    assert (flows.charge_mwh <= without.export_mwh).all()
    assert (flows.discharge_mwh <= without.import_mwh).all()


@given(day=days, battery=batteries, interval_s=lengths, start=st.integers(0, 95))
def test_a_battery_never_charges_from_the_grid_nor_while_it_gives(
    day: list[tuple[int, int]], battery: Battery, interval_s: int, start: int
) -> None:
    subject, flows = run(day, battery, interval_s, start=MIDNIGHT + start * interval_s)
    assert not ((flows.import_mwh > 0) & (flows.charge_mwh > 0)).any()
    assert not ((flows.import_mwh > 0) & (flows.export_mwh > 0)).any()
    own_sun = flows.pv_mwh - subject.load_mwh
    connection = np.maximum(own_sun, subject.connection_w * interval_s * 1_000 // 3_600)
    assert (flows.export_mwh <= connection).all()


def test_in_the_evening_a_battery_gives_the_street_evenly_what_is_beyond_its_reserve() -> None:
    capacity = 10 * MWH_PER_KWH
    battery = wall_battery(charge_w=40_000, efficiency_permille=1_000)
    before = 5
    flows = counted(
        home([0] * 24, [2 * MWH_PER_KWH] * before + [0] * 19, battery),
        start=EVENING - before * QUARTER,
    )
    assert of(flows.stored_mwh)[before - 1] == capacity
    evening = of(flows.export_mwh)[before : before + 16]
    assert sum(evening) == capacity // 2
    assert max(evening) - min(evening) <= 1
    assert of(flows.discharge_mwh)[before + 16 :] == [0, 0, 0]
    assert of(flows.stored_mwh)[-1] == capacity // 2


def test_the_home_comes_before_the_street_and_the_reserve_is_the_homes() -> None:
    battery = wall_battery(charge_w=40_000, discharge_w=40_000, efficiency_permille=1_000)
    need = MWH_PER_KWH
    flows = counted(
        home([0] * 5 + [need] * 16, [2 * MWH_PER_KWH] * 5 + [0] * 16, battery),
        start=EVENING - 5 * QUARTER,
    )
    evening = of(flows.discharge_mwh)[5:]
    assert evening[:10] == sorted(evening[:10], reverse=True)
    assert all(given >= need for given in evening[:5])
    assert sum(evening) == 10 * MWH_PER_KWH
    assert of(flows.stored_mwh)[-1] == 0


def test_in_the_evening_the_sun_goes_to_the_street_and_no_more_than_the_connection_carries() -> (
    None
):
    battery = wall_battery(charge_w=80_000, discharge_w=80_000, capacity_wh=100_000)
    flows = counted(
        home([0] * 6, [20 * MWH_PER_KWH] * 4 + [4 * MWH_PER_KWH, 0], battery),
        start=EVENING - 4 * QUARTER,
    )
    assert of(flows.charge_mwh)[4:] == [0, 0]
    assert of(flows.export_mwh)[4] == 5 * MWH_PER_KWH
    assert of(flows.discharge_mwh)[4] == MWH_PER_KWH
