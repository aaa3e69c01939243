"""Signing: every byte as eth-account does it."""

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from commonwatt.chain.account import (
    AccessList,
    Account,
    Transaction,
    created_address,
    signer_of,
)

keys = st.integers(1, 2**200).map(lambda number: number.to_bytes(32, "big"))
addresses = st.binary(min_size=20, max_size=20)
contracts = st.one_of(st.just(b""), addresses)
slots = st.lists(st.integers(0, 2**256 - 1), max_size=3).map(tuple)
lists = st.lists(st.tuples(addresses, slots), max_size=3).map(tuple)


@settings(max_examples=60, deadline=None)
@given(
    key=keys,
    chain_id=st.integers(1, 2**31),
    nonce=st.integers(0, 2**32),
    gas=st.integers(21_000, 2**24),
    to=contracts,
    data=st.binary(max_size=300),
    price=st.integers(0, 2**70),
    tip=st.one_of(st.none(), st.integers(0, 2**40)),
    access=lists,
)
def test_signatures_are_those_of_eth_account(
    *,
    key: bytes,
    chain_id: int,
    nonce: int,
    gas: int,
    to: bytes,
    data: bytes,
    price: int,
    tip: int | None,
    access: AccessList,
) -> None:
    transaction = Transaction(chain_id, nonce, gas, to, data, price, tip, access=access)
    ours = Account.from_key(key).sign(transaction)
    fields = {"nonce": nonce, "gas": gas, "to": to, "data": data, "value": 0, "chainId": chain_id}
    named = [{"address": a, "storageKeys": [f"0x{s:064x}" for s in keys]} for a, keys in access]
    if tip is not None:
        fields |= {"type": 2, "maxFeePerGas": price, "maxPriorityFeePerGas": tip}
        fields["accessList"] = named
    elif access:
        fields |= {"type": 1, "gasPrice": price, "accessList": named}
    else:
        fields["gasPrice"] = price
    theirs = EthAccount.sign_transaction(fields, key)
    assert ours.raw == bytes(theirs.raw_transaction)
    assert ours.tx_hash == bytes(theirs.hash)
    assert Account.from_key(key).address == EthAccount.from_key(key).address


def test_what_is_not_a_key_is_refused() -> None:
    for wrong in (b"", bytes(31), bytes(32), b"\xff" * 32):
        with pytest.raises(ValueError, match=r"."):
            Account.from_key(wrong)


def test_a_key_is_not_shown() -> None:
    key = bytes(31) + b"\x07"
    assert key.hex() not in repr(Account.from_key(key))
    assert repr(key) not in repr(Account.from_key(key))


def test_the_address_of_a_new_contract_is_known_beforehand() -> None:
    creator = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    made = [created_address(creator, nonce).hex() for nonce in (0, 1, 2)]
    assert made == [
        "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d",
        "343c43a37d37dff08ae8c4a11544c718abb4fcf8",
        "f778b86fa74e846c4f0a1fbd1335fe81c00a0c91",
    ]


@settings(max_examples=60, deadline=None)
@given(key=keys, text=st.binary(max_size=300))
def test_texts_are_signed_as_wallets_sign_them(key: bytes, text: bytes) -> None:
    account = Account.from_key(key)
    signature = account.sign_text(text)
    assert signature == EthAccount.sign_message(encode_defunct(text), key).signature
    assert signer_of(text, signature) == account.address_bytes
    assert signer_of(text + b"!", signature) != account.address_bytes


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(65), b"\x01" * 64 + b"\x1b", b"\xff" * 64 + b"\x1b", bytes(64) + b"\x00"],
)
def test_what_is_no_signature_has_no_signer(signature: bytes) -> None:
    assert signer_of(b"text", signature) != Account.from_key(bytes(31) + b"\x01").address_bytes
