"""Filters: a client asks again and again what is new, and the server remembers what it was told.

Wallets and libraries wait for events with them. A filter belongs to one server and is forgotten
when nobody has asked for a while, as on any Ethereum node.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import Any

from commonwatt.chain.connection import Rpc

FILTERS_MAX = 1_000
FILTER_SECONDS = 300.0
"""A filter that nobody asks is forgotten after that long."""

Result = dict[str, Any]
"""A JSON-RPC answer, of which `result` or `error` counts."""

INVALID_PARAMS, NOT_FOUND, LIMIT_EXCEEDED = -32602, -32000, -32005


class _Kind(Enum):
    LOGS = auto()
    BLOCKS = auto()
    PENDING = auto()
    """Transactions in no block yet. A transaction is in one at once, so there are none."""


@dataclass(slots=True)
class _Filter:
    """What one client waits for."""

    kind: _Kind
    wanted: dict[str, Any]
    """Of logs: what `eth_getLogs` is asked."""

    told: int
    """The number of the last block that was looked at."""

    asked: float
    """When somebody last asked, in seconds."""


class Filters:
    """The filter methods, on top of a chain that answers `eth_getLogs`."""

    def __init__(self, chain: Rpc, clock: Callable[[], float]) -> None:
        """Start without filters; `clock` gives seconds."""
        self._chain = chain
        self._clock = clock
        self._filters: dict[str, _Filter] = {}
        self._names = map(hex, count(1))
        self.methods: dict[str, Callable[..., Result]] = {
            "eth_newFilter": self._new_log_filter,
            "eth_newBlockFilter": lambda: self._new(_Kind.BLOCKS, {}),
            "eth_newPendingTransactionFilter": lambda: self._new(_Kind.PENDING, {}),
            "eth_getFilterChanges": self._changes,
            "eth_getFilterLogs": self._logs_of,
            "eth_uninstallFilter": self._uninstall,
        }

    def _new_log_filter(self, wanted: dict[str, Any]) -> Result:
        if wanted.get("blockHash"):
            return error(
                INVALID_PARAMS, "a filter waits for blocks to come, not for one by its hash"
            )
        # What is wrong with it is said now, not when it is first asked.
        tried = self._ask("eth_getLogs", {**wanted, "fromBlock": "latest", "toBlock": "latest"})
        return tried if "error" in tried else self._new(_Kind.LOGS, wanted)

    def _new(self, kind: _Kind, wanted: dict[str, Any]) -> Result:
        now = self._clock()
        for name in [n for n, f in self._filters.items() if now - f.asked > FILTER_SECONDS]:
            del self._filters[name]
        if len(self._filters) >= FILTERS_MAX:
            return error(LIMIT_EXCEEDED, f"at most {FILTERS_MAX} filters; uninstall some")
        name = next(self._names)
        self._filters[name] = _Filter(kind, wanted, self._head(), now)
        return {"result": name}

    def _changes(self, name: str) -> Result:
        """What has come since the filter was made or last asked."""
        found = self._filters.get(name)
        if found is None:
            return _unknown(name)
        found.asked, first, head = self._clock(), found.told + 1, self._head()
        answer: Result = {"result": []}
        if found.kind is _Kind.BLOCKS:
            answer = {"result": [self._hash(number) for number in range(first, head + 1)]}
        elif found.kind is _Kind.LOGS:
            first = max(first, _block(found.wanted, "fromBlock", first))
            last = min(head, _block(found.wanted, "toBlock", head))
            if first <= last:
                blocks = {"fromBlock": hex(first), "toBlock": hex(last)}
                answer = self._ask("eth_getLogs", {**found.wanted, **blocks})
        if "error" not in answer:
            found.told = head
        return answer

    def _logs_of(self, name: str) -> Result:
        """All that a filter finds, told before or not."""
        found = self._filters.get(name)
        if found is None or found.kind is not _Kind.LOGS:
            return _unknown(name)
        found.asked = self._clock()
        return self._ask("eth_getLogs", found.wanted)

    def _uninstall(self, name: str) -> Result:
        return {"result": self._filters.pop(name, None) is not None}

    def _head(self) -> int:
        return int(self._ask("eth_blockNumber")["result"], 16)

    def _hash(self, number: int) -> str:
        block = self._ask("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003
        return str(block["result"]["hash"])

    def _ask(self, method: str, *params: object) -> Result:
        return self._chain.make_request(method, params)


def error(code: int, message: str) -> Result:
    """A refusal as JSON-RPC has it."""
    return {"error": {"code": code, "message": message}}


def _unknown(name: str) -> Result:
    return error(NOT_FOUND, f"filter {name!s:.20} not found; make it again with eth_newFilter")


def _block(wanted: dict[str, Any], side: str, otherwise: int) -> int:
    """A block's number out of a filter's criteria; a word such as `latest` sets no bound."""
    named = wanted.get(side)
    return int(named, 16) if isinstance(named, str) and named[:2] == "0x" else otherwise
