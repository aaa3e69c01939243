"""`eth_getLogs`: what was filed, found by anything that was indexed."""

import pytest

from commonwatt.chain.connection import Account, Connection, Message
from commonwatt.chain.encoding import keccak

HASHES = False
FILED = keccak(b"Filed(uint256,address,uint256)")


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.fixture
def filed(connection: Connection, deployed: str, clerk: Account, neighbour: Account, drawer) -> str:
    """Drawers 0, 1, 2 by the clerk in blocks 2 to 4, and by the neighbour in 5 to 7."""
    for account in (clerk, neighbour):
        connection.send_many(
            account, [Message(deployed, drawer("file", n, n + 7)) for n in range(3)]
        )
    connection.send(clerk, deployed, drawer("file_within", 1, 13))
    return deployed


def found(connection: Connection, *filters: object, **blocks: int) -> list[tuple[int, int]]:
    logs = connection.logs(*filters, **blocks)
    return [(log.block_number, int.from_bytes(log.data, "big")) for log in logs]


def test_logs_are_found_by_contract_topic_and_block(
    connection: Connection, filed: str, clerk: Account
) -> None:
    by_clerk = bytes(12) + clerk.address_bytes
    everything = [(2, 7), (3, 8), (4, 9), (5, 7), (6, 8), (7, 9), (8, 5)]
    assert found(connection, filed) == everything
    assert found(connection, None) == everything
    assert found(connection, clerk.address) == []
    assert found(connection, [clerk.address, filed], [FILED]) == everything
    assert found(connection, filed, [FILED, None, by_clerk]) == everything[:3]
    assert found(connection, filed, [None, word(1)]) == [(3, 8), (6, 8), (8, 5)]
    assert found(connection, filed, [FILED, [word(0), word(2)], [by_clerk]]) == [(2, 7), (4, 9)]
    assert found(connection, filed, [keccak(b"Other()")]) == []
    assert found(connection, filed, from_block=4, to_block=5) == [(4, 9), (5, 7)]
    assert found(connection, filed, from_block=9) == []


def test_an_empty_list_of_alternatives_asks_for_anything(
    connection: Connection, filed: str
) -> None:
    assert len(connection.logs(filed, [[], None])) == 7


@pytest.mark.usefixtures("filed")
def test_logs_of_one_block_are_those_of_its_receipt(connection: Connection) -> None:
    block = connection.request("eth_getBlockByNumber", "0x8", HASHES)
    logs = connection.request("eth_getLogs", {"blockHash": block["hash"]})
    receipt = connection.request("eth_getTransactionReceipt", block["transactions"][0])
    assert logs == receipt["logs"]
    assert [int(log["logIndex"], 16) for log in logs] == [0]


def test_the_frame_that_failed_left_no_log(connection: Connection, filed: str) -> None:
    # In block 8 the inner call logged 13 and was then undone; the outer one logged 5.
    assert found(connection, filed, from_block=8) == [(8, 5)]
