"""The same days on a node of another make: Foundry's Anvil over JSON-RPC."""

from hashlib import sha256
from pathlib import Path

import pytest

from anvil import running_anvil
from commandline import anchors, commonwatt
from commonwatt.audit.facts import ChainFacts
from commonwatt.audit.published import read_community
from commonwatt.chain.embedded.chain import CHAIN_ID
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import opened_ledger


def facts_of(folder: Path, url: str | None) -> ChainFacts:
    with opened_ledger(folder, url, read_community(FolderFiles(folder)).chain) as ledger:
        return ledger.facts()


@pytest.mark.xdist_group("anvil")
def test_a_day_on_anvil_has_the_same_statements_roots_balances_and_gas(
    tmp_path: Path, street_file: Path, street_run: Path
) -> None:
    key = tmp_path / "operator.key"
    # The demonstration's operator, so that contracts get the same addresses on both chains.
    key.write_text(sha256(b"account/operator").hexdigest() + "\n")
    here = commonwatt("demo", "--resume", street_run, "--json").json
    with running_anvil(CHAIN_ID) as url:
        run = tmp_path / "run"
        answer = commonwatt(
            "demo", "--homes", street_file, "--chain", url, "--key", key, "--out", run, "--json"
        )
        assert answer.code == 0, answer.err
        there = answer.json
        on_anvil, embedded = facts_of(run, url), facts_of(street_run, None)
        audited = commonwatt("audit", run, "--chain", url)
        assert (audited.code, audited.out.startswith("ok")) == (0, True), audited.out
    assert anchors(run) == anchors(street_run)
    assert there["root"] == here["root"]
    assert there["gas_total"] == here["gas_total"]
    assert there["transactions"] == here["transactions"]
    for name in ("roll", "accounts", "meters", "flows", "balances", "supplier", "grid_operator"):
        assert getattr(on_anvil, name) == getattr(embedded, name), name
    assert on_anvil.wallets == embedded.wallets
    assert on_anvil.claims == embedded.claims
    assert [close.anchor for close in on_anvil.closes] == [c.anchor for c in embedded.closes]


@pytest.mark.xdist_group("anvil")
def test_a_chain_that_is_gone_is_named_and_nothing_is_lost(
    tmp_path: Path, street_file: Path
) -> None:
    key = tmp_path / "operator.key"
    key.write_text(sha256(b"account/operator").hexdigest() + "\n")
    run = tmp_path / "run"
    with running_anvil(CHAIN_ID) as url:
        words = ("demo", "--homes", street_file, "--chain", url, "--key", key)
        assert commonwatt(*words, "--out", run, "--json").code == 0
    answer = commonwatt("audit", run, "--chain", url)
    assert answer.code == 2
    assert url in answer.err
    assert len(answer.err.splitlines()) == 1
