"""What a community's founding has made, or will make: looked at without changing anything.

The contracts' addresses follow from the operator's account and how many transactions it has sent,
so the ledger that meters must be set up for is known before the founding.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL, Connection, func, inspect, make_url, select
from sqlalchemy.exc import ArgumentError

from commonwatt.chain.account import ADDRESS_BYTES, Account, checksum
from commonwatt.chain.connection import Connection as ChainConnection
from commonwatt.chain.embedded.chain import CHAIN_ID, EmbeddedChain
from commonwatt.chain.errors import JournalLocked
from commonwatt.chain.founding import Founding
from commonwatt.meter.keys import meter_id
from commonwatt.meter.record import Record
from commonwatt.meter.registration import Role
from commonwatt.node.founding import FIRST_NONCE, FOUNDING_GAS
from commonwatt.node.keystore import read_account
from commonwatt.node.service.members import (
    ROLES,
    CommunityFile,
    MeterEntry,
    account_in,
    community_key,
    currency_of,
    deposits_of,
)
from commonwatt.node.service.settings import NodeSettings
from commonwatt.node.store import file_url
from commonwatt.node.store.schema import note, of, schema_version
from commonwatt.node.store.transactions import SQLITE, Transactions
from commonwatt.node.wiring import (
    CHAIN_FILE,
    DATABASE_FILE,
    NODE_FOLDER,
    KeyFileUnusable,
    require_idle,
)
from commonwatt.statement.community import ChainAddress

ASK_S = 5.0
"""Whoever looks at a chain waits so long for each answer."""
LISTED_MAX = 5
"""More than these are counted, not listed."""


class Stage(Enum):
    """How far a community's founding has got."""

    PLANNED = "nothing is founded yet"
    BEGUN = "the founding has begun"
    FOUNDED = "it is founded"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a community is, or will be."""

    chain: ChainAddress
    operator: bytes
    """Account whose key signs for the community."""
    first_nonce: int
    """Transactions it had sent before the founding."""
    stage: Stage


class DatabasePeek:
    """A node's database as it is: neither made nor brought up to date by looking at it."""

    def __init__(self, folder: Path, settings: NodeSettings) -> None:
        """Name the database; nothing is opened yet.

        Raises:
            DatabaseUnusable: its URL is none.
        """
        self.url = database_url(folder, settings)
        self.is_there = not is_file(self.url) or Path(self.url.database or "").is_file()
        """Whether it could have anything in it: a file that is not there has nothing."""
        self.transactions = Transactions(self.url)

    def close(self) -> None:
        """Let go of it."""
        self.transactions.close()

    def version(self) -> int:
        """The version of its tables; 0: there are none. Raises `DatabaseUnusable`."""
        if not self.is_there:
            return 0
        with self.transactions.reading() as connection:
            return version_in(connection)

    def note(self, community: str, key: str) -> bytes | None:
        """What was remembered of a community; raises `DatabaseUnusable`."""
        if not self.is_there:
            return None
        with self.transactions.reading() as connection:
            if not version_in(connection):
                return None
            mine = of(note, community_key(community))
            return connection.scalar(select(note.c.value).where(mine, note.c.key == key))


def version_in(connection: Connection) -> int:
    """The version of the tables; 0: there are none."""
    if schema_version.name not in inspect(connection).get_table_names():
        return 0
    return connection.scalar(select(func.max(schema_version.c.version))) or 0


def database_url(folder: Path, settings: NodeSettings) -> URL:
    """Where a node keeps its memory; raises `DatabaseUnusable`."""
    if settings.database is None:
        return file_url(folder / DATABASE_FILE)
    try:
        return make_url(settings.database)
    except ArgumentError:
        return Transactions(settings.database).url  # says what is wrong, without the password


def is_file(url: URL) -> bool:
    """Whether a database is a file of SQLite."""
    return url.drivername == SQLITE


def account_of_key(path: Path) -> bytes:
    """The account of a key file, without the password where it is a keystore.

    Raises:
        KeyFileUnusable: it cannot be read, or is no key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise KeyFileUnusable(f"{path}: cannot be read ({error})") from None
    if text.lstrip().startswith("{"):
        try:
            address = bytes.fromhex(json.loads(text)["address"].removeprefix("0x"))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            address = b""
        if len(address) == ADDRESS_BYTES:
            return address
    return read_account(path).address_bytes


@contextmanager
def viewed_chain(settings: NodeSettings, folder: Path) -> Iterator[ChainConnection | None]:
    """A community's chain to look at; of an embedded one a copy, None before its first block.

    Args:
        settings: of the node.
        folder: of the community.

    Raises:
        ChainUnreachable: nobody answers.
        JournalLocked: a running node has the embedded chain open.
    """
    if settings.chain.url is not None:
        with ChainConnection.http(settings.chain.url, timeout=ASK_S) as connection:
            yield connection
        return
    file = folder / NODE_FOLDER / CHAIN_FILE
    if not file.is_file():
        yield None
        return
    require_idle(folder)
    with TemporaryDirectory(prefix="commonwatt-") as place:
        copy = Path(place) / CHAIN_FILE
        for found in (file, file.with_name(f"{CHAIN_FILE}-wal")):
            if found.is_file():
                shutil.copyfile(found, copy.with_name(found.name))
        chain = EmbeddedChain(copy)
        try:
            yield ChainConnection.embedded(chain)
        finally:
            chain.close()


def planned_address(operator: bytes, url: str | None, file: CommunityFile) -> ChainAddress:
    """Where a community would be if it were founded next on a chain; None: a new embedded one.

    Raises:
        ChainUnreachable: nobody answers.
    """
    account = Account(checksum(operator), b"")
    if url is None:
        return _at(account, CHAIN_ID, 0, file)
    with ChainConnection.http(url, timeout=ASK_S) as connection:
        return _at(account, connection.chain_id, connection.nonce(account), file)


def stage_of(folder: Path, settings: NodeSettings, file: CommunityFile) -> Stage:
    """How far a community's founding has got; asks the chain only where that is not clear.

    Raises:
        KeyFileUnusable, DatabaseUnusable, ChainUnreachable: as `outlook_of`.
    """
    kept, done = _notes(folder, settings, file)
    if done is not None:
        return Stage.FOUNDED
    return Stage.PLANNED if kept is None else outlook_of(folder, settings, file).stage


def outlook_of(folder: Path, settings: NodeSettings, file: CommunityFile) -> Outlook:
    """Where a community is, or will be if nothing else is sent from the operator's account.

    Raises:
        KeyFileUnusable: the operator's key cannot be read.
        DatabaseUnusable: the database cannot be read.
        ChainUnreachable: the chain must be asked and does not answer.
    """
    account = Account(checksum(account_of_key(folder / settings.chain.key)), b"")
    kept, done = _notes(folder, settings, file)
    stage = Stage.PLANNED if done is None else Stage.FOUNDED
    chain_id, sent = CHAIN_ID, 0
    if settings.chain.url is not None or done is None:
        try:
            with viewed_chain(settings, folder / settings.data / file.name) as connection:
                if connection is not None:
                    chain_id, sent = connection.chain_id, connection.nonce(account)
        except JournalLocked:
            stage = Stage.BEGUN  # by whoever has it open
    first = sent if kept is None else int.from_bytes(kept)
    if stage is Stage.PLANNED and sent > first:
        stage = Stage.BEGUN
    return Outlook(_at(account, chain_id, first, file), account.address_bytes, first, stage)


def _notes(folder: Path, settings: NodeSettings, file: CommunityFile) -> list[bytes | None]:
    """What the founding began from, and what it cost; None before that."""
    peek = DatabasePeek(folder, settings)
    try:
        return [peek.note(file.name, key) for key in (FIRST_NONCE, FOUNDING_GAS)]
    finally:
        peek.close()


def _at(account: Account, chain_id: int, first_nonce: int, file: CommunityFile) -> ChainAddress:
    founding = Founding(
        account=account,
        first_nonce=first_nonce,
        supplier=account_in(file.supplier, "supplier"),
        grid_operator=account_in(file.grid_operator, "grid_operator"),
        currency=currency_of(file),
    )
    return ChainAddress(chain_id=chain_id, **asdict(founding.addresses))


def lacks(file: CommunityFile, ledger: bytes | None) -> list[str]:
    """What a community still needs before it is founded, each with what to do.

    Args:
        file: its members and meters.
        ledger: 8 bytes that its meters must name; None while nobody knows.
    """
    found = []
    if not file.meters:
        found.append("no meter is in it: add each with commonwatt init FOLDER --meter FILE.json")
    if not deposits_of(file):
        found.append(
            "nobody pays in, and neighbours' energy is sold only for money that is there: give "
            "members an advance in the community's file"
        )
    with_meter = {meter.member for meter in file.meters if ROLES[meter.role] is Role.GRID}
    without = [number for number in range(len(file.members)) if number not in with_meter]
    if file.meters and without:
        listed = ", ".join(map(str, without[:LISTED_MAX])) + ("..." * (len(without) > LISTED_MAX))
        found.append(
            f"no meter of role grid stands at the connection of member {listed}: add it with "
            "commonwatt init FOLDER --meter FILE.json, or take the member out of the "
            "community's file"
        )
    others = [meter for meter in file.meters if ledger not in {None, ledger_of(meter)}]
    found += [
        f"meter {meter_id(bytes.fromhex(meter.public_key)).hex()} was set up for ledger "
        f"{ledger_of(meter).hex()}: set it up again, and write it in place of the old one"
        for meter in others[:LISTED_MAX]
    ]
    if len(others) > LISTED_MAX:
        more = len(others) - LISTED_MAX
        found.append(f"{more} more meters were set up for another ledger: set them up again, too")
    return found


def ledger_of(meter: MeterEntry) -> bytes:
    """The ledger that a meter was set up for, 8 bytes."""
    return Record.decode(bytes.fromhex(meter.opening)).ledger
