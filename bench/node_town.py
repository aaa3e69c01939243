"""A child: a node's directory with founded communities, and their meters' signed batches in files.

Keys come from seeds, so the meters of a community are the same in every run; no two communities
share one. Every interval lies in the past of the machine's clock, so a node closes each as soon as
all its meters have spoken.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from bench.meter import INTERVAL_S, Meter
from commonwatt.chain.account import checksum
from commonwatt.node.service.members import CommunityFile, MemberEntry, MeterEntry
from commonwatt.node.service.outlook import planned_address
from commonwatt.node.service.service import Service
from commonwatt.node.service.settings import NodeSettings
from commonwatt.node.service.setup import community_text, node_text
from commonwatt.node.service.testbed import usual_tariff
from commonwatt.node.wiring import demonstration_account
from commonwatt.quantity import SECONDS_PER_DAY, time_text

GRACE_S = 60
RECORDS_PER_BATCH = 1_000
"""Of one request: what a gateway sends after a while without a network."""
HOME, PRODUCER, ROOF = (300_000, 0), (0, 600_000), (0, 800_000)
"""mWh taken and given in an interval: without a roof, with one, and by the roof itself."""
RATED_W = 30_000
OPERATOR_KEY, BATCHES = "operator.key", "batches"
TWO_CORES = 2


@dataclass(frozen=True, slots=True)
class Town:
    """What is to be made."""

    communities: int
    homes: int
    """Of each community."""
    roofs: int
    """Of each community; each has a meter of its own."""
    intervals: int
    advance: str = "0"
    """What members have paid in; without it they buy from the supplier and owe it."""
    every: int = 1
    """Each so many-th member has. Six lanes share a slot of the chain, so with 6 a close writes
    every slot, and the founding sends a sixth of the deposits."""

    @property
    def meters(self) -> int:
        """Of each community."""
        return self.homes + self.roofs


def name_of(number: int) -> str:
    """Of a community."""
    return f"quarter-{number}"


def batch_files(folder: Path, number: int, interval: int) -> list[Path]:
    """A community's batches of one interval, in order."""
    return sorted((folder / BATCHES).glob(f"{number}-{interval:04}-*.bin"))


def make(folder: Path, town: Town, port: int) -> None:
    """Write the node's directory and the batches, and found every community."""
    (folder / BATCHES).mkdir(parents=True)
    (folder / OPERATOR_KEY).write_text(demonstration_account("operator").key.hex() + "\n")
    (folder / OPERATOR_KEY).chmod(0o600)
    now = int(time.time())
    first_start = now - GRACE_S - (now - GRACE_S) % INTERVAL_S - town.intervals * INTERVAL_S
    work = [(folder, town, number, first_start) for number in range(town.communities)]
    with ProcessPoolExecutor(TWO_CORES) as cores:
        list(cores.map(_write_community, work))
        shares = [list(range(town.communities))[core::TWO_CORES] for core in range(TWO_CORES)]
        list(cores.map(_found, [(folder, port, share) for share in shares if share]))
    _write_settings(folder, port, range(town.communities))


def _write_settings(folder: Path, port: int, numbers: Sequence[int]) -> None:
    files = tuple(f"{name_of(number)}.toml" for number in numbers)
    settings = NodeSettings(listen=f"127.0.0.1:{port}", communities=files)
    (folder / "node.toml").write_text(node_text(settings))


def _found(work: tuple[Path, int, list[int]]) -> None:
    """Found a share of the communities, from a directory that knows no others."""
    folder, port, numbers = work
    own = folder / f"share-{numbers[0]}"
    own.mkdir()
    _write_settings(own, port, numbers)
    settings = (own / "node.toml").read_text()
    (own / "node.toml").write_text(
        f'data = "{folder}"\ndatabase = "sqlite:///{folder}/commonwatt.sqlite"\n{settings}'
    )
    (own / OPERATOR_KEY).write_text((folder / OPERATOR_KEY).read_text())
    (own / OPERATOR_KEY).chmod(0o600)
    service = Service(own)
    service.open()
    service.close()


def _write_community(work: tuple[Path, Town, int, int]) -> None:
    folder, town, number, first_start = work
    file = _members(town, number, first_start)
    operator = demonstration_account("operator").address_bytes
    ledger = planned_address(operator, None, file).ledger
    meters = [
        (home, "grid", Meter(f"{number} grid {home}", ledger, step, first_start))
        for home in range(town.homes)
        for step in [PRODUCER if home < town.roofs else HOME]
    ]
    meters += [
        (home, "generation", Meter(f"{number} roof {home}", ledger, ROOF, first_start))
        for home in range(town.roofs)
    ]
    file = msgspec.structs.replace(
        file, meters=tuple(_entry(*meter, first_start) for meter in meters)
    )
    (folder / f"{name_of(number)}.toml").write_text(community_text(file))
    for interval in range(town.intervals):
        end = first_start + (interval + 1) * INTERVAL_S
        signed = [b"".join(meter.sign(end)) for *_, meter in meters]
        for at, batch in enumerate(_batches(signed)):
            (folder / BATCHES / f"{number}-{interval:04}-{at:04}.bin").write_bytes(batch)


def _batches(signed: Sequence[bytes]) -> Iterator[bytes]:
    for first in range(0, len(signed), RECORDS_PER_BATCH):
        yield b"".join(signed[first : first + RECORDS_PER_BATCH])


def _members(town: Town, number: int, first_start: int) -> CommunityFile:
    return CommunityFile(
        name=name_of(number),
        first_start=time_text(first_start),
        supplier=demonstration_account("supplier").address,
        grid_operator=demonstration_account("grid operator").address,
        tariff=usual_tariff(),
        members=tuple(
            MemberEntry(
                f"home {home}", checksum(sha256(b"%d/%d" % (number, home)).digest()[:20]),
                "0" if home % town.every else town.advance,
            )
            for home in range(town.homes)
        ),
        interval_s=INTERVAL_S,
        grace_s=GRACE_S,
        supplier_advance="1000",
    )  # fmt: skip


def _entry(member: int, role: str, meter: Meter, first_start: int) -> MeterEntry:
    return MeterEntry(
        member=member,
        role=role,
        rated_w=RATED_W,
        zone="DE-LU",
        in_service=time_text(first_start - first_start % SECONDS_PER_DAY),
        public_key=meter.key.public_key.hex(),
        opening=meter.opening.record.hex(),
        signature=meter.opening.signature.hex(),
        source="T010100" if role == "generation" else "",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.node_town", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    for entry in ("communities", "homes", "roofs", "intervals", "every"):
        parser.add_argument(f"--{entry}", type=int, default=1)
    parser.add_argument("--advance", default="0")
    said = vars(parser.parse_args())
    at, listening = said.pop("folder"), said.pop("port")
    make(at, Town(**said), listening)
