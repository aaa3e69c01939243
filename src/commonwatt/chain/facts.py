"""Reading a community's facts from the chain: one request for its events, one pass over them."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from commonwatt.audit.facts import (
    GRID_LANE,
    SUPPLIER_LANE,
    AnchoredClose,
    ChainFacts,
    Claim,
    Flow,
    RegisteredMeter,
    Retirement,
)
from commonwatt.chain.abi import WORD, contract, signed_word, word
from commonwatt.chain.connection import Log
from commonwatt.chain.production import TokenId

if TYPE_CHECKING:
    from commonwatt.chain.ledger import Ledger

READS_MAX = 5
"""Tries to read events and lanes of the same moment while somebody goes on writing."""

_ZONE_BYTES = 16
_NOBODY = bytes(20)


def read_facts(ledger: "Ledger") -> ChainFacts:
    """All that an audit asks of the chain.

    Events and lanes are read one after the other; if something happened in between, again. What
    still disagrees after that is left in the facts for the audit to find.
    """
    for _ in range(READS_MAX):
        before = ledger.connection.block_number()
        facts = _Reading(ledger, before).facts()
        if ledger.connection.block_number() == before:
            break
    return facts


class _Reading:
    """One pass over the events of a community's contracts, up to a block."""

    def __init__(self, ledger: "Ledger", height: int) -> None:
        self._ledger, self._height = ledger, height
        self._accounts: list[bytes] = []
        self._meters: list[RegisteredMeter] = []
        self._flows: list[Flow] = []
        self._closes: list[tuple[Log, int]] = []
        self._wallets: Counter[bytes] = Counter()
        self._known: set[bytes] = set()
        self._claims: list[Claim] = []
        self._retirements: list[Retirement] = []

    def facts(self) -> ChainFacts:
        """Read everything."""
        ledger, at = self._ledger, self._ledger.addresses
        readers = self._readers()
        topics = [topic for _, topic in readers]
        found = ledger.connection.logs(
            [_text(place) for place in (at.registry, at.settlement, at.certificate, at.token)],
            [topics],
            to_block=self._height,
        )
        for log in found:
            read = readers.get((bytes.fromhex(log.address[2:]), log.topics[0]))
            if read is not None:
                read(log)
        return ChainFacts(
            chain_id=ledger.chain_id,
            registry=at.registry,
            settlement=at.settlement,
            certificate=at.certificate,
            token=at.token,
            roll=ledger.roll(),
            accounts=tuple(self._accounts),
            meters=tuple(self._meters),
            flows=tuple(self._flows),
            closes=tuple(map(self._close, self._closes)),
            balances=ledger.balances(),
            supplier=ledger.balance(SUPPLIER_LANE),
            grid_operator=ledger.balance(GRID_LANE),
            token_supply=ledger.token_supply(),
            wallets={who: amount for who, amount in self._wallets.items() if amount},
            claims=tuple(self._claims),
            retirements=tuple(self._retirements),
        )

    def _readers(self) -> dict[tuple[bytes, bytes], Callable[[Log], None]]:
        """What to do with which event of which contract."""
        at = self._ledger.addresses
        places = {
            "Registry": (at.registry, {"Joined": self._joined, "MeterRegistered": self._meter}),
            "Settlement": (at.settlement, {"Moved": self._flow, "Closed": self._closed}),
            "Certificate": (
                at.certificate,
                {
                    "TransferSingle": self._claim,
                    "TransferBatch": self._claim_batch,
                    "ClaimSingle": self._retirement,
                },
            ),
            "Euro": (at.token, {"Transfer": self._transfer}),
        }
        return {
            (place, contract(name).topics[event]): read
            for name, (place, events) in places.items()
            for event, read in events.items()
        }

    def _joined(self, log: Log) -> None:
        if self._is_ours(log):
            self._accounts.append(_address(log.topics[3]))

    def _meter(self, log: Log) -> None:
        if not self._is_ours(log):
            return
        data = log.data
        self._known.add(_address(log.topics[2]))
        self._meters.append(
            RegisteredMeter(
                public_key=data[: 2 * WORD],
                member=int.from_bytes(log.topics[3]),
                role=word(data, 2),
                source=word(data, 3),
                rated_w=word(data, 4),
                first_day=word(data, 5),
                zone=data[6 * WORD : 6 * WORD + _ZONE_BYTES],
                direct=bool(word(data, 7)),
                opening=data[8 * WORD : 9 * WORD],
            )
        )

    def _flow(self, log: Log) -> None:
        number, lane = int.from_bytes(log.topics[1]), int.from_bytes(log.topics[2])
        self._flows.append(Flow(number, lane, _address(log.topics[3]), signed_word(log.data, 0)))

    def _closed(self, log: Log) -> None:
        self._closes.append((log, int.from_bytes(log.topics[1])))

    def _close(self, found: tuple[Log, int]) -> AnchoredClose:
        log, start = found
        request = self._ledger.connection.request
        block = request("eth_getBlockByNumber", hex(log.block_number), False)  # noqa: FBT003
        return AnchoredClose(
            start=start,
            duration=word(log.data, 0),
            anchor=log.data[WORD : 2 * WORD],
            transaction=log.tx_hash,
            block=log.block_number,
            timestamp=int(block["timestamp"], 16),
        )

    def _claim(self, log: Log) -> None:
        if _address(log.topics[2]) == _NOBODY:
            self._claimed(log, word(log.data, 0), word(log.data, 1))

    def _claim_batch(self, log: Log) -> None:
        if _address(log.topics[2]) != _NOBODY:
            return
        ids, values = word(log.data, 0) // WORD, word(log.data, 1) // WORD
        for index in range(1, word(log.data, ids) + 1):
            self._claimed(log, word(log.data, ids + index), word(log.data, values + index))

    def _claimed(self, log: Log, number: int, wh: int) -> None:
        token = TokenId.of(number)
        if token.meter in self._known:
            self._claims.append(Claim(*token, owner=_address(log.topics[3]), wh=wh))

    def _retirement(self, log: Log) -> None:
        token, wh = TokenId.of(word(log.data, 0)), word(log.data, 1)
        if token.meter in self._known:
            self._retirements.append(Retirement(*token, owner=_address(log.topics[2]), wh=wh))

    def _transfer(self, log: Log) -> None:
        sender, receiver = _address(log.topics[1]), _address(log.topics[2])
        amount = word(log.data, 0)
        if sender != _NOBODY:
            self._wallets[sender] -= amount
        if receiver != _NOBODY:
            self._wallets[receiver] += amount

    def _is_ours(self, log: Log) -> bool:
        """Whether a registry event is of this community and not of a neighbouring one."""
        return _address(log.topics[1]) == self._ledger.addresses.settlement


def _address(topic: bytes) -> bytes:
    return topic[-len(_NOBODY) :]


def _text(address: bytes) -> str:
    return "0x" + address.hex()
