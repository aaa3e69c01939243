"""A node's directory as `commonwatt init --scenario` makes it, and its simulated meters at work."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from commonwatt.cli.init import AddOptions, run_init
from commonwatt.cli.init_answers import InitOptions
from commonwatt.meter.acceptance import Verdict
from commonwatt.meter.record import SignedRecord
from commonwatt.microgrid import load_scenario
from commonwatt.node.fleet import Fleet
from commonwatt.node.service.hosted import Hosted
from commonwatt.node.service.service import Service

SCENARIO = "village"
WAIT_S = 30.0


def init(folder: Path, add: AddOptions | None = None, **options: object) -> None:
    """What the command does, in this process and without a person to ask."""
    said = InitOptions(**options)
    assert run_init(folder, said, add or AddOptions(), yes=True, is_show=False, as_json=False) == 0


def make_bed(folder: Path, **options: object) -> Path:
    """A test bed with the meters of a village."""
    init(folder, scenario=SCENARIO, **options)
    return folder


class Bed:
    """A test bed's service at work, and the meters that speak to it."""

    def __init__(self, folder: Path) -> None:
        self.service = Service(folder)
        self.service.open()
        self.service.start()
        neighbourhood = load_scenario(SCENARIO)
        self.start, self.interval_s = neighbourhood.start, neighbourhood.interval_s
        self.fleet = Fleet(neighbourhood, self.hosted.community.chain.ledger)
        self.done = 0

    @property
    def hosted(self) -> Hosted:
        return self.service.communities[SCENARIO]

    def interval(self, more: Sequence[SignedRecord] = ()) -> list[Verdict]:
        """Let every meter speak for the next interval, and wait until it is closed and paid."""
        verdicts = self.hosted.take([*self.fleet.sign(), *more])
        self.done += 1
        opened = self.start + self.done * self.interval_s
        until(
            lambda: self.hosted.status().open_start >= opened and not self.hosted.status().waiting
        )
        return verdicts

    def close(self) -> None:
        self.service.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another thread brings about."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
