"""Pools and communities as documents: read strictly, answered exactly, refused in one line."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.cli.market_pool import run_price, run_share
from commonwatt.errors import InputError
from commonwatt.market.keys import KEYS, SHARE_ONE
from commonwatt.market.pool_file import PoolFileUnusable, price_document, read_pool, share_document
from commonwatt.market.price import PRICE_RULES
from commonwatt.quantity import Currency, decimal_text
from effort import effort

EURO = Currency()
PAIR = {"from": "plant", "to": "a", "share": "0.5"}
COMMUNITY = {
    "rule": "mid_market_rate",
    "retail": "0.30",
    "feed_in": "0.08",
    "produced_wh": 10_000,
    "used_wh": 4_000,
}


def pool_of(*members: dict, key: str = "dynamic", **rest: object) -> dict:
    return {"key": key, "members": list(members), **rest}


def shared(document: dict) -> dict:
    return share_document(json.dumps(document).encode())


def priced(document: dict) -> dict:
    return price_document(json.dumps(document).encode(), EURO)


@st.composite
def documents(draw) -> dict:
    """Any key, up to five members with everything it may need."""
    ids = draw(
        st.lists(st.text("abcä", min_size=1, max_size=3), min_size=1, max_size=5, unique=True)
    )
    part = SHARE_ONE // len(ids)
    energies = st.integers(0, 5_000)
    members = [
        {
            "id": name,
            "produced_wh": draw(energies),
            "used_wh": draw(energies),
            "share": decimal_text(draw(st.integers(0, part)), 9),
            "priority": draw(st.integers(0, 2)),
            "participation_percent": draw(st.integers(1, 100)),
        }
        for name in ids
    ]
    pairs = [
        {"from": giver, "to": taker, "share": decimal_text(draw(st.integers(0, part)), 9)}
        for giver in [ids[0], "plant"]
        for taker in ids
    ]
    plant = draw(energies)
    return pool_of(*members, key=draw(st.sampled_from(list(KEYS))), plant_wh=plant, pairs=pairs)


@given(documents(), st.randoms())
@effort(4)
def test_the_order_of_members_and_pairs_changes_nothing(document: dict, chance) -> None:
    before = json.dumps(shared(document))
    chance.shuffle(document["members"])
    chance.shuffle(document["pairs"])
    assert json.dumps(shared(document)) == before


@given(documents())
@effort(2)
def test_each_wh_has_one_place(document: dict) -> None:
    answer = shared(document)
    for member in document["members"]:
        used, produced = (
            sum(answer[part][member["id"]] for part in parts)
            for parts in (
                ("own_use_wh", "allocated_wh", "from_grid_wh"),
                ("own_use_wh", "sold_wh", "to_grid_wh"),
            )
        )
        assert (used, produced) == (member["used_wh"], member["produced_wh"])
    sold = sum(answer["sold_wh"].values()) + answer["plant_sold_wh"]
    assert sum(answer["allocated_wh"].values()) == sold
    unsold = sum(answer["to_grid_wh"].values()) + document["plant_wh"] - answer["plant_sold_wh"]
    # The rest of the unsold is what percentages kept out of this pool.
    assert 0 <= answer["surplus_wh"] <= unsold


def test_a_pool_is_answered_by_the_members_ids() -> None:
    document = pool_of(
        {"id": "b", "used_wh": 600},
        {"id": "a", "produced_wh": 300, "used_wh": 400, "participation_percent": 50},
        {"id": "c", "produced_wh": 110, "used_wh": 10},
        plant_wh=250,
    )
    assert shared(document) == {
        "key": "dynamic",
        "own_use_wh": {"a": 300, "b": 0, "c": 10},
        "allocated_wh": {"a": 27, "b": 323, "c": 0},
        "from_grid_wh": {"a": 73, "b": 277, "c": 0},
        "sold_wh": {"a": 0, "b": 0, "c": 100},
        "to_grid_wh": {"a": 0, "b": 0, "c": 0},
        "plant_sold_wh": 250,
        "surplus_wh": 0,
    }


def test_what_a_key_does_not_need_may_stand_in_the_document() -> None:
    member = {"id": "a", "used_wh": 200, "share": "0.5", "priority": 1}
    answer = shared(pool_of(member, key="dynamic", plant_wh=600, pairs=[PAIR]))
    assert (answer["allocated_wh"], answer["surplus_wh"]) == ({"a": 200}, 400)


def test_a_pair_can_name_the_plant() -> None:
    document = pool_of(
        {"id": "a", "used_wh": 900}, {"id": "b", "used_wh": 900}, key="pairs", plant_wh=600
    )
    answer = shared({**document, "pairs": [PAIR, {"from": "plant", "to": "b", "share": "0.25"}]})
    assert (answer["allocated_wh"], answer["surplus_wh"]) == ({"a": 300, "b": 150}, 150)


@pytest.mark.parametrize("share", ["0", "1", "0.5", "1.0", "0.000000001", "0.999999999"])
def test_a_share_is_read_as_it_is_written(share: str) -> None:
    named = read_pool(json.dumps(pool_of({"id": "a", "share": share}, key="static")).encode())
    assert decimal_text(int(named.key.shares[0]), 9).startswith(share)


def test_prices_are_answered_per_kwh() -> None:
    assert priced(COMMUNITY) == {
        "rule": "mid_market_rate",
        "buy": "0.19000",
        "sell": "0.12400",
        "local": "0.19000",
        "rounded_down": [],
    }


def test_a_price_rounded_down_is_named() -> None:
    answer = priced({**COMMUNITY, "retail": "0.30001", "produced_wh": 3, "used_wh": 7})
    assert answer["local"] == "0.19000"
    assert answer["rounded_down"] == ["local", "buy"]


def test_where_nothing_is_made_sellers_have_no_price() -> None:
    answer = priced({**COMMUNITY, "produced_wh": 0})
    assert (answer["buy"], answer["sell"]) == ("0.30000", None)


@pytest.mark.parametrize("rule", PRICE_RULES)
def test_every_community_price_can_be_asked_for_by_name(rule: str) -> None:
    answer = priced({**COMMUNITY, "rule": rule, "price": "0.15"})
    assert answer["rule"] == rule
    assert 0 <= EURO.price(answer["sell"]) <= 30_000


# What cannot be used

A = {"id": "a", "used_wh": 1}
BAD_POOLS = {
    "nothing": "",
    "no JSON": "{",
    "no object": "[]",
    "nobody": pool_of(),
    "no members": {"key": "dynamic"},
    "no key": {"members": [A]},
    "key unknown": pool_of(A, key="best"),
    "key endless": pool_of(A, key="x" * 10_000),
    "field unknown": pool_of({"id": "a", "uses\nd": 1}),
    "id twice": pool_of(A, A),
    "id empty": pool_of({"id": ""}),
    "id endless": pool_of({"id": "a" * 101}),
    "id of two lines": pool_of({"id": "a\nb"}),
    "use below zero": pool_of({"id": "a", "used_wh": -1}),
    "use too large": pool_of({"id": "a", "used_wh": 10**9 + 1}),
    "use beyond 2^63": pool_of({"id": "a", "used_wh": 2**63}),
    "use endless": pool_of({"id": "a", "used_wh": 10**1_000}),
    "use a float": pool_of({"id": "a", "used_wh": 1.0}),
    "use NaN": '{"key": "dynamic", "members": [{"id": "a", "used_wh": NaN}]}',
    "use a text": pool_of({"id": "a", "used_wh": "1"}),
    "use true": pool_of({"id": "a", "used_wh": True}),
    "made below zero": pool_of({"id": "a", "produced_wh": -1}),
    "plant below zero": pool_of(A, plant_wh=-1),
    "plant too large": pool_of(A, plant_wh=10**12 + 1),
    "share missing": pool_of(A, key="static"),
    "share above one": pool_of({"id": "a", "share": "1.5"}, key="static"),
    "share just above one": pool_of({"id": "a", "share": "1.000000001"}, key="static"),
    "share below zero": pool_of({"id": "a", "share": "-0.5"}, key="static"),
    "share too fine": pool_of({"id": "a", "share": "0.0000000001"}, key="static"),
    "share NaN": pool_of({"id": "a", "share": "NaN"}, key="static"),
    "share a float": pool_of({"id": "a", "share": 0.5}, key="static"),
    "share in other digits": pool_of({"id": "a", "share": "0.\u0665"}, key="static"),
    "shares above one": pool_of(
        {"id": "a", "share": "0.6"}, {"id": "b", "share": "0.6"}, key="iterative"
    ),
    "priority missing": pool_of(A, key="priority"),
    "priority below zero": pool_of({"id": "a", "priority": -1}, key="priority"),
    "percent nothing": pool_of({"id": "a", "participation_percent": 0}),
    "percent above all": pool_of({"id": "a", "participation_percent": 101}),
    "percent sum": pool_of({"id": "a", "participation_percent": 60, "elsewhere_percent": [41]}),
    "percent elsewhere": pool_of({"id": "a", "elsewhere_percent": [1]}),
    "six communities": pool_of(
        {"id": "a", "participation_percent": 1, "elsewhere_percent": [1, 1, 1, 1, 1]}
    ),
    "pairs missing": pool_of(A, key="pairs"),
    "pair of nobody": pool_of(A, key="pairs", pairs=[{**PAIR, "to": "z"}]),
    "pair from nobody": pool_of(A, key="pairs", pairs=[{**PAIR, "from": "z"}]),
    "pair to the plant": pool_of(A, key="pairs", pairs=[{**PAIR, "to": "plant"}]),
    "pair twice": pool_of(A, key="pairs", pairs=[PAIR, PAIR]),
    "pair share": pool_of(A, key="pairs", pairs=[{**PAIR, "share": "2"}]),
    "pair shares": pool_of(
        A, {"id": "b"}, key="pairs", pairs=[{**PAIR, "share": "0.7"}, {**PAIR, "to": "b"}]
    ),
    "member named plant": pool_of({"id": "plant"}, key="pairs", pairs=[PAIR]),
}
BAD_COMMUNITIES = {
    "no JSON": "retail 0.30",
    "rule unknown": {**COMMUNITY, "rule": "best"},
    "retail a float": {**COMMUNITY, "retail": 0.3},
    "retail NaN": {**COMMUNITY, "retail": "NaN"},
    "retail too fine": {**COMMUNITY, "retail": "0.300001"},
    "feed-in above retail": {**COMMUNITY, "feed_in": "0.31"},
    "feed-in below zero": {**COMMUNITY, "feed_in": "-0.01"},
    "no agreed price": {**COMMUNITY, "rule": "fixed_price"},
    "made below zero": {**COMMUNITY, "produced_wh": -1},
    "made a float": {**COMMUNITY, "produced_wh": 1.0},
    "used beyond 2^63": {**COMMUNITY, "used_wh": 2**63},
    "used endless": {**COMMUNITY, "used_wh": 10**1_000},
    "amount beyond 2^63": {**COMMUNITY, "used_wh": 2**62},
    "field unknown": {**COMMUNITY, "fixed": "0.15"},
}


def written(folder: Path, document: object) -> Path:
    file = folder / "document.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


@pytest.mark.parametrize(
    ("run", "document"),
    [
        *(pytest.param(run_share, bad, id=f"pool: {name}") for name, bad in BAD_POOLS.items()),
        *(
            pytest.param(run_price, bad, id=f"community: {name}")
            for name, bad in BAD_COMMUNITIES.items()
        ),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(run, document, tmp_path: Path) -> None:
    file = written(tmp_path, document)
    with pytest.raises(InputError) as refusal:
        run(file, as_json=True)
    message = str(refusal.value)
    assert message.startswith(f"{file}: ")
    assert len(message.splitlines()) == 1
    assert len(message) < len(str(file)) + 400


@pytest.mark.parametrize("document", [b"\xff", b"[" * 100_000, b'{"key": "\xff"}'])
def test_bytes_that_are_no_text_are_refused(document: bytes) -> None:
    with pytest.raises(PoolFileUnusable):
        read_pool(document)


def test_a_document_longer_than_any_community_is_refused() -> None:
    with pytest.raises(PoolFileUnusable, match="longer than"):
        read_pool(b" " * (2**26 + 1))


@pytest.mark.parametrize("run", [run_share, run_price])
def test_a_file_that_is_not_there_is_named(run, tmp_path: Path) -> None:
    with pytest.raises(PoolFileUnusable, match=r"none\.json: cannot be read"):
        run(tmp_path / "none.json", as_json=False)


# For people


def test_a_pool_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = pool_of({"id": "bakery", "used_wh": 60_000}, {"id": "a"}, plant_wh=12_345)
    assert run_share(written(tmp_path, document), as_json=False) == 0
    title, heads, _, bakery, total, last = capsys.readouterr().out.splitlines()
    assert title == "dynamic, Wh"
    assert heads.split("  ")[-1].strip() == "to grid"
    assert bakery.split() == ["bakery", "0", "12,345", "47,655", "0", "0"]
    assert total.split() == ["all", "members", "0", "12,345", "47,655", "0", "0"]
    assert {len(line) for line in (heads, bakery, total)} == {len(heads)}
    assert last == "sold from the plant 12,345, surplus 0"


def test_prices_as_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {**COMMUNITY, "retail": "0.30001", "produced_wh": 0}
    assert run_price(written(tmp_path, document), as_json=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mid_market_rate, EUR per kWh",
        "  shared energy costs     0.19000, rounded down",
        "  buyers pay on average   0.30001",
        "  sellers get on average  nothing to price",
    ]


@pytest.mark.parametrize(("run", "document"), [(run_share, pool_of(A)), (run_price, COMMUNITY)])
def test_as_json_it_is_one_object(run, document, tmp_path: Path, capfdbinary) -> None:
    assert run(written(tmp_path, document), as_json=True) == 0
    expected = shared(document) if run is run_share else priced(document)
    assert json.loads(capfdbinary.readouterr().out) == expected
