"""What is imported when it is called answers as the specification's own."""

import subprocess
import sys

PROGRAM = """
import sys, tempfile
from pathlib import Path
from commonwatt.chain.embedded import EmbeddedChain
chain = EmbeddedChain(Path(tempfile.mkdtemp()) / "chain.sqlite")
early = ("py_ecc", "ethereum.forks.shanghai")
assert not any(name.startswith(early) for name in sys.modules), "too early"
generator = bytes(16) + bytes.fromhex(
    "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905"
    "a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
) + bytes(16) + bytes.fromhex(
    "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af6"
    "00db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
)
def call(address, data):
    to = "0x" + (bytes(19) + bytes([address])).hex()
    message = {"to": to, "data": "0x" + data.hex()}
    answer = chain.make_request("eth_call", [message, "latest"])
    return bytes.fromhex(answer["result"][2:])
nothing = bytes(128)
one = (1).to_bytes(32) + (2).to_bytes(32)
assert call(0x06, one + bytes(64)) == one
assert call(0x07, one + (1).to_bytes(32)) == one
assert call(0x08, b"") == (1).to_bytes(32)
assert call(0x0B, generator + nothing) == generator
assert call(0x0C, generator + (1).to_bytes(32)) == generator
assert call(0x0D, bytes(512)) == bytes(256)
assert call(0x0F, bytes(384)) == (1).to_bytes(32)
from ethereum.forks.osaka import trie
from ethereum.forks.shanghai import fork_types
old = fork_types.EMPTY_ACCOUNT, bytes(32)
assert trie.previous_trie.encode_node(*old) == fork_types.encode_account(*old)
chain.close()
print("same")
"""
"""EIP-196, EIP-197: G + 0 = G, 1 x G = G, and the empty product is 1. EIP-2537: the same, and
0 + 0 = 0 in the second group, and e(0, 0) = 1."""


def test_pairing_curves_are_imported_when_called_and_answer_by_eip_2537() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout == "same\n", done.stderr
