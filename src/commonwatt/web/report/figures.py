"""What follows from the run's numbers, the same in every language."""

from collections.abc import Iterable
from dataclasses import dataclass

from commonwatt.web.report.data import AUDIT_OK, MemberLine, ReportData
from commonwatt.web.report.scale import percentile

SOURCES = ("own_sun", "own_battery", "from_neighbours", "from_supplier")
SINKS = ("to_battery", "to_neighbours", "to_supplier")


@dataclass(frozen=True, slots=True)
class Payment:
    """Seconds from the end of an interval until the sellers are paid."""

    half: float
    """Not exceeded in half of the closes."""
    most: float
    """Not exceeded in 99 of 100."""
    worst: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The sums of a run."""

    wh: dict[str, int]
    """Per name in `SOURCES` and `SINKS`."""
    used_wh: int
    local_wh: int
    """Used and made here: own sun, own battery, neighbours."""
    saving: int
    """Ledger units; negative: the participants pay more."""
    better: int
    """How many participants are better off with the community."""
    same: int
    worse: int
    issued_wh: int
    retired_wh: int
    stored_wh: int
    free_wh: int
    price_range: tuple[int, int] | None
    """Lowest and highest local price, ledger units per Wh; None without a local trade."""
    payment: Payment | None
    """None if nothing was closed."""
    audit_ok: bool

    @property
    def given_wh(self) -> int:
        """Certificates for what left the homes: all but those put into batteries."""
        return self.issued_wh - self.stored_wh


def figures_of(data: ReportData) -> Figures:
    """Sum up a run."""
    wh = {name: sum(series(data, name)) for name in (*SOURCES, *SINKS)}
    used = sum(wh[name] for name in SOURCES)
    savings = [saving(member) for member in data.members]
    traded = [price for price in data.local_price if price]
    return Figures(
        wh=wh,
        used_wh=used,
        local_wh=used - wh["from_supplier"],
        saving=sum(savings),
        better=sum(amount > 0 for amount in savings),
        same=sum(amount == 0 for amount in savings),
        worse=sum(amount < 0 for amount in savings),
        issued_wh=sum(data.certificates_issued_wh),
        retired_wh=sum(data.certificates_retired_wh),
        stored_wh=sum(data.certificates_stored_wh),
        free_wh=sum(data.certificates_free_wh),
        price_range=(min(traded), max(traded)) if traded else None,
        payment=_payment(data.grace_s, data.close_seconds),
        audit_ok=data.audit == AUDIT_OK,
    )


def series(data: ReportData, name: str) -> tuple[int, ...]:
    """The energy per interval that a name in `SOURCES` or `SINKS` stands for, in Wh."""
    values: tuple[int, ...] = getattr(data, f"{name}_wh")
    return values


def saving(member: MemberLine) -> int:
    """Ledger units by which a participant is better off with the community."""
    return member.bill_without - member.bill_with


def average_price(prices: Iterable[int], energies_wh: Iterable[int]) -> int:
    """The price of what was traded, weighted by energy and cut to a unit: to draw, not to pay.

    0 where nothing was traded; where prices come without energy, their lowest.
    """
    pairs = [(price, wh) for price, wh in zip(prices, energies_wh, strict=True) if price]
    if not pairs:
        return 0
    energy = sum(wh for _, wh in pairs)
    if not energy:
        return min(price for price, _ in pairs)
    return sum(price * wh for price, wh in pairs) // energy


def _payment(grace_s: int, close_seconds: tuple[float, ...]) -> Payment | None:
    if not close_seconds:
        return None
    waits = [grace_s + seconds for seconds in close_seconds]
    return Payment(percentile(waits, 50), percentile(waits, 99), max(waits))
