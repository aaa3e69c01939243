"""Certificates for generation that became known after its interval was closed."""

from collections.abc import Iterable, Mapping

from commonwatt.certificate.home import is_sound
from commonwatt.certificate.issue import is_certifiable
from commonwatt.certificate.owed import withhold
from commonwatt.meter.acceptance import Late
from commonwatt.meter.registration import Registration, Role
from commonwatt.quantity import split_exactly


def late_units(
    late: Iterable[Late], registrations: Mapping[bytes, Registration], owed: dict[int, int]
) -> dict[bytes, int]:
    """Wh to be issued by the digest of the record they come from; all of it free (R4, R8, R10).

    The same rules hold as for records in time: the smaller of what a home's generators made and
    what left it, from sound records without a gap. Its grid meters' records of the interval must be
    late, too, and settled together. A home with batteries is issued nothing, since what left them
    meanwhile was told as of later intervals. A correction brings nothing.

    Args:
        late: the records.
        registrations: by meter id.
        owed: Wh that members owe: paid with what they would be issued, and left as that leaves it.
    """
    own: dict[int, set[bytes]] = {}
    with_battery = {r.member for r in registrations.values() if r.role is Role.STORAGE}
    for meter, registration in registrations.items():
        if registration.role is Role.GRID:
            own.setdefault(registration.member, set()).add(meter)
    grids: dict[tuple[int, int], list[Late]] = {}
    roofs: dict[tuple[int, int], list[Late]] = {}
    for verdict in sorted(late, key=lambda verdict: verdict.record.meter):
        if verdict.corrects is not None:
            continue
        registration = registrations[verdict.record.meter]
        home = registration.member, verdict.record.time_end
        if registration.role is Role.GRID:
            grids.setdefault(home, []).append(verdict)
        elif is_certifiable(verdict, registration):
            roofs.setdefault(home, []).append(verdict)
    units: dict[bytes, int] = {}
    for home, made in sorted(roofs.items(), key=lambda entry: entry[0]):
        member, _ = home
        told = grids.get(home, [])
        is_known = {verdict.record.meter for verdict in told} == own.get(member)
        is_known = is_known and not any(v.gap or not is_sound(v.record) for v in told)
        if not is_known or member in with_battery:
            continue
        taken, given = (
            sum(wh) for wh in zip(*((v.import_wh, v.export_wh) for v in told), strict=True)
        )
        output = [verdict.export_wh for verdict in made]
        issued = min(sum(output), given - min(taken, given))
        parts = withhold(owed, member, split_exactly(issued, output))
        units |= {v.digest: wh for v, wh in zip(made, parts, strict=True) if wh}
    return units
