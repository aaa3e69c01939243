"""Whatever stands in the files, an audit answers with a difference and with nothing else."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.audit.published import NothingPublished
from commonwatt.audit.recompute import audit
from commonwatt.market.book import Limits
from commonwatt.market.settings import (
    ContractSettings,
    GridSettings,
    LevelSettings,
    MarketSettings,
    MemberSettings,
    PairSettings,
    StepSettings,
    WindowSettings,
)
from commonwatt.statement.publication import CONSTITUTION_PATH, MARKET_PATH
from effort import effort
from street import MemoryFiles, Street

DAY = "2016-06-21"
INPUTS_PATH = f"audit/{DAY}.inputs.jsonl"
LIMITS = (Limits(20_000, 9_000), Limits(20_000, 9_000))
HALVES = ("0.5", "0.5")
BY_BIDS = MarketSettings(
    rule="pay_as_bid",
    split="0.3",
    building_level="building",
    grid=GridSettings(
        levels=(LevelSettings("building", fee="0.01"), LevelSettings("a", reduction_percent=57)),
        windows=(WindowSettings("11:00", "13:00", factor_percent=80, weekdays=(1, 2)),),
        rounded_to="0.0001",
    ),
    contracts=(
        ContractSettings(0, 1, "0.1", f"{DAY}T00:00:00Z", "2017-01-01T00:00:00Z", volume_wh=10),
        ContractSettings(0, 1, "0.2", f"{DAY}T00:00:00Z", "2017-01-01T00:00:00Z", share="0.1"),
    ),
    members=(
        MemberSettings(0, place=("north", "one"), sells="green", participation_percent=90),
        MemberSettings(
            1, place=("north", "one"), partners=(0,), quality="green", premium="0.01",
            takes_rest=False,
        ),
    ),
)  # fmt: skip
BY_KEYS = {
    "organiser": MarketSettings(
        key="organiser",
        members=(MemberSettings(0, share="0.5"), MemberSettings(1, share="0.5")),
    ),
    "pairs": MarketSettings(rule="fixed_price", price="0.15", key="pairs", pairs=(
        PairSettings(0, 1, "0.5"), PairSettings(1, 0, "0.5"),
    )),
    "coefficients": MarketSettings(key="coefficients", coefficients=(
        StepSettings("2016-01-01T00:00:00Z", HALVES), StepSettings(f"{DAY}T00:00:00Z", HALVES),
    )),
}  # fmt: skip


def small_street(market: MarketSettings = BY_BIDS) -> Street:
    street = Street(members=2, producers=1, market=market)
    batch = street.measure([0, 300], [300, 0], [300])
    forged = batch[0]._replace(signature=batch[1].signature)
    shares = [5 * 10**8] * 2 if market.key == "organiser" else []
    street.close([*batch, forged], LIMITS if market is BY_BIDS else (), shares)
    return street


STREETS = {"bids": small_street()} | {key: small_street(BY_KEYS[key]) for key in BY_KEYS}
STREET = STREETS["bids"]
FACTS = {name: street.facts() for name, street in STREETS.items()}
STRANGE = [
    None,
    True,
    -1,
    0,
    1,
    255,
    2**31,
    2**32,
    2**40,
    2**63,
    2**64,
    2**70,
    -(2**70),
    900 * 2**60,
    1e3,
    "",
    "zz",
    "00",
    "Zürich",
    "DE\0",
    "a" * 200,
    "\ud7ff\uffff",
    "0" * 7,
    [],
    [-1],
    [2**70] * 4,
    [[-1, -1], [2**70, 0]],
    [[1, 2, 3]],
    {},
    {"a": 1},
]


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Every place inside a JSON value, its own included."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 2)):
            yield from places(value[index], (*path, index))


def put(value: object, path: tuple, strange: object) -> object:
    if not path:
        return strange
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[path[0]] = put(copy[path[0]], path[1:], strange)
    return copy


WHOLE_FILES = (CONSTITUTION_PATH, MARKET_PATH)
"""Files that are one JSON value on many lines."""
Place = tuple[str, str, int, tuple]
"""A street, a file of it, a line, and the way to a value in it."""


def line_places() -> list[Place]:
    """One line of each shape in each file, and every place in it."""
    found: list[Place] = []
    for street in STREETS:
        for name, content in sorted(STREETS[street].files.items()):
            # The other streets are there for what their settings and inputs have besides.
            if street != "bids" and name not in (MARKET_PATH, INPUTS_PATH):
                continue
            lines = [content] if name in WHOLE_FILES else content.splitlines()
            shapes: set[tuple] = set()
            for number, line in enumerate(lines if street == "bids" else lines[:1]):
                entry = json.loads(line)
                shape = tuple(entry)
                if shape not in shapes:
                    shapes.add(shape)
                    found += [(street, name, number, path) for path in places(entry)]
    return found


def with_value(place: Place, strange: object) -> dict[str, bytes]:
    street, name, number, path = place
    files = STREETS[street].files
    if name in WHOLE_FILES:
        changed = json.dumps(put(json.loads(files[name]), path, strange), indent=2)
        return {**files, name: changed.encode() + b"\n"}
    lines = files[name].splitlines()
    changed = json.dumps(
        put(json.loads(lines[number]), path, strange),
        separators=(",", ":"),
        ensure_ascii=False,
    )
    lines[number] = changed.encode(errors="surrogatepass")
    return {**files, name: b"\n".join(lines) + b"\n"}


def answer(files: dict[str, bytes], street: str = "bids") -> str | None:
    try:
        found = audit(MemoryFiles(files), FACTS[street])
    except NothingPublished as nothing:
        return str(nothing)
    if found.difference is not None:
        assert found.place
        assert found.difference.startswith(found.place)
        assert "\n" not in found.difference
    return found.difference


@pytest.mark.parametrize(
    "place",
    line_places(),
    ids=lambda place: f"{' '.join(place[:2])} {'.'.join(map(str, place[3]))}",
)
def test_a_strange_value_is_a_difference_and_never_a_crash(place: Place) -> None:
    street = place[0]
    for strange in STRANGE:
        files = with_value(place, strange)
        if files != STREETS[street].files:
            assert answer(files, street) is not None, strange


@pytest.mark.parametrize("name", sorted(STREET.files))
def test_text_that_is_not_json_is_a_difference_and_never_a_crash(name: str) -> None:
    content = STREET.files[name]
    first = content.splitlines(keepends=True)[0]
    for text in (
        b"\n",
        b"\r\n",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"null\n",
        b"[]\n",
        b"9" * 5_000,
        b'"\\ud800"\n',
        content.replace(b"\n", b"\r"),
        content.replace(b"\n", b"\r\n"),
        content.replace(b'":', b'" :'),
        b"\xef\xbb\xbf" + content,
        first.replace(b"{", b'{"extra":' + b"[" * 50_000 + b"]" * 50_000 + b",", 1)
        + content[len(first) :],
    ):
        assert answer({**STREET.files, name: text}) is not None, text[:40]


@given(st.data())
@effort(4)
def test_any_bytes_anywhere_are_a_difference_and_never_a_crash(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(STREET.files)))
    content = STREET.files[name]
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 40, len(content))))
    inserted = data.draw(st.binary(max_size=40))
    changed = content[:start] + inserted + content[end:]
    verdict = answer({**STREET.files, name: changed})
    assert (verdict is None) == (changed == content)


@pytest.mark.parametrize("street", STREETS)
def test_the_untouched_streets_are_none_of_these(street: str) -> None:
    assert STREETS[street].files[f"audit/{DAY}.leaves.jsonl"].count(b'"trades"') > 0
    assert answer(STREETS[street].files, street) is None
