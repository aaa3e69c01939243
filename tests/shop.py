"""A shop that is no member of the village: what it used, got, and how its day in the book is told.

It has a key of its own, a meter that cannot sign, and somebody who vouches for its readings.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from commandline import Answer, commonwatt
from commonwatt.node.wiring import demonstration_account
from in_process import here

PRODUCER, NEIGHBOUR = 9, 5
SHOP = demonstration_account("shop")
DAY = ("--from", "2016-06-21", "--until", "2016-06-22")
BERLIN = ("--zone", "Europe/Berlin")
IMPORT = ("--voucher", "Grid Lab", "--owner", SHOP.address, "--zone", "DE-LU")
USED = [1_200, 1_300, 1_400, 1_500, 1_600, 1_700, 1_800, 1_900]
"""Wh of the shop, in the eight quarter hours from 12:00 in Berlin on."""
BOUGHT = [1_000, 2_000, 1_400, 100]
"""Wh the shop gets of each of the first four; of the second one more than it used."""
MATCHED = [1_000, 1_300, 1_400, 100]
NOON = 1_466_503_200
"""2016-06-21T10:00:00Z."""


def book(*words: object) -> Answer:
    return here("certificate", *words)


def done(*words: object) -> dict:
    """What a command that went well says as JSON."""
    answer = book(*words, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def address(number: int) -> str:
    return demonstration_account(f"village/{number}").address


def member(number: int) -> tuple[str, int]:
    return "--member", number


def head(folder: Path) -> str:
    """A digest of all lines that the book has, published or not."""
    with closing(sqlite3.connect(folder / "node" / "commonwatt.sqlite")) as file:
        lines = file.execute("SELECT line FROM book_entry ORDER BY number").fetchall()
    published = b"".join(path.read_bytes() for path in logs(folder))
    assert published == b"".join(line for (line,) in lines)
    return sha256(published).hexdigest()


def logs(folder: Path) -> list[Path]:
    return sorted((folder / "audit").glob("*.certificates.jsonl"))


def actions(folder: Path) -> list[dict]:
    lines = (line for path in logs(folder) for line in path.read_text().splitlines())
    return [json.loads(line)["action"] for line in lines]


def bundles(folder: Path, account: str) -> list[dict]:
    """An account's bundles that it can use, by time."""
    found = done("list", folder, "--account", account)["book"]["bundles"]
    return [b for b in sorted(found, key=lambda b: b["start"]) if b["state"] == "active"]


def a_copy(folder: Path, at: Path) -> Path:
    shutil.copytree(folder, at)
    return at


@dataclass(frozen=True)
class Story:
    """The shop's day, as it was told."""

    folder: Path
    key: Path
    table: Path
    imported: Answer
    divided: int
    """A bundle of the producer's that was divided for the shop."""
    left: int
    """The part of it that is still the producer's."""
    proposed: dict
    matched: Answer
    unposted: Answer
    posted: dict

    @property
    def statement(self) -> Path:
        """Of the last quarter hour's retirement."""
        return statement_of(self.folder, NOON + 2_700)

    @property
    def signing(self) -> tuple[str, Path]:
        return "--key", self.key


def statement_of(folder: Path, start: int) -> Path:
    """The statement of the only retirement of units made from then on."""
    found = (folder / "retirements").glob("*.json")
    [one] = [path for path in found if json.loads(path.read_text())["produced"]["start"] == start]
    return one


def story_in(place: Path, village: Path) -> Story:
    """Tell the shop's day in a copy of the village's."""
    folder, key, table = a_copy(village, place / "run"), place / "shop.key", place / "shop.csv"
    key.write_text(SHOP.key.hex() + "\n")
    rows = [
        f"SHOP-1;2016-06-21T{12 + i // 4}:{i % 4 * 15:02d}:00+02:00;{wh / 1_000:.3f}"
        for i, wh in enumerate(USED)
    ]
    table.write_text("\n".join(["metering_point;start;quantity_kwh", *rows]) + "\n")
    imported = commonwatt(
        "certificate", "import", folder, table, "--as", "consumption", *IMPORT
    )  # fmt: skip
    at_noon = [b for b in bundles(folder, address(PRODUCER)) if b["start"] >= "2016-06-21T10:00"]
    for one, wh in zip(at_noon, BOUGHT, strict=False):
        words = ("transfer", folder, f"b{one['bundle']}", wh, "--to", SHOP.address)
        given = done(*words, *member(PRODUCER))
    before = head(folder)
    proposed = done("match", folder, *DAY, *BERLIN, "--key", key, "--dry-run")
    assert head(folder) == before
    matched = commonwatt("certificate", "match", folder, *DAY, *BERLIN, "--key", key)
    unposted = book("verify", folder, statement_of(folder, NOON + 2_700))
    return Story(
        folder=folder,
        key=key,
        table=table,
        imported=imported,
        divided=at_noon[len(BOUGHT) - 1]["bundle"],
        left=given["bundle"] + 1,
        proposed=proposed,
        matched=matched,
        unposted=unposted,
        posted=done("post", folder),
    )
