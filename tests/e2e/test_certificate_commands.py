"""Certificates after a demonstration's day: seen, given, sold, used up, through real commands."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import in_process
from commandline import Answer, commonwatt
from commonwatt.audit.published import read_community
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.production import TokenId
from commonwatt.node.folder import FolderFiles
from commonwatt.node.wiring import demonstration_account, open_chain, opened_ledger

pytestmark = [
    pytest.mark.xdist_group("village"),
    # `here` gives the words as a person does, not as a test would.
    pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning"),
]

PRODUCER, BAKERY, NEIGHBOUR = 3, 1, 2
DAY = ("--from", "2016-06-21T00:00:00Z", "--until", "2016-06-22T00:00:00Z")
BREAD = ("--beneficiary", "the bakery", "--purpose", "bread")
TWO_YEARS_ON, MONTH_ON = 1_530_000_000, 1_469_000_000
"""2018-06-26 and 2016-07-20."""


@pytest.fixture(scope="module")
def day(village: tuple[Path, Answer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the village's day for these tests alone, one after the other."""
    folder = tmp_path_factory.mktemp("certificates") / "run"
    shutil.copytree(village[0], folder)
    return folder


@pytest.fixture(scope="module")
def listed(day: Path) -> dict:
    """The fullest certificate of the day."""
    answer = commonwatt("certificate", "list", day, "--json")
    assert answer.code == 0, answer.err
    return max(answer.json["certificates"], key=lambda found: found["issued_wh"])


@pytest.fixture(scope="module")
def token(listed: dict) -> str:
    return f"{listed['meter'][:8]}@{listed['start']}"


def certificate(*words: object) -> Answer:
    return commonwatt("certificate", *words)


def here(*words: object) -> Answer:
    """The same without a process of its own: for many small ones."""
    return in_process.here("certificate", *words)


def member(number: int) -> tuple[str, int]:
    return "--member", number


def address(number: int) -> str:
    return demonstration_account(f"village/{number}").address


def blocks(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "node" / "chain.sqlite")) as journal:
        return journal.execute("SELECT max(number) FROM block").fetchone()[0]


def shown(folder: Path, token: str) -> dict:
    answer = here("show", folder, token, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def units(found: dict) -> dict[tuple[str, str], int]:
    return {(entry["account"], entry["state"]): entry["wh"] for entry in found["units"]}


def pass_time(folder: Path, now: int) -> None:
    """Let somebody send anything at a later time, so that the chain gets there."""
    opened = open_chain(None, folder, lambda: now)
    try:
        token = read_community(FolderFiles(folder)).chain.token
        stranger = demonstration_account("passer-by")
        data = bytes.fromhex("095ea7b3") + bytes(64)  # an approval of nothing
        opened.connection.send(stranger, "0x" + token.hex(), data)
    finally:
        opened.close()


def audit_is_ok(folder: Path) -> bool:
    return commonwatt("audit", folder, "--json").json["audit"] == "ok"


def test_the_list_tells_meter_interval_energy_and_holder(day: Path, listed: dict) -> None:
    answer = certificate("list", day, "--account", address(PRODUCER))
    assert answer.code == 0, answer.err
    heads, *lines = answer.out.partition("\n\n")[0].splitlines()
    assert heads.split() == ["certificate", "end", "Wh", "holder", "state"]
    [line] = [line for line in lines if listed["start"] in line.split()[0]]
    words = line.split()
    assert words[0] == f"{listed['meter'][:8]}@{listed['start']}"
    assert words[1:] == [
        listed["end"], f"{listed['issued_wh']:,}", address(PRODUCER), "(member", "3)", "held",
    ]  # fmt: skip
    assert sum(int(line.split()[2].replace(",", "")) for line in lines) == 369_363


@pytest.fixture(scope="module")
def used_up(day: Path, token: str, listed: dict) -> tuple[Answer, Answer]:
    """100 Wh given to the bakery, which uses 60 of them up: what both commands said."""
    given = certificate(
        "transfer", day, token, 100, "--to", address(BAKERY), *member(PRODUCER), "--json"
    )
    assert given.code == 0, given.err
    used = certificate("retire", day, listed["id"], 60, *BREAD, *DAY, *member(BAKERY))
    assert used.code == 0, used.err
    return given, used


def test_units_are_given_and_used_up_and_the_audit_agrees(
    day: Path, token: str, listed: dict, used_up: tuple[Answer, Answer]
) -> None:
    given, used = used_up
    assert used.out.startswith(f"retired 60 Wh of {token} for the bakery: bread; transaction 0x")
    found = shown(day, token)
    assert units(found) == {
        (address(PRODUCER), "held"): listed["issued_wh"] - 100,
        (address(BAKERY), "held"): 40,
        (address(BAKERY), "retired"): 60,
    }
    assert [entry["act"] for entry in found["movements"]] == ["issued", "moved", "retired"]
    assert found["movements"][1]["transaction"] == given.json["transaction"]
    last = found["movements"][2]
    assert (last["country"], last["purpose"], last["period_start"]) == ("DE", "bread", DAY[1])
    assert found["owner"] == address(PRODUCER)


def test_units_are_sold_for_money_out_of_a_lane_and_the_rest_comes_back(
    day: Path, token: str
) -> None:
    before = units(shown(day, token))
    terms = ("--price", "0.05", "--until", "2016-06-30T00:00:00Z")
    offered = certificate("offer", day, token, 300, *terms, *member(PRODUCER), "--json")
    assert offered.code == 0, offered.err
    number = offered.json["offer"]
    listing = here("list", day).out
    assert f"offer {number}, 0.05000 EUR per kWh, until 2016-06-30T00:00:00Z" in listing

    height = blocks(day)
    poor = here("buy", day, number, 200, *member(NEIGHBOUR))
    assert (poor.code, poor.out, blocks(day)) == (2, "", height)
    assert "its wallet is 0.01000000 EUR short of the 0.01000000 EUR they cost" in poor.err
    bought = certificate("buy", day, number, 200, "--from-lane", *member(NEIGHBOUR))
    assert bought.code == 0, bought.err
    assert "bought 200 Wh of" in bought.out
    assert "for 0.01000000 EUR; transaction 0x" in bought.out
    ended = certificate("cancel", day, number, *member(PRODUCER))
    assert ended.code == 0, ended.err

    after = units(shown(day, token))
    producer, neighbour = (address(PRODUCER), "held"), (address(NEIGHBOUR), "held")
    assert after[producer] == before[producer] - 200
    assert after[neighbour] == 200
    with opened_ledger(day, None, read_community(FolderFiles(day)).chain) as ledger:
        assert ledger.wallet(bytes.fromhex(address(PRODUCER)[2:])) == 1_000_000
    assert audit_is_ok(day)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("transfer", "{day}", "{token}", 1, "--to", "{to}", "--member", 9), "balance too small"),
        (("offer", "{day}", "{token}", 10**6, "--price", "0.05", "--until", "2016-06-30T00:00:00Z",
          "--member", 3), "balance too small"),
        (("retire", "{day}", "{token}", 1, *BREAD, "--from", "2016-06-20T00:00:00Z", "--until",
          "2016-06-20T12:00:00Z", "--member", 3), "period does not contain the interval"),
        (("retire", "{day}", "{token}", 1, *BREAD, "--from", "2016-06-20T00:00:00Z", "--member", 3),
         "--from and --until: a token is retired for a period of consumption, give both"),
        (("retire", "{day}", "{token}", 1, *BREAD, *DAY, "--meter", "a65a", "--member", 3),
         "a token takes --from and --until alone"),
        (("transfer", "{day}", 12345, 1, "--to", "{to}", "--member", 3), "no such certificate"),
        (("transfer", "{day}", "{token}", 1, "--to", "0x12", "--member", 3), "not an address"),
        (("transfer", "{day}", "{token}", 1, "--to", "{to}"), "give either --key FILE or"),
        (("retire", "{day}", "{token}", 1, "--beneficiary", "\udcff", "--purpose", "bread", *DAY,
          "--member", 3), "--beneficiary: not text in UTF-8"),
        (("buy", "{day}", 77, 1, "--member", 3), "offer 77: sold, cancelled or never made"),
    ],
    ids=["another's", "too many", "other day", "no end", "a meter", "unknown", "malformed",
         "no key", "no text", "no offer"],
)  # fmt: skip
def test_a_refusal_is_one_line_and_changes_nothing(
    day: Path, token: str, words: tuple[object, ...], said: str
) -> None:
    height = blocks(day)
    known = {"day": day, "token": token, "to": address(BAKERY)}
    answer = here(*(str(word).format(**known) for word in words))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1
    assert blocks(day) == height


def test_a_chain_that_is_open_elsewhere_is_left_alone(day: Path) -> None:
    with EmbeddedChain(day / "node" / "chain.sqlite"):
        answer = here("list", day)
    assert answer.code == 2
    assert "open in another process" in answer.err


def test_an_offer_ends_and_so_do_units_when_their_time_is_over(
    day: Path, token: str, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    shutil.copytree(day, later)
    terms = ("--price", "0.05", "--until", "2016-06-30T00:00:00Z")
    offered = here("offer", later, token, 30, *terms, *member(PRODUCER), "--json")
    number = offered.json["offer"]
    pass_time(later, MONTH_ON)
    late = here("buy", later, number, 30, "--from-lane", *member(NEIGHBOUR))
    assert late.code == 2
    assert "refused: exchange: offer is over; nothing was changed" in late.err
    assert f"offer {number}, 0.05000 EUR per kWh, over since" in here("list", later).out

    pass_time(later, TWO_YEARS_ON)
    # Once an offer is over, anybody gives its units back, expired ones, too.
    key = tmp_path / "passer-by.key"
    key.write_text(demonstration_account("passer-by").key.hex() + "\n")
    ended = here("cancel", later, number, "--key", key)
    assert ended.code == 0, ended.err
    found = shown(later, token)
    assert found["expired"]
    assert (found["expires"][:10], found["expires"][10:]) == ("2018-06-21", found["end"][10:])
    old = here("transfer", later, token, 1, "--to", address(BAKERY), *member(PRODUCER))
    assert old.code == 2
    assert "units have expired" in old.err
    assert audit_is_ok(later)


@pytest.mark.usefixtures("used_up")
def test_units_withdrawn_exported_and_returned_are_all_somewhere(
    day: Path, listed: dict, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(day, again)
    _by_the_issuer(again, int(listed["id"], 16))
    found = shown(again, listed["id"])
    own = units(found)
    assert (own[address(PRODUCER), "withdrawn"], own[address(PRODUCER), "exported"]) == (7, 5)
    assert own[address(BAKERY), "retired"] == 60 - 2
    assert sum(own.values()) == found["issued_wh"]
    acts = ["withdrawn", "exported", "exported", "restored", "reinstated"]
    assert [entry["act"] for entry in found["movements"]][-5:] == acts
    said = here("show", again, listed["id"]).out
    assert "counted \N{REPLACEMENT CHARACTER}[31mtwice" in said
    assert json.dumps(found).count("counted \\u001b[31mtwice") == 1
    assert audit_is_ok(again)


def _by_the_issuer(folder: Path, number: int) -> None:
    """What no command does: withdraw 7 Wh, export 5 and 4, bring the 4 back, reinstate 2."""
    token = TokenId.of(number)
    issuer, producer = demonstration_account("operator"), demonstration_account("village/3")
    own, bakery = producer.address_bytes, bytes.fromhex(address(BAKERY)[2:])
    community = read_community(FolderFiles(folder)).chain
    with opened_ledger(folder, None, community, lambda: 0) as ledger:
        ledger.withdraw_units(issuer, own, token, 7, "counted \x1b[31mtwice")
        for wh, message in ((5, b"\x01" * 32), (4, b"\x02" * 32)):
            ledger.export_units(producer, own, token, wh, destination=b"\x09" * 32, message=message)
        ledger.restore(issuer, own, token, 4, b"\x02" * 32)
        ledger.reinstate(issuer, bakery, token, 2, "the bread was withdrawn")
