"""A node that has lost sight of what is kept begins again from what is kept."""

from pathlib import Path

import pytest

from bed import SCENARIO, Bed, make_bed, until
from commandline import commonwatt
from commonwatt.node.service import service as service_module


def test_a_community_whose_database_is_in_doubt_is_begun_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "RENEW_S", 0.1)
    bed = Bed(make_bed(tmp_path / "bed"))
    for _ in range(3):
        bed.interval()
    first = bed.hosted
    first._node._database._in_doubt = True  # as a connection lost on a commit leaves it
    until(lambda: bed.service.communities.get(SCENARIO) not in {None, first})
    for _ in range(3):
        bed.interval()
    bed.close()
    found = commonwatt("audit", tmp_path / "bed" / SCENARIO, "--certificates", "--json")
    assert (found.code, found.json["intervals"]) == (0, 6), found.out + found.err


def test_what_another_node_has_taken_is_put_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "RENEW_S", 0.1)
    bed = Bed(make_bed(tmp_path / "bed"))
    bed.interval()
    leases = bed.service.store.leases
    [held] = leases.held()
    leases.release(held)
    taken = leases.acquire(held.community, "other", 60)
    assert taken is not None
    until(lambda: not bed.service.communities)
    leases.release(taken)
    until(lambda: bool(bed.service.communities))
    bed.interval()
    bed.close()
