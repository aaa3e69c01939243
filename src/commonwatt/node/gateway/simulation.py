"""A scenario's meters, sending to a node as real ones would, at any speed.

They are the meters of `commonwatt demo`: the same keys, registers and records, so a node that
closes their days must come to the same roots.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from commonwatt.meter.record import SignedRecord
from commonwatt.microgrid import Neighbourhood
from commonwatt.node.fleet import Fleet
from commonwatt.node.folder import write_whole
from commonwatt.node.gateway.answers import (
    RECORDS_PER_BATCH_MAX,
    Answer,
    Fate,
    name_of,
    of_batch,
)
from commonwatt.node.gateway.backoff import Backoff
from commonwatt.node.gateway.errors import SimulationUnusable
from commonwatt.node.gateway.http_link import CommunityFacts
from commonwatt.node.gateway.link import BatchTooLarge, Link, LinkDown

RETRY_S_MAX = 10.0
"""The longest wait before the next attempt."""
FIRST_RETRY_S = 0.1


class SimulationState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far simulated meters have got."""

    scenario: str
    start: int
    """UTC seconds; start of the first interval."""
    intervals: int
    ledger: str
    """16 hex digits."""
    done: int = 0
    """So many intervals are answered in full."""


@dataclass(slots=True)
class SimulationTally:
    """What the node said."""

    accepted: int = 0
    duplicates: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    """How many records by reason."""

    def count(self, answer: Answer) -> None:
        """Take in an answer that is final."""
        if answer.fate is Fate.REFUSED:
            self.refused[answer.reason] = self.refused.get(answer.reason, 0) + 1
        elif answer.duplicate:
            self.duplicates += 1
        else:
            self.accepted += 1


def read_state(path: Path, begun: SimulationState) -> SimulationState:
    """The state in a file; `begun` where there is none.

    Raises:
        SimulationUnusable: it is of other meters, or none.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=SimulationState)
    except FileNotFoundError:
        return begun
    except (OSError, msgspec.DecodeError) as error:
        raise SimulationUnusable(
            f"{path}: cannot be read ({error}); delete it to begin at the first interval"
        ) from None
    if msgspec.structs.replace(found, done=0) != begun:
        raise SimulationUnusable(
            f"{path}: is of another scenario, time or community; name another file with --state"
        )
    return found


class Simulation:
    """One scenario's meters on their way to one node."""

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        facts: CommunityFacts,
        link: Link,
        *,
        speed: float = 0.0,
        state_file: Path | None = None,
        told: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """Make the meters.

        Args:
            neighbourhood: homes and their energy.
            facts: of the community they send to.
            link: the way to its node.
            speed: simulated seconds in one second; 0: as fast as the node answers.
            state_file: to go on after an interruption.
            told: hears how many intervals are done, of how many.

        Raises:
            SimulationUnusable: the community is another one, or the state is of another run.
        """
        self._neighbourhood, self._link, self._told = neighbourhood, link, told
        self._speed, self._file = speed, state_file
        self._fleet = Fleet(neighbourhood, facts.ledger)
        meters = {registration.meter for registration in self._fleet.registrations}
        if facts.interval_s != neighbourhood.interval_s:
            raise SimulationUnusable(
                f"the community has intervals of {facts.interval_s} s, the scenario of "
                f"{neighbourhood.interval_s} s; name another scenario"
            )
        if facts.meters and not meters <= facts.meters:
            raise SimulationUnusable(
                f"{len(meters - facts.meters)} of {len(meters)} meters are not registered in the "
                "community; name the scenario and start it was made for"
            )
        begun = SimulationState(
            scenario=neighbourhood.name,
            start=neighbourhood.start,
            intervals=neighbourhood.intervals,
            ledger=facts.ledger.hex(),
        )
        self._state = begun if state_file is None else read_state(state_file, begun)
        self._size = RECORDS_PER_BATCH_MAX
        self.tally = SimulationTally()

    @property
    def meters(self) -> int:
        """How many meters there are."""
        return len(self._fleet.registrations)

    @property
    def done(self) -> int:
        """So many intervals are answered in full."""
        return self._state.done

    async def run(self) -> SimulationTally:
        """Send every interval that is not done, in order, each once the one before is answered.

        Raises:
            SimulationUnusable: the node does not know the meters.
            FolderUnusable: the state cannot be written.
        """
        loop = asyncio.get_running_loop()
        first, began = self._state.done, loop.time()
        self._fleet.skip_to(first)
        try:
            for index in range(first, self._neighbourhood.intervals):
                batch = self._fleet.sign()
                if self._speed:
                    passed = (index + 1 - first) * self._neighbourhood.interval_s / self._speed
                    await asyncio.sleep(max(began + passed - loop.time(), 0.0))
                await self._send(batch)
                self._state = msgspec.structs.replace(self._state, done=index + 1)
                if self._file is not None:
                    write_whole(self._file, [msgspec.json.encode(self._state), b"\n"])
                self._told(index + 1, self._neighbourhood.intervals)
        finally:
            await self._link.close()
        return self.tally

    async def _send(self, batch: list[SignedRecord]) -> None:
        """Send records until each is answered for good."""
        waiting = {name_of(signed): signed for signed in batch}
        backoff = Backoff(RETRY_S_MAX, FIRST_RETRY_S)
        while waiting:
            part = list(waiting.values())[: self._size]
            try:
                answers = of_batch(await self._link.send(part), part)
            except BatchTooLarge:
                if len(part) == 1:
                    raise SimulationUnusable(
                        "the node takes not even one record at once; raise its limit"
                    ) from None
                self._size = len(part) // 2
                continue
            except LinkDown as error:
                await asyncio.sleep(max(backoff.after_failure(), error.retry_after_s or 0.0))
                continue
            final = [answer for answer in answers if answer.fate is not Fate.LATER]
            for answer in final:
                self.tally.count(answer)
                del waiting[answer.name]
            self._require_known(answers)
            if final:
                backoff.after_success()
            else:
                await asyncio.sleep(backoff.after_failure())

    def _require_known(self, answers: list[Answer]) -> None:
        unknown = [answer for answer in answers if answer.reason == "METER_UNKNOWN"]
        if unknown:
            raise SimulationUnusable(
                f"the node does not know meter {unknown[0].name.meter.hex()}; name the scenario "
                "and start its community was made for"
            )
