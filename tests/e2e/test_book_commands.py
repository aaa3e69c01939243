"""The book after a demonstration's day: a shop outside buys, matches, is scored, is checked."""

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from playwright.sync_api import sync_playwright

from commandline import Answer
from commonwatt.certificate.actions import Transfer
from commonwatt.cli import book_matching
from commonwatt.node.registrar import sign_actions
from commonwatt.node.wiring import demonstration_account, open_chain
from in_process import here
from shop import (
    BERLIN,
    BOUGHT,
    DAY,
    IMPORT,
    MATCHED,
    NEIGHBOUR,
    NOON,
    PRODUCER,
    SHOP,
    USED,
    Story,
    a_copy,
    actions,
    address,
    book,
    bundles,
    done,
    head,
    logs,
    member,
    story_in,
)

pytestmark = [
    pytest.mark.xdist_group("village"),
    # Words are given as a person gives them, not as a test would.
    pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning"),
]

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
TWO_YEARS_ON = 1_530_000_000


@pytest.fixture(scope="module")
def story(village: tuple[Path, Answer], tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story_in(tmp_path_factory.mktemp("book"), village[0])


def test_a_table_of_readings_becomes_consumption_that_somebody_vouches_for(story: Story) -> None:
    assert story.imported.code == 0, story.imported.err
    said = story.imported.out
    assert f"imported 8 of 8 readings of consumption, 12,400 Wh of {SHOP.address}" in said
    assert "vouched for by Grid Lab" in said
    assert "is published; the head on the chain does not cover it until the issuer posts" in said
    entered = [a for a in actions(story.folder) if a.get("voucher")]
    assert [(a["action"], a["wh"]) for a in entered] == [("consume", wh) for wh in USED]
    assert [a["start"] for a in entered] == [NOON + 900 * i for i in range(8)]
    assert {a["owner"] for a in entered} == {SHOP.address_bytes.hex()}


def test_the_same_table_again_changes_nothing(story: Story) -> None:
    before = head(story.folder)
    again = book("import", story.folder, story.table, "--as", "consumption", *IMPORT)
    assert (again.code, again.err) == (0, "")
    assert "nothing to import of 8 readings: the book has all 8 already" in again.out
    assert head(story.folder) == before


def test_units_are_matched_with_the_consumption_of_the_very_intervals(story: Story) -> None:
    assert story.proposed["retired_wh"] == sum(MATCHED)
    assert [part["wh"] for part in story.proposed["retirements"]] == MATCHED
    assert story.proposed["sources"]["community"] == sum(MATCHED)
    assert story.matched.code == 0, story.matched.err
    sums = {
        line.rsplit(maxsplit=2)[0].strip(): line.split()[-2]
        for line in story.matched.out.splitlines()
        if line.endswith(" Wh")
    }
    assert sums == {
        "consumed": "12,400", "matched before": "0", "own production": "0", "contracts": "0",
        "community": "3,800", "market": "0", "still open": "8,600",
    }  # fmt: skip
    again = done("match", story.folder, *DAY, *BERLIN, *story.signing)
    assert (again["retired_wh"], again["open_wh"], again["retirements"]) == (0, 8_600, [])
    left = bundles(story.folder, SHOP.address)
    assert [b["wh"] for b in left] == [BOUGHT[1] - USED[1]]


def test_the_score_of_shop_and_neighbour_is_what_the_log_leads_to(story: Story) -> None:
    whole = done("score", story.folder, "--account", SHOP.address, *DAY, *BERLIN)["whole"]
    assert (whole["consumed_wh"], whole["matched_wh"]) == (sum(USED), sum(MATCHED))
    assert whole["score"] == "0.306451"  # 3800 / 12400 = 0.30645161...
    own = demonstration_account(f"village/{NEIGHBOUR}").address_bytes.hex()
    start, end = NOON - 12 * 3_600, NOON + 12 * 3_600  # midnight in Berlin is 22:00 in UTC
    used = [
        a for a in actions(story.folder)
        if a["action"] == "consume" and a["owner"] == own and start <= a["start"] < end
    ]  # fmt: skip
    consumed = sum(a["wh"] for a in used)
    covered = sum(a.get("covered_wh", 0) for a in used)
    assert 0 < covered < consumed
    told = done("score", story.folder, *member(NEIGHBOUR), *DAY, *BERLIN)
    assert told["zone"] == "Europe/Berlin"
    assert [day["period"] for day in told["days"]] == ["2016-06-21"]
    assert told["whole"]["start"] == "2016-06-20T22:00:00Z"
    assert (told["whole"]["consumed_wh"], told["whole"]["matched_wh"]) == (consumed, covered)
    assert told["whole"]["score"] == f"{float(Fraction(covered, consumed)):.7f}"[:8]


def test_a_score_names_its_time_zone_and_what_it_follows_from(story: Story) -> None:
    answer = book("score", story.folder, *member(NEIGHBOUR), *DAY)
    first, heads, *rows = answer.out.splitlines()
    assert first.endswith("(member 5), days of UTC; --zone names another")
    assert heads.split()[:2] == ["period", "score"]
    assert [row.split()[0] for row in rows] == ["2016-06-21/2016-06-22", "2016-06", "2016-06-21"]


def test_a_statement_is_true_once_its_entries_are_under_the_head_on_the_chain(
    story: Story,
) -> None:
    assert story.unposted.code == 1
    assert story.unposted.out.startswith("different: head: the chain's covers ")
    assert "commonwatt certificate post" in story.unposted.out
    # Eight readings, four transfers, one entry with all retirements.
    assert story.posted["new"] == len(USED) + len(BOUGHT) + 1
    assert story.posted["gas"] > 0
    answer = book("verify", story.folder, story.statement)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"true: {MATCHED[-1]} Wh of ")
    assert f"on the chain over {story.posted['entries']:,} of them" in answer.out
    again = book("post", story.folder)
    assert again.out.startswith("nothing to post: the head over all ")


def test_the_audit_agrees_with_all_of_it(story: Story) -> None:
    answer = here("audit", story.folder, "--certificates", "--json")
    assert (answer.code, answer.json["audit"]) == (0, "ok")
    told = answer.json["certificates"]
    assert (told["vouched"], told["retirements"]) == (len(USED), len(MATCHED))
    listed = done("list", story.folder)["book"]
    assert (told["entries"], told["head"]) == (listed["entries"], listed["head"])
    units = {
        entry["account"].lower(): sum(entry["wh"].values()) for entry in listed["accounts"]
    }  # fmt: skip
    shop = units[SHOP.address.lower()]
    assert shop == sum(BOUGHT)
    states = ("active", "retired", "stored", "claimed")
    for entry in told["accounts"]:
        in_book = sum(entry["units_wh"].get(state, 0) for state in states)
        assert units.get(entry["account"].lower(), 0) == in_book


def test_a_changed_byte_in_a_statement_is_found(story: Story, tmp_path: Path) -> None:
    text = story.statement.read_text()
    false = tmp_path / "false.json"

    def verified(changed: str) -> Answer:
        assert changed != text
        false.write_text(changed)
        return book("verify", story.folder, false)

    more = verified(text.replace(f'"wh":{MATCHED[-1]}', '"wh":999'))
    assert more.code == 1
    assert more.out == f"different: wh: the statement says 999, the book {MATCHED[-1]}\n"
    other = verified(text.replace(SHOP.address_bytes.hex(), "11" * 20))
    assert other.code == 1
    assert [line.split(":")[1] for line in other.out.splitlines()] == [" holder", " beneficiary"]
    digest = json.loads(text)["retired"]["digest"]
    assert verified(text.replace(digest, "0" * 64)).code == 1
    number = json.loads(text)["retired"]["number"]
    late = verified(text.replace(f'"number":{number}', '"number":99999'))
    assert (late.code, "there is no entry 99999" in late.out) == (1, True)
    spaced = verified(text.replace(":", ": "))
    assert (spaced.code, "written differently" in spaced.err) == (2, True)


def test_the_statement_of_another_book_is_told_as_such(story: Story, tmp_path: Path) -> None:
    said = json.loads(story.statement.read_text())
    said["produced"]["meter"] = "ab" * 20
    for name in ("issued", "retired"):
        said[name]["digest"] = "cd" * 32
    (tmp_path / "other.json").write_bytes(msgspec.json.encode(said) + b"\n")
    answer = book("verify", story.folder, tmp_path / "other.json")
    assert (answer.code, answer.out) == (2, "")
    assert "the statement of another book" in answer.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(b'"wh":1300', b'"wh":1301', 1), "the signature is not this"),
        (lambda text: b"".join(text.splitlines(keepends=True)[:-1]), "the chain has a head over"),
    ],
    ids=["a digit", "a line less"],
)
def test_a_changed_log_is_found_by_whoever_verifies(
    story: Story, tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    folder = a_copy(story.folder, tmp_path / "run")
    last = logs(folder)[-1]
    before = last.read_bytes()
    last.write_bytes(change(before))
    assert last.read_bytes() != before
    answer = book("verify", folder, story.statement)
    assert answer.code == 1
    assert answer.out.startswith("different: ")
    assert said in answer.out


def test_statement_and_page_are_written_again_as_they_were(story: Story, tmp_path: Path) -> None:
    folder = a_copy(story.folder, tmp_path / "run")
    own = folder / "retirements"
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    assert len(before) == 2 * len(MATCHED)
    shutil.rmtree(own)
    for name, text in before.items():
        if name.endswith(".json"):
            told = done("statement", folder, name.removesuffix(".json"))
            assert told["digest"] == sha256(text).hexdigest()
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_a_bundle_tells_where_it_comes_from_and_what_became_of_it(story: Story) -> None:
    number = story.statement.stem
    found = done("show", story.folder, number)
    [entry] = [e for e in found["entries"] if e["action"] == "retire"]
    said = json.loads(story.statement.read_text())
    assert found["record"] == said["record"]
    assert (found["wh"], found["state"], found["source"]) == (MATCHED[-1], "retired", "T010100")
    assert found["retirement"]["consumption"]["start"] == "2016-06-21T10:45:00Z"
    assert [e["action"] for e in found["entries"]] == ["issue", "transfer", "retire"]
    assert entry["entry"] == said["retired"]["number"]
    told = book("show", story.folder, number).out
    assert "1,500 Wh, 100 Wh of them matched, vouched for by Grid Lab" in told
    assert "(issuer)" in told
    divided = book("show", story.folder, f"b{entry['bundle'] - 1}").out
    assert "issue" in divided


def test_what_came_out_of_a_battery_tells_which_charges_it_was(story: Story) -> None:
    charged = {a["meter"] for a in actions(story.folder) if a["action"] == "charge"}
    listed = done("list", story.folder, "--day", "2016-06-21")["book"]["bundles"]
    given = next(b for b in listed if b["meter"] in charged and b["state"] == "active")
    found = done("show", story.folder, f"b{given['bundle']}")
    assert found["source"] is None
    assert found["storage_permille"] > 0
    assert sum(link["wh"] for link in found["charges"]) >= found["issued_wh"]
    assert all(link["end"] <= found["start"] for link in found["charges"])
    assert {link["meter"] for link in found["charges"]} == {found["meter"]}
    assert " % comes out again at most" in book("show", story.folder, f"b{given['bundle']}").out


def test_the_list_has_tokens_and_the_sums_of_every_account_in_the_book(story: Story) -> None:
    tokens, of_book = book("list", story.folder).out.split("\n\n")
    assert tokens.splitlines()[0].split() == ["certificate", "end", "Wh", "holder", "state"]
    first, heads, *rows = of_book.splitlines()
    covered = story.posted["entries"]
    assert first == f"book: {covered:,} entries; the head on the chain covers {covered:,}"
    assert heads.split("  ")[0] == "account, Wh"
    assert [row for row in rows if row.startswith(SHOP.address)] == rows[-1:]
    one = book("list", story.folder, "--account", SHOP.address, "--day", "2016-06-21").out
    *_, last = one.splitlines()
    assert last.split()[0] == story.statement.stem
    assert last.split()[2:] == ["100", SHOP.address, "retired"]
    other = book("list", story.folder, "--account", SHOP.address, "--day", "2016-06-20")
    assert other.out.splitlines()[-1] == "no bundles"


def test_pages_of_the_store_are_put_together_without_loss(story: Story) -> None:
    whole = done("list", story.folder, "--account", address(PRODUCER))["book"]["bundles"]
    day = done("list", story.folder, "--day", "2016-06-21")["book"]["bundles"]
    with patch("commonwatt.node.book_store.PAGE_MAX", 7):
        assert done("list", story.folder, "--account", address(PRODUCER))["book"][
            "bundles"
        ] == whole  # fmt: skip
        assert done("list", story.folder, "--day", "2016-06-21")["book"]["bundles"] == day
    assert len(day) > len(whole) > 7


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("transfer", "b99999", 1, "--to", "{shop}", "--member", 9), "b99999: no such bundle"),
        (("transfer", "{own}", 1, "--to", "{shop}", "--member", 5), "is another's (R13)"),
        (("transfer", "{own}", 10**6, "--to", "{shop}", "--member", 9), "it has"),
        (("transfer", "{own}", 0, "--to", "{shop}", "--member", 9), "WH 0: give 1 to"),
        (("transfer", "{own}", 1, "--to", "{shop}"), "give either --key FILE or"),
        (("transfer", "{used}", 1, "--to", "{away}", "--key", "{key}"), "retired, for good (R17)"),
        (("transfer", "{split}", 1, "--to", "{shop}", "--member", 9), "its parts are b"),
        (("retire", "{own}", 1, "--beneficiary", "shop", "--purpose", "x", "--member", 9),
         "--beneficiary 'shop': not an address"),
        (("retire", "{own}", 1, "--beneficiary", "{shop}", "--purpose", " ", "--member", 9),
         "--purpose: say for what"),
        (("retire", "{own}", 1, "--beneficiary", "{shop}", "--purpose", "x", "--country", "DE",
          "--member", 9), "only a token's retirement names them"),
        (("retire", "{own}", 1, "--beneficiary", "{shop}", "--purpose", "x", "--meter", "{meter}",
          "--member", 9), "a consumption is named by all three"),
        (("retire", "{own}", 1, "--beneficiary", "{shop}", "--purpose", "x", "--meter", "{meter}",
          "--from", "2016-06-21T10:15:00Z", "--until", "2016-06-21T10:00:00Z", "--member", 9),
         "--until 2016-06-21T10:00:00Z: not after"),
        (("retire", "{own}", 1, "--beneficiary", "{shop}", "--purpose", "x", "--meter", "{meter}",
          "--from", "2016-06-21T10:00:00Z", "--until", "2016-06-21T11:00:00Z", "--member", 9),
         "the book knows no consumption of it"),
        (("retire", "{own}", 1, "--beneficiary", "{away}", "--purpose", "x", "--meter", "{meter}",
          "--from", "2016-06-21T11:00:00Z", "--until", "2016-06-21T11:15:00Z", "--member", 9),
         "the consumption is another's (R18)"),
        (("statement", "{own}"), "is active: it was not retired"),
        (("statement", 17), "write b and its number, as b17"),
        (("match", "--from", "2016-06-22", "--until", "2016-06-21", "--member", 9),
         "--until 2016-06-21: not after --from"),
        (("match", "--from", "2016-06-21", "--until", "2016-06-31", "--member", 9),
         "--until '2016-06-31': not a day"),
        (("match", *DAY, "--zone", "Europe/Bonn", "--member", 9), "'Europe/Bonn' is no time zone"),
        (("match", *DAY, "--contract", "ab" * 20, "--member", 9), "no device of the book"),
        (("score", *DAY), "give either --member N or --account"),
        (("score", *DAY, "--member", 99), "there are members 0 to 12"),
        (("list", "--day", "yesterday"), "--day 'yesterday': not a day"),
        (("post", "--key", "{key}"), "not the issuer, which is 0x"),
        (("verify", "{table}"), "not a retirement's statement"),
        (("verify", "{table}.json"), "cannot be read"),
        (("import", "{table}", "--as", "consumption", *IMPORT, "--key", "{key}"), "not the issuer"),
        (("import", "{table}", "--as", "production", *IMPORT), "--rated-w and --source: metering"),
        (("import", "{table}", "--as", "consumption", "--voucher", "Somebody", *IMPORT[2:]),
         "line 2, start '2016-06-21T10:00:00Z': this consumption is known (R19); nothing was imp"),
    ],
    ids=lambda value: "-".join(map(str, value[:2])) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_refusal_is_one_line_and_leaves_the_book_as_it_was(
    story: Story, words: tuple[object, ...], said: str
) -> None:
    known = {
        "shop": SHOP.address, "away": address(NEIGHBOUR), "key": story.key, "table": story.table,
        "own": f"b{story.left}", "used": story.statement.stem, "split": f"b{story.divided}",
        "meter": sha256(b"metering point SHOP-1").hexdigest()[:12],
    }  # fmt: skip
    before = head(story.folder)
    command, *rest = (str(word).format(**known) for word in words)
    answer = book(command, story.folder, *rest)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1
    assert head(story.folder) == before


def test_units_are_retired_by_hand_with_and_without_a_consumption(
    story: Story, tmp_path: Path
) -> None:
    folder = a_copy(story.folder, tmp_path / "run")
    [left] = bundles(folder, SHOP.address)
    own = next(b for b in bundles(folder, address(PRODUCER)) if b["start"] > "2016-06-21T11:0")
    number = done(
        "transfer", folder, f"b{own['bundle']}", 500, "--to", SHOP.address, *member(PRODUCER)
    )["bundle"]
    meter = sha256(b"metering point SHOP-1").hexdigest()
    answer = book(
        "retire", folder, f"b{number}", 400, "--beneficiary", SHOP.address, "--purpose", "oven",
        "--meter", meter[:8], "--from", own["start"], "--until", own["end"], *story.signing,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    first, second = answer.out.splitlines()
    assert first.startswith(f"retired 400 Wh of b{number} (")
    assert f"for {SHOP.address}: oven, as b" in first
    assert "the head on the chain does not cover it until the issuer posts it" in second
    free = done(
        "retire", folder, f"b{left['bundle']}", left["wh"], "--beneficiary", address(NEIGHBOUR),
        "--purpose", "a gift", *story.signing,
    )  # fmt: skip
    said = json.loads(Path(free["statement"]).read_text())
    assert (said["purpose"], said["consumption"], said["wh"]) == ("a gift", None, left["wh"])
    assert Path(free["page"]).read_text().startswith("<!DOCTYPE html>")
    whole = done("score", folder, "--account", SHOP.address, *DAY)["whole"]
    assert whole["matched_wh"] == sum(MATCHED) + 400
    assert done("post", folder)["new"] == 3
    assert book("verify", folder, free["statement"]).code == 0


def test_contracts_come_before_the_community(story: Story, tmp_path: Path) -> None:
    folder = a_copy(story.folder, tmp_path / "run")
    for producer in (PRODUCER, NEIGHBOUR):
        own = next(b for b in bundles(folder, address(producer)) if b["start"] > "2016-06-21T11:0")
        words = ("transfer", folder, f"b{own['bundle']}", 1_000, "--to", SHOP.address)
        done(*words, *member(producer))
    used = USED[4]
    contract = ("--contract", address(NEIGHBOUR))
    told = done("match", folder, *DAY, *story.signing, *contract)
    assert told["sources"] == {
        "own production": 0, "contracts": 1_000, "community": used - 1_000, "market": 0,
    }  # fmt: skip
    assert told["from"] == "2016-06-21"
    assert len(told["statements"]) == 2


def test_matching_proposes_again_where_another_entry_came_first(
    story: Story, tmp_path: Path
) -> None:
    folder, table = a_copy(story.folder, tmp_path / "run"), tmp_path / "counters.csv"
    rows = ["metering_point,start,quantity_wh"]
    rows += [f"SHOP-{n},2016-06-21T11:00:00Z,{100 * n}" for n in (2, 3)]
    table.write_text("\n".join(rows) + "\n")
    done("import", folder, table, "--as", "consumption", *IMPORT)
    # One bundle for three meters: it is divided twice, and its parts' numbers are foretold.
    at_eleven = [b for b in bundles(folder, address(PRODUCER)) if b["start"] > "2016-06-21T11:"]
    own, *others = (b["bundle"] for b in at_eleven[:6])
    done("transfer", folder, f"b{own}", 9_000, "--to", SHOP.address, *member(PRODUCER))
    before = head(folder)
    tries, producer = 0, demonstration_account(f"village/{PRODUCER}")

    def late(store, account, wanted):
        """Signs, and somebody else is faster."""
        nonlocal tries
        signed = sign_actions(store, account, wanted)
        if tries in interruptions:
            part = Transfer(others.pop(), 1, address(NEIGHBOUR)[2:].lower())
            store.submit(sign_actions(store, producer, [part])[0], store.log.book.now)
        tries += 1
        return signed

    interruptions = range(3)
    words = ("match", folder, *DAY, *story.signing)
    with patch.object(book_matching, "sign_actions", late):
        refused = book(*words)
        assert (refused.code, tries) == (2, book_matching.TRIES_MAX)
        assert "other entries came in between 3 times" in refused.err
        assert "0 Wh were retired, run it again" in refused.err
        assert not (folder / "retirements" / f"b{own}.json").exists()
        tries, interruptions = 0, range(1)
        told = done(*words)
    assert tries == 2
    assert told["retired_wh"] == USED[4] + 200 + 300
    assert head(folder) != before


def test_production_that_somebody_vouches_for_becomes_certificates(
    story: Story, tmp_path: Path
) -> None:
    folder, table = a_copy(story.folder, tmp_path / "run"), tmp_path / "roof.csv"
    rows = ["metering_point,start,quantity_wh"]
    rows += [f"ROOF,2016-06-21T10:{m:02d}:00Z,{wh}" for m, wh in ((0, 300), (15, 0), (30, 500))]
    table.write_text("\n".join(rows) + "\n")
    made = ("import", folder, table, "--as", "production", *IMPORT)
    told = done(*made, "--rated-w", 5_000, "--source", "T010100")
    [point] = told["points"]
    assert point == {
        "metering_point": "ROOF", "admitted": True,
        "meter": sha256(b"metering point ROOF").hexdigest()[:40],
    }  # fmt: skip
    assert (told["readings"], told["imported"], told["imported_wh"]) == (3, 2, 800)
    records = (folder / "readings" / "2016-06-21.jsonl").read_bytes().splitlines()
    entered = [a for a in actions(folder) if a.get("meter") == point["meter"]]
    assert [a["action"] for a in entered] == ["admit", "issue", "issue"]
    assert [a["record"] for a in entered[1:]] == [sha256(line).hexdigest() for line in records]

    with table.open("a") as file:
        file.write("ROOF,2016-06-21T10:45:00Z,400\n")
    longer = done(*made)
    assert (longer["known"], longer["imported"], longer["entries"]) == (2, 1, 1)
    before = head(folder)
    for change, said in (
        (("10:30:00Z,500", "10:30:00Z,501"), "line 4, start"),
        (("10:30:00Z,500", "10:30:00Z,0.5"), "line 4, quantity_wh '0.5': write whole Wh"),
        (("10:45:00Z,400", "10:45:00Z,9999"), "line 5, quantity_wh '9999': more than 5000 W"),
        (("10:45:00Z,400", "10:30:00Z,400"), "line 5, start"),
    ):
        table.write_text(table.read_text().replace(*change))
        answer = book(*made)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err
        table.write_text(table.read_text().replace(*change[::-1]))
    other = book("import", folder, table, "--as", "production", *IMPORT[:-1], "AT")
    assert "is a device of the book with --zone DE-LU" in other.err
    assert head(folder) == before

    matched = done("match", folder, *DAY, *story.signing)
    open_wh = [used - had for used, had in zip(USED, MATCHED, strict=False)]
    assert matched["sources"]["own production"] == min(300, open_wh[0]) + 0 + 400
    assert matched["retired_wh"] == 600
    answer = here("audit", folder, "--certificates", "--json")
    assert answer.json["audit"] == "ok"
    assert answer.json["certificates"]["vouched"] == len(USED) + 1 + 3


def test_units_expire_in_the_book_too(story: Story, tmp_path: Path) -> None:
    folder = a_copy(story.folder, tmp_path / "run")
    [left] = bundles(folder, SHOP.address)
    opened = open_chain(None, folder, lambda: TWO_YEARS_ON)
    try:
        anybody = demonstration_account("passer-by")
        opened.connection.send(anybody, anybody.address, b"")
    finally:
        opened.close()
    answer = book(
        "transfer", folder, f"b{left['bundle']}", 1, "--to", address(NEIGHBOUR), *story.signing
    )
    assert answer.code == 2
    assert "have expired (R22)" in answer.err
    found = done("show", folder, f"b{left['bundle']}")
    assert (found["state"], found["expires"]) == ("expired", "2018-06-21T10:30:00Z")
    sums = done("list", folder)["book"]["accounts"]
    assert [a["wh"] for a in sums if a["account"] == SHOP.address] == [
        {"expired": left["wh"], "retired": sum(MATCHED)}
    ]


def test_a_folder_without_a_book_says_so(story: Story, tmp_path: Path) -> None:
    folder = a_copy(story.folder, tmp_path / "run")
    (folder / "node" / "commonwatt.sqlite").unlink()
    assert book("list", folder).out.endswith("\n\nbook: none in this folder\n")
    assert done("list", folder)["book"] is None
    answer = book("show", folder, "b1")
    assert (answer.code, answer.out) == (2, "")
    assert "keeps no book of certificates" in answer.err
    # Whoever was given what was published, and no book, can still check.
    assert book("verify", folder, story.statement).code == 0


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_of_a_statement_fits_a_phone_and_fetches_nothing(story: Story) -> None:
    page_file = story.statement.with_suffix(".html")
    asked: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport={"width": 360, "height": 740})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        page.locator("label", has_text="English").click()
        seen = page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        chromium.close()
    assert asked == [page_file.as_uri()]
    assert "0.100 kWh" in " ".join(seen.split())
    assert f"commonwatt certificate verify FOLDER {story.statement.name}" in seen
