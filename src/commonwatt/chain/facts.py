"""Reading a community's facts from the chain: one request for its events, one pass over them."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from commonwatt.audit.facts import (
    GRID_LANE,
    SUPPLIER_LANE,
    AnchoredClose,
    ChainFacts,
    Flow,
    RegisteredMeter,
)
from commonwatt.chain.abi import WORD, contract, signed_word, word
from commonwatt.chain.connection import Log
from commonwatt.chain.unit_events import UnitEvents, address_in

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
        self._direct: set[bytes] = set()
        self._units = UnitEvents(self._known)

    def facts(self) -> ChainFacts:
        """Read everything."""
        ledger, at = self._ledger, self._ledger.addresses
        readers = self._readers()
        topics = [topic for _, topic in readers]
        places = {_text(place) for place, _ in readers}
        found = ledger.connection.logs(sorted(places), [topics], to_block=self._height)
        for log in found:
            read = readers.get((bytes.fromhex(log.address[2:]), log.topics[0]))
            if read is not None:
                read(log)
        issues, units = tuple(self._units.issues()), self._units
        return ChainFacts(
            chain_id=ledger.chain_id,
            registry=at.registry,
            settlement=at.settlement,
            certificate=at.certificate,
            token=at.token,
            exchange=at.exchange if ledger.sells_certificates() else b"",
            book=at.book if ledger.keeps_book() else b"",
            issuer=ledger.issuer(),
            lifetime_s=ledger.lifetime_s(),
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
            claims=tuple(issue for issue in issues if issue.meter not in self._direct),
            retirements=tuple(r for r in units.retirements() if r.meter not in self._direct),
            issues=tuple(issue for issue in issues if issue.meter in self._direct),
            movements=tuple(units.movements),
            escrows=units.used_escrows(),
            kept=units.kept,
            records=tuple(units.records),
            posts=tuple(units.posts),
        )

    def _readers(self) -> dict[tuple[bytes, bytes], Callable[[Log], None]]:
        """What to do with which event of which contract."""
        at = self._ledger.addresses
        places: dict[str, tuple[bytes, dict[str, Callable[[Log], None]]]] = {
            "Registry": (at.registry, {"Joined": self._joined, "MeterRegistered": self._meter}),
            "Settlement": (at.settlement, {"Moved": self._flow, "Closed": self._closed}),
            "Certificate": (at.certificate, self._units.readers()),
            "Euro": (at.token, {"Transfer": self._transfer}),
            "Book": (at.book, {"Posted": self._units.read_post}),
        }
        return {
            (place, contract(name).topics[event]): read
            for name, (place, events) in places.items()
            for event, read in events.items()
        }

    def _joined(self, log: Log) -> None:
        if self._is_ours(log):
            self._accounts.append(address_in(log.topics[3]))

    def _meter(self, log: Log) -> None:
        if not self._is_ours(log):
            return
        data = log.data
        meter, direct = address_in(log.topics[2]), bool(word(data, 7))
        self._known.add(meter)
        if direct:
            self._direct.add(meter)
        self._meters.append(
            RegisteredMeter(
                public_key=data[: 2 * WORD],
                member=int.from_bytes(log.topics[3]),
                role=word(data, 2),
                source=word(data, 3),
                rated_w=word(data, 4),
                first_day=word(data, 5),
                zone=data[6 * WORD : 6 * WORD + _ZONE_BYTES],
                direct=direct,
                opening=data[8 * WORD : 9 * WORD],
            )
        )

    def _flow(self, log: Log) -> None:
        number, lane = int.from_bytes(log.topics[1]), int.from_bytes(log.topics[2])
        self._flows.append(Flow(number, lane, address_in(log.topics[3]), signed_word(log.data, 0)))

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

    def _transfer(self, log: Log) -> None:
        sender, receiver = address_in(log.topics[1]), address_in(log.topics[2])
        amount = word(log.data, 0)
        if sender != _NOBODY:
            self._wallets[sender] -= amount
        if receiver != _NOBODY:
            self._wallets[receiver] += amount

    def _is_ours(self, log: Log) -> bool:
        """Whether a registry event is of this community and not of a neighbouring one."""
        return address_in(log.topics[1]) == self._ledger.addresses.settlement


def _text(address: bytes) -> str:
    return "0x" + address.hex()
