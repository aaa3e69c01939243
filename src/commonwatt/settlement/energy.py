"""Net energy: what each member took from and gave to the street in one interval."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from commonwatt.meter.acceptance import Accepted
from commonwatt.meter.registration import Registration, Role


@dataclass(slots=True)
class MemberEnergy:
    """One member's whole Wh in one interval, as its grid meters counted them."""

    imported_wh: int = 0
    """Register differences, all of them."""
    exported_wh: int = 0
    lump_import_wh: int = 0
    """The part that came after a gap: of unknown intervals, so only the supplier settles it."""
    lump_export_wh: int = 0
    silent: bool = False
    """No grid meter of the member spoke."""
    gap: bool = False

    @property
    def own_wh(self) -> int:
        """Taken and given back within the interval: own use first, it is not traded."""
        return min(self.imported_wh - self.lump_import_wh, self.exported_wh - self.lump_export_wh)

    @property
    def need_wh(self) -> int:
        """What can be bought from neighbours."""
        return self.imported_wh - self.lump_import_wh - self.own_wh

    @property
    def offer_wh(self) -> int:
        """What can be sold to neighbours."""
        return self.exported_wh - self.lump_export_wh - self.own_wh


def net_energy(
    members: int, accepted: Iterable[Accepted], registrations: Mapping[bytes, Registration]
) -> list[MemberEnergy]:
    """Each member's energy from the accepted records of one interval.

    Args:
        members: how many there are; the result has one entry per index.
        accepted: the records whose `time_end` is the interval's end, at most one per meter.
        registrations: by meter id.
    """
    energies = [MemberEnergy(silent=True) for _ in range(members)]
    for verdict in accepted:
        registration = registrations[verdict.record.meter]
        if registration.role is not Role.GRID:
            continue
        energy = energies[registration.member]
        energy.silent = False
        energy.imported_wh += verdict.import_wh
        energy.exported_wh += verdict.export_wh
        if verdict.gap:
            energy.gap = True
            energy.lump_import_wh += verdict.import_wh
            energy.lump_export_wh += verdict.export_wh
    return energies
