"""The way to any chain: the embedded one and a node's JSON-RPC look the same from here.

Everything above speaks to a chain through `Connection`: send a transaction and wait for its
receipt, ask a contract, read what the contracts wrote. It is small on purpose and loads neither
web3 nor Ethereum's specification.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from commonwatt.chain.account import Account, Signed, Transaction
from commonwatt.chain.errors import (
    CallReverted,
    NodeRefused,
    ReceiptMissing,
    TransactionReverted,
)
from commonwatt.chain.revert import reason_of

__all__ = ("Account", "Connection", "Log", "Message", "Receipt")

TRANSACTION_GAS_MAX = 16_777_216
"""EIP-7825; where gas is free, asking for all of it saves the estimate."""

GAS_MARGIN_PERCENT = 20
"""On top of a node's estimate: the state may move before the transaction is in a block."""

RECEIPT_WAIT_SECONDS = 120.0
RECEIPT_POLL_FIRST_SECONDS = 0.05
RECEIPT_POLL_LAST_SECONDS = 2.0
LOG_BLOCKS_PER_PAGE = 5_000
"""Blocks asked for at once on a network; halved while the node says it is too much."""

HTTP_TIMEOUT_SECONDS = 20.0


class Rpc(Protocol):
    """Anything that answers JSON-RPC requests."""

    def make_request(self, method: str, params: Sequence[object]) -> dict[str, Any]:
        """Answer one request with a dictionary that has `result` or `error`."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What to send: to which contract (None creates one), with which data."""

    to: str | None
    data: bytes
    gas: int | None = None
    """None: as much as there is where gas is free, else the node's estimate and a margin."""


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract wrote."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    tx_hash: bytes
    position: int
    """Its place in the block, counted from 0."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    tx_hash: bytes
    block_number: int
    succeeded: bool
    gas_used: int
    contract_address: str | None
    logs: tuple[Log, ...]

    @property
    def status(self) -> int:
        """1 if it stands, 0 if the contract undid it."""
        return int(self.succeeded)


class Connection:
    """One chain, by whatever road."""

    def __init__(self, rpc: Rpc, *, free_gas: bool = False, whole_history: bool = False) -> None:
        """Use `embedded` or `http` instead, unless you bring your own road.

        Args:
            rpc: answers the requests.
            free_gas: transactions cost nothing and may ask for the protocol's maximum.
            whole_history: logs of any range of blocks come in one answer.

        Raises:
            ChainUnreachable: it does not answer.
        """
        self._rpc = rpc
        self._free_gas = free_gas
        self._whole_history = whole_history
        self._nonces: dict[str, int] = {}
        self.chain_id = int(self.request("eth_chainId"), 16)

    @classmethod
    def embedded(cls, chain: Rpc) -> "Connection":
        """A chain in this process."""
        return cls(chain, free_gas=True, whole_history=True)

    @classmethod
    def http(cls, url: str, timeout: float = HTTP_TIMEOUT_SECONDS) -> "Connection":
        """A node at a URL.

        Raises:
            ChainUnreachable: it does not answer.
        """
        from commonwatt.chain.http import HttpRpc  # noqa: PLC0415 - not needed for the embedded one

        return cls(HttpRpc(url, timeout=timeout))

    def request(self, method: str, *params: object) -> Any:
        """The result of one JSON-RPC request.

        Raises:
            CallReverted: a contract refused.
            NodeRefused: the node did.
            ChainUnreachable: nobody answered.
        """
        answer = self._rpc.make_request(method, params)
        error = answer.get("error")
        if error is None:
            return answer["result"]
        data, text = error.get("data"), str(error.get("message", "no reason given"))
        if "revert" in text.lower():
            returned = _bytes(data) if isinstance(data, str) and data.startswith("0x") else b""
            raise CallReverted(reason_of(returned) or text, data=returned)
        code = int(error.get("code", 0))
        raise NodeRefused(method, code=code, message=text, data=None if data is None else str(data))

    def block_number(self) -> int:
        """The number of the latest block."""
        return int(self.request("eth_blockNumber"), 16)

    def code(self, address: str) -> bytes:
        """The contract at an address; empty if there is none."""
        return _bytes(self.request("eth_getCode", address, "latest"))

    def call(self, to: str, data: bytes, sender: str | None = None) -> bytes:
        """Ask a contract something; nothing changes.

        Raises:
            CallReverted: with the contract's reason.
        """
        message = {"to": to, "data": _hex(data)}
        if sender is not None:
            message["from"] = sender
        return _bytes(self.request("eth_call", message, "latest"))

    def send(
        self, account: Account, to: str | None, data: bytes, gas: int | None = None
    ) -> Receipt:
        """Send a transaction and wait until it is in a block.

        Raises:
            TransactionReverted: the contract undid it.
            CallReverted: it would be undone, says the node's estimate; it was not sent.
            ReceiptMissing: it was sent and is in no block yet.
        """
        return self.send_many(account, [Message(to, data, gas)])[0]

    def send_many(self, account: Account, messages: Sequence[Message]) -> list[Receipt]:
        """Send several transactions without waiting in between; then collect the receipts.

        Raises:
            TransactionReverted: the first that was undone; the others stand.
            ReceiptMissing: one was sent and is in no block yet.
        """
        sent = [(message, self._submit(account, message)) for message in messages]
        receipts = [self.wait(signed.tx_hash) for _, signed in sent]
        for (message, _), receipt in zip(sent, receipts, strict=True):
            if not receipt.succeeded:
                raise TransactionReverted(
                    self._why(account, message, receipt), tx_hash=receipt.tx_hash,
                    block_number=receipt.block_number, gas_used=receipt.gas_used,
                )
        return receipts

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """The receipt of a transaction, if it is in a block."""
        found = self.request("eth_getTransactionReceipt", _hex(tx_hash))
        return None if found is None else _receipt(found)

    def wait(self, tx_hash: bytes, seconds: float = RECEIPT_WAIT_SECONDS) -> Receipt:
        """Wait for a transaction to be in a block.

        Raises:
            ReceiptMissing: it is not, after `seconds`.
        """
        deadline = time.monotonic() + seconds
        pause = RECEIPT_POLL_FIRST_SECONDS
        while (receipt := self.receipt(tx_hash)) is None:
            if time.monotonic() >= deadline:
                raise ReceiptMissing(tx_hash, waited_seconds=seconds)
            time.sleep(pause)
            pause = min(2 * pause, RECEIPT_POLL_LAST_SECONDS)
        return receipt

    def logs(
        self,
        address: str | Sequence[str] | None,
        topics: Sequence[bytes | Sequence[bytes] | None] = (),
        from_block: int = 0,
        to_block: int | None = None,
    ) -> list[Log]:
        """What contracts wrote, in order.

        Args:
            address: one contract or several; None for all.
            topics: per position a word of 32 bytes, alternatives, or None for anything.
            from_block: first block.
            to_block: last block, included; None for the latest.
        """
        wanted = {"topics": [_topic(choice) for choice in topics]}
        if address is not None:
            wanted["address"] = address if isinstance(address, str) else list(address)
        last = self.block_number() if to_block is None else to_block
        return [_log(found) for found in self._pages(wanted, from_block, last)]

    def _pages(self, wanted: dict[str, Any], first: int, last: int) -> Iterator[dict[str, Any]]:
        page = last + 1 if self._whole_history else LOG_BLOCKS_PER_PAGE
        while first <= last:
            end = min(last, first + page - 1)
            try:
                found = self.request(
                    "eth_getLogs", {**wanted, "fromBlock": hex(first), "toBlock": hex(end)}
                )
            except NodeRefused:
                # Nodes limit the answer in ways of their own: ask for less until there is no less.
                if end == first:
                    raise
                page = max(1, (end - first + 1) // 2)
                continue
            yield from found
            first = end + 1

    def _submit(self, account: Account, message: Message) -> Signed:
        """Sign with the next nonce and send; on a nonce of ours that is wrong, once more."""
        fees = self._fees()
        gas = message.gas or self._gas(account, message)

        def attempt() -> Signed:
            signed = account.sign(
                Transaction(
                    chain_id=self.chain_id, nonce=self.nonce(account), gas=gas,
                    to=_bytes(message.to or "0x"), data=message.data,
                    max_fee=fees[0], tip=fees[1],
                )
            )
            self._deliver(signed)
            return signed

        try:
            signed = attempt()
        except NodeRefused as why:
            known = self._nonces.pop(account.address, None)
            if known is None or "nonce" not in why.message.lower():
                raise
            signed = attempt()
        except BaseException:
            self._nonces.pop(account.address, None)
            raise
        self._nonces[account.address] = self.nonce(account) + 1
        return signed

    def _deliver(self, signed: Signed) -> None:
        try:
            self.request("eth_sendRawTransaction", _hex(signed.raw))
        except NodeRefused as why:
            # After a lost answer the same bytes are sent again; that they are there is success.
            if "already known" not in why.message.lower():
                raise

    def nonce(self, account: Account) -> int:
        """How many transactions an account has sent."""
        known = self._nonces.get(account.address)
        if known is None:
            count = self.request("eth_getTransactionCount", account.address, "pending")
            known = self._nonces[account.address] = int(count, 16)
        return known

    def _gas(self, account: Account, message: Message) -> int:
        if self._free_gas:
            return TRANSACTION_GAS_MAX
        estimate = int(self.request("eth_estimateGas", _question(account, message), "pending"), 16)
        return min(TRANSACTION_GAS_MAX, estimate + estimate * GAS_MARGIN_PERCENT // 100)

    def _fees(self) -> tuple[int, int | None]:
        """Highest price for a unit of gas, and the validator's part; None: a legacy transaction."""
        if self._free_gas:
            return 0, None
        price = int(self.request("eth_gasPrice"), 16)
        if price == 0:
            return 0, None
        base = self.request("eth_getBlockByNumber", "latest", False).get("baseFeePerGas")  # noqa: FBT003
        if base is None:
            return price, None
        tip = max(0, price - int(base, 16))
        # The base fee rises by an eighth a block at most: twice of it lasts for six blocks.
        return 2 * int(base, 16) + tip, tip

    def _why(self, account: Account, message: Message, receipt: Receipt) -> str:
        """The reason of a revert is not in the receipt: ask the same again as a call."""
        question = _question(account, message)
        question["gas"] = hex(message.gas or TRANSACTION_GAS_MAX)
        try:
            self.request("eth_call", question, "latest")
        except CallReverted as why:
            return why.reason
        except NodeRefused as why:
            return why.message
        if receipt.gas_used == message.gas:
            return "out of gas"
        return "no reason to be found: asked again, the contract agrees"


def _question(account: Account, message: Message) -> dict[str, str]:
    question = {"from": account.address, "data": _hex(message.data)}
    if message.to is not None:
        question["to"] = message.to
    return question


def _receipt(found: dict[str, Any]) -> Receipt:
    return Receipt(
        tx_hash=_bytes(found["transactionHash"]),
        block_number=int(found["blockNumber"], 16),
        succeeded=int(found["status"], 16) == 1,
        gas_used=int(found["gasUsed"], 16),
        contract_address=found.get("contractAddress"),
        logs=tuple(map(_log, found["logs"])),
    )


def _log(found: dict[str, Any]) -> Log:
    return Log(
        address=found["address"],
        topics=tuple(map(_bytes, found["topics"])),
        data=_bytes(found["data"]),
        block_number=int(found["blockNumber"], 16),
        tx_hash=_bytes(found["transactionHash"]),
        position=int(found["logIndex"], 16),
    )


def _topic(choice: bytes | Sequence[bytes] | None) -> str | list[str] | None:
    if choice is None or isinstance(choice, bytes):
        return None if choice is None else _hex(choice)
    return [_hex(alternative) for alternative in choice]


_hex: Callable[[bytes], str] = lambda value: "0x" + value.hex()  # noqa: E731
_bytes: Callable[[str], bytes] = lambda value: bytes.fromhex(value[2:])  # noqa: E731
