"""Why the chain refuses a close: moved lanes, a chain that was set back, or something else."""

from dataclasses import dataclass

import pytest

from commonwatt.chain.account import Account
from commonwatt.chain.connection import Receipt
from commonwatt.chain.errors import CallReverted
from commonwatt.node.errors import ChainSetBack, FlowsMissing
from commonwatt.node.treasury import LedgerTreasury
from street import Street

CLOSER = Account.from_key(b"\1" * 32)


@dataclass
class Refusing:
    """A ledger that takes no close, and what it knows."""

    there: int
    latest: tuple[int, int, bytes, int]

    def close(self, *_: object) -> Receipt:
        raise CallReverted("settlement: no")

    def flows(self) -> int:
        return self.there

    def last(self) -> tuple[int, int, bytes, int]:
        return self.latest


def refused(*, flows: int = 0, behind: int = 0) -> object:
    """What comes of a third close on a ledger with so many flows more and closes fewer."""
    street = Street()
    headers = [street.close(street.measure([1, 1, 1], [0, 0, 0])).header for _ in range(3)]
    before, third = headers[1 - behind], headers[2]
    latest = (before.start, 900, before.anchor, before.flows)
    ledger = Refusing(third.flows + flows, latest)
    treasury = LedgerTreasury(ledger, CLOSER)  # type: ignore[arg-type]
    return treasury.pay(third.encode(), [])


def test_lanes_that_have_moved_let_it_be_stated_again() -> None:
    assert refused(flows=1) is None


def test_a_chain_that_lacks_closes_is_told_from_which_on() -> None:
    with pytest.raises(ChainSetBack) as found:
        refused(behind=1)
    assert (found.value.first, found.value.start) == (1_466_511_300, 1_466_512_200)
    assert "it lacks the closes from 2016-06-21T12:15:00Z on" in str(found.value)


def test_a_chain_that_lacks_deposits_is_not_paid_upon() -> None:
    with pytest.raises(FlowsMissing, match="has seen 4"):
        refused(flows=-1)


def test_any_other_refusal_is_the_contracts_own() -> None:
    with pytest.raises(CallReverted, match="settlement: no"):
        refused()
