"""Plain web3.py on the embedded chain, and what is loaded when."""

import json
import os
import subprocess
import sys

import pytest

from commonwatt.chain.connection import Account
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.encoding import keccak

ABI = json.loads("""[
 {"type": "function", "name": "file", "stateMutability": "nonpayable", "outputs": [],
  "inputs": [{"name": "drawer", "type": "uint256"}, {"name": "amount", "type": "uint256"}]},
 {"type": "function", "name": "drawers", "stateMutability": "view",
  "inputs": [{"name": "arg0", "type": "uint256"}], "outputs": [{"name": "", "type": "uint256"}]},
 {"type": "event", "name": "Filed", "anonymous": false, "inputs": [
  {"name": "drawer", "type": "uint256", "indexed": true},
  {"name": "clerk", "type": "address", "indexed": true},
  {"name": "amount", "type": "uint256", "indexed": false}]}]""")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_web3_works_on_the_embedded_chain(chain: EmbeddedChain, clerk: Account, drawer) -> None:
    from web3 import Web3  # noqa: PLC0415 - slow
    from web3.exceptions import ContractLogicError, Web3RPCError  # noqa: PLC0415

    from commonwatt.chain.embedded.provider import EmbeddedProvider  # noqa: PLC0415

    web3 = Web3(EmbeddedProvider(chain))
    assert web3.is_connected()
    assert web3.eth.chain_id == 20206
    signer = web3.eth.account.from_key(clerk.key)

    def send(transaction: dict) -> dict:
        signed = signer.sign_transaction(transaction)
        return web3.eth.wait_for_transaction_receipt(
            web3.eth.send_raw_transaction(signed.raw_transaction)
        )

    factory = web3.eth.contract(abi=ABI, bytecode=drawer.creation)
    begin = {"from": signer.address, "nonce": 0}
    made = send(factory.constructor().build_transaction(begin))
    assert made["status"] == 1
    contract = web3.eth.contract(address=made["contractAddress"], abi=ABI)
    for nonce, amount in ((1, 70), (2, 71)):
        built = contract.functions.file(4, amount).build_transaction(
            {"from": signer.address, "nonce": web3.eth.get_transaction_count(signer.address)}
        )
        assert (built["nonce"], built["maxFeePerGas"]) == (nonce, 0)
        receipt = send(built)
        (event,) = contract.events.Filed().process_receipt(receipt)
        assert event["args"] == {"drawer": 4, "clerk": signer.address, "amount": amount}
    assert contract.functions.drawers(4).call() == 71
    found = contract.events.Filed().get_logs(from_block=0, argument_filters={"drawer": 4})
    assert [event["args"]["amount"] for event in found] == [70, 71]
    with pytest.raises(ContractLogicError, match="drawer: unlucky"):
        contract.functions.file(4, 13).call()
    with pytest.raises(Web3RPCError, match="nonce too low"):
        send(built)
    block = web3.eth.get_block("latest", full_transactions=True)
    assert block["number"] == 3
    assert block["transactions"][0]["hash"] == receipt["transactionHash"]
    assert web3.eth.get_transaction(receipt["transactionHash"])["from"] == signer.address
    assert web3.eth.get_balance(signer.address) == 0
    assert web3.eth.get_code(contract.address) != b""
    assert web3.eth.get_storage_at(contract.address, 1)[-1] == 2
    assert web3.eth.fee_history(2, "latest")["baseFeePerGas"] == [0, 0, 0]


LOADED = """
import sys
from commonwatt.chain import connection
from commonwatt.chain.embedded import EmbeddedChain
account = connection.Account.from_key(bytes([7]) * 32)
heavy = {"ethereum", "web3", "eth_account", "eth_utils", "vyper", "requests"}
print(sorted(heavy & set(sys.modules)))
chain = EmbeddedChain()
connection.Connection.embedded(chain).send(account, account.address, b"")
print(sorted({"web3", "eth_account", "vyper", "requests"} & set(sys.modules)))
"""


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    out = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, env=environment
    )
    assert out.stdout.splitlines() == ["[]", "[]"]


def test_keccak_is_ethereums() -> None:
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak(b"").hex() == empty
