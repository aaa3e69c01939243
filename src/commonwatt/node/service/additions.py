"""Members and meters written into a community's file while nothing is founded yet.

An entry is added at the end of the file, so that whatever somebody wrote into it by hand stays.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from commonwatt.errors import InputError
from commonwatt.meter.keys import meter_id, verify
from commonwatt.meter.record import Record, SignedRecord
from commonwatt.meter.registration import Role
from commonwatt.node.service.members import (
    ROLES,
    CommunityFile,
    MemberEntry,
    MeterEntry,
    read_community_file,
)
from commonwatt.node.service.outlook import Stage, outlook_of, stage_of
from commonwatt.node.service.settings import NodeSettings, read_node_file
from commonwatt.node.service.setup import (
    SetupUnusable,
    meter_values,
    numbered,
    require_reads_as,
    write_file,
)
from commonwatt.node.service.toml_text import entry_lines
from commonwatt.quantity import SECONDS_PER_DAY, time_text

SOLAR_CODE = "T010100"
"""What a generator is unless somebody says otherwise: photovoltaic, on a roof."""
ZONE_UNKNOWN = "UNKNOWN"
METER_BYTES_MAX = 100_000


class MeterFileUnusable(InputError):
    """A file that does not tell of a meter, or of one that this community cannot have."""


class _Told(msgspec.Struct, frozen=True):
    """What `commonwatt gateway init` tells of a meter, or its maker."""

    public_key: str
    opening: str
    signature: str
    role: str | None = None
    rated_w: int | None = None
    zone: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class MeterWishes:
    """What the operator says of a meter."""

    member: int
    role: str | None = None
    rated_w: int | None = None
    zone: str | None = None
    source: str | None = None
    tokens: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A community's file in a node."""

    folder: Path
    settings: NodeSettings
    path: Path
    community: CommunityFile


def places_of(folder: Path) -> dict[str, Place]:
    """A node's communities by name, in the order of `node.toml`.

    Raises:
        NodeFileUnusable, CommunityFileUnusable: what cannot be read.
    """
    settings = read_node_file(folder)
    found = (
        Place(folder, settings, path, read_community_file(path))
        for path in (folder / settings.data / name for name in settings.communities)
    )
    return {place.community.name: place for place in found}


def place_of(folder: Path, name: str | None) -> Place:
    """A community of a node.

    Args:
        folder: of the node.
        name: of the community; may be left away where there is one.

    Raises:
        NodeFileUnusable, CommunityFileUnusable: what cannot be read.
        SetupUnusable: there is none of this name, or several and no name.
    """
    found = places_of(folder)
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is None or name not in found:
        raise SetupUnusable(
            f"{folder}: name one of its communities with --name: {', '.join(found) or 'none'}"
        )
    return found[name]


def add_member(place: Place, member: MemberEntry) -> int:
    """Write a member into the community's file; gives its number.

    Raises:
        SetupUnusable: the community is founded, or its file has another form.
        CommunityFileUnusable: no such member can be.
    """
    require_open(place)
    members = place.community.members
    meant = msgspec.structs.replace(place.community, members=(*members, member))
    lines = entry_lines("members", msgspec.to_builtins(member))
    _append(place, numbered(lines, f"member {len(members)}"), meant)
    return len(members)


def add_meter(place: Place, file: Path, wishes: MeterWishes) -> MeterEntry:
    """Write a meter into the community's file.

    Args:
        place: of the community.
        file: JSON of `commonwatt gateway init`, or of the meter's maker; `-`: standard input.
        wishes: what the operator says of it.

    Raises:
        MeterFileUnusable: the file tells of no meter, or not of one that can be added.
        SetupUnusable: the community is founded.
        CommunityFileUnusable: no such meter can be.
        ChainUnreachable: without the chain nobody knows the ledger.
    """
    require_open(place)
    entry = _entry(_read(file), file, wishes)
    meters = place.community.meters
    if entry.public_key in {meter.public_key for meter in meters}:
        raise MeterFileUnusable(f"{file}: this meter is in {place.path} already; edit it there")
    said = Record.decode(bytes.fromhex(entry.opening)).ledger
    ledger = outlook_of(place.folder, place.settings, place.community).chain.ledger
    if said != ledger:
        raise MeterFileUnusable(
            f"{file}: was set up for ledger {said.hex()}, community {place.community.name} will "
            f"have {ledger.hex()}; set the meter up again for that one"
        )
    meant = msgspec.structs.replace(place.community, meters=(*meters, entry))
    _append(place, entry_lines("meters", meter_values(msgspec.to_builtins(entry))), meant)
    return entry


def require_open(place: Place) -> None:
    """Raise `SetupUnusable` once anything of a community is founded."""
    stage = stage_of(place.folder, place.settings, place.community)
    if stage is not Stage.PLANNED:
        raise SetupUnusable(
            f"community {place.community.name}: {stage.value}, so its members and meters are "
            "fixed; for others found another community in another directory"
        )


def _append(place: Place, lines: list[str], meant: CommunityFile) -> None:
    text = place.path.read_text(encoding="utf-8").rstrip("\n")
    text += "\n".join(["", *lines]) + "\n"
    require_reads_as(place.path.parent, {place.path.name: text}, {place.path.name: meant})
    write_file(place.path, text)


def _read(file: Path) -> _Told:
    try:
        if str(file) == "-":
            text = sys.stdin.buffer.read(METER_BYTES_MAX)
        else:
            with file.open("rb") as opened:
                text = opened.read(METER_BYTES_MAX)
        return msgspec.json.decode(text, type=_Told)
    except OSError as error:
        raise MeterFileUnusable(
            f"{file}: cannot be read ({error.strerror}); name what commonwatt gateway init printed"
        ) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MeterFileUnusable(
            f"{file}: does not tell of a meter ({' '.join(str(error).split())}); name what "
            "commonwatt gateway init printed"
        ) from None


def _entry(told: _Told, file: Path, wishes: MeterWishes) -> MeterEntry:
    """The entry of a meter whose opening record its own key has signed."""
    try:
        key = bytes.fromhex(told.public_key)
        opening = SignedRecord(bytes.fromhex(told.opening), bytes.fromhex(told.signature))
        record = Record.decode(opening.record)
        is_own = record.meter == meter_id(key) and verify(key, opening)
    except (ValueError, InputError) as error:
        raise MeterFileUnusable(f"{file}: {error}; set the meter up again") from None
    if not is_own or record.sequence != 0:
        raise MeterFileUnusable(
            f"{file}: not an opening record, number 0, that this key has signed; set the meter up "
            "again"
        )
    role = wishes.role or told.role
    if role not in ROLES:
        raise MeterFileUnusable(f"{file}: role {role!r:.40}: give --role, {', '.join(ROLES)}")
    if told.role not in {None, role}:
        raise MeterFileUnusable(
            f"{file}: was set up as {told.role}, not {role}: leave --role away, or set it up again"
        )
    rated_w = wishes.rated_w or told.rated_w
    if rated_w is None:
        raise MeterFileUnusable(
            f"{file}: how much power can flow through it? give --rated-w in W, such as 17250 for "
            "a house with three phases of 25 A"
        )
    is_generator = ROLES[role] is Role.GENERATION
    if not is_generator and (wishes.source or wishes.tokens):
        raise MeterFileUnusable(
            f"{file}: --source and --tokens are for role generation, not {role}"
        )
    return MeterEntry(
        member=wishes.member,
        role=role,
        rated_w=rated_w,
        zone=wishes.zone or told.zone or ZONE_UNKNOWN,
        in_service=time_text(record.time_end // SECONDS_PER_DAY * SECONDS_PER_DAY),
        public_key=told.public_key.lower(),
        opening=told.opening.lower(),
        signature=told.signature.lower(),
        source=(wishes.source or told.source or SOLAR_CODE) if is_generator else "",
        tokens=wishes.tokens,
    )


def meter_of(entry: MeterEntry) -> str:
    """A meter's id as hex digits."""
    return meter_id(bytes.fromhex(entry.public_key)).hex()
