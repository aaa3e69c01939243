"""Registry, certificates, exchange and money against a book of plain entries."""

import os
from collections import Counter
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings

from contracts.certificate_machine import CertificatesAgainstBook
from contracts.certificate_world import EVERYBODY

SOAK = bool(os.environ.get("COMMONWATT_SOAK"))

CertificatesAgainstBook.TestCase.settings = settings(
    max_examples=60 if SOAK else 5,
    stateful_step_count=100 if SOAK else 60,
    deadline=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
)
TestCertificatesAgainstBook = CertificatesAgainstBook.TestCase


# The same without hypothesis, which likes to repeat itself: everything, often, evenly

OPERATIONS = 10_000 if SOAK else 600
PER_LIFE = 300
ACTS = (
    "honest_quarters", "nothing_happens", "offer_meter", "accept_meter", "claim", "claim_run",
    "claim_with_anothers_signature", "start_direct", "issue_direct", "keep", "transfer",
    "transfer_many", "retire", "approve", "reserve", "release", "withdraw", "reinstate", "export",
    "restore", "post", "offer", "buy", "cancel",
)  # fmt: skip
FREQUENT = ("honest_quarters", "claim_run", "issue_direct", "transfer", "retire", "offer", "buy")


def _random_operation(machine: CertificatesAgainstBook, chance: Random) -> None:
    """Any operation of the machine, by anybody."""
    acts = {**_always(chance), **_sometimes(machine, chance)}
    name = chance.choice([*acts, *(often for often in FREQUENT if often in acts)])
    getattr(machine, name)(**acts[name])


def _always(chance: Random) -> dict[str, dict[str, Any]]:
    """What can be tried at any time."""
    one, up_to, moved, issuer = chance.choice, chance.randrange, _moved(chance), _issuer(chance)
    meter, coin = up_to(4), chance.random() < 0.5
    picks = [(up_to(61), one(["one", "third", "all", "too much"])) for _ in range(1 + up_to(3))]
    return {
        "honest_quarters": {"repeat": 1 + up_to(2)},
        "nothing_happens": {"quarters": one([1, 1, 4, 12])},
        "offer_meter": {"meter": meter, "by": up_to(3), "to": one([0, 1, 1, 4])},
        "accept_meter": {"meter": meter, "by": up_to(2)},
        "claim": {"meter": one([0, 0, 2, 2, 1, 3]), "back": up_to(13)},
        "claim_run": {"meter": meter, "back": up_to(3), "length": one([1, 2, 4])},
        "claim_with_anothers_signature": {"meter": meter, "index": up_to(31), "forged": coin},
        "start_direct": {"meter": meter},
        "issue_direct": {
            "meter": one([1, 1, 1, meter]), "ahead": one([*[0] * 8, 1, -1]), "forged": not up_to(9)
        },
        "keep": {"meter": meter, "by": up_to(5), "late": one([-1, 0, 2])},
        "transfer": {**moved, "to": _to(chance)},
        "transfer_many": {"picks": picks, "by": moved["by"], "to": _to(chance)},
        "retire": {**moved, "spoilt": one([*["no"] * 9, "period", "bytes"])},
        "approve": {"holder": up_to(6), "to": up_to(2), "approved": up_to(3) > 0},
        "reserve": {
            "pick": moved["pick"], "part": moved["part"], "agent": moved["by"], "number": up_to(3)
        },
        "withdraw": {**moved, "by": issuer},
        "export": {**moved, "message": up_to(6)},
        "post": {"more": up_to(3), "by": issuer},
        "offer": {
            "pick": moved["pick"], "part": moved["part"], "price": one([*[1, 7, 50] * 4, 0, 2**64]),
            "last": one([*[1, 2, 20] * 4, 0, 2**32]),
        },
    }  # fmt: skip


def _sometimes(machine: CertificatesAgainstBook, chance: Random) -> dict[str, dict[str, Any]]:
    """What needs something that was done before."""
    book, one, up_to, moved = machine.book, chance.choice, chance.randrange, _moved(chance)
    acts: dict[str, dict[str, Any]] = {}
    if book.reserved:
        acts["release"] = {**moved, "to": _to(chance), "home": up_to(2) == 0}
    if book.retired:
        acts["reinstate"] = {**moved, "by": _issuer(chance)}
    if book.messages:
        acts["restore"] = {
            "message": up_to(6), "to": _to(chance), "by": _issuer(chance), "more": one([0, 0, 1])
        }  # fmt: skip
    if book.offers:
        short = int(up_to(9) == 0)
        acts["buy"] = {
            "pick": moved["pick"], "part": moved["part"], "by": up_to(6), "short": short
        }  # fmt: skip
        acts["cancel"] = {"pick": moved["pick"], "by": one(["seller", *range(len(EVERYBODY))])}
    return acts


def _moved(chance: Random) -> dict[str, Any]:
    part = chance.choice([*["one", "third", "all"] * 4, "too much", "nothing"])
    who = chance.choice([*["holder"] * 16, *range(len(EVERYBODY))])
    return {"pick": chance.randrange(61), "part": part, "by": who}


def _issuer(chance: Random) -> int | str:
    return chance.choice([*["issuer"] * 16, *range(len(EVERYBODY))])


def _to(chance: Random) -> int:
    return chance.choice([*[*range(7)] * 2, 7])


def test_every_operation_is_done_and_refused_and_both_sides_stay_equal() -> None:
    tally, chance = CertificatesAgainstBook.tally, Random(4)
    tally.clear()
    while tally.total() < OPERATIONS or (_missing(tally) and tally.total() < 3 * OPERATIONS):
        machine = CertificatesAgainstBook()
        machine.begin()
        machine.register(3, {"source": 0})
        end = tally.total() + PER_LIFE
        while tally.total() < end:
            _random_operation(machine, chance)
            machine.roll_is_that_of_the_book()
            machine.both_sides_are_equal_slot_by_slot()
        machine.teardown()
    assert _missing(tally) == set()


def _missing(tally: Counter[tuple[str, bool]]) -> set[tuple[str, bool]]:
    """What has not been done yet, or not been refused yet."""
    names = set(ACTS) - {"honest_quarters", "nothing_happens"}
    every = {(name, outcome) for name in names for outcome in (True, False)}
    return every - {("claim_with_anothers_signature", True)} - set(tally)
