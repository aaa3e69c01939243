"""The tests' own contracts: compiled when a test first needs one."""

from functools import cache
from pathlib import Path

from commonwatt.chain.build import EVM_VERSION
from commonwatt.chain.connection import Account, Connection


@cache
def bytecode(source: str) -> bytes:
    """What a source text compiles to, as our own contracts do."""
    from vyper.compiler import compile_code  # noqa: PLC0415 - slow, and not every run needs it
    from vyper.compiler.settings import OptimizationLevel, Settings  # noqa: PLC0415

    settings = Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.GAS)
    made = compile_code(source, output_formats=["bytecode"], settings=settings)
    return bytes.fromhex(made["bytecode"][2:])


def deploy(connection: Connection, sender: Account, name: str, values: bytes = b"") -> bytes:
    """Put one of the contracts beside this file on a chain; returns its address."""
    source = (Path(__file__).parent / f"{name}.vy").read_text()
    return deploy_source(connection, sender, source, values)


def deploy_source(
    connection: Connection, sender: Account, source: str, values: bytes = b""
) -> bytes:
    """Put a contract on a chain; returns its address."""
    address = connection.send(sender, None, bytecode(source) + values).contract_address
    assert address is not None
    return bytes.fromhex(address[2:])
