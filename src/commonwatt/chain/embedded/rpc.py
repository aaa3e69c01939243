"""The JSON-RPC methods of the embedded chain, answering like any Ethereum node."""

from collections.abc import Callable, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

from commonwatt.chain.embedded import logs, shapes
from commonwatt.chain.embedded.block import Block
from commonwatt.chain.embedded.engine import TRANSACTION_GAS_LIMIT, NotIncludable
from commonwatt.chain.embedded.header import NOBODY
from commonwatt.chain.revert import reason_of

if TYPE_CHECKING:
    from commonwatt.chain.embedded.chain import EmbeddedChain

CALL_GAS = 50_000_000
"""What a call may use at most, whatever it says; large reads of a community fit."""

LOG_CHOICES_MAX = 1_000
"""Addresses, or alternatives for one topic, in one search for logs."""

FEE_BLOCKS_MAX, FEE_PERCENTILES_MAX = 1_024, 100
"""In one fee history, of which every entry is zero."""

MESSAGE_CHARACTERS_MAX = 200
"""Of what is wrong with parameters: they may be long, and need not come back."""

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
SERVER_ERROR = -32000
REVERTED = 3


class RpcError(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class Methods:
    """Answers requests about one chain."""

    def __init__(self, chain: "EmbeddedChain") -> None:
        self._chain = chain
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(chain.chain_id),
            "net_version": lambda: str(chain.chain_id),
            "net_listening": lambda: True,
            "web3_clientVersion": lambda: "commonwatt/embedded/osaka",
            "eth_syncing": lambda: False,
            "eth_accounts": list,
            "eth_gasPrice": lambda: "0x0",
            "eth_maxPriorityFeePerGas": lambda: "0x0",
            "eth_feeHistory": self._fee_history,
            "eth_blockNumber": lambda: hex(chain.head.number),
            "eth_getBalance": lambda who, at="latest": hex(self._account(who, at)[1]),
            "eth_getTransactionCount": lambda who, at="latest": hex(self._account(who, at)[0]),
            "eth_getCode": lambda who, at="latest": shapes.data(self._account(who, at)[2]),
            "eth_getStorageAt": self._storage,
            "eth_sendRawTransaction": self._send,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getTransactionByHash": self._transaction,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getBlockTransactionCountByNumber": lambda at: self._size(self._block_at(at)),
            "eth_getBlockTransactionCountByHash": lambda block: self._size(self._block_of(block)),
            "eth_getTransactionByBlockNumberAndIndex": lambda at, index: self._transaction_in(
                self._block_at(at), index
            ),
            "eth_getTransactionByBlockHashAndIndex": lambda block, index: self._transaction_in(
                self._block_of(block), index
            ),
            "eth_getLogs": self._logs,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The methods there are."""
        return tuple(self._methods)

    def answer(self, method: str, params: Sequence[object]) -> dict[str, Any]:
        """The JSON-RPC answer to one request; every refusal is an answer, not an exception."""
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
        try:
            known = self._known(method)
            answer["result"] = known(*signature(known).bind(*params).args)
        except RpcError as why:
            answer["error"] = {"code": why.code, "message": why.message}
            if why.data is not None:
                answer["error"]["data"] = why.data
        except NotIncludable as why:
            answer["error"] = {"code": SERVER_ERROR, "message": str(why)}
        except AttributeError:
            message = "invalid params: a text, a number, a list or an object in another's place"
            answer["error"] = {"code": INVALID_PARAMS, "message": message}
        except (TypeError, ValueError, KeyError, OverflowError) as why:
            message = f"invalid params: {why}"[:MESSAGE_CHARACTERS_MAX]
            answer["error"] = {"code": INVALID_PARAMS, "message": message}
        return answer

    def _known(self, method: str) -> Callable[..., Any]:
        known = self._methods.get(method)
        if known is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method:.80} does not exist")
        return known

    def _send(self, raw: str) -> str:
        return shapes.data(self._chain.submit(shapes.blob(raw)).tx_hash)

    def _call(self, message: dict[str, Any], at: Any = "latest", overrides: Any = None) -> str:
        if overrides:
            raise RpcError(INVALID_PARAMS, "state overrides are not known to this chain")
        self._require_latest(at)
        answer = self._run(message, min(CALL_GAS, shapes.number(message.get("gas") or CALL_GAS)))
        self._raise_failure(answer)
        return shapes.data(answer.data)

    def _estimate(self, message: dict[str, Any], at: Any = "latest") -> str:
        self._require_latest(at)
        cap = min(
            TRANSACTION_GAS_LIMIT,
            shapes.number(message.get("gas") or TRANSACTION_GAS_LIMIT),
        )
        answer = self._run(message, cap)
        self._raise_failure(answer)
        # What was used before the refund nearly always suffices; where a contract looks at the
        # gas it has left, or a frame keeps back a 64th, search between that and the cap.
        low, high = answer.gas_used, answer.gas_used
        while self._run(message, high).failure is not None:
            low, high = high, min(cap, high + high // 16)
        while high - low > 1 + high // 4096:
            middle = (low + high) // 2
            if self._run(message, middle).failure is None:
                high = middle
            else:
                low = middle
        return hex(high)

    def _run(self, message: dict[str, Any], gas: int) -> Any:
        to = message.get("to")
        chain = self._chain
        return chain.producer.call(
            chain.now(),
            sender=shapes.address(message["from"]) if message.get("from") else NOBODY,
            to=shapes.address(to) if to else None,
            data=shapes.blob(message.get("data") or message.get("input") or "0x"),
            value=shapes.number(message.get("value") or "0x0"),
            gas=gas,
            access=shapes.access(message.get("accessList") or ()),
        )

    @staticmethod
    def _raise_failure(answer: Any) -> None:
        if answer.reverted:
            reason = reason_of(answer.data)
            message = f"execution reverted: {reason}" if reason else "execution reverted"
            raise RpcError(REVERTED, message, shapes.data(answer.data))
        if answer.failure is not None:
            raise RpcError(SERVER_ERROR, answer.failure)

    def _account(self, who: str, at: Any) -> tuple[int, int, bytes]:
        self._require_latest(at)
        return self._chain.producer.account(shapes.address(who))

    def _storage(self, who: str, slot: str, at: Any = "latest") -> str:
        self._require_latest(at)
        return shapes.data(self._chain.producer.storage(shapes.address(who), shapes.number(slot)))

    def _receipt(self, tx_hash: str) -> dict[str, Any] | None:
        block = self._chain.journal.block_with_transaction(shapes.blob(tx_hash))
        return None if block is None else shapes.receipt(block)

    def _transaction(self, tx_hash: str) -> dict[str, Any] | None:
        block = self._chain.journal.block_with_transaction(shapes.blob(tx_hash))
        return None if block is None else shapes.transaction(block, self._chain.chain_id)

    def _block_by_number(self, at: Any, full: bool = False) -> dict[str, Any] | None:  # noqa: FBT001, FBT002
        return self._shown(self._block_at(at), full=full)

    def _block_by_hash(self, block_hash: str, full: bool = False) -> dict[str, Any] | None:  # noqa: FBT001, FBT002
        return self._shown(self._block_of(block_hash), full=full)

    def _block_at(self, at: Any) -> Block | None:
        return self._chain.journal.block(self._number(at))

    def _block_of(self, block_hash: str) -> Block | None:
        return self._chain.journal.block_with_hash(shapes.blob(block_hash))

    def _block_receipts(self, at: Any) -> list[dict[str, Any]] | None:
        if isinstance(at, dict):
            at = at.get("blockHash") or at.get("blockNumber")
        is_hash = isinstance(at, str) and len(at) == len("0x") + 64
        block = self._block_of(at) if is_hash else self._block_at(at)
        if block is None:
            return None
        return [shapes.receipt(block)] if block.raw else []

    def _transaction_in(self, block: Block | None, index: Any) -> dict[str, Any] | None:
        if block is None or not block.raw or shapes.number(index) != 0:
            return None
        return shapes.transaction(block, self._chain.chain_id)

    @staticmethod
    def _size(block: Block | None) -> str | None:
        return None if block is None else hex(bool(block.raw))

    def _shown(self, block: Block | None, *, full: bool) -> dict[str, Any] | None:
        return None if block is None else shapes.block(block, self._chain.chain_id, full=full)

    def _logs(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        journal = self._chain.journal
        for choice in (wanted.get("address"), *(wanted.get("topics") or ())):
            if isinstance(choice, list) and len(choice) > LOG_CHOICES_MAX:
                message = f"at most {LOG_CHOICES_MAX} addresses, or alternatives for a topic"
                raise RpcError(INVALID_PARAMS, message)
        if wanted.get("blockHash"):
            block = journal.block_with_hash(shapes.blob(wanted["blockHash"]))
            if block is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            first = last = block.number
        else:
            first = self._number(wanted.get("fromBlock") or "latest")
            last = self._number(wanted.get("toBlock") or "latest")
        return logs.find(journal, first, last, wanted.get("address"), wanted.get("topics"))

    def _fee_history(self, count: Any, newest: Any, percentiles: Any = None) -> dict[str, Any]:
        last = self._number(newest)
        number = min(shapes.number(count), last + 1, FEE_BLOCKS_MAX)
        if len(percentiles or ()) > FEE_PERCENTILES_MAX:
            raise RpcError(INVALID_PARAMS, f"at most {FEE_PERCENTILES_MAX} percentiles")
        history: dict[str, Any] = {
            "oldestBlock": hex(last + 1 - number),
            "baseFeePerGas": ["0x0"] * (number + 1),
            "gasUsedRatio": [0.0] * number,
        }
        if percentiles:
            history["reward"] = [["0x0"] * len(percentiles)] * number
        return history

    def _number(self, at: Any) -> int:
        if at == "earliest":
            return 0
        if at in ("latest", "pending", "safe", "finalized"):
            return self._chain.head.number
        return shapes.number(at)

    def _require_latest(self, at: Any) -> None:
        """Only the latest state is kept; the history is in the logs."""
        head = self._chain.head
        if isinstance(at, dict):
            by_hash = at.get("blockHash")
            if by_hash is not None and shapes.blob(by_hash) == head.hash:
                return
            at = by_hash or at.get("blockNumber", "latest")
        if at is not None and self._number(at) != head.number:
            raise RpcError(SERVER_ERROR, "only the latest state is kept: ask for block 'latest'")
