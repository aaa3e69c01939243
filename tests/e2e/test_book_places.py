"""The commands on the book find it in the database of the node that published the folder.

Each test over SQLite and over PostgreSQL. The community is a demonstration's, moved to where a
service would have it.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from commandline import Answer
from commonwatt.cli.book_place import DATABASE_VARIABLE
from commonwatt.node.founding import FIRST_NONCE
from commonwatt.node.service.members import community_key
from commonwatt.node.store import ONLY_COMMUNITY, Store, file_url
from commonwatt.node.store.schema import BOOK
from databases import url
from postgres import postgres
from shop import NEIGHBOUR, PRODUCER, address, book, done, logs, member

__all__ = ["postgres", "url"]

pytestmark = [
    pytest.mark.xdist_group("village"),
    # Words are given as a person gives them, not as a test would.
    pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning"),
]

NAME = "village"


@pytest.fixture
def served(village: tuple[Path, Answer], tmp_path: Path, url: str) -> Path:
    """The community's folder beside a `node.toml` that names its database."""
    above = tmp_path / "our node"
    folder = above / NAME
    shutil.copytree(village[0], folder)
    own = folder / "node" / "commonwatt.sqlite"
    source, target = Store(file_url(own)), Store(url)
    with source.transactions.reading() as there, target.transactions.writing() as here:
        for table in BOOK:
            mine = select(table).where(table.c.community == ONLY_COMMUNITY)
            rows = [dict(row._mapping) for row in there.execute(mine)]
            for row in rows:
                row["community"] = community_key(NAME)
            if rows:
                here.execute(insert(table), rows)
    target.database(community_key(NAME)).take_note(FIRST_NONCE, bytes(8))
    source.close()
    target.close()
    for path in own.parent.glob("commonwatt.sqlite*"):
        path.unlink()
    (above / "node.toml").write_text(f'database = "{url}"\n')
    return folder


def lines(url: str) -> list[bytes]:
    store = Store(url)
    with store.transactions.reading() as connection:
        [entry, *_] = BOOK
        mine = entry.c.community == community_key(NAME)
        found = connection.scalars(select(entry.c.line).where(mine).order_by(entry.c.number)).all()
    store.close()
    return list(found)


def test_the_book_of_a_served_community_is_read_and_written(
    served: Path, url: str, village: tuple[Path, Answer]
) -> None:
    day = ("list", "--account", address(PRODUCER))
    found = done(*day, served)["book"]
    assert found == done(*day, village[0])["book"]
    first = next(b for b in found["bundles"] if b["state"] == "active")
    before = lines(url)
    words = ("transfer", served, f"b{first['bundle']}", 1, "--to", address(NEIGHBOUR))
    given = done(*words, *member(PRODUCER))
    assert given["entry"] == len(before)
    after = lines(url)
    assert after[:-1] == before
    assert b"".join(path.read_bytes() for path in logs(served)) == b"".join(after)
    assert done("show", served, f"b{given['bundle']}")["entries"]


def test_a_folder_apart_from_its_node_is_told_the_database(
    served: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served.parent / "node.toml").rename(tmp_path / "node.toml")
    answer = book("show", served, "b1")
    assert (answer.code, answer.out) == (2, "")
    assert "keeps no book of certificates" in answer.err
    assert DATABASE_VARIABLE in answer.err
    assert done("list", served)["book"] is None
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    assert done("list", served)["book"]["entries"] == len(lines(url))


def test_a_database_without_the_community_is_told_apart_from_an_empty_book(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, str(file_url(tmp_path / "other.sqlite")))
    answer = book("show", served, "b1")
    assert (answer.code, answer.out) == (2, "")
    assert "other.sqlite knows no community of this name" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_a_node_with_the_usual_file_needs_no_more_said(
    village: tuple[Path, Answer], served: Path
) -> None:
    (served.parent / "node.toml").write_text("")
    assert done("list", served)["book"] is None, "the node has never run"
    file = served.parent / "commonwatt.sqlite"
    shutil.copy(village[0] / "node" / "commonwatt.sqlite", file)
    answer = book("show", served, "b1")
    assert "knows no community of this name" in answer.err
    with closing(sqlite3.connect(file)) as connection, connection:
        for table in ("book_bundle", "book_snapshot", "note"):
            connection.execute(f"UPDATE {table} SET community = ?", (community_key(NAME),))
        connection.execute("DROP TRIGGER book_entry_refuses_update")
        connection.execute("UPDATE book_entry SET community = ?", (community_key(NAME),))
    assert done("list", served)["book"] == done("list", village[0])["book"]
