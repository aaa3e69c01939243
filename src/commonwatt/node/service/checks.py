"""All that `commonwatt doctor` looks at; nothing is changed by it.

| module | looks at |
|---|---|
| `checks_machine` | programs, keys, disk, clock, the address to listen at |
| `checks_memory` | database, broker |
| `checks_book` | the book of certificates |
| `checks_chain` | chain, contracts, ether, lanes |
| `checks_work` | members and meters, waiting intervals, quarantine |
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from commonwatt.errors import CommonwattError
from commonwatt.node.service.checks_book import book
from commonwatt.node.service.checks_chain import chain
from commonwatt.node.service.checks_machine import address, clock, disk, keys, programs
from commonwatt.node.service.checks_memory import broker, database
from commonwatt.node.service.checks_work import work
from commonwatt.node.service.finding import Finding, Patient

Check = Callable[[Patient], Iterator[Finding]]
CHECKS: tuple[tuple[str, Check], ...] = (
    ("programs", programs),
    ("keys", keys),
    ("disk", disk),
    ("database", database),
    ("book", book),
    ("clock", clock),
    ("broker", broker),
    ("address", address),
    ("chain", chain),
    ("members", work),
)
"""In this order; each is looked at whatever the others say."""
SEE_ABOVE = "mend this first"


def examine(folder: Path, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """What is well and what is not with a node, one finding after the other.

    Args:
        folder: of the node.
        now: UTC seconds.
    """
    try:
        patient = Patient(folder, now)
    except CommonwattError as error:
        yield Finding("settings", str(error), "nothing else can be looked at before that")
        return
    try:
        named = ", ".join(file.name for file in patient.files)
        yield Finding("settings", f"node.toml is read, with {named}")
        for name, check in CHECKS:
            yield from _guarded(name, check, patient)
    finally:
        patient.close()


def _guarded(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    """A check's findings; what keeps it from looking is one, too."""
    try:
        yield from check(patient)
    except CommonwattError as error:
        yield Finding(name, str(error), SEE_ABOVE)
