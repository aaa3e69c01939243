"""The sensors: what each is called, what Home Assistant may take it for, which figure it shows.

Figures are decimal strings with all their digits. Home Assistant counts kWh that only ever grow as
`total_increasing`; money of a day can go either way, so it is `total` with the time at which the
day began; a price that nobody has paid yet is no measurement.
"""

from dataclasses import dataclass

ENERGY, MONETARY = "energy", "monetary"
MEASUREMENT, TOTAL, TOTAL_INCREASING = "measurement", "total", "total_increasing"
CURRENCY = "{currency}"
"""Stands for the community's currency in a unit."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One sensor."""

    key: str
    """Its figure's name in the state message, and the end of its id."""
    name: str
    unit: str
    places: int
    """Decimals shown, unless the member chooses others; the figure has all."""
    icon: str
    device_class: str | None = None
    state_class: str | None = None
    resets: bool = False
    """Whether it begins at 0 every local day."""

    def unit_in(self, currency: str) -> str:
        """Its unit, with the community's currency."""
        return self.unit.replace(CURRENCY, currency)


def _energy(key: str, name: str, icon: str) -> Sensor:
    return Sensor(key, name, "kWh", 2, icon, ENERGY, TOTAL_INCREASING)


def _money(key: str, name: str, icon: str) -> Sensor:
    return Sensor(key, name, CURRENCY, 2, icon, MONETARY, TOTAL, resets=True)


def _price(key: str, name: str, icon: str, state_class: str | None) -> Sensor:
    return Sensor(key, name, f"{CURRENCY}/kWh", 4, icon, state_class=state_class)


def _share(key: str, name: str, icon: str) -> Sensor:
    return Sensor(key, name, "%", 0, icon, state_class=MEASUREMENT)


SENSORS = {
    sensor.key: sensor
    for sensor in (
        _energy("import", "Import", "mdi:transmission-tower-export"),
        _energy("export", "Export", "mdi:transmission-tower-import"),
        _energy("from_neighbours", "From neighbours", "mdi:home-import-outline"),
        _energy("to_neighbours", "To neighbours", "mdi:home-export-outline"),
        _price("price_now", "Price now", "mdi:cash", MEASUREMENT),
        _price("price_next", "Price next", "mdi:cash-clock", None),
        _money("earned_today", "Earned today", "mdi:cash-plus"),
        _money("bill_today", "Bill today", "mdi:receipt-text-outline"),
        _share("green_share", "Green share today", "mdi:leaf"),
        _share("hourly_score", "Hourly score this month", "mdi:leaf-circle"),
    )
}
"""By key, in the order in which they are announced."""
