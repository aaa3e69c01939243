"""The way to any chain: the embedded one and a node's JSON-RPC look the same from here.

Everything above speaks to a chain through `Connection`: send a transaction and wait for its
receipt, ask a contract, read what the contracts wrote. It is small on purpose and loads neither
web3 nor Ethereum's specification.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from commonwatt.chain.account import Account
from commonwatt.chain.answers import (
    Log,
    Receipt,
    read_bytes,
    read_log,
    read_receipt,
    write_bytes,
    write_topic,
)
from commonwatt.chain.errors import (
    CallReverted,
    NodeRefused,
    ReceiptMissing,
    TransactionReverted,
)
from commonwatt.chain.revert import reason_of
from commonwatt.chain.sender import Message, Sender, Sent

__all__ = ("Account", "Connection", "Log", "Message", "Receipt")

RECEIPT_WAIT_SECONDS = 120.0
RECEIPT_POLL_FIRST_SECONDS = 0.02
RECEIPT_POLL_LAST_SECONDS = 2.0
LOG_BLOCKS_PER_PAGE = 5_000
"""Blocks asked for at once on a network; halved while the node says it is too much."""

HTTP_TIMEOUT_SECONDS = 20.0


class Rpc(Protocol):
    """Anything that answers JSON-RPC requests."""

    def make_request(self, method: str, params: Sequence[object]) -> dict[str, Any]:
        """Answer one request with a dictionary that has `result` or `error`."""
        ...


class Connection:
    """One chain, by whatever road. Threads may share it."""

    def __init__(
        self,
        rpc: Rpc,
        *,
        embedded: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use `embedded` or `http` instead, unless you bring a road of your own.

        Args:
            rpc: answers the requests.
            embedded: gas costs nothing, and logs of any range come in one answer.
            sleep: waits some seconds between two looks for a receipt.

        Raises:
            ChainUnreachable: it does not answer.
        """
        self._rpc = rpc
        self._embedded = embedded
        self._sleep = sleep
        self._hang_up: Callable[[], None] = lambda: None
        self.chain_id = int(self.request("eth_chainId"), 16)
        self._sender = Sender(self.request, self.chain_id, free_gas=embedded)

    @classmethod
    def embedded(cls, chain: Rpc) -> "Connection":
        """A chain in this process."""
        return cls(chain, embedded=True)

    @classmethod
    def http(cls, url: str, timeout: float = HTTP_TIMEOUT_SECONDS) -> "Connection":
        """A node at a URL.

        Raises:
            ChainUnreachable: it does not answer within `timeout` seconds.
        """
        from commonwatt.chain.http import HttpRpc  # noqa: PLC0415 - not needed for the embedded one

        rpc = HttpRpc(url, timeout=timeout)
        try:
            connection = cls(rpc)
        except BaseException:
            rpc.close()
            raise
        connection._hang_up = rpc.close
        return connection

    def close(self) -> None:
        """Hang up on a node; an embedded chain is closed by whoever opened it."""
        self._hang_up()

    def __enter__(self) -> Self:
        """For use with `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()

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
            returned = read_bytes(data) if isinstance(data, str) and data[:2] == "0x" else b""
            raise CallReverted(reason_of(returned) or text, data=returned)
        code = int(error.get("code", 0))
        raise NodeRefused(method, code=code, message=text, data=None if data is None else str(data))

    def block_number(self) -> int:
        """The number of the latest block."""
        return int(self.request("eth_blockNumber"), 16)

    def code(self, address: str) -> bytes:
        """The contract at an address; empty if there is none."""
        return read_bytes(self.request("eth_getCode", address, "latest"))

    def call(self, to: str, data: bytes, sender: str | None = None) -> bytes:
        """Ask a contract something; nothing changes.

        Raises:
            CallReverted: with the contract's reason.
        """
        message = {"to": to, "data": write_bytes(data)}
        if sender is not None:
            message["from"] = sender
        return read_bytes(self.request("eth_call", message, "latest"))

    def send(
        self, account: Account, to: str | None, data: bytes, gas: int | None = None
    ) -> Receipt:
        """Send a transaction and wait until it is in a block.

        Raises:
            TransactionReverted: the contract undid it.
            CallReverted: it would be undone, says the node's estimate; it was not sent.
            ReceiptMissing: it was sent and is in no block yet.
            ChainUnreachable: nobody answered; it may have been sent or not.
        """
        return self.send_many(account, [Message(to, data, gas)])[0]

    def send_many(self, account: Account, messages: Sequence[Message]) -> list[Receipt]:
        """Send several transactions without waiting in between; then collect the receipts.

        Raises:
            TransactionReverted: the first that was undone; the others stand.
            CallReverted: one would be undone, says the node's estimate; it and the rest were not
                sent, those before it were.
            ReceiptMissing: one was sent and is in no block yet. What is sent next takes its place.
        """
        sent = self._sender.submit(account, messages)
        try:
            receipts = [self.wait(one.tx_hash) for one in sent]
        except ReceiptMissing:
            self._sender.replace_next(account)
            raise
        self._sender.got_through(account)
        for one, receipt in zip(sent, receipts, strict=True):
            if not receipt.succeeded:
                raise TransactionReverted(
                    self._why(account, one, receipt),
                    tx_hash=receipt.tx_hash,
                    block_number=receipt.block_number,
                    gas_used=receipt.gas_used,
                )
        return receipts

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """The receipt of a transaction, if it is in a block."""
        found = self.request("eth_getTransactionReceipt", write_bytes(tx_hash))
        return None if found is None else read_receipt(found)

    def wait(self, tx_hash: bytes, seconds: float = RECEIPT_WAIT_SECONDS) -> Receipt:
        """Wait for a transaction to be in a block.

        Raises:
            ReceiptMissing: it is not, after `seconds`.
        """
        waited, pause = 0.0, RECEIPT_POLL_FIRST_SECONDS
        while (receipt := self.receipt(tx_hash)) is None:
            if waited >= seconds:
                raise ReceiptMissing(tx_hash, waited_seconds=waited)
            self._sleep(pause)
            waited += pause
            pause = min(2 * pause, RECEIPT_POLL_LAST_SECONDS)
        return receipt

    def confirm(self, tx_hash: bytes, blocks: int, seconds: float) -> Receipt:
        """Wait until a transaction lies so deep that no re-organisation is expected to undo it.

        Args:
            tx_hash: of one that was in a block.
            blocks: how many blocks, its own included, must hold it.
            seconds: how long to wait at most.

        Raises:
            ReceiptMissing: it is in no block any more, or not deep enough in time.
        """
        waited = 0.0
        while True:
            receipt = self.receipt(tx_hash)
            deep = receipt is not None and self.block_number() - receipt.block_number + 1 >= blocks
            if receipt is not None and deep:
                return receipt
            if waited >= seconds:
                raise ReceiptMissing(tx_hash, waited_seconds=waited)
            self._sleep(RECEIPT_POLL_LAST_SECONDS)
            waited += RECEIPT_POLL_LAST_SECONDS

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
        wanted: dict[str, Any] = {"topics": [write_topic(choice) for choice in topics]}
        if address is not None:
            wanted["address"] = address if isinstance(address, str) else list(address)
        last = self.block_number() if to_block is None else to_block
        return [read_log(found) for found in self._pages(wanted, from_block, last)]

    def nonce(self, account: Account) -> int:
        """How many transactions an account has sent."""
        return self._sender.nonce(account)

    def _pages(self, wanted: dict[str, Any], first: int, last: int) -> Iterator[dict[str, Any]]:
        page = last + 1 if self._embedded else LOG_BLOCKS_PER_PAGE
        while first <= last:
            end = min(last, first + page - 1)
            blocks = {"fromBlock": hex(first), "toBlock": hex(end)}
            try:
                found = self.request("eth_getLogs", {**wanted, **blocks})
            except NodeRefused:
                # Nodes limit the answer in ways of their own: ask for less until there is no less.
                if end == first:
                    raise
                page = (end - first + 1) // 2
            else:
                yield from found
                first = end + 1

    def _why(self, account: Account, sent: Sent, receipt: Receipt) -> str:
        """The reason of a revert is not in the receipt: ask the same again as a call."""
        if receipt.gas_used == sent.gas:
            return f"out of gas, {sent.gas} were not enough"
        question = {**sent.message.asked_by(account), "gas": hex(sent.gas)}
        try:
            self.request("eth_call", question, "latest")
        except CallReverted as why:
            return why.reason
        except NodeRefused as why:
            return why.message
        return "no reason to be found: asked again, the contract agrees"
