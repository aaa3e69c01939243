"""What a community writes down about its market: read back as written, or refused in one line."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given

from commonwatt.errors import InputError
from commonwatt.market.catalogue import RULES, RuleUnknown
from commonwatt.market.charter import charter_of
from commonwatt.market.keys import KEYS
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    LevelSettings,
    MarketSettings,
    MemberSettings,
    PairSettings,
    SettingsUnusable,
    StepSettings,
    WindowSettings,
    settings_named,
)
from commonwatt.node.plan import read_market
from commonwatt.statement.publication import market_bytes
from effort import effort
from markets import EURO, rich_markets

MEMBERS, QUARTER_S = 3, 900
PLACES = tuple(MemberSettings(n, place=("north", str(n))) for n in range(MEMBERS))
LEVELS = (LevelSettings("building", fee="0.01"), LevelSettings("transformer", reduction_percent=57))
GRID = GridSettings(LEVELS)


def in_grid(**changes: object) -> MarketSettings:
    return MarketSettings(grid=msgspec.structs.replace(GRID, **changes), members=PLACES)


def window(start: str = "17:00", end: str = "21:00", **more: object) -> MarketSettings:
    return in_grid(windows=(WindowSettings(start, end, **{"factor_percent": 80, **more}),))


def member(**changes: object) -> MarketSettings:
    return MarketSettings(members=(MemberSettings(**{"member": 1, **changes}),))


def bidder(**changes: object) -> MarketSettings:
    return msgspec.structs.replace(member(**changes), rule="uniform_price")


def contract(**changes: object) -> MarketSettings:
    usual = {
        "seller": 0,
        "buyer": 1,
        "price": "0.1",
        "start": "2016-06-21T00:00:00Z",
        "end": "2017-06-21T00:00:00Z",
        "volume_wh": 100,
    }
    return MarketSettings(contracts=(ContractSettings(**{**usual, **changes}),))


def pairs(*rows: tuple[int, int, str]) -> MarketSettings:
    return MarketSettings(key="pairs", pairs=tuple(PairSettings(*row) for row in rows))


def steps(*rows: tuple[str, tuple[str, ...]]) -> MarketSettings:
    listed = tuple(StepSettings(*row) for row in rows)
    return MarketSettings(key="coefficients", coefficients=listed)


def static(*shares: str) -> MarketSettings:
    listed = tuple(MemberSettings(n, share=share) for n, share in enumerate(shares))
    return MarketSettings(key="static", members=listed)


HALF_TWICE = MarketSettings(
    contracts=tuple(
        ContractSettings(
            0, buyer, "0.1", "2016-06-21T00:00:00Z", "2017-06-21T00:00:00Z", share="0.6"
        )
        for buyer in (1, 2)
    )
)
FIRST, SECOND = "2016-01-01T00:00:00Z", "2016-07-01T00:00:00Z"
THIRDS = ("0.3", "0.3", "0.4")
ONE_LESS = tuple(MemberSettings(n, place=("north",)) for n in range(MEMBERS))

REFUSED: dict[str, tuple[MarketSettings, str]] = {
    # Rules, prices, keys that do not go together.
    "a rule nobody knows": (MarketSettings(rule="barter"), "no clearing rule 'barter'"),
    "a key nobody knows": (MarketSettings(key="fair"), "no allocation key 'fair'"),
    "an auction with a key": (
        MarketSettings(rule="pay_as_bid", key="static"),
        "the key 'static' with the auction pay_as_bid",
    ),
    "a key on two lines": (
        MarketSettings(rule="pay_as_bid", key="a\nb"),
        r"the key 'a\\nb' with the auction",
    ),
    "a price on two lines": (MarketSettings(price="1\n2"), r"with price '1\\n2'"),
    "a rule on two lines": (MarketSettings(rule="a\nb"), r"no clearing rule 'a\\nb'"),
    "a fixed price without one": (MarketSettings(rule="fixed_price"), "fixed_price needs a price"),
    "a price for another rule": (MarketSettings(price="0.15"), "only fixed_price takes one"),
    "a price that is none": (
        MarketSettings(rule="fixed_price", price="cheap"),
        "'cheap' is not a decimal number",
    ),
    "a price below nothing": (
        MarketSettings(rule="fixed_price", price="-0.1"),
        "'-0.1' is outside 0 to",
    ),
    "a price finer than any unit": (
        MarketSettings(rule="fixed_price", price="0.123456"),
        "more than 5 decimals",
    ),
    "hours in a market of quarters": (
        MarketSettings(key="hourly_minimum"),
        "intervals of 900 s: it settles by the hour",
    ),
    "a price rule nobody knows": (
        MarketSettings(rule="uniform_price", price_rule="lottery"),
        "no price rule 'lottery'",
    ),
    "a price rule nobody knows, where none is needed": (
        MarketSettings(price_rule="lottery"),
        "no price rule 'lottery'",
    ),
    "a price rule without one price": (
        MarketSettings(rule="pay_as_bid", price_rule="marginal_order"),
        "price_rule marginal_order means nothing under pay_as_bid: leave it away",
    ),
    "a split without bids": (
        MarketSettings(split="0.9"),
        "split means nothing under mid_market_rate: leave it away",
    ),
    "a split that is none": (
        MarketSettings(rule="pay_as_bid", split="half"),
        "split 'half': not a fraction",
    ),
    "a split above all": (MarketSettings(rule="pay_as_bid", split="3/2"), "a split of 3/2"),
    "a split by nothing": (MarketSettings(rule="pay_as_bid", split="1/0"), "split '1/0'"),
    # Members.
    "a member nobody knows": (member(member=3), "member 3: there are members 0 to 2"),
    "a member below nought": (member(member=-1), "member -1: there are members 0 to 2"),
    "a member twice": (
        MarketSettings(members=(MemberSettings(1), MemberSettings(1))),
        "settings for member 1 twice",
    ),
    "nothing of a member": (member(participation_percent=0), "percent from 0 to 100: use 1 to 100"),
    "more than a member": (
        member(participation_percent=101),
        "percent from 100 to 101: use 1 to 100",
    ),
    "a rank below nought": (
        MarketSettings(key="priority", members=(MemberSettings(1, priority=-1),)),
        "priority from -1 to 1",
    ),
    "a rank beyond 2^63": (
        MarketSettings(key="priority", members=(MemberSettings(1, priority=2**63),)),
        "priority: a number is beyond",
    ),
    "a rank that nothing reads": (member(priority=2), "priority of member 1 means nothing here"),
    "a share that nothing reads": (member(share="0.1"), "share of member 1 means nothing here"),
    "a place without a grid": (member(place=("a",)), "place of member 1 means nothing here"),
    "a promise to no bid": (member(sells="green"), "sells of member 1 means nothing here"),
    "a premium for nothing": (bidder(premium="0.1"), "premium of member 1 means nothing here"),
    "a partner nobody knows": (bidder(partners=(7,)), r"partners \[7\] of member 1"),
    "oneself as a partner": (bidder(partners=(1,)), r"partners \[1\] of member 1"),
    "a partner twice": (bidder(partners=(0, 0)), r"partners \[0, 0\] of member 1"),
    "a quality nobody knows": (bidder(quality="blue"), "quality 'blue' of member 1: use one of"),
    "a promise nobody knows": (bidder(sells="cheap"), "quality 'cheap' of member 1: use one of"),
    "a premium that is none": (bidder(quality="green", premium="-1"), "'-1' is outside"),
    "partners without an auction": (member(partners=(0,)), "only auctions"),
    "a quality without an auction": (member(quality="green"), "only auctions"),
    # Shares, pairs, coefficients.
    "shares above all": (static("0.5", "0.6"), r"the shares sum to 1\.100000000: at most 1"),
    "a share that is none": (static("a third"), "a share: 'a third' is not a decimal number"),
    "a share below nothing": (static("-0.1"), "a share: '-0.1' is outside 0 to 1"),
    "a share finer than any part": (static("0.1234567891"), "more than 9 decimals"),
    "pairs without their key": (
        MarketSettings(pairs=(PairSettings(0, 1, "1"),)),
        "pairs where the key is not pairs",
    ),
    "a pair above all": (pairs((0, 1, "0.7"), (0, 2, "0.7")), "one producer's shares sum to 1.4"),
    "a pair with nobody": (pairs((0, 3, "0.7")), "pairs: there are only members 0 to 2"),
    "a pair of nobody": (pairs((3, 0, "0.7")), "pairs: there are only members 0 to 2"),
    "a pair below nought": (pairs((-1, 0, "0.7")), "pairs: producers from -1"),
    "a pair twice": (pairs((0, 1, "0.1"), (0, 1, "0.1")), "pairs: name each once"),
    "coefficients without their key": (
        MarketSettings(key="static", coefficients=(StepSettings(FIRST, THIRDS),)),
        "coefficients where the key is not coefficients",
    ),
    "coefficients in disorder": (
        steps((SECOND, THIRDS), (FIRST, THIRDS)),
        "begin each step later than the one before",
    ),
    "two coefficients at one time": (
        steps((FIRST, THIRDS), (FIRST, THIRDS)),
        "begin each step later than the one before",
    ),
    "coefficients at no time": (steps(("midnight", THIRDS)), "'midnight' is not a time"),
    "coefficients of no time zone": (
        steps(("2016-01-01T00:00:00", THIRDS)),
        "has no time zone: add Z for UTC",
    ),
    "coefficients above all": (steps((FIRST, ("0.5", "0.5", "0.5"))), "at most 1"),
    "too few coefficients": (steps((FIRST, ("0.5", "0.5"))), "for 3 members"),
    "no coefficients at all": (steps((FIRST, ())), "with something in it"),
    # Grid.
    "no levels": (in_grid(levels=()), "name 1 to 16, each once"),
    "a level twice": (in_grid(levels=(LEVELS[0], LEVELS[0])), "name 1 to 16, each once"),
    "a level without a name": (in_grid(levels=(LevelSettings(" ", fee="0"),)), "give it a name"),
    "a level without a fee": (in_grid(levels=(LevelSettings("a"),)), "either a fee or a reduction"),
    "a level with two fees": (
        in_grid(levels=(LevelSettings("a", fee="0", reduction_percent=1),)),
        "either a fee or a reduction",
    ),
    "a fee that is none": (in_grid(levels=(LevelSettings("a", fee="low"),)), "'low' is not"),
    "a reduction above all": (
        in_grid(levels=(LevelSettings("a", reduction_percent=101),)),
        "reduction_percent of grid level 'a' is 101",
    ),
    "rounding to nothing": (in_grid(rounded_to="0"), "rounded_to of a grid is 0"),
    "a grid without places": (MarketSettings(grid=GRID), "place of member 0 names 0 levels"),
    "places that miss a level": (
        MarketSettings(grid=GRID, members=ONE_LESS),
        "place of member 0 names 1 levels, the grid has 2",
    ),
    "a place without a name": (
        MarketSettings(grid=GRID, members=(MemberSettings(0, place=("", "a")), *PLACES[1:])),
        "a level in the place of member 0",
    ),
    "a building level without a grid": (
        MarketSettings(rule="uniform_price", building_level="building"),
        "building_level 'building' is no level of the grid",
    ),
    "a building level nobody knows": (
        msgspec.structs.replace(in_grid(), rule="uniform_price", building_level="street"),
        "building_level 'street' is no level of the grid",
    ),
    "a building level without an auction": (
        msgspec.structs.replace(in_grid(), building_level="building"),
        "only auctions",
    ),
    # Windows.
    "a window at no time": (window("five"), "'five' is no time of day: write 17:00"),
    "a window at 24:01": (window(end="24:01"), "'24:01' is no time of day"),
    "a window of one digit": (window("7:00"), "'7:00' is no time of day"),
    "a window in foreign digits": (window("１７:００"), "is no time of day"),  # noqa: RUF001
    "a window and a line feed": (window("17:00\n"), "is no time of day"),
    "a window from midnight's end": (window("24:00"), "start_minute of a fee window is 1440"),
    "a window of no time": (window("17:00", "17:00"), "from minute 1020 to the same"),
    "a window below nothing": (window(factor_percent=-1), "factor_percent of a fee window is -1"),
    "a window above all": (window(factor_percent=1_001), "factor_percent of a fee window is 1001"),
    "a window on no day": (window(weekdays=()), "name each once, 0 Monday"),
    "a window on an eighth day": (window(weekdays=(7,)), "weekday of a fee window is 7"),
    "a window twice on a day": (window(weekdays=(1, 1)), "name each once, 0 Monday"),
    # Contracts.
    "a contract with oneself": (contract(buyer=0), "nobody sells to itself"),
    "a contract with nobody": (contract(buyer=3), "there are only members 0 to 2"),
    "a contract for no price": (contract(price="dear"), "'dear' is not a decimal number"),
    "a contract that ends first": (contract(end=FIRST), "before it begins"),
    "a contract at no time": (contract(start="once"), "'once' is not a time"),
    "a contract between two seconds": (
        contract(start="2016-06-21T00:00:00.5Z"),
        "is between two seconds",
    ),
    "a contract before all time": (contract(start="1960-01-01T00:00:00Z"), "first is -"),
    "a contract beyond all time": (contract(end="9999-01-01T00:00:00Z"), "end is "),
    "a contract for nothing": (contract(volume_wh=0), "volume_wh is 0"),
    "a contract for neither": (contract(volume_wh=None), "give either volume_wh or share"),
    "a contract for both": (contract(share="0.5"), "give either volume_wh or share"),
    "a contract for all twice": (
        HALF_TWICE,
        "member 0 promises 1200000000 of 1000000000 parts of its offer from 2016-06-21T00:00:00Z",
    ),
    "a contract for a bad share": (
        contract(volume_wh=None, share="2"),
        "a share: '2' is outside 0 to 1",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_settings_that_cannot_be_are_refused_in_one_line(what: str) -> None:
    settings, why = REFUSED[what]
    with pytest.raises(InputError, match=why) as refusal:
        charter_of(settings, EURO, MEMBERS, QUARTER_S)
    assert "\n" not in str(refusal.value)


def test_equal_pairs_are_not_made_for_a_large_community() -> None:
    settings = MarketSettings(key="pairs")
    assert charter_of(settings, EURO, 200, QUARTER_S).keys
    with pytest.raises(InputError, match="no pairs for 201 members: name them"):
        charter_of(settings, EURO, 201, QUARTER_S)


def test_a_community_of_nobody_has_no_market() -> None:
    with pytest.raises(InputError, match="a community of nobody"):
        charter_of(MarketSettings(), EURO, 0, QUARTER_S)


def test_whatever_is_left_away_has_its_usual_value() -> None:
    usual = charter_of(MarketSettings(), EURO, MEMBERS, QUARTER_S)
    assert (usual.rule_name, usual.key_name) == ("mid_market_rate", "dynamic")
    assert (usual.grid, usual.places, usual.fixed_price, usual.preferences) == (None,) * 4
    assert usual.contracts == ()
    assert usual.keys[0][1].percent.tolist() == [100] * MEMBERS
    auction = charter_of(MarketSettings(rule="pay_as_bid"), EURO, MEMBERS, QUARTER_S)
    assert auction.key_name is None
    assert (auction.terms.rule, str(auction.terms.split)) == ("pay_as_bid", "1/2")


def test_members_who_say_nothing_about_shares_have_equal_ones() -> None:
    (_, key), *_ = charter_of(MarketSettings(key="static"), EURO, MEMBERS, QUARTER_S).keys
    assert key.shares is not None
    assert key.shares.tolist() == [333_333_334, 333_333_333, 333_333_333]
    (_, key), *_ = charter_of(static("0.5"), EURO, MEMBERS, QUARTER_S).keys
    assert key.shares is not None
    assert key.shares.tolist() == [5 * 10**8, 0, 0]


def test_pairs_may_be_written_in_any_order() -> None:
    rows = ((0, 1, "0.1"), (0, 2, "0.2"), (2, 0, "0.3"))
    columns = []
    for listed in (rows, rows[::-1]):
        (_, key), *_ = charter_of(pairs(*listed), EURO, MEMBERS, QUARTER_S).keys
        assert key.pairs is not None
        columns.append([part.tolist() for part in key.pairs])
    assert columns[0] == columns[1]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_settings_by_its_name(name: str) -> None:
    assert settings_named(name) == MarketSettings(rule=name)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_by_its_name_deals_out_at_the_mid_market_rate(name: str) -> None:
    assert settings_named(name) == MarketSettings(rule="mid_market_rate", key=name)


def test_a_name_of_nothing_is_refused_with_those_there_are() -> None:
    with pytest.raises(RuleUnknown, match="'barter': use one of mid_market_rate"):
        settings_named("barter")


@given(rich_markets())
@effort(3)
def test_settings_are_published_and_read_as_they_were_written(market) -> None:
    settings = market[0]
    text = market_bytes(settings)
    again = msgspec.json.decode(text, type=MarketSettings)
    assert again == settings
    assert market_bytes(again) == text
    assert text.endswith(b"\n")


def test_what_is_usual_is_not_written() -> None:
    assert market_bytes(MarketSettings()) == b"{}\n"
    assert b"takes_rest" not in market_bytes(member(priority=2))


# TOML ------------------------------------------------------------------------------------------

DOCUMENT = """
rule = "uniform_price"
split = "0.3"
building_level = "building"

[grid]
levels = [{ name = "building", fee = "0.01" }, { name = "transformer", reduction_percent = 57 }]
windows = [{ start = "17:00", end = "21:00", factor_percent = 150, weekdays = [0, 1] }]

[[contracts]]
seller = 0
buyer = 1
price = "0.12"
start = "2016-06-21T00:00:00Z"
end = "2017-06-21T00:00:00+02:00"
share = "0.25"

[[members]]
member = 0
place = ["north", "one"]
sells = "green"

[[members]]
member = 1
place = ["north", "one"]
partners = [0, 2]

[[members]]
member = 2
place = ["south", "one"]
quality = "green"
premium = "0.02"
takes_rest = false
"""


def test_a_document_says_in_toml_what_it_says_when_it_is_published(tmp_path: Path) -> None:
    path = tmp_path / "market.toml"
    path.write_text(DOCUMENT)
    settings = read_market(path)
    assert settings == MarketSettings(
        rule="uniform_price",
        split="0.3",
        building_level="building",
        grid=GridSettings(LEVELS, (WindowSettings("17:00", "21:00", 150, (0, 1)),)),
        contracts=(
            ContractSettings(
                0, 1, "0.12", "2016-06-21T00:00:00Z", "2017-06-21T00:00:00+02:00", share="0.25"
            ),
        ),
        members=(
            MemberSettings(0, place=("north", "one"), sells="green"),
            MemberSettings(1, place=("north", "one"), partners=(0, 2)),
            MemberSettings(
                2, place=("south", "one"), quality="green", premium="0.02", takes_rest=False
            ),
        ),
    )
    assert msgspec.json.decode(market_bytes(settings), type=MarketSettings) == settings
    charter_of(settings, EURO, MEMBERS, QUARTER_S)


def test_an_empty_document_is_the_usual_market(tmp_path: Path) -> None:
    path = tmp_path / "market.toml"
    path.write_bytes(b"")
    assert read_market(path) == MarketSettings()


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "no TOML": (b"rule: barter", "not TOML"),
    "no text": (b"\xff\xfe", "not TOML"),
    "JSON": (b'{"rule": "uniform_price"}', "not TOML"),
    "one thing twice": (b'rule = "a"\nrule = "b"', "not TOML"),
    "a field nobody knows": (b'colour = "green"', "unknown field `colour`"),
    "a field nobody knows in a table": (
        b"[[members]]\nmember = 1\nshares = 2",
        "unknown field `shares` - at `$.members[0]`",
    ),
    "a field on two lines": (b'"a\\nb" = 1', "unknown field `a b`"),
    "a member without its number": (
        b"[[members]]\npriority = 1",
        "missing required field `member`",
    ),
    "a price as a float": (b'rule = "fixed_price"\nprice = 0.15', "Expected `str | null`"),
    "a time as a time": (
        b"[[contracts]]\nseller = 0\nbuyer = 1\nprice = ''\nend = ''\nstart = 2016-06-21T00:00:00Z",
        "got `datetime` - at `$.contracts[0].start`",
    ),
    "a member by name": (b"[[members]]\nmember = 'me'", "Expected `int`, got `str`"),
    "a member as a float": (b"[[members]]\nmember = 1.0", "Expected `int`, got `float`"),
    "a truth as a number": (b"[[members]]\nmember = 1\ntakes_rest = 0", "Expected `bool`"),
    "one table for many": (b"[members]\nmember = 1", "Expected `array`"),
    "a number without end": (b"[[members]]\nmember = " + b"9" * 5_000, "market.toml"),
    "brackets without end": (b"pairs = " + b"[" * 20_000, "market.toml"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_document_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    text, why = UNREADABLE[what]
    path = tmp_path / "market.toml"
    path.write_bytes(text)
    with pytest.raises(SettingsUnusable) as refusal:
        read_market(path)
    said = str(refusal.value)
    assert why in said
    assert said.startswith(str(path))
    assert "\n" not in said


def test_a_document_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(SettingsUnusable, match="larger than 16000000 bytes; shorten it"):
        read_market(Path("/dev/zero"))


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(SettingsUnusable, match="cannot be read") as refusal:
            read_market(path)
        assert str(path) in str(refusal.value)
