"""Which chain, which keys, which files: the one place that chooses implementations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.embedded.chain import CHAIN_ID
from commonwatt.chain.embedded.journal import Journal
from commonwatt.chain.errors import JournalError, JournalLocked
from commonwatt.chain.ledger import Addresses, Ledger
from commonwatt.errors import InputError
from commonwatt.node.errors import FolderUnusable
from commonwatt.statement.community import ChainAddress

NODE_FOLDER = "node"
CHAIN_FILE, DATABASE_FILE = "chain.sqlite", "commonwatt.sqlite"
KEY_HEX_DIGITS = 64


class KeyFileUnusable(InputError):
    """A file without a private key."""


@dataclass
class SimulatedClock:
    """Time that a demonstration sets; the embedded chain's blocks follow it."""

    now: int

    def __call__(self) -> int:
        """UTC seconds."""
        return self.now


@dataclass(frozen=True, slots=True)
class OpenChain:
    """A connection, and what must be closed after it."""

    connection: Connection
    name: str
    embedded: EmbeddedChain | None

    def close(self) -> None:
        """Hang up; let go of an embedded chain's journal, with a snapshot for a fast start."""
        self.connection.close()
        if self.embedded is not None:
            self.embedded.close()


def open_chain(url: str | None, folder: Path, clock: Callable[[], int] | None = None) -> OpenChain:
    """The chain at a URL, or the embedded one in a run's folder."""
    if url is not None:
        connection = Connection.http(url)
        return OpenChain(connection, f"{url}, chain {connection.chain_id}", None)
    path = folder / NODE_FOLDER / CHAIN_FILE
    embedded = EmbeddedChain(path, clock=clock) if clock else EmbeddedChain(path)
    return OpenChain(Connection.embedded(embedded), "embedded", embedded)


def require_idle(folder: Path) -> None:
    """Raise `JournalLocked` while another process runs on a folder's embedded chain."""
    path = folder / NODE_FOLDER / CHAIN_FILE
    if not path.is_file():
        return
    try:
        Journal(path, chain_id=CHAIN_ID).close()
    except JournalLocked:
        raise
    except JournalError:
        return  # damaged, but nobody's: it may be replaced


def read_key(path: Path) -> Account:
    """The account whose private key is in a file as 64 hex digits."""
    try:
        text = path.read_text(encoding="ascii").strip().removeprefix("0x")
        return Account.from_key(bytes.fromhex(text))
    except OSError as error:
        raise KeyFileUnusable(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise KeyFileUnusable(
            f"{path}: not a private key; write {KEY_HEX_DIGITS} hex digits on one line"
        ) from None


def demonstration_account(name: str) -> Account:
    """An account whose key anybody can compute: for demonstrations on an embedded chain only."""
    return Account.from_key(sha256(b"account/" + name.encode()).digest())


@contextmanager
def opened_ledger(
    folder: Path,
    url: str | None,
    chain: ChainAddress,
    clock: Callable[[], int] | None = None,
) -> Iterator[Ledger]:
    """A published community's contracts, open while inside; `clock` is an embedded chain's.

    Raises:
        FolderUnusable: if the folder holds no embedded chain and no URL is given, or it is another
            chain.
    """
    if url is None and not (folder / NODE_FOLDER / CHAIN_FILE).is_file():
        raise FolderUnusable(
            f"{folder}: no embedded chain in it; name the community's chain with --chain URL"
        )
    opened = open_chain(url, folder, clock)
    try:
        found = opened.connection.chain_id
        if found != chain.chain_id:
            raise FolderUnusable(
                f"the chain's id is {found}, the community's {chain.chain_id}: "
                "name the right one with --chain"
            )
        addresses = Addresses(
            registry=chain.registry,
            settlement=chain.settlement,
            certificate=chain.certificate,
            token=chain.token,
            exchange=chain.exchange,
            book=chain.book,
        )
        yield Ledger(opened.connection, addresses)
    finally:
        opened.close()
