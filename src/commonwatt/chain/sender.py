"""Sends transactions: counts them, prices them, signs them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from commonwatt.chain.account import AccessList, Account, Transaction
from commonwatt.chain.answers import read_bytes, write_bytes
from commonwatt.chain.errors import NodeRefused

TRANSACTION_GAS_MAX = 16_777_216
"""EIP-7825; where gas is free, asking for all of it saves the estimate."""

RAISE_PERCENT = 25
"""So much more a transaction offers than the one it replaces; nodes ask for a tenth at least."""
GAS_MARGIN_PERCENT = 20
"""On top of a node's estimate: the state may move before the transaction is in a block."""


@dataclass(frozen=True, slots=True)
class Message:
    """What to send: to which contract (None creates one), with which data."""

    to: str | None
    data: bytes
    gas: int | None = None
    """None: as much as there is where gas is free, else the node's estimate and a margin."""

    slots: tuple[int, ...] = ()
    """Storage slots of `to` it will touch, named beforehand where that makes it cheaper."""

    @property
    def access(self) -> AccessList:
        """What the transaction names beforehand."""
        if self.to is None or not self.slots:
            return ()
        return ((read_bytes(self.to), self.slots),)

    def asked_by(self, account: Account) -> dict[str, Any]:
        """The same as a question: what would come of it?"""
        question: dict[str, Any] = {"from": account.address, "data": write_bytes(self.data)}
        if self.to is not None:
            question["to"] = self.to
        if self.access:
            question["accessList"] = [
                {"address": write_bytes(contract), "storageKeys": [f"0x{s:064x}" for s in slots]}
                for contract, slots in self.access
            ]
        return question


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that the chain has taken."""

    message: Message
    tx_hash: bytes
    gas: int


class Sender:
    """Sends the transactions of any account to one chain. Threads may share it."""

    def __init__(self, request: Callable[..., Any], chain_id: int, *, free_gas: bool) -> None:
        """Send through `request(method, *params)`; `free_gas` if gas costs nothing there."""
        self._request = request
        self._chain_id = chain_id
        self._free_gas = free_gas
        self._lock = Lock()
        self._nonces: dict[str, int] = {}
        self._stuck: dict[str, int] = {}
        """Per account how often in a row its transactions did not get into a block."""

    def replace_next(self, account: Account) -> None:
        """What was sent is stuck: the next transaction takes its number and offers more.

        Of two with one number only one can get into a block, so nothing is done twice.
        """
        with self._lock:
            self._stuck[account.address] = self._stuck.get(account.address, 0) + 1
            self._nonces.pop(account.address, None)

    def got_through(self, account: Account) -> None:
        """What was sent is in a block."""
        with self._lock:
            self._stuck.pop(account.address, None)

    def submit(self, account: Account, messages: Sequence[Message]) -> list[Sent]:
        """Sign and send, one after the other, without waiting for blocks.

        Raises:
            CallReverted: one would be undone, says the estimate; it and the rest were not sent.
            NodeRefused: the same, for a reason of the node's.
        """
        with self._lock:
            fees = self._fees()
            return [self._submit(account, message, fees) for message in messages]

    def nonce(self, account: Account) -> int:
        """How many transactions an account has sent."""
        known = self._nonces.get(account.address)
        if known is None:
            count = self._request("eth_getTransactionCount", account.address, self._view(account))
            known = self._nonces[account.address] = int(count, 16)
        return known

    def _view(self, account: Account) -> str:
        """The state to build upon: without what is stuck, which is to be replaced."""
        return "latest" if account.address in self._stuck else "pending"

    def _submit(self, account: Account, message: Message, fees: tuple[int, int | None]) -> Sent:
        """Send with the next nonce; where ours turns out to be wrong, once more."""
        message, gas = self._limited(account, message)
        believed = account.address in self._nonces
        try:
            return self._attempt(account, message, gas, fees)
        except NodeRefused as why:
            if not believed or "nonce" not in why.message.lower():
                raise
        return self._attempt(account, message, gas, fees)

    def _attempt(
        self, account: Account, message: Message, gas: int, fees: tuple[int, int | None]
    ) -> Sent:
        nonce, (price, tip) = self.nonce(account), self._raised(account, fees)
        signed = account.sign(
            Transaction(
                chain_id=self._chain_id,
                nonce=nonce,
                gas=gas,
                to=read_bytes(message.to or "0x"),
                data=message.data,
                max_fee=price,
                tip=tip,
                access=message.access,
            )
        )
        # Until the node has said yes we do not know: after any failure the next one asks for it.
        del self._nonces[account.address]
        try:
            self._request("eth_sendRawTransaction", write_bytes(signed.raw))
        except NodeRefused:
            # Where an answer was lost on the way, the same bytes were sent twice, and the second
            # time they are "already known" or their nonce "too low": that they are there counts.
            # To send the message again with another nonce would be to pay twice.
            if self._request("eth_getTransactionByHash", write_bytes(signed.tx_hash)) is None:
                raise
        self._nonces[account.address] = nonce + 1
        return Sent(message, signed.tx_hash, gas)

    def _limited(self, account: Account, message: Message) -> tuple[Message, int]:
        """The message as it will be sent, and how much gas it may use."""
        if message.gas or self._free_gas:
            return message, message.gas or TRANSACTION_GAS_MAX
        estimate = self._estimate(account, message)
        if message.slots:
            # Naming slots pays at today's prices; EIP-7981 would charge for their bytes too, and
            # then it costs twenty times what it saves. The node knows which prices it has.
            plain = replace(message, slots=())
            without = self._estimate(account, plain)
            if without <= estimate:  # equal where the node knows no access lists
                message, estimate = plain, without
        margin = estimate * GAS_MARGIN_PERCENT // 100
        return message, min(TRANSACTION_GAS_MAX, estimate + margin)

    def _estimate(self, account: Account, message: Message) -> int:
        question = message.asked_by(account)
        return int(self._request("eth_estimateGas", question, self._view(account)), 16)

    def _raised(self, account: Account, fees: tuple[int, int | None]) -> tuple[int, int | None]:
        """The fees, raised for every time that the account's transactions were stuck."""
        times = self._stuck.get(account.address, 0)
        up, down = (100 + RAISE_PERCENT) ** times, 100**times
        price, tip = fees
        # A unit more, as rounding down must not make two offers the same.
        raised = price * up // down + times
        return raised, None if tip is None else tip * up // down + times

    def _fees(self) -> tuple[int, int | None]:
        """Highest price for a unit of gas, and the validator's part; None: one price."""
        price = 0 if self._free_gas else int(self._request("eth_gasPrice"), 16)
        if price == 0:
            return 0, None
        latest = self._request("eth_getBlockByNumber", "latest", False)  # noqa: FBT003
        base = int(latest.get("baseFeePerGas") or "0x0", 16)
        if base == 0:
            return price, None
        tip = max(0, price - base)
        # The base fee rises by an eighth a block at most: twice of it lasts for six blocks.
        return 2 * base + tip, tip
