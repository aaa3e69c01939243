"""What stands behind the meters: homes with their load, PV and batteries, and where they come from.

Two sources give a `Neighbourhood`: `load_scenario` one of those that ship with the program
(derived from SimBench), `read_homes` a CSV file of real homes. `flows_of` turns a home into what
its meters count. All energy is integer milliwatt-hours per interval.

>>> from commonwatt.microgrid import flows_of, load_scenario
>>> village = load_scenario("village")
>>> farm = village.homes[0]
>>> flows = flows_of(village, farm)
>>> farm.name, int(flows.export_mwh.sum()) // 1_000_000  # kWh on 2016-06-21
('Farm 01', 355)
"""

from commonwatt.microgrid.flows import Flows, flows_of
from commonwatt.microgrid.homes_file import read_homes
from commonwatt.microgrid.neighbourhood import Battery, Home, Neighbourhood
from commonwatt.microgrid.scenario import SCENARIO_DAY, SCENARIOS, load_scenario

__all__ = [
    "SCENARIOS",
    "SCENARIO_DAY",
    "Battery",
    "Flows",
    "Home",
    "Neighbourhood",
    "flows_of",
    "load_scenario",
    "read_homes",
]
