"""Transactions that are stuck, and blocks that are undone: on Anvil, as on any network."""

from collections.abc import Iterator

import pytest

from anvil import DEV_KEY, running_anvil
from commonwatt.chain.account import Account
from commonwatt.chain.connection import Connection
from commonwatt.chain.errors import ReceiptMissing

CHAIN_ID = 31_337
PRICED = ("--block-base-fee-per-gas", "1000000000")


@pytest.fixture
def far() -> Iterator[Connection]:
    """A network whose blocks come when the test says so, and whose clock we do not wait for."""
    with running_anvil(CHAIN_ID, *PRICED) as url, Connection.http(url) as connection:
        connection._sleep = lambda _: None
        mine_at_once(connection, on=False)
        yield connection


def mine_at_once(connection: Connection, *, on: bool) -> None:
    """Whether every transaction gets a block of its own at once."""
    connection.request("evm_setAutomine", on)


RICH = Account.from_key(DEV_KEY)


def sent(connection: Connection) -> list[dict[str, str]]:
    """What waits for a block."""
    pool = connection.request("txpool_content")
    own = pool["pending"].get(RICH.address, {}) or pool["pending"].get(RICH.address.lower(), {})
    return list(own.values())


def test_what_is_stuck_is_replaced_by_a_higher_offer_under_the_same_number(far: Connection) -> None:
    offers = []
    for _ in range(3):
        with pytest.raises(ReceiptMissing):
            far.send(RICH, RICH.address, b"", gas=50_000)
        [waiting] = sent(far)
        assert int(waiting["nonce"], 16) == 0
        offers.append(int(waiting["maxFeePerGas"], 16))
    assert offers == sorted(set(offers))
    assert offers[1] * 100 >= offers[0] * 110

    far.request("anvil_mine", hex(1))
    assert sent(far) == []
    assert int(far.request("eth_getTransactionCount", RICH.address, "latest"), 16) == 1
    mine_at_once(far, on=True)
    receipt = far.send(RICH, RICH.address, b"", gas=50_000)
    assert receipt.succeeded
    transaction = far.request("eth_getTransactionByHash", "0x" + receipt.tx_hash.hex())
    assert int(transaction["nonce"], 16) == 1
    following = far.send(RICH, RICH.address, b"", gas=50_000)
    again = far.request("eth_getTransactionByHash", "0x" + following.tx_hash.hex())
    assert int(again["maxFeePerGas"], 16) < offers[-1]


def test_a_close_counts_once_it_is_deep_enough(far: Connection) -> None:
    mine_at_once(far, on=True)
    receipt = far.send(RICH, RICH.address, b"", gas=50_000)
    with pytest.raises(ReceiptMissing):
        far.confirm(receipt.tx_hash, blocks=3, seconds=10)
    far.request("anvil_mine", hex(2))
    assert far.confirm(receipt.tx_hash, blocks=3, seconds=10) == receipt


def test_what_a_re_organisation_undid_is_missing_again(far: Connection) -> None:
    mine_at_once(far, on=True)
    far.request("anvil_mine", hex(2))
    receipt = far.send(RICH, RICH.address, b"", gas=50_000)
    far.request("anvil_reorg", 1, [])
    with pytest.raises(ReceiptMissing):
        far.confirm(receipt.tx_hash, blocks=1, seconds=10)
