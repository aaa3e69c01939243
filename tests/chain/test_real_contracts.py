"""The life of a community, transaction for transaction, on three engines."""

from collections.abc import Iterator

import pytest

from anvil import running_anvil
from commonwatt.chain.connection import Connection
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.embedded.block import Block
from commonwatt.chain.errors import TransactionReverted
from commonwatt.chain.ledger import NAMED_LANE_SLOTS_MIN
from commonwatt.chain.production import Purpose, TokenId
from contracts.ground import EURO, NOON, Ground


@pytest.fixture(scope="module")
def lived() -> Ground:
    """A community that was founded, traded, certified, and was lied to."""
    ground = Ground.new()
    ground.join(14)
    ground.fund(0, 50 * EURO)
    ground.close(deltas=[-7 * EURO, 7 * EURO, *([0] * 12)])
    roof = ground.meter("roof")
    ground.register(roof)
    first, second = ground.quarter(roof), ground.quarter(roof, issued=900, free=900)
    ground.claim(first)
    ground.claim(second)
    with pytest.raises(TransactionReverted, match="claimed"):
        ground.claim(second)
    with pytest.raises(TransactionReverted):
        ground.close(deltas=[-60 * EURO, 60 * EURO, *([0] * 12)])
    token = ground.token(first.production)
    keeper, buyer = ground.members[0], ground.members[1]
    for amount in (150, 250):  # part, then all: a slot is emptied
        ground.ledger.transfer(keeper, keeper.address_bytes, buyer.address_bytes, token, amount)
    ground.ledger.withdraw(buyer, 1, 2 * EURO)
    trade(ground, ground.token(second.production))
    ground.join(6 * NAMED_LANE_SLOTS_MIN - 14)
    ground.close(deltas=[-EURO, EURO, *([0] * (6 * NAMED_LANE_SLOTS_MIN - 2))])
    return ground


def trade(ground: Ground, token: TokenId) -> None:
    """Everything else that is done with certificates, by those who may and by one who may not."""
    ledger, (seller, buyer, *_) = ground.ledger, ground.members
    own, message = seller.address_bytes, bytes(range(32))
    number = ledger.number_of(ledger.offer(seller, token, 300, 7, ground.clock.now + 10**6))
    ledger.mint(ground.issuer, [(buyer.address_bytes, 10**6)])
    ledger.buy(buyer, number, 100, 700)
    ledger.cancel_offer(seller, number)
    ledger.reserve(seller, own, 1, token, 50)
    ledger.release(seller, own, 1, token, 50, receiver=buyer.address_bytes)
    day = Purpose("bakery", "here", "DE", NOON, NOON + 10**7, "bread")
    ledger.retire(seller, own, token, 100, day)
    ledger.reinstate(ground.issuer, own, token, 40, "not delivered")
    ledger.withdraw_units(ground.issuer, own, token, 10, "counted twice")
    ledger.export_units(seller, own, token, 20, destination=message, message=message)
    ledger.restore(ground.issuer, own, token, 20, message)
    with pytest.raises(TransactionReverted, match="did not export"):
        ledger.restore(ground.issuer, own, token, 20, message)
    ground.register(plant := ground.meter("plant", direct=True))
    ledger.start_direct(ground.stranger, plant.last.record)
    ground.issue(plant)
    ledger.keep(seller, ground.meters[0].key.meter, ground.clock.now)
    ledger.post(ground.issuer, 1, message)


@pytest.fixture(scope="module")
def blocks(lived: Ground) -> list[Block]:
    return list(lived.chain.journal.blocks(1, lived.chain.head.number))


def test_the_untouched_specification_makes_the_same_blocks(blocks: list[Block]) -> None:
    times: Iterator[int] = iter([block.timestamp for block in blocks])
    with EmbeddedChain(engine="untouched", clock=lambda: next(times)) as chain:
        for block in blocks:
            # Equal headers are equal states: each holds the root over all of it.
            assert chain.submit(block.raw) == block


def test_anvil_finds_the_same_gas_status_logs_and_storage(
    lived: Ground, blocks: list[Block]
) -> None:
    ours = lived.ledger.connection
    with running_anvil(ours.chain_id) as url, Connection.http(url) as theirs:
        for block in blocks:
            theirs.request("evm_setTime", block.timestamp)
            theirs.request("eth_sendRawTransaction", "0x" + block.raw.hex())
            found, wanted = theirs.wait(block.tx_hash), ours.receipt(block.tx_hash)
            assert wanted is not None
            assert (found.status, found.gas_used) == (wanted.status, wanted.gas_used)
            assert found.contract_address == wanted.contract_address
            assert [(log.address, log.topics, log.data) for log in found.logs] == [
                (log.address, log.topics, log.data) for log in wanted.logs
            ]
        slots = 0
        for address, key, value in storage(lived.chain):
            answer = theirs.request(
                "eth_getStorageAt", "0x" + address.hex(), "0x" + key.hex(), "latest"
            )
            assert int(answer, 16) == value
            slots += 1
    assert slots > 30
    assert {block.succeeded for block in blocks} == {True, False}
    assert blocks[0].timestamp == NOON
    assert blocks[-1].raw[0] == 1  # the large community's close names its slots


def storage(chain: EmbeddedChain) -> Iterator[tuple[bytes, bytes, int]]:
    for address, trie in chain.producer.world.state._storage_tries.items():
        for key, value in trie._data.items():
            yield bytes(address), bytes(key), int(value)
