"""Accounts that sign transactions: secp256k1, EIP-155, EIP-2930 and EIP-1559.

Written on coincurve alone: importing eth-account takes most of a second and signing with it ten
times as long, and what is needed here fits a page. A test compares every byte with eth-account's.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from commonwatt.chain.encoding import Rlp, keccak, rlp

if TYPE_CHECKING:
    from coincurve import PrivateKey

KEY_BYTES = 32
ADDRESS_BYTES = 20
WORD_BYTES = 32
_EIP_155 = 35
_WALLET_V, _TEXT_SIGNATURE_BYTES = 27, 65
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
"""Of secp256k1: of a signature's two forms only the one with the lower s is taken."""

AccessList = tuple[tuple[bytes, tuple[int, ...]], ...]
"""Contracts, 20 bytes each, with the storage slots a transaction will touch there (EIP-2930)."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction before it is signed."""

    chain_id: int
    nonce: int
    gas: int
    to: bytes
    """The contract, 20 bytes; empty to create one."""

    data: bytes
    max_fee: int = 0
    """What a unit of gas may cost at most, in the chain's smallest coin."""

    tip: int | None = None
    """Part of it that goes to the validator (EIP-1559); None: one price for all of it."""

    value: int = 0

    access: AccessList = ()
    """What it names beforehand; touching it then costs less, naming it costs something."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A transaction ready to be sent."""

    raw: bytes
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """Who sends transactions: a key and the address that follows from it."""

    address: str
    """With the capitals of EIP-55."""

    key: bytes = field(repr=False)

    @classmethod
    def from_key(cls, key: bytes) -> "Account":
        """The account of a private key of 32 bytes.

        Raises:
            ValueError: it is not a key of this curve.
        """
        public = _private(key).public_key.format(compressed=False)[1:]
        return cls(address=checksum(keccak(public)[-ADDRESS_BYTES:]), key=bytes(key))

    @property
    def address_bytes(self) -> bytes:
        """The address, 20 bytes."""
        return bytes.fromhex(self.address[2:])

    def sign(self, transaction: Transaction) -> Signed:
        """Sign a transaction; the same one always gives the same bytes (RFC 6979)."""
        tx = transaction
        middle: tuple[Rlp, ...] = (tx.gas, tx.to, tx.value, tx.data)
        if tx.tip is None and not tx.access:
            fields: tuple[Rlp, ...] = (tx.nonce, tx.max_fee, *middle)
            recovery, r, s = self._signature(rlp((*fields, tx.chain_id, 0, 0)))
            raw = rlp((*fields, recovery + _EIP_155 + 2 * tx.chain_id, r, s))
        else:
            kind, prices = (1, (tx.max_fee,)) if tx.tip is None else (2, (tx.tip, tx.max_fee))
            named = [
                (contract, [slot.to_bytes(WORD_BYTES) for slot in slots])
                for contract, slots in tx.access
            ]
            fields = (tx.chain_id, tx.nonce, *prices, *middle, named)
            recovery, r, s = self._signature(bytes((kind,)) + rlp(fields))
            raw = bytes((kind,)) + rlp((*fields, recovery, r, s))
        return Signed(raw, keccak(raw))

    def sign_text(self, text: bytes) -> bytes:
        """Sign a text as wallets do (EIP-191): r, s, v in 65 bytes."""
        found: bytes = _private(self.key).sign_recoverable(_wallet_hash(text), hasher=None)
        return found[:64] + bytes((found[64] + _WALLET_V,))

    def _signature(self, message: bytes) -> tuple[int, int, int]:
        found = _private(self.key).sign_recoverable(keccak(message), hasher=None)
        return found[64], int.from_bytes(found[:32], "big"), int.from_bytes(found[32:64], "big")


def signer_of(text: bytes, signature: bytes) -> bytes | None:
    """The account that signed a text (EIP-191); None where nobody did, or in the other form.

    Args:
        text: what was signed.
        signature: r, s, v in 65 bytes; s at most half the group's order.
    """
    from coincurve import PublicKey  # noqa: PLC0415 - loaded when somebody first signs

    if len(signature) != _TEXT_SIGNATURE_BYTES:
        return None
    recovery, s = signature[-1] - _WALLET_V, int.from_bytes(signature[32:64])
    if recovery not in (0, 1) or s > _HALF_ORDER:
        return None
    try:
        found = PublicKey.from_signature_and_message(
            signature[:64] + bytes((recovery,)), _wallet_hash(text), hasher=None
        )
    except ValueError:
        return None
    return keccak(found.format(compressed=False)[1:])[-ADDRESS_BYTES:]


def _wallet_hash(text: bytes) -> bytes:
    return keccak(b"\x19Ethereum Signed Message:\n%d" % len(text) + text)


@cache
def _private(key: bytes) -> "PrivateKey":
    from coincurve import PrivateKey  # noqa: PLC0415 - loaded when somebody first signs

    if len(key) != KEY_BYTES:
        msg = f"a private key has {KEY_BYTES} bytes, not {len(key)}"
        raise ValueError(msg)
    return PrivateKey(key)


def checksum(address: bytes) -> str:
    """An address with the capitals of EIP-55, which make most typing errors visible.

    >>> checksum(bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"))
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'
    """
    plain = address.hex()
    marks = keccak(plain.encode()).hex()
    capitals = (c.upper() if mark > "7" else c for c, mark in zip(plain, marks, strict=False))
    return "0x" + "".join(capitals)


def created_address(creator: bytes, nonce: int) -> bytes:
    """Where the contract lands that `creator` makes with its transaction number `nonce`."""
    return keccak(rlp((creator, nonce)))[-ADDRESS_BYTES:]
