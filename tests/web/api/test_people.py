"""What participants and everybody see: their own in full, neighbours as sums, in several forms."""

import csv
import gzip
import io
import re
from pathlib import Path

import httpx
import msgspec
import pytest

from certificates import NEIGHBOUR, PRODUCER
from commonwatt.statement.header import Header
from commonwatt.statement.proof import first_flaw, read_proof
from commonwatt.statement.publication import constitution_bytes, market_bytes, register_bytes
from commonwatt.web.api.render import _cell
from street import EURO, TARIFF
from web.api.parts import (
    DAY,
    HERE,
    NEIGHBOURS,
    NOON,
    PRODUCERS,
    QUARTER_S,
    TOKENS,
    People,
    Station,
)


def own(askers: People, member: int, what: str, **options: object) -> httpx.Response:
    token = askers.token_of((PRODUCER, NEIGHBOUR)[member])
    return askers.get(f"{HERE}/participants/{member}/{what}", token, **options)


def items(answer: httpx.Response) -> list[dict[str, object]]:
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


# The node and its communities


def test_health_tells_how_communities_are_and_nothing_of_a_chains_address(
    askers: People, lived: Station
) -> None:
    well = askers.get("/v1/health").json()
    assert well["status"] == "ok"
    assert well["communities"][0]["open_interval"] == NOON + 4 * QUARTER_S
    assert well["communities"][0]["silent"] == 5
    lived.hosted._chain = "no chain answers at https://rpc.example/v3/secret-key"
    try:
        answer = askers.get("/v1/health")
    finally:
        lived.hosted._chain = "ok"
    assert answer.json()["status"] == "degraded"
    assert answer.json()["communities"][0]["chain"] == "away"
    assert "secret-key" not in answer.text


def test_a_community_says_what_a_meter_must_know(askers: People, lived: Station) -> None:
    told = askers.get(HERE).json()
    community = lived.street.community
    assert told["ledger"] == community.chain.ledger.hex()
    assert (told["interval_s"], told["grace_s"]) == (900, 60)
    assert told["open_interval"] == NOON + 4 * QUARTER_S
    assert {m["meter"] for m in told["meters"]} == {r.meter.hex() for r in community.registrations}
    assert items(askers.get("/v1/communities"))[0]["members"] == 3


def test_the_constitution_register_and_market_are_the_published_bytes(
    askers: People, lived: Station
) -> None:
    community = lived.street.community
    answer = askers.get(f"{HERE}/constitution")
    assert answer.content == constitution_bytes(community)
    token = TOKENS["auditor"]
    assert askers.get(f"{HERE}/market", token).content == market_bytes(community.market)
    register = askers.get(f"{HERE}/register", token)
    assert register.content == register_bytes(community.registrations)
    assert register.headers["content-type"] == "application/x-ndjson"
    assert int(register.headers["content-length"]) == len(register.content)


# Intervals


def test_intervals_are_the_published_headers_decoded(askers: People, lived: Station) -> None:
    found = items(askers.get(f"{HERE}/intervals"))
    published = [msgspec.json.decode(line) for line in lived.hosted.lines(f"public/{DAY}.jsonl")]
    assert [one["header"] for one in found] == [line["header"] for line in published]
    header = Header.decode(bytes.fromhex(published[0]["header"]))
    assert found[0]["anchor"] == header.anchor.hex()
    assert found[0]["retail"] == "0.24000"
    assert found[0]["local_wh"] == header.local_wh > 0
    one = askers.get(f"{HERE}/intervals/{NOON}")
    assert one.json() == found[0]
    assert "immutable" in one.headers["cache-control"]
    for start in (NOON - 900, NOON + 1, NOON + 4 * 900, 10**17):
        assert askers.get(f"{HERE}/intervals/{start}").status_code == 404


def test_where_nothing_was_traded_there_is_no_local_price(tmp_path: Path) -> None:
    station = Station(tmp_path)
    station.clock.now = NOON + 900
    station.hosted.take(station.street.measure([100, 100, 100], [0, 0, 0], [0], [0]))
    station.hosted.conclude()
    station.hosted.settle()
    people = People(station)
    assert items(people.get(f"{HERE}/prices"))[0]["local_price"] is None
    people.close()
    station.close()


def test_a_community_without_a_closed_interval_has_empty_lists(tmp_path: Path) -> None:
    station = Station(tmp_path)
    people = People(station)
    token = people.token_of(PRODUCER)
    for what in ("intervals", "prices", "participants/0/positions", "participants/0/trades"):
        answer = people.get(f"{HERE}/{what}", token)
        assert answer.json() == {"items": [], "next": None}
        table = people.get(f"{HERE}/{what}", token, headers={"accept": "text/csv"})
        assert table.text.startswith("start,end,")
    assert people.get(f"{HERE}/participants/0", token).json()["last"] is None
    assert items(people.get(f"{HERE}/statements", TOKENS["auditor"])) == []
    people.close()
    station.close()


@pytest.mark.parametrize("what", ["intervals", "prices", "meters"])
def test_pages_together_are_the_whole_list(askers: People, what: str) -> None:
    whole = items(askers.get(f"{HERE}/{what}"))
    found, path = [], f"{HERE}/{what}?limit=2"
    while path:
        answer = askers.get(path)
        found += items(answer)
        following = answer.json()["next"]
        link = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("link", ""))
        assert (link is None) == (following is None)
        path = link[1] if link else ""
    assert found == whole
    assert len(whole) > 2


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=two", "limit=1&limit=2", "more=1", "day=21.6.2016",
        "day=2016-02-30", "day=2016-06-21%0A", "day=../../../etc", "cursor=x", "cursor=1.2.3",
        "cursor=-1", "cursor=1.2", "day=20160621", "day=%F0%9F%98%80", "limit=%00",
        "limit=" + "9" * 5_000, "a" * 3_000,
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_named(askers: People, query: str) -> None:
    answer = askers.get(f"{HERE}/intervals?{query}")
    assert answer.status_code == 422
    assert answer.json()["type"] == "/v1/problems/input-unusable"


# Members


def test_a_member_sees_its_line_of_the_bill_and_it_adds_up(askers: People, lived: Station) -> None:
    found = items(own(askers, NEIGHBOURS, "positions"))
    assert [one["start"] for one in found] == [NOON + n * 900 for n in range(4)]
    first, *_, last = found
    assert first["balance_before"] == "10.00000000"
    assert first["imported_wh"] == first["bought_local_wh"] + first["bought_supplier_wh"]
    paid = items(own(askers, NEIGHBOURS, "payments"))
    moved = sum(round(float(one["amount"]) * EURO) for one in paid)
    assert last["balance_after"] == f"{(10 * EURO + moved) / EURO:.8f}"
    assert moved == lived.chain.balances[NEIGHBOURS] - 10 * EURO
    transactions = [one["transaction"] for one in items(askers.get(f"{HERE}/intervals"))]
    assert [one["transaction"] for one in paid] == transactions


def test_what_came_late_is_shown_with_the_interval_it_is_of(
    people: People, station: Station
) -> None:
    *others, lost = sorted(
        station.records(),
        key=lambda s: s.record[12:32] == station.street.grid[NEIGHBOURS].key.meter,
    )
    station.clock.now = station.street.interval.end
    station.hosted.take(others)
    station.hosted.conclude()
    station.hosted.settle()
    answer = people.post(
        f"{HERE}/records",
        content=lost.record + lost.signature,
        headers={"content-type": "application/octet-stream"},
    )
    [result] = answer.json()["results"]
    assert result["verdict"] == "accepted"
    station.live(1)
    [found] = items(own(people, NEIGHBOURS, "adjustments"))
    amount = 300 * (TARIFF.retail + TARIFF.fee_supplier)
    assert found == {
        "start": NOON + 900,
        "meter": lost.record[12:32].hex(),
        "of_start": NOON,
        "of_end": NOON + 900,
        "record": lost.digest.hex(),
        "imported_wh": 300,
        "exported_wh": 0,
        "amount": f"{amount / EURO:.8f}",
        "issued_wh": 0,
    }
    silent, after = items(own(people, NEIGHBOURS, "positions"))
    assert (silent["silent"], silent["adjusted"]) == (True, "0.00000000")
    assert after["adjusted"] == found["amount"]
    assert items(own(people, PRODUCERS, "adjustments")) == []


def test_trades_show_the_side_and_hide_who_the_neighbour_is(askers: People) -> None:
    sold, bought = (items(own(askers, n, "trades")) for n in (PRODUCERS, NEIGHBOURS))
    assert {one["side"] for one in sold} == {"sold"}
    assert {one["side"] for one in bought} == {"bought"}
    assert all(set(one) == {"start", "end", "side", "wh", "price", "fee", "amount", "rule"}
               for one in sold)  # fmt: skip
    positions = items(own(askers, NEIGHBOURS, "positions"))
    for position in positions:
        of_interval = [one["wh"] for one in bought if one["start"] == position["start"]]
        assert sum(of_interval) == position["bought_local_wh"]


def test_pages_of_trades_lose_none_where_an_interval_has_several(askers: People) -> None:
    whole = items(own(askers, PRODUCERS, "trades"))
    found, cursor = [], None
    while True:
        asked = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = own(askers, PRODUCERS, "trades", params=asked).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole
    assert len(whole) == 8


def test_a_members_proofs_lead_to_the_anchors(askers: People) -> None:
    proofs = items(own(askers, PRODUCERS, "proofs"))
    anchors = [one["anchor"] for one in items(askers.get(f"{HERE}/intervals"))]
    assert [proof["anchor"] for proof in proofs] == anchors
    for proof in proofs:
        assert first_flaw(read_proof(msgspec.json.encode(proof))) is None


def test_a_page_of_proofs_is_short_where_they_are_large(
    askers: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commonwatt.web.api.routes.participants.PAGE_BYTES_MAX", 1)
    found, cursor = [], None
    for _ in range(4):
        asked = {"cursor": cursor} if cursor else {}
        page = own(askers, PRODUCERS, "proofs", params=asked).json()
        assert len(page["items"]) == 1
        found += page["items"]
        cursor = page["next"]
    assert cursor is None
    assert [one["start"] for one in found] == [NOON + n * 900 for n in range(4)]


def test_a_member_sees_its_meters_and_nobody_elses(askers: People, lived: Station) -> None:
    token = askers.token_of(PRODUCER)
    told = askers.get(f"{HERE}/participants/{PRODUCERS}", token).json()
    assert [one["role"] for one in told["meters"]] == ["grid", "generation", "storage"]
    assert told["meters"][1]["source"] == "T010100"
    mine, other = (lived.street.grid[n].key.meter.hex() for n in (0, 1))
    assert askers.get(f"{HERE}/meters/{mine}", token).json() == told["meters"][0]
    assert askers.get(f"{HERE}/meters/{other}", token).status_code == 403
    assert askers.get(f"{HERE}/meters/{'ab' * 20}", token).status_code == 403
    assert askers.get(f"{HERE}/meters/{'ab' * 20}", TOKENS["operator"]).status_code == 404
    assert set(items(askers.get(f"{HERE}/meters"))[0]) == {"meter", "member", "role"}


def test_neighbours_are_seen_as_sums_only(askers: People) -> None:
    told = askers.get(f"{HERE}/participants").json()
    assert set(told) == {"members", "accounts", "sums"}
    intervals = items(askers.get(f"{HERE}/intervals"))
    for name in ("imported_wh", "exported_wh", "local_wh", "issued_wh", "retired_wh", "free_wh"):
        assert told["sums"][name] == sum(one[name] for one in intervals)
    assert told["sums"]["intervals"] == 4


def test_no_answer_for_everybody_or_a_neighbour_holds_a_members_own_figures(
    askers: People,
) -> None:
    position = items(own(askers, NEIGHBOURS, "positions"))[2]
    secrets = [position["balance_after"], position["balance_before"]]
    token = askers.token_of(PRODUCER)
    open_to_all = [
        "", "/constitution", "/meters", "/participants", "/intervals", "/prices", "/book",
    ]  # fmt: skip
    for path in (*open_to_all, "/participants/0", "/participants/0/positions",
                 "/participants/0/proofs", "/certificates"):  # fmt: skip
        answer = askers.get(f"{HERE}{path}", token)
        assert answer.status_code == 200
        assert not any(secret in answer.text for secret in secrets), path


def test_members_are_counted_from_nought_and_there_are_no_others(askers: People) -> None:
    token = TOKENS["operator"]
    assert askers.get(f"{HERE}/participants/2", token).status_code == 200
    for member in ("3", "-1", "00", "1e3", "%C2%B2", "999999999999999999999", "0x1", "1.0", "+1"):
        for what in ("", "/positions", "/trades", "/payments", "/proofs"):
            answer = askers.get(f"{HERE}/participants/{member}{what}", token)
            assert answer.status_code == 404, member


# Statements


def test_an_auditor_gets_every_file_of_a_day_byte_for_byte(askers: People, lived: Station) -> None:
    token = TOKENS["auditor"]
    assert items(askers.get(f"{HERE}/statements", token)) == [
        {"day": DAY, "parts": ["inputs", "leaves", "certificates"]}
    ]
    for part in ("inputs", "leaves", "certificates"):
        answer = askers.get(f"{HERE}/statements/{DAY}/{part}", token)
        assert answer.content == (lived.folder / "audit" / f"{DAY}.{part}.jsonl").read_bytes()
        head = askers.ask("HEAD", f"{HERE}/statements/{DAY}/{part}", token)
        assert int(head.headers["content-length"]) == len(answer.content)
    assert askers.get(f"{HERE}/statements/2016-06-22/inputs", token).status_code == 404
    assert askers.get(f"{HERE}/statements/{DAY}/secrets", token).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "statements/..%2f..%2fnode/inputs", "statements/%2e%2e/inputs",
        "statements/2016-06-21/%2e%2e",
        "statements/2016-06-21/%2e%2e%2fnode%2fnode.sqlite", "statements/2016-06-21%00/inputs",
        "statements/2016-06-2\uff11/inputs", "participants/..%2f..%2fnode", "certificates/..%2f1",
        "intervals/%2e%2e", "meters/..%2f..%2f..%2fetc%2fpasswd", "../../etc/passwd",
        "statements//inputs", "statements/2016-06-21/inputs/", "statements/20160621/inputs",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_what_is_published(askers: People, path: str) -> None:
    answer = askers.get(f"{HERE}/{path}", TOKENS["operator"])
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


# Forms


def test_a_list_is_a_table_for_who_wants_one(askers: People) -> None:
    answer = askers.get(f"{HERE}/intervals?limit=3", headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    found = items(askers.get(f"{HERE}/intervals?limit=3"))
    assert [{name: str(value) for name, value in one.items()} for one in found] == rows
    assert 'rel="next"' in answer.headers["link"]


def test_a_table_has_no_formula_in_it() -> None:
    assert _cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
    assert _cell("@SUM(1)") == "'@SUM(1)"
    assert _cell("-0.11200000") == "-0.11200000"
    plain = {None: None, True: "true", 7: 7, ("a",): '["a"]'}
    assert {value: _cell(value) for value in plain} == plain


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "application/json"),
        ("", "application/json"),
        ("text/*", "text/csv"),
        ("application/*", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.9", "application/json"),
        ("text/csv, */*;q=0.1", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=nan", None),
        (";;;,,q=1", None),
    ],
)
def test_the_form_is_what_is_accepted_most(askers: People, accept: str, form: str | None) -> None:
    answer = askers.get(f"{HERE}/prices", headers={"accept": accept})
    assert answer.status_code == (406 if form is None else 200)
    assert answer.headers["content-type"].startswith(form or "application/problem+json")


def test_what_did_not_change_is_not_sent_again(askers: People) -> None:
    for path, token in ((HERE, None), (f"{HERE}/intervals", None),
                        (f"{HERE}/participants/0", TOKENS["operator"])):  # fmt: skip
        first = askers.get(path, token)
        etag = first.headers["etag"]
        again = askers.get(path, token, headers={"if-none-match": f'"other", {etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert askers.get(path, token, headers={"if-none-match": '"x"'}).status_code == 200
    assert (
        "private"
        in askers.get(f"{HERE}/participants/0", TOKENS["operator"]).headers["cache-control"]
    )
    table = askers.get(f"{HERE}/intervals", headers={"accept": "text/csv"})
    assert table.headers["etag"] != askers.get(f"{HERE}/intervals").headers["etag"]
    assert "accept" in table.headers["vary"]


def test_long_answers_are_compressed_for_who_takes_that(askers: People) -> None:
    plain = askers.get(f"{HERE}/intervals", headers={"accept-encoding": "identity"})
    packed = askers.get(f"{HERE}/intervals", headers={"accept-encoding": "br, gzip;q=0.5"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert packed.content == plain.content  # the client has unpacked it
    assert packed.headers["etag"] == plain.headers["etag"]
    none = askers.get(f"{HERE}/intervals", headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in none.headers
    described = askers.api.description
    assert gzip.decompress(described.packed) == described.body


def test_head_says_all_but_the_body(askers: People) -> None:
    for path in ("/v1/health", HERE, f"{HERE}/intervals", "/v1/openapi.json"):
        whole = askers.get(path, headers={"accept-encoding": "identity"})
        head = askers.ask("HEAD", path, headers={"accept-encoding": "identity"})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        assert head.headers.get("etag") == whole.headers.get("etag")


def test_unknown_addresses_and_methods_are_problems_too(askers: People) -> None:
    answer = askers.get("/v1/nothing")
    assert (answer.status_code, answer.json()["type"]) == (404, "/v1/problems/unknown")
    assert askers.get("/").status_code == 404
    assert askers.get("/docs").status_code == 404
    answer = askers.ask("PUT", f"{HERE}/records")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = askers.ask("OPTIONS", f"{HERE}/webhooks")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_every_problem_leads_to_its_meaning(askers: People) -> None:
    told = askers.get(f"{HERE}/intervals?limit=0").json()
    meaning = askers.get(told["type"]).json()
    assert (meaning["title"], meaning["status"]) == (told["title"], told["status"])
    assert told["detail"].endswith(meaning["step"])
    assert askers.get("/v1/problems/none").status_code == 404


def test_every_answer_tells_browsers_to_run_none_of_it(askers: People) -> None:
    for answer in (askers.get("/v1/health"), askers.get("/v1/nothing"), askers.get(f"{HERE}?x=1")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
