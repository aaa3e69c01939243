"""Ethereum's specification, wrapped: transactions that change a state, calls that do not.

Importing this module loads the specification (about a second); only `EmbeddedChain` does so, when
one is made.
"""
# ruff: noqa: SLF001 - the specification keeps its state in fields with underscores

from collections.abc import Sequence
from dataclasses import dataclass

from ethereum.exceptions import EthereumException, InvalidBlock, InvalidTransaction
from ethereum.forks.osaka import state as spec_state
from ethereum.forks.osaka import vm
from ethereum.forks.osaka.blocks import Log, decode_receipt
from ethereum.forks.osaka.fork import process_transaction
from ethereum.forks.osaka.state import TransientStorage
from ethereum.forks.osaka.transactions import (
    Access,
    AccessListTransaction,
    BlobTransaction,
    LegacyTransaction,
    Transaction,
    calculate_intrinsic_cost,
    decode_transaction,
    recover_sender,
)
from ethereum.forks.osaka.utils.message import prepare_message
from ethereum.forks.osaka.vm.exceptions import Revert
from ethereum.forks.osaka.vm.interpreter import process_message_call
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import DecodingError
from ethereum_types.bytes import Bytes, Bytes0, Bytes20, Bytes32
from ethereum_types.numeric import U64, U256, Uint

from commonwatt.chain.account import AccessList, created_address
from commonwatt.chain.embedded.block import LogEntry
from commonwatt.chain.embedded.header import BLOCK_GAS_LIMIT, NOBODY
from commonwatt.chain.embedded.world import World

TRANSACTION_GAS_LIMIT = 16_777_216
"""EIP-7825: no transaction may ask for more."""

_LEGACY_FIRST_BYTE = 0x80


class NotIncludable(Exception):
    """The transaction cannot be in any block now; the state is as it was."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What one transaction did."""

    sender: bytes
    contract: bytes | None
    succeeded: bool
    gas_used: int
    logs: tuple[LogEntry, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call returned."""

    data: bytes
    gas_used: int
    """Before any refund, with the intrinsic cost; what a transaction must bring along."""

    failure: str | None
    """None if it went well; the name of the failure otherwise."""

    reverted: bool
    """True if the contract itself refused, with `data` as its reason."""


@dataclass(frozen=True, slots=True)
class BlockContext:
    """Where in the chain something runs."""

    number: int
    timestamp: int
    recent_hashes: Sequence[Bytes32]
    """Hashes of up to 256 blocks before it, oldest first."""


class Engine:
    """The rules of one chain, applied to one world."""

    def __init__(self, chain_id: int, world: World) -> None:
        """Apply the rules to `world`; signatures for another chain id are refused."""
        self._chain_id = U64(chain_id)
        self._world = world

    def execute(self, raw: bytes, context: BlockContext) -> Executed:
        """Run one signed transaction; the world then keeps or undoes it.

        Raises:
            NotIncludable: with the reason; the state is unchanged.
        """
        tx = decode(raw)
        output = vm.BlockOutput()
        with self._world.rules():
            self._world.mark()
            try:
                process_transaction(self._environment(context), output, tx, Uint(0))
            except (InvalidTransaction, InvalidBlock) as why:
                self._world.undo()
                raise NotIncludable(_reason(why)) from why
            except BaseException:
                self._world.undo()
                raise
        receipt = decode_receipt(output.receipts_trie._data[output.receipt_keys[0]])
        sender = bytes(recover_sender(self._chain_id, tx))
        creates = isinstance(tx.to, Bytes0) and receipt.succeeded
        return Executed(
            sender=sender,
            contract=created_address(sender, int(tx.nonce)) if creates else None,
            succeeded=bool(receipt.succeeded),
            gas_used=int(output.block_gas_used),
            logs=tuple(map(_entry, output.block_logs)),
        )

    def call(
        self,
        context: BlockContext,
        *,
        sender: bytes,
        to: bytes | None,
        data: bytes,
        value: int,
        gas: int,
        access: AccessList = (),
    ) -> Answer:
        """Run a message on a copy of the state that is thrown away."""
        # Any transaction with one price will do: nobody checks the signature of a call.
        tx = AccessListTransaction(
            chain_id=self._chain_id,
            nonce=U256(0),
            gas_price=Uint(0),
            gas=Uint(gas),
            to=Bytes0() if to is None else Bytes20(to),
            value=U256(value),
            data=Bytes(data),
            access_list=tuple(
                Access(Bytes20(named), tuple(U256(slot).to_be_bytes32() for slot in slots))
                for named, slots in access
            ),
            y_parity=U256(0),
            r=U256(0),
            s=U256(0),
        )
        intrinsic, floor = map(int, calculate_intrinsic_cost(tx))
        if gas < max(intrinsic, floor):
            return Answer(b"", gas, "intrinsic gas too low", reverted=False)
        if value > self.account(sender)[1]:
            return Answer(b"", gas, "insufficient funds for transfer", reverted=False)
        transient = TransientStorage()
        environment = self._environment(context)
        message_environment = vm.TransactionEnvironment(
            origin=Bytes20(sender),
            gas_price=Uint(0),
            gas=Uint(gas - intrinsic),
            access_list_addresses={
                environment.coinbase,
                *(named.account for named in tx.access_list),
            },
            access_list_storage_keys={
                (named.account, slot) for named in tx.access_list for slot in named.slots
            },
            transient_storage=transient,
            blob_versioned_hashes=(),
            authorizations=(),
            index_in_block=Uint(0),
            tx_hash=None,
        )
        state = self._world.state
        with self._world.rules():
            self._world.mark()
            try:
                # Looked up on the module, so that the undo log is used where it applies.
                spec_state.begin_transaction(state, transient)
                spec_state.increment_nonce(state, Bytes20(sender))
                output = process_message_call(prepare_message(environment, message_environment, tx))
            finally:
                self._world.undo()
        error = output.error
        return Answer(
            data=bytes(output.return_data),
            gas_used=max(gas - int(output.gas_left), floor),
            failure=None if error is None else _reason(error),
            reverted=isinstance(error, Revert),
        )

    def account(self, address: bytes) -> tuple[int, int, bytes]:
        """Nonce, balance and code of an address."""
        found = spec_state.get_account(self._world.state, Bytes20(address))
        return int(found.nonce), int(found.balance), bytes(found.code)

    def storage(self, address: bytes, slot: int) -> bytes:
        """The 32 bytes in one storage slot."""
        key = U256(slot).to_be_bytes32()
        value = spec_state.get_storage(self._world.state, Bytes20(address), key)
        return bytes(value.to_be_bytes32())

    def _environment(self, context: BlockContext) -> vm.BlockEnvironment:
        return vm.BlockEnvironment(
            chain_id=self._chain_id,
            state=self._world.state,
            block_gas_limit=Uint(BLOCK_GAS_LIMIT),
            block_hashes=list(context.recent_hashes),
            coinbase=Bytes20(NOBODY),
            number=Uint(context.number),
            base_fee_per_gas=Uint(0),
            time=U256(context.timestamp),
            prev_randao=Bytes32(bytes(32)),
            excess_blob_gas=U64(0),
            parent_beacon_block_root=Bytes32(bytes(32)),
        )


def decode(raw: bytes) -> Transaction:
    """Read a signed transaction.

    Raises:
        NotIncludable: it is not a transaction, or of a kind this chain does not take.
    """
    try:
        if raw and raw[0] >= _LEGACY_FIRST_BYTE:
            return rlp.decode_to(LegacyTransaction, Bytes(raw))
        tx = decode_transaction(Bytes(raw))
    except (DecodingError, EthereumException, IndexError, OverflowError, ValueError) as why:
        raise NotIncludable("not a signed transaction") from why
    if isinstance(tx, BlobTransaction):
        raise NotIncludable("blob transactions are not taken by the embedded chain")
    return tx


def _entry(log: Log) -> LogEntry:
    return LogEntry(bytes(log.address), tuple(map(bytes, log.topics)), bytes(log.data))


def _reason(why: BaseException) -> str:
    """The specification's words, or its exception's name in words."""
    text = str(why)
    if text:
        return text
    name = type(why).__name__.removesuffix("Error")
    return "".join(" " + c.lower() if c.isupper() else c for c in name).strip()
