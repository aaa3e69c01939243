"""The journal: what is acknowledged stays, whatever happens; what is damaged is found."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from commonwatt.chain.connection import Account, Connection, Message
from commonwatt.chain.embedded import EmbeddedChain, header
from commonwatt.chain.errors import ChainError, JournalDamaged, JournalLocked, JournalUnwritable

Open = Callable[..., EmbeddedChain]


def use(chain: EmbeddedChain, clerk: Account, drawer, rounds: int) -> str:
    """Deploy the contract and do a bit of everything; the contract's address."""
    connection = Connection.embedded(chain)
    address = connection.send(clerk, None, drawer.creation).contract_address
    assert address is not None
    functions = ("file", "file_twice", "file_within", "copy_to", "clear")
    for n in range(rounds):
        connection.send(clerk, address, drawer(functions[n % 5], n % 3, n % 11))
    return address


@pytest.mark.parametrize(("checkpoint_every", "rounds"), [(1, 6), (4, 12), (1_000, 12)])
def test_after_a_restart_the_chain_goes_on_where_it_was(
    open_chain: Open, clerk: Account, drawer, checkpoint_every: int, rounds: int
) -> None:
    options = {"checkpoint_every": checkpoint_every}
    first = open_chain(**options)
    address = use(first, clerk, drawer, rounds)
    head, root = first.head, first.producer.world.root()
    logs = Connection.embedded(first).logs(address)
    first.close()
    second = open_chain(**options)
    assert (second.head, second.producer.world.root()) == (head, root)
    connection = Connection.embedded(second)
    assert connection.logs(address) == logs
    assert connection.receipt(head.tx_hash) is not None
    assert connection.send(clerk, address, drawer("file", 0, 1)).block_number == head.number + 1
    assert second.check() == head.number + 1


def test_without_a_clean_end_the_blocks_since_the_snapshot_are_executed_again(
    open_chain: Open, clerk: Account, drawer, tmp_path: Path
) -> None:
    first = open_chain(checkpoint_every=5)
    use(first, clerk, drawer, 12)
    first.journal.close()  # no snapshot is brought forward: as if the process had died
    assert snapshot_block(tmp_path) == 10
    second = open_chain(checkpoint_every=5)
    assert second.head == first.head
    assert second.producer.world.root() == first.producer.world.root()
    second.close()
    assert snapshot_block(tmp_path) == 13


def test_a_journal_written_by_one_engine_is_read_by_the_other(
    open_chain: Open, clerk: Account, drawer
) -> None:
    first = open_chain(checkpoint_every=4, engine="untouched")
    use(first, clerk, drawer, 6)
    first.close()
    second = open_chain(checkpoint_every=4, engine="cached")
    Connection.embedded(second).send(clerk, clerk.address, b"")
    second.close()
    third = open_chain(checkpoint_every=4, engine="untouched")
    assert third.head == second.head
    assert third.check() == 8


def test_a_chain_is_open_once(open_chain: Open) -> None:
    open_chain("one.db")
    with pytest.raises(JournalLocked, match=r"one\.db: this chain is open in another process"):
        open_chain("one.db")
    open_chain("two.db")


def test_a_journal_of_another_chain_is_not_taken_for_ours(open_chain: Open) -> None:
    open_chain().close()
    with pytest.raises(ChainError, match="of chain 20206, not of 5"):
        open_chain(chain_id=5)
    open_chain()  # and it was not left locked


def test_what_is_not_a_journal_is_refused(open_chain: Open, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is not a database at all, " * 200)
    with pytest.raises(JournalDamaged, match="not a database"):
        open_chain("text.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(JournalUnwritable, match="cannot be opened"):
        open_chain("folder.db")
    with pytest.raises(JournalUnwritable, match="cannot be opened"):
        open_chain("nowhere/chain.db")


def test_a_closed_chain_says_so(open_chain: Open) -> None:
    chain = open_chain()
    with chain:
        pass
    chain.close()
    with pytest.raises(ChainError, match="this chain is closed"):
        chain.make_request("eth_blockNumber")


@pytest.mark.parametrize("engine", ["cached", "untouched"])
def test_on_a_full_disk_nothing_is_half_written(
    open_chain: Open, clerk: Account, drawer, engine: str
) -> None:
    chain = open_chain(engine=engine, checkpoint_every=2)
    address = use(chain, clerk, drawer, 3)
    connection, head, root = Connection.embedded(chain), chain.head, chain.producer.world.root()
    pages = chain.journal.one("PRAGMA page_count")
    chain.journal.rows(f"PRAGMA max_page_count={pages}")
    message = Message(address, drawer("file", 9, 9) + bytes(20_000), 2_000_000)
    for _ in range(2):
        with pytest.raises(JournalUnwritable, match=r"nothing was changed.*free space"):
            connection.send_many(clerk, [message])
        assert (chain.head, chain.producer.world.root()) == (head, root)
        assert connection.call(address, drawer("drawers", 9)) == bytes(32)
    chain.journal.rows("PRAGMA max_page_count=1000000")
    assert connection.send_many(clerk, [message])[0].succeeded
    chain.close()
    again = open_chain(engine=engine)
    assert (again.head.number, again.check()) == (head.number + 1, head.number + 1)


def test_an_interruption_in_the_middle_leaves_the_chain_as_it_was(
    open_chain: Open, clerk: Account, drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = open_chain()
    address = use(chain, clerk, drawer, 3)
    connection, head, root = Connection.embedded(chain), chain.head, chain.producer.world.root()

    def interrupted(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    for module, name in (
        (header, "keccak"),
        (sys.modules["ethereum.forks.osaka.fork"], "make_receipt"),
        (sys.modules["ethereum.forks.osaka.vm.instructions.log"], "Log"),
    ):
        monkeypatch.setattr(module, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            connection.send(clerk, address, drawer("file_within", 7, 7))
        monkeypatch.undo()
        assert (chain.head, chain.producer.world.root()) == (head, root)
    assert connection.send(clerk, address, drawer("file_within", 7, 7)).succeeded
    assert chain.check() == head.number + 1


BLOCK_COLUMNS = (
    "timestamp", "hash", "header", "raw", "tx_hash", "sender", "contract", "succeeded", "gas_used",
)  # fmt: skip


@pytest.mark.parametrize("column", BLOCK_COLUMNS)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_changed_byte_in_a_block_is_found(
    *, open_chain: Open, clerk: Account, drawer, tmp_path: Path, column: str, number: int
) -> None:
    chain = open_chain(checkpoint_every=4)
    use(chain, clerk, drawer, 4)
    chain.journal.close()
    change(tmp_path, "block", column, f"number = {number}")
    with pytest.raises(JournalDamaged, match=r"chain\.db: block"):
        open_chain(checkpoint_every=4)


@pytest.mark.parametrize("column", ["address", "topic0", "topic2", "data"])
@pytest.mark.parametrize("number", [2, 5])
def test_a_changed_byte_in_a_log_is_found(
    *, open_chain: Open, clerk: Account, drawer, tmp_path: Path, column: str, number: int
) -> None:
    chain = open_chain(checkpoint_every=4)
    address = use(chain, clerk, drawer, 0)
    Connection.embedded(chain).send_many(clerk, [Message(address, drawer("file", 1, 2))] * 4)
    chain.journal.close()
    change(tmp_path, "log", column, f"block = {number}")
    with pytest.raises(JournalDamaged, match=f"block {number}"):
        open_chain(checkpoint_every=4)


@pytest.mark.parametrize(
    ("table", "column"),
    [("account", "nonce"), ("account", "balance"), ("account", "code"), ("account", "address"),
     ("slot", "address"), ("slot", "key"), ("slot", "value")],
)  # fmt: skip
def test_a_changed_byte_in_the_snapshot_is_found(
    *, open_chain: Open, clerk: Account, drawer, tmp_path: Path, table: str, column: str
) -> None:
    chain = open_chain()
    use(chain, clerk, drawer, 4)
    chain.close()
    change(tmp_path, table, column, "true")
    with pytest.raises(JournalDamaged, match=r"block 5: .*snapshot"):
        open_chain()


def test_missing_and_swapped_blocks_are_found(
    open_chain: Open, clerk: Account, drawer, tmp_path: Path
) -> None:
    chain = open_chain(checkpoint_every=100)
    use(chain, clerk, drawer, 5)
    chain.journal.close()
    with closing(sqlite3.connect(tmp_path / "chain.db", isolation_level=None)) as db:
        db.execute("DELETE FROM block WHERE number = 3")
    with pytest.raises(JournalDamaged, match="block 3: missing"):
        open_chain(checkpoint_every=100)


def test_an_old_receipt_that_was_changed_is_not_given_out(
    open_chain: Open, clerk: Account, drawer
) -> None:
    chain = open_chain()
    use(chain, clerk, drawer, 2)
    with chain.journal.writing() as db:
        db.execute("UPDATE block SET succeeded = 0 WHERE number = 2")
    block_hash = chain.journal.one("SELECT hash FROM block WHERE number = 2")
    with pytest.raises(JournalDamaged, match="block 2"):
        chain.make_request("eth_getBlockByHash", ["0x" + block_hash.hex()])
    with pytest.raises(JournalDamaged, match="block 2"):
        chain.check()


KILLED = """
import sys
from pathlib import Path
from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.embedded import EmbeddedChain

chain = EmbeddedChain(Path(sys.argv[1]), checkpoint_every=7)
connection = Connection.embedded(chain)
clerk, neighbour = Account.from_key(bytes([7]) * 32), Account.from_key(bytes([8]) * 32)
while True:
    receipt = connection.send(clerk, neighbour.address, b"a quarter of an hour")
    print(receipt.block_number, receipt.tx_hash.hex(), flush=True)
"""


def test_killed_at_any_moment_it_loses_nothing_it_acknowledged(
    open_chain: Open, tmp_path: Path
) -> None:
    path = tmp_path / "killed.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    acknowledged: list[str] = []
    for pieces in (60, 25):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        assert child.stdout is not None
        with child, child.stdout:
            acknowledged += [child.stdout.readline() for _ in range(pieces)]
            with pytest.raises(JournalLocked):
                EmbeddedChain(path)
            child.send_signal(signal.SIGKILL)
            acknowledged += [line for line in child.stdout if line.endswith("\n")]
    chain = open_chain("killed.db", checkpoint_every=7)
    connection = Connection.embedded(chain)
    for line in acknowledged:
        number, tx_hash = line.split()
        receipt = connection.receipt(bytes.fromhex(tx_hash))
        assert receipt is not None
        assert (receipt.block_number, receipt.succeeded) == (int(number), True)
    assert chain.check() == chain.head.number >= len(acknowledged)


def snapshot_block(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "chain.db")) as db:
        return db.execute("SELECT value FROM about WHERE name = 'snapshot'").fetchone()[0]


def change(folder: Path, table: str, column: str, where: str) -> None:
    """Change one bit in the middle of one value of a row."""
    with closing(sqlite3.connect(folder / "chain.db", isolation_level=None)) as db:
        change_in(db, table, column, where)


def change_in(db: sqlite3.Connection, table: str, column: str, where: str) -> None:
    (value,) = db.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
    if value is None:
        changed: object = bytes(20)
    elif isinstance(value, int):
        changed = value ^ 1
    else:
        middle = len(value) // 2
        changed = value[:middle] + bytes([(*value, 0)[middle] ^ 4]) + value[middle + 1 :]
    here = f"{where} AND {column} IS ?"
    db.execute(f"UPDATE {table} SET {column} = ? WHERE {here}", (changed, value))
