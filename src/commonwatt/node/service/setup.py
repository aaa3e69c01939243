"""What `commonwatt init` writes: a node's file, its community's file, and keys.

Everything is written as text first, read back as the node itself will read it, compared with what
was meant, and only then put in place; `node.toml` comes last, so without it there is no node.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from commonwatt.chain.account import Account
from commonwatt.errors import InputError
from commonwatt.node.keystore import (
    PASSWORD_FILE_VARIABLE,
    PASSWORD_VARIABLE,
    password_for,
    write_keystore,
    write_secret,
)
from commonwatt.node.mqtt.client import BrokerAddress
from commonwatt.node.service.members import (
    CommunityFile,
    CommunityFileUnusable,
    read_community_file,
)
from commonwatt.node.service.settings import (
    NODE_FILE,
    NodeFileUnusable,
    NodeSettings,
    address_in,
    read_node_file,
)
from commonwatt.node.service.toml_text import entry_lines, lines_of, table_lines
from commonwatt.node.store.transactions import Transactions

COMMUNITY_FILE = "community.toml"
KEYS_FOLDER = "keys"
FILE_MODE = 0o600
"""Of `node.toml`: its URLs may hold passwords."""
DECIMALS = {"KRW": 4, "JPY": 4}
"""Of a ledger's unit; currencies that are not here have 8."""
USUAL_DECIMALS = 8
_COMMUNITIES = re.compile(r"^communities\s*=\s*\[[^\]]*\]", re.MULTILINE)

_NODE_HEAD = """\
# A node of Commonwatt: where it listens, what it keeps its memory in, which communities it keeps.
# `commonwatt init` wrote this; every entry may be changed while the node is stopped."""
_NODE_NOTES = {
    "name": "Of this node, among those that share a database.",
    "listen": "Where it answers over HTTP; 0.0.0.0:8080 for everybody who can reach this machine.",
    "database": "A file of SQLite beside this one, unless a server is named.",
    "data": "Directory of the communities' files and of what is published, seen from here.",
    "communities": "Their files, beside this one unless `data` names another directory.",
    "mqtt": "Broker through which meters and gateways send records; HTTP works without one.",
    "clock": "A test bed: an interval ends as soon as every meter has spoken for it.",
}
_NODE_EXAMPLES = {
    "database": "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE",
    "mqtt": "mqtt://127.0.0.1:1883",
}
_COMMUNITY_HEAD = """\
# The community {name}: who takes part, which meters they have, what energy costs.
# `commonwatt init` wrote this. Members, meters and accounts are fixed at the founding, which the
# first `commonwatt serve` does; after it only prices may be changed."""
_COMMUNITY_NOTES = {
    "name": "Part of paths and topics.",
    "first_start": "Start of the first interval.",
    "currency": "Amounts are counted in units of ten to the minus `decimals`.",
    "interval_s": "Length of an interval in seconds, and how long after its end records may come.",
    "supplier": "Account that may take out what the supplier's lane holds.",
    "grid_operator": "Account that may take out the grid fees.",
    "supplier_advance": "Paid into the supplier's lane at the founding.",
    "storage_permille": "Of a thousand Wh into a battery so many come out with certificates.",
}
_TARIFF_NOTES = {
    "retail": "Per kWh: what a member pays the supplier, and gets from it.",
    "fee_local": "Grid fees per kWh: among neighbours, and for energy from the supplier.",
}


class SetupUnusable(InputError):
    """Answers that make no node, or a directory that has one."""


@dataclass(frozen=True, slots=True)
class NewNode:
    """A node that is to be."""

    settings: NodeSettings
    community: CommunityFile
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Private keys to be written, by their files' paths below the node's directory."""


def make_key() -> bytes:
    """A new private key of 32 bytes."""
    while True:
        key = os.urandom(32)
        with suppress(ValueError):  # one in 2**128 is none
            Account.from_key(key)
            return key


def decimals_of(currency: str) -> int:
    """Decimals of a ledger in a currency.

    >>> decimals_of("EUR"), decimals_of("KRW")
    (8, 4)
    """
    return DECIMALS.get(currency, USUAL_DECIMALS)


def chosen_password() -> str | None:
    """The password keys are to be encrypted with; None where the environment names none.

    Raises:
        KeyFileUnusable: the file that holds it cannot be read.
    """
    if not os.environ.get(PASSWORD_VARIABLE) and not os.environ.get(PASSWORD_FILE_VARIABLE):
        return None
    return password_for(Path("a new key")) or None


def put_in_place(folder: Path, new: NewNode, password: str | None) -> None:
    """Write a new node, all of it or nothing.

    Args:
        folder: made if it is not there; a directory with a node is left as it is.
        new: what to write.
        password: to encrypt the keys with; None leaves them readable for whoever has the file.

    Raises:
        SetupUnusable: there is a node already, a file is in the way, or the disk refuses.
        CommunityFileUnusable, NodeFileUnusable: a node could not read it.
        KeyFileUnusable: there is a key already, or it cannot be written.
    """
    require_free(folder)
    node, community = checked(folder, new.settings, {COMMUNITY_FILE: new.community})
    with _cannot_be_written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _all_or_nothing() as written:
        written.extend(write_keys(folder, new.keys, password))
        write_file(folder / COMMUNITY_FILE, community)
        written.append(folder / COMMUNITY_FILE)
        write_file(folder / NODE_FILE, node)


def put_beside(folder: Path, new: NewNode, password: str | None) -> None:
    """Write a further community into a node that is there.

    Args:
        folder: of the node.
        new: the community and its keys, with the settings as the node has them.
        password: to encrypt the keys with, or None.

    Raises:
        SetupUnusable: its file is there, or `node.toml` is not as it was written.
        CommunityFileUnusable, NodeFileUnusable: a node could not read it.
        KeyFileUnusable: a key is there already, or cannot be written.
    """
    name = f"{new.community.name}.toml"
    path = folder / new.settings.data / name
    if path.exists():
        raise SetupUnusable(f"{path}: is there already; choose another --name")
    communities = (*new.settings.communities, name)
    line = "\n".join(lines_of({"communities": communities}))
    before = (folder / NODE_FILE).read_text(encoding="utf-8")
    after, found = _COMMUNITIES.subn(lambda _: line, before)
    if found != 1:
        raise SetupUnusable(
            f"{folder / NODE_FILE}: names no communities; write {line} into it yourself, and the "
            "community's file beside the others"
        )
    texts = {NODE_FILE: after, name: community_text(new.community)}
    settings = msgspec.structs.replace(new.settings, communities=communities)
    require_reads_as(folder, texts, {NODE_FILE: settings, name: new.community})
    with _all_or_nothing() as written:
        written.extend(write_keys(folder, new.keys, password))
        write_file(path, texts[name])
        written.append(path)
        write_file(folder / NODE_FILE, after)


@contextmanager
def _all_or_nothing() -> Iterator[list[Path]]:
    """Files that were written inside are taken away again if the rest cannot be."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        # Their keys have never been used, and nobody knows them.
        for path in written:
            path.unlink(missing_ok=True)
        raise


def write_keys(folder: Path, keys: Mapping[str, bytes], password: str | None) -> list[Path]:
    """Write new keys below a folder, all or none of them, never over others.

    Args:
        folder: of the node.
        keys: 32 bytes each, by the files' paths in it.
        password: to encrypt them with, or None.

    Raises:
        KeyFileUnusable: one is there already, or cannot be written.
        SetupUnusable: a directory for them cannot be made.
    """
    with _all_or_nothing() as written:
        for name, key in keys.items():
            path = folder / name
            with _cannot_be_written(path):
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                written.append(path)  # also one that is half there when the disk is full
            if password is None:
                write_secret(path, key.hex().encode() + b"\n")
            else:
                write_keystore(path, key, password)
    return written


def require_free(folder: Path) -> None:
    """Raise `SetupUnusable` where a node is already, or one has lost its `node.toml`."""
    if folder.exists() and not folder.is_dir():
        raise SetupUnusable(f"{folder}: is a file; choose a directory")
    if (folder / NODE_FILE).exists():
        raise SetupUnusable(
            f"{folder}: is a node already; go on with --show, --meter or --add-member, or choose "
            "another directory"
        )
    if (folder / COMMUNITY_FILE).exists():
        raise SetupUnusable(
            f"{folder / COMMUNITY_FILE}: is there, but no {NODE_FILE}; move it away or choose "
            "another directory"
        )


def checked(
    folder: Path, settings: NodeSettings, communities: Mapping[str, CommunityFile]
) -> tuple[str, ...]:
    """The texts of a node's file and of its communities' files, as a node has read them back.

    Raises:
        SetupUnusable, CommunityFileUnusable, NodeFileUnusable: what a node could not read, or
            would understand otherwise.
        DatabaseUnusable, BrokerAddressUnusable: an address of another kind.
    """
    address_in(settings.listen)
    if settings.database is not None:
        Transactions(settings.database).close()
    if settings.mqtt is not None:
        BrokerAddress.parse(settings.mqtt)
    texts = {NODE_FILE: node_text(settings)}
    texts |= {name: community_text(file) for name, file in communities.items()}
    require_reads_as(folder, texts, {NODE_FILE: settings, **communities})
    return tuple(texts.values())


def require_reads_as(
    folder: Path, texts: Mapping[str, str], meant: Mapping[str, NodeSettings | CommunityFile]
) -> None:
    """Read texts as a node would read the files; raises unless they say what was meant."""
    with TemporaryDirectory(prefix="commonwatt-") as place:
        for name, text in texts.items():
            (Path(place) / name).write_text(text, encoding="utf-8")
        for name, file in meant.items():
            try:
                found = (
                    read_node_file(Path(place))
                    if isinstance(file, NodeSettings)
                    else read_community_file(Path(place) / name)
                )
            except (CommunityFileUnusable, NodeFileUnusable) as error:
                # The words of the one who reads, but about the file that is to be.
                raise type(error)(str(error).replace(place, str(folder))) from None
            if found != file:
                raise SetupUnusable(
                    f"{folder / name}: would not say what was meant; write it by hand"
                )


def write_file(path: Path, text: str) -> None:
    """Write a file for its owner's eyes, whole or not at all; raises `SetupUnusable`."""
    part = path.with_name(path.name + ".part")
    with _cannot_be_written(path):
        part.unlink(missing_ok=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(part, flags, FILE_MODE), "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def _cannot_be_written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupUnusable(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another "
            "directory"
        ) from None


def node_text(settings: NodeSettings) -> str:
    """The text of `node.toml`: what is as usual is shown as a comment, where it is worth it."""
    values, usual = _plain(settings), _plain(NodeSettings())
    chain, usual_chain = values.pop("chain"), usual["chain"]
    shown = {"name", "listen", "communities"}
    lines = [_NODE_HEAD]
    for key, value in values.items():
        if key in shown or value != usual[key]:
            lines += ["", *lines_of({key: value}, _NODE_NOTES)]
        elif key in _NODE_EXAMPLES:
            said = lines_of({key: _NODE_EXAMPLES[key]})
            lines += ["", f"# {_NODE_NOTES[key]}", *(f"# {line}" for line in said)]
    told = {k: v for k, v in chain.items() if k == "key" or v != usual_chain[k]}
    lines += table_lines("chain", told)
    if "url" not in told:
        lines += [
            '# The embedded chain in this directory, unless one is named: url = "https://..."'
        ]
    return "\n".join(lines) + "\n"


def community_text(file: CommunityFile) -> str:
    """The text of a community's file."""
    values = _plain(file)
    tariff, market, members, meters = (
        values.pop(key) for key in ("tariff", "market", "members", "meters")
    )
    lines = [_COMMUNITY_HEAD.format(name=file.name), ""]
    lines += lines_of({k: values[k] for k in values if k != "storage_permille" or values[k]},
                      _COMMUNITY_NOTES)  # fmt: skip
    lines += ["", "[tariff]", *lines_of(tariff, _TARIFF_NOTES)]
    lines += table_lines("market", {"rule": file.market.rule, **market})
    for number, member in enumerate(members):
        lines += numbered(entry_lines("members", member), f"member {number}")
    for meter in meters:
        lines += entry_lines("meters", meter_values(meter))
    return "\n".join(lines) + "\n"


def numbered(lines: list[str], what: str) -> list[str]:
    """An entry's lines with its number above them: others refer to it by that."""
    return [lines[0], f"# {what}", *lines[1:]]


def meter_values(meter: Mapping[str, Any]) -> dict[str, Any]:
    """A meter's entry without what only a generator has, where it has none of it."""
    return {key: value for key, value in meter.items() if value or key not in {"source", "tokens"}}


def _plain(settings: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(settings)
    return found


def name_from(folder: Path) -> str:
    """A community's name from its directory's.

    >>> name_from(Path("Elm Street 2"))
    'elm-street-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:63] or "community"
