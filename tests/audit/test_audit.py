"""An honest street passes an audit, and the audit says what it saw."""

from dataclasses import replace

import pytest

from commonwatt.audit.facts import Claim, Retirement
from commonwatt.audit.published import NothingPublished
from commonwatt.audit.recompute import audit
from commonwatt.errors import InputError
from commonwatt.statement.publication import CONSTITUTION_PATH, MARKET_PATH, REGISTER_PATH
from lived import DAYS, judged, lived_in
from street import MemoryFiles, Street

STREET = lived_in()


def test_an_honest_street_passes() -> None:
    found = judged(STREET.files, STREET.facts())
    assert found.verdict == "ok"
    assert found.place is None
    assert (found.intervals, found.records, found.refused) == (5, 29, 1)
    assert found.last_anchor == STREET.closes[-1].anchor


def test_an_auditor_needs_nothing_but_the_files_and_the_facts() -> None:
    """The street's own objects play no part: files are bytes, facts are plain values."""
    files = {path: bytes(content) for path, content in STREET.files.items()}
    assert judged(files, STREET.facts()) == judged(dict(reversed(files.items())), STREET.facts())


def test_an_audit_adds_up_energy_and_free_units() -> None:
    found = judged(STREET.files, STREET.facts())
    for member, (taken, given) in found.energy.items():
        meter = STREET.grid[member]
        opening = STREET.community.by_meter[meter.key.meter].opening_record
        assert taken == meter.import_mwh // 1000 - opening.import_mwh // 1000
        assert given == meter.export_mwh // 1000 - opening.export_mwh // 1000
    assert sum(found.free.values()) > 0


def test_an_audit_adds_up_what_was_paid() -> None:
    paid = 0

    def count(_, statement) -> None:
        nonlocal paid
        header = statement.header
        gained = [position.delta for position in statement.settled.positions]
        gained += [header.supplier_in - header.supplier_out, header.grid_in]
        paid += sum(abs(amount) for amount in gained) // 2

    found = audit(MemoryFiles(STREET.files), STREET.facts(), count)
    assert found.paid_total == paid > 0


def test_a_witness_sees_each_interval_once_it_agrees() -> None:
    seen: list[int] = []

    def witness(inputs, statement) -> None:
        assert statement.header.start == inputs.interval.start
        seen.append(inputs.interval.start)

    audit(MemoryFiles(STREET.files), STREET.facts(), witness)
    assert seen == [closed.start for closed in STREET.closes]


def test_a_witness_sees_nothing_from_the_first_difference_on() -> None:
    seen: list[int] = []
    files = dict(STREET.files)
    path = f"public/{DAYS[1]}.jsonl"
    files[path] = files[path].replace(b"\n", b" \n")
    audit(MemoryFiles(files), STREET.facts(), lambda inputs, _: seen.append(inputs.interval.start))
    assert seen == [closed.start for closed in STREET.closes[:3]]


def test_a_community_that_has_not_begun_passes() -> None:
    street = Street(members=2, producers=1)
    found = judged(street.files, street.facts())
    assert found.verdict == "ok"
    assert found.intervals == 0


@pytest.mark.parametrize("path", [CONSTITUTION_PATH, REGISTER_PATH, MARKET_PATH])
def test_without_its_constitution_there_is_nothing_to_audit(path: str) -> None:
    files = {name: text for name, text in STREET.files.items() if name != path}
    with pytest.raises(NothingPublished, match=f"{path} is missing"):
        judged(files, STREET.facts())
    assert issubclass(NothingPublished, InputError)


def honest_claims() -> tuple[Claim, ...]:
    found = judged(STREET.files, STREET.facts())
    owner = STREET.community.accounts[0]
    return tuple(
        Claim(meter, start, 900, owner, wh) for (meter, start), wh in found.free.items() if wh
    )


def test_tokens_that_were_free_units_pass_and_so_does_retiring_them() -> None:
    claims = honest_claims()
    assert len(claims) >= 3
    one = claims[0]
    retired = Retirement(one.meter, one.start, 900, b"B" * 20, one.wh)
    facts = replace(STREET.facts(), claims=claims, retirements=(retired,))
    assert judged(STREET.files, facts).verdict == "ok"


def test_tokens_that_were_never_free_units_are_found() -> None:
    claims = honest_claims()
    one = claims[0]
    grid_meter = STREET.grid[0].key.meter
    forgeries = [
        (*claims, one),
        (replace(one, wh=one.wh + 1), *claims[1:]),
        (replace(one, wh=one.wh - 1), *claims[1:]),
        (replace(one, duration=3_600), *claims[1:]),
        (*claims, replace(one, meter=grid_meter)),
        (*claims, replace(one, start=one.start + 86_400)),
        (*claims, replace(one, start=2**60)),
    ]
    for forged in forgeries:
        found = judged(STREET.files, replace(STREET.facts(), claims=forged))
        assert found.place is not None
        assert found.place.startswith("claim of meter")


def test_more_retired_than_ever_became_tokens_is_found() -> None:
    one = honest_claims()[0]
    for wh, claims in ((one.wh + 1, (one,)), (1, ())):
        retired = Retirement(one.meter, one.start, 900, b"B" * 20, wh)
        facts = replace(STREET.facts(), claims=claims, retirements=(retired,))
        found = judged(STREET.files, facts)
        assert found.place is not None
        assert found.place.startswith("retirement of meter")
