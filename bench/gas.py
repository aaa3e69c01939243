"""A child: the gas of closing and claiming, exact on every machine, and the contracts' sizes.

Prints the sections as JSON.
"""

import json
import statistics
import sys
import time
from typing import NamedTuple

import msgspec

from bench.community import Closer, found
from bench.figure import Figure, Section
from bench.generator import LEAVES, Generator
from commonwatt.chain.abi import ARTEFACTS, CONTRACTS
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.production import RUN_MAX

CLOSES = 5
CLOSE_EACH_GAS_MAX, CLOSE_TOTAL_GAS_MAX = 1_080, 120_000
LARGE, SMALL = 1_000, 43
CLAIM_GAS_MAX, CLAIM_RUN_EACH_GAS_MAX = 110_000, 40_000
CLAIM_RUNS = 2
SLOT = 3
"""Units of so many neighbouring intervals share a slot, and the first of them opens it."""
CONTRACT_BYTES_MAX = 24_576
"""EIP-170: no chain takes a larger one."""


def main() -> list[Section]:
    """All of it."""
    return [
        Section(
            "gas of close: anchor a statement and pay everybody, random amounts, steady state",
            (*_close_large(), *_close_small()),
        ),
        Section(
            f"gas of claim: free units become tokens; trees of {LEAVES} certificates",
            (*_claims(),),
        ),
        Section("contracts, as deployed", tuple(map(_size, CONTRACTS))),
    ]


class _Closes(NamedTuple):
    """Gas of a community's closes, steady state."""

    noon: tuple[float, ...]
    night: tuple[float, ...]
    """Nobody gives: every change is below zero, and its bytes are ones instead of zeros."""
    cpu_seconds: float


def _closes(members: int) -> _Closes:
    began = time.process_time()
    with EmbeddedChain() as chain:
        closer = Closer(*found(chain, members))
        closer.advance()
        closer.close()  # the grid operator's lane is above zero from here on
        noon = tuple(float(closer.close()[1].gas_used) for _ in range(CLOSES))
        closer.producers_percent = 0
        night = tuple(float(closer.close()[1].gas_used) for _ in range(CLOSES))
    return _Closes(noon, night, time.process_time() - began)


def _close_large() -> list[Figure]:
    gas = _closes(LARGE)
    return [
        Figure(
            name="close_gas_each_large",
            what=f"close, {LARGE:,} participants, for each",
            unit="gas",
            target=CLOSE_EACH_GAS_MAX,
            runs=tuple(total / LARGE for total in gas.noon),
            digits=1,
            cpu_seconds=gas.cpu_seconds,
        ),
        Figure(
            name="close_gas_each_large_night",
            what="the same where nobody gives",
            unit="gas",
            target=CLOSE_EACH_GAS_MAX,
            runs=tuple(total / LARGE for total in gas.night),
            digits=1,
        ),
    ]


def _close_small() -> list[Figure]:
    gas = _closes(SMALL)
    return [
        Figure(
            name="close_gas_small",
            what=f"close, {SMALL} participants, in total",
            unit="gas",
            target=CLOSE_TOTAL_GAS_MAX,
            runs=gas.noon,
            digits=0,
            cpu_seconds=gas.cpu_seconds,
        ),
        Figure(
            name="close_gas_small_night",
            what="the same where nobody gives",
            unit="gas",
            target=CLOSE_TOTAL_GAS_MAX,
            runs=gas.night,
            digits=0,
        ),
    ]


def _claims() -> list[Figure]:
    """Two slots' intervals claimed one by one, then runs of them."""
    began = time.process_time()
    with EmbeddedChain() as chain:
        ledger, account = found(chain, 1)
        roof = Generator(ledger, account)
        closer = Closer(ledger, account)
        for _ in range(2 * SLOT + CLAIM_RUNS * RUN_MAX):
            roof.produce(closer)
        single = [float(roof.claim(at)) for at in range(2 * SLOT)]
        starts = range(2 * SLOT, len(roof.productions), RUN_MAX)
        runs = [roof.claim_run(at) / RUN_MAX for at in starts]
    steady = single[SLOT:]
    return [
        Figure(
            name="claim_gas",
            what="claim, mean over a slot's three",
            unit="gas",
            runs=(statistics.fmean(steady),),
            target=CLAIM_GAS_MAX,
            digits=0,
            cpu_seconds=time.process_time() - began,
        ),
        _plain("claim_gas_slot_opened", "of these the one that opens the slot", steady[0]),
        _plain("claim_gas_first", "the very first of a meter", single[0]),
        Figure(
            name="claim_run_gas_each",
            what=f"claim_run of {RUN_MAX} intervals, for each",
            unit="gas",
            target=CLAIM_RUN_EACH_GAS_MAX,
            digits=0,
            runs=tuple(runs),
        ),
    ]


def _plain(name: str, what: str, gas: float) -> Figure:
    return Figure(name=name, what=what, unit="gas", runs=(gas,), digits=0)


def _size(name: str) -> Figure:
    artefact = json.loads((ARTEFACTS / f"{name}.json").read_text(encoding="utf-8"))
    return Figure(
        name=f"{name.lower()}_bytes",
        what=name,
        unit="bytes",
        runs=(artefact["runtime_bytes"],),
        target=CONTRACT_BYTES_MAX,
        digits=0,
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main()))
