"""Whatever stands in the files, an audit answers with a difference and with nothing else."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.audit.published import NothingPublished
from commonwatt.audit.recompute import audit
from commonwatt.market.book import Limits
from commonwatt.statement.publication import CONSTITUTION_PATH
from effort import effort
from street import MemoryFiles, Street

DAY = "2016-06-21"


def small_street() -> Street:
    street = Street(members=2, producers=1, rule="uniform_price")
    batch = street.measure([0, 300], [300, 0], [300])
    forged = batch[0]._replace(signature=batch[1].signature)
    street.close([*batch, forged], [Limits(20_000, 9_000), Limits(20_000, 9_000)])
    return street


STREET = small_street()
FACTS = STREET.facts()
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


def line_places() -> list[tuple[str, int, tuple]]:
    """One line of each shape in each file, and every place in it."""
    found = []
    for name, content in sorted(STREET.files.items()):
        lines = [content] if name == CONSTITUTION_PATH else content.splitlines()
        shapes: set[tuple] = set()
        for number, line in enumerate(lines):
            entry = json.loads(line)
            shape = tuple(entry)
            if shape not in shapes:
                shapes.add(shape)
                found += [(name, number, path) for path in places(entry)]
    return found


def with_value(name: str, number: int, path: tuple, strange: object) -> dict[str, bytes]:
    content = STREET.files[name]
    if name == CONSTITUTION_PATH:
        changed = json.dumps(put(json.loads(content), path, strange), indent=2)
        return {**STREET.files, name: changed.encode() + b"\n"}
    lines = content.splitlines()
    changed = json.dumps(
        put(json.loads(lines[number]), path, strange),
        separators=(",", ":"),
        ensure_ascii=False,
    )
    lines[number] = changed.encode(errors="surrogatepass")
    return {**STREET.files, name: b"\n".join(lines) + b"\n"}


def answer(files: dict[str, bytes]) -> str | None:
    try:
        found = audit(MemoryFiles(files), FACTS)
    except NothingPublished as nothing:
        return str(nothing)
    if found.difference is not None:
        assert found.place
        assert found.difference.startswith(found.place)
    return found.difference


@pytest.mark.parametrize(
    "place", line_places(), ids=lambda place: f"{place[0]} {'.'.join(map(str, place[2]))}"
)
def test_a_strange_value_is_a_difference_and_never_a_crash(place: tuple[str, int, tuple]) -> None:
    for strange in STRANGE:
        files = with_value(*place, strange)
        if files != STREET.files:
            assert answer(files) is not None, strange


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


def test_the_untouched_street_is_none_of_these() -> None:
    assert answer(STREET.files) is None
