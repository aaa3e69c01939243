"""The chain's node comes back with an older chain: closes are gone that it had confirmed."""

from pathlib import Path

import pytest

from anvil import DEV_KEY, Anvil, anvil
from served import Node, await_that, require_whole, serving, simulated

BEFORE, LOST = 2, 4
"""Intervals closed before the copy of the chain is made, and at least so many after it. Midnight
lies among those, so the state before them is not the last one that the node kept."""


class Copies:
    """Copies of a chain that is stopped for each."""

    def __init__(self, chain: Anvil, state: Path) -> None:
        self._chain, self._state = chain, state

    def take(self) -> bytes:
        self._chain.stop()
        found = self._state.read_bytes()
        self._chain.start()
        return found

    def put_back(self, copy: bytes) -> None:
        """As after a power cut that took everything since."""
        self._chain.stop()
        self._state.write_bytes(copy)
        self._chain.start()


def closed(node: Node) -> None:
    """Wait until all that is stated is on the chain."""

    def is_closed() -> bool:
        told = node.health()
        if told is None or not told["communities"]:
            return False
        return node.figure("commonwatt_intervals_waiting") == 0

    await_that(is_closed, node.log)


@pytest.mark.soak
def test_closes_that_the_chain_has_lost_are_sent_again_in_order(tmp_path: Path) -> None:
    key, state = tmp_path / "operator.key", tmp_path / "chain.json"
    key.write_text(DEV_KEY.hex() + "\n")
    with anvil(31_337, state=state) as chain:
        copies = Copies(chain, state)
        node = Node(tmp_path / "node", "--chain", chain.url, "--key", key)
        with serving(node), simulated(node, node.url, tmp_path / "meters") as meters:
            meters.await_done(BEFORE)
            with meters.silent():
                closed(node)
                old = copies.take()
            meters.await_done(meters.done + LOST)
            with meters.silent():
                closed(node)
                paid = meters.done
                copies.put_back(old)
            meters.await_done(paid + 2)
            said = "the chain was set back: it lacks the closes from 2016-06-2"
            await_that(lambda: said in node.log(), node.log, 60)
            answered = meters.end(meters.done + 2)
            closed(node)
            assert node.log().count("begun again from the database") == 1
        require_whole(node.published, "--chain", chain.url, answered=answered)
