"""A community's market under audit: its settings, its shares and limits, and their format."""

import json
from collections.abc import Callable

import pytest

from commonwatt.market.catalogue import CONTRACT, PREFERENCE
from commonwatt.market.settings import MarketSettings, MemberSettings
from commonwatt.quantity import Interval
from commonwatt.statement.leaves import TradeLeaf
from commonwatt.statement.publication import CONSTITUTION_PATH, MARKET_PATH
from lived import BY_BIDS, BY_SHARES, DAYS, LIMITS, judged, lived_in
from markets import CHOICES, NOON, Choice
from street import Street

BY_ORGANISER = MarketSettings(
    key="organiser", members=tuple(MemberSettings(n, share="0.3") for n in range(3))
)
STREETS = {
    "shares": lived_in(market=BY_SHARES),
    "bids": lived_in(market=BY_BIDS, limits=LIMITS),
    "usual": lived_in(),
}
INPUTS = f"audit/{DAYS[0]}.inputs.jsonl"


def trades_of(street: Street) -> list[TradeLeaf]:
    return [
        TradeLeaf.decode(bytes.fromhex(leaf["leaf"]))
        for day in DAYS
        for leaf in map(json.loads, street.files[f"audit/{day}.leaves.jsonl"].splitlines())
        if leaf["section"] == "trades"
    ]


@pytest.mark.parametrize("name", STREETS)
def test_a_street_with_any_market_passes(name: str) -> None:
    street = STREETS[name]
    found = judged(street.files, street.facts())
    assert (found.verdict, found.intervals) == ("ok", 5)


def test_these_streets_have_fees_by_nearness_contracts_and_partners() -> None:
    by_shares, by_bids = trades_of(STREETS["shares"]), trades_of(STREETS["bids"])
    assert {trade.rule for trade in by_shares} == {1, CONTRACT}
    assert {trade.rule for trade in by_bids} >= {PREFERENCE, CONTRACT}
    # The building's fee, and that of the whole grid outside the window and in it.
    assert {trade.fee for trade in by_shares} == {1_000, 8_000, 6_400}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_rule_and_key_can_be_audited(choice: Choice) -> None:
    start = Interval(NOON, choice.interval_s)
    street = Street(members=3, producers=1, market=choice.settings(), start=start)
    for _ in range(2):
        batch = street.measure([0, 100, 300], [250, 0, 0], [250])
        statement = street.close(batch, LIMITS if choice.key is None else ())
        assert statement.trades
    assert judged(street.files, street.facts()).verdict == "ok"


@pytest.mark.parametrize("name", STREETS)
def test_any_changed_byte_of_the_settings_is_found_and_placed(name: str) -> None:
    street = STREETS[name]
    whole, facts = street.files[MARKET_PATH], street.facts()
    for at in range(len(whole)):
        for bit in range(0, 8, 3):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            found = judged({**street.files, MARKET_PATH: bytes(changed)}, facts)
            assert found.place in (MARKET_PATH, CONSTITUTION_PATH), (at, found.difference)


CHANGES: dict[str, Callable[[dict], object]] = {
    "another share": lambda market: market["members"][1].update(share="0.31"),
    "the same share in other digits": lambda market: market["members"][1].update(share="0.30"),
    "another key": lambda market: market.update(key="iterative"),
    "another place": lambda market: market["members"][2].update(place=["north", "one"]),
    "a contract less": lambda market: market.pop("contracts"),
    "another price": lambda market: market["contracts"][0].update(price="0.11"),
    "another window": lambda market: market["grid"]["windows"][0].update(end="23:45"),
    "a share above all": lambda market: market["members"][1].update(share="0.5"),
    "what is usual, said": lambda market: market.update(rule="mid_market_rate"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_settings_that_were_changed_afterwards_are_found(what: str) -> None:
    street = STREETS["shares"]
    market = json.loads(street.files[MARKET_PATH])
    CHANGES[what](market)
    changed = json.dumps(market, indent=2).encode() + b"\n"
    found = judged({**street.files, MARKET_PATH: changed}, street.facts())
    assert found.place in (MARKET_PATH, CONSTITUTION_PATH)


def test_settings_that_nothing_can_be_cleared_by_are_no_communitys() -> None:
    street = STREETS["shares"]
    changed = street.files[MARKET_PATH].replace(b'"0.3"', b'"0.5"')
    found = judged({**street.files, MARKET_PATH: changed}, street.facts())
    assert found.difference == (
        f"{MARKET_PATH}: not a market of this community: the shares sum to 1.100000000: at most 1, "
        "lower some"
    )


def test_settings_of_another_street_with_its_constitution_are_found_in_the_first_statement() -> (
    None
):
    """The constitution is in every statement's inputs, and the chain has the anchors."""
    street, other = STREETS["shares"], STREETS["bids"]
    swapped = {path: other.files[path] for path in (MARKET_PATH, CONSTITUTION_PATH)}
    found = judged({**street.files, **swapped}, street.facts())
    assert found.place == "2016-06-21T23:15:00Z, inputs"
    usual = {path: STREETS["usual"].files[path] for path in (MARKET_PATH, CONSTITUTION_PATH)}
    found = judged({**street.files, **usual}, street.facts())
    assert found.place == "2016-06-21T23:15:00Z, header"


def first_lines(path: str, files: dict[str, bytes]) -> list[int]:
    return [n for n, line in enumerate(files[path].splitlines()) if b'"tariff"' in line]


def changed_inputs(files: dict[str, bytes], number: int, change: Callable[[dict], object]) -> dict:
    """The files with an interval's first line of inputs changed."""
    lines = files[INPUTS].splitlines()
    at = first_lines(INPUTS, files)[number]
    entry = json.loads(lines[at])
    change(entry)
    lines[at] = json.dumps(entry, separators=(",", ":")).encode()
    return {**files, INPUTS: b"\n".join(lines) + b"\n"}


WHEN = ("2016-06-21T23:15:00Z", "2016-06-21T23:30:00Z", "2016-06-21T23:45:00Z")


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("name", STREETS)
def test_a_changed_price_around_the_market_is_found_in_its_interval(name: str, number: int) -> None:
    """In the window, too, where the header has a part of the supplier's grid fee, rounded."""
    street = STREETS[name]
    for price in range(4):
        for by in (1, -1):

            def dearer(entry: dict, price: int = price, by: int = by) -> None:
                entry["tariff"][price] += by

            changed = changed_inputs(street.files, number, dearer)
            found = judged(changed, street.facts())
            assert found.place == f"{WHEN[number]}, header", (price, by)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    "change",
    [
        lambda limits: limits[0].__setitem__(0, limits[0][0] + 1),
        lambda limits: limits[2].__setitem__(1, limits[2][1] - 1),
        lambda limits: limits.reverse(),
    ],
    ids=["a bid", "an ask", "their order"],
)
def test_a_changed_limit_is_found_in_its_interval(number: int, change) -> None:
    street = STREETS["bids"]
    changed = changed_inputs(street.files, number, lambda entry: change(entry["limits"]))
    assert str(judged(changed, street.facts()).place).startswith(WHEN[number])


def organised(shares: tuple[int, ...]) -> Street:
    street = Street(members=3, producers=1, market=BY_ORGANISER)
    for _ in range(2):
        street.close(street.measure([0, 100, 300], [250, 0, 0], [250]), shares=shares)
    return street


@pytest.mark.parametrize("shares", [(), (0, 4 * 10**8, 6 * 10**8)])
def test_shares_the_organiser_named_are_audited_and_every_change_of_them_is_found(shares) -> None:
    street = organised(shares)
    assert judged(street.files, street.facts()).verdict == "ok"
    for other in ([0, 4 * 10**8, 6 * 10**8 - 1], [0, 0, 0], [3 * 10**8] * 3, [1], [10**9] * 3):
        changed = changed_inputs(street.files, 1, lambda entry, o=other: entry.update(shares=o))
        place = str(judged(changed, street.facts()).place)
        assert place.startswith("2016-06-21T12:15:00Z, "), other


def test_shares_where_the_key_takes_none_are_found() -> None:
    street = STREETS["shares"]
    changed = changed_inputs(street.files, 0, lambda entry: entry.update(shares=[0, 0, 0]))
    found = judged(changed, street.facts())
    assert found.place == "2016-06-21T23:15:00Z, inputs"
    assert "only organiser takes them" in str(found.difference)


def test_files_of_another_version_of_this_program_are_told_as_such() -> None:
    street = STREETS["usual"]
    constitution = json.loads(street.files[CONSTITUTION_PATH])
    constitution["format"] = "commonwatt-community-1"
    del constitution["market"]
    old = json.dumps(constitution, indent=2).encode() + b"\n"
    files = {path: text for path, text in street.files.items() if path != MARKET_PATH}
    found = judged({**files, CONSTITUTION_PATH: old}, street.facts())
    assert found.place == CONSTITUTION_PATH
    assert found.difference == (
        f"{CONSTITUTION_PATH}: of format 'commonwatt-community-1'; "
        "this program audits commonwatt-community-4"
    )
