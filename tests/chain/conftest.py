"""One small contract, one account and a chain in memory for the tests of the chain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Loaded here, before any test: it raises Python's recursion limit, and hypothesis minds that.
import ethereum.forks.osaka.fork  # noqa: F401
import pytest

from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.encoding import keccak

NOON = 1_781_956_800


@dataclass(frozen=True)
class DrawerCode:
    """The compiled contract of the tests, and how to call it."""

    creation: bytes

    def __call__(self, function: str, *values: int) -> bytes:
        signature = f"{function}({','.join(['uint256'] * len(values))})"
        return keccak(signature.encode())[:4] + b"".join(v.to_bytes(32, "big") for v in values)


@pytest.fixture(scope="session")
def drawer() -> DrawerCode:
    from vyper.compiler import compile_code  # noqa: PLC0415 - slow, and not every run needs it
    from vyper.compiler.settings import Settings  # noqa: PLC0415

    source = (Path(__file__).parent / "drawer.vy").read_text()
    out = compile_code(source, output_formats=["bytecode"], settings=Settings(evm_version="prague"))
    return DrawerCode(bytes.fromhex(out["bytecode"][2:]))


@pytest.fixture(scope="session")
def clerk() -> Account:
    return Account.from_key(keccak(b"clerk"))


@pytest.fixture(scope="session")
def neighbour() -> Account:
    return Account.from_key(keccak(b"neighbour"))


@pytest.fixture
def open_chain(tmp_path: Path) -> Iterator[Callable[..., EmbeddedChain]]:
    """Opens chains on files in a folder of the test's own, and closes them in the end."""
    opened: list[EmbeddedChain] = []

    def open_one(name: str | None = "chain.db", **options: object) -> EmbeddedChain:
        path = None if name is None else tmp_path / name
        chain = EmbeddedChain(path, **{"clock": lambda: NOON, **options})
        opened.append(chain)
        return chain

    yield open_one
    for chain in opened:
        chain.close()


@pytest.fixture
def chain(open_chain: Callable[..., EmbeddedChain]) -> EmbeddedChain:
    return open_chain(None)


@pytest.fixture
def connection(chain: EmbeddedChain) -> Connection:
    return Connection.embedded(chain)


@pytest.fixture
def deployed(connection: Connection, clerk: Account, drawer: DrawerCode) -> str:
    """The address of the contract on the chain in memory."""
    address = connection.send(clerk, None, drawer.creation).contract_address
    assert address is not None
    return address
