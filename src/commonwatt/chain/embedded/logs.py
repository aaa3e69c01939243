"""`eth_getLogs`: what the contracts wrote, by block range, address and topics."""

from collections.abc import Sequence
from typing import Any

from commonwatt.chain.embedded import shapes
from commonwatt.chain.embedded.journal import Journal

TOPICS_MAX = 4


def find(
    journal: Journal,
    first: int,
    last: int,
    addresses: str | Sequence[str] | None,
    topics: Sequence[str | Sequence[str] | None] | None,
) -> list[dict[str, Any]]:
    """Log entries of the blocks `first` to `last`, both included, in the order they were written.

    Args:
        journal: where they are.
        first: first block.
        last: last block.
        addresses: one contract or several; None for all.
        topics: per position a topic, a list of alternatives, or None for anything.

    Raises:
        ValueError: more than four positions, or something that is not hexadecimal.
    """
    conditions, values = ["log.block BETWEEN ? AND ?"], list[int | bytes]((first, last))
    wanted: list[tuple[str, Any]] = [("address", addresses)]
    positions = list(topics or ())
    if len(positions) > TOPICS_MAX:
        msg = "a log has at most four topics"
        raise ValueError(msg)
    wanted += [(f"topic{position}", choice) for position, choice in enumerate(positions)]
    for column, choice in wanted:
        alternatives = [choice] if isinstance(choice, str) else choice
        if alternatives:
            marks = ",".join("?" * len(alternatives))
            conditions.append(f"log.{column} IN ({marks})")
            values += map(shapes.blob, alternatives)
    query = (
        "SELECT log.block, log.position, log.address, topic0, topic1, topic2, topic3, log.data,"  # noqa: S608
        " block.hash, block.timestamp, block.tx_hash FROM log JOIN block ON number = log.block"
        f" WHERE {' AND '.join(conditions)} ORDER BY log.block, log.position"
    )
    return [_shown(*row) for row in journal.rows(query, *values)]


def _shown(number: int, position: int, address: bytes, *rest: Any) -> dict[str, Any]:
    *topics, data, block_hash, timestamp, tx_hash = rest
    return {
        "address": shapes.data(address),
        "topics": [shapes.data(topic) for topic in topics if topic is not None],
        "data": shapes.data(data),
        "blockNumber": hex(number),
        "blockHash": shapes.data(block_hash),
        "blockTimestamp": hex(timestamp),
        "transactionHash": shapes.data(tx_hash),
        "transactionIndex": "0x0",
        "logIndex": hex(position),
        "removed": False,
    }
