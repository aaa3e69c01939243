"""Corrections: signed beside what waits, sent after their original, answered for themselves."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from commonwatt.meter.keys import verify
from commonwatt.meter.record import Kind, Quality, Record, SignedRecord
from commonwatt.node.gateway.answers import Answer, Fate, name_of
from commonwatt.node.gateway.delivered import Correctable
from commonwatt.node.gateway.delivery import Delivery
from commonwatt.node.gateway.errors import CorrectionUnusable
from commonwatt.node.gateway.http_link import HttpLink, HttpNode, NodeAddress
from commonwatt.node.gateway.registers import Exchange, Offset, Registers
from commonwatt.node.gateway.restate import Shown, correct_record, correction_of
from commonwatt.node.gateway.settings import read_settings
from commonwatt.node.gateway.spool import Spool
from commonwatt.settlement.adjustment import ADJUSTABLE_MAX
from node.gateway.bench_of_meters import KWH, NOON, QUARTER, Bench, meter, registration
from node.gateway.stub_node import COMMUNITY, StubNode, over_http
from node.gateway.test_exchange import again, bench, exchange, read


class World:
    """A gateway's folder with one meter, and a node; waiting takes no time."""

    def __init__(self, folder: Path, node: StubNode, url: str) -> None:
        self.folder, self.node, self.waited = folder, node, 0.0
        self.bench = bench(folder)
        [one] = self.bench.meters
        self.key = one.key
        node.register(registration(one, self.bench.openings[one.key.meter]))
        self.link = HttpLink(HttpNode(NodeAddress.parse(url)), COMMUNITY)
        self.sent: list[list[SignedRecord]] = []
        self.delivery = Delivery(self.bench.spool, self, 300.0, self.wait, lambda: self.waited)

    async def send(self, batch: Sequence[SignedRecord]) -> list[Answer]:
        self.sent.append(list(batch))
        return await self.link.send(batch)

    async def close(self) -> None:
        await self.link.close()

    async def wait(self, seconds: float) -> None:
        self.waited += seconds

    def send_until(self, enough: Callable[[], bool]) -> None:
        async def work() -> None:
            for _ in range(1_000):
                pause = await self.delivery.send_some()
                if enough():
                    break
                await self.wait(pause or 0.0)
            else:
                pytest.fail("it never came to that")
            await self.close()

        asyncio.run(work())

    def send_all(self) -> None:
        self.send_until(lambda: self.bench.spool.count == 0)

    def correct(self, number: int, into: int, out: int = KWH) -> Record:
        """Correct the record of an end; `into` and `out` are what the display said."""
        end = NOON + number * QUARTER
        return correct_record(self.folder, "home", end=end, shown=Shown(into, out))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    node = StubNode(tmp_path / "log")
    with over_http(node) as (url, _):
        world = World(tmp_path, node, url)
        yield world
        world.bench.close()
    node.close()


def test_a_correction_names_its_record_and_says_what_the_registers_were(world: World) -> None:
    world.bench.fill(4)
    original = world.bench.records()[1]
    world.send_all()
    record = world.correct(2, KWH + 25_000)
    assert record == original._replace(
        kind=Kind.CORRECTION,
        quality=Quality.MANUAL | Quality.VOUCHED,
        import_mwh=KWH + 25_000,
        previous=world.node.versions[world.key.meter][1][0].digest,
    )
    [waits] = world.bench.spool.waiting_corrections()
    assert verify(world.key.public_key, waits.signed)
    world.send_all()
    assert world.node.newest(world.key.meter)[1] == record
    assert world.node.verdicts["accepted"] == 5


def test_the_chain_goes_on_as_if_it_were_not_there_and_a_second_one_names_the_first(
    world: World,
) -> None:
    world.bench.fill(4)
    world.send_all()
    for into in (25_000, 27_000):
        world.correct(2, KWH + into)
        world.send_all()
    world.bench.fill(2, first=5)
    world.send_all()
    assert world.bench.spool.refused() == []
    newest = world.node.newest(world.key.meter)
    assert [record.sequence for record in newest] == [1, 2, 3, 4, 5, 6]
    assert newest[1].import_mwh == KWH + 27_000
    assert newest[1].previous == world.node.versions[world.key.meter][1][1].digest


def test_it_is_sent_after_what_waits_and_when_its_interval_is_closed(world: World) -> None:
    world.bench.fill(4)
    world.node.open_from = NOON + 4 * QUARTER
    world.send_all()
    world.correct(4, KWH + 39_000)
    world.bench.fill(2, first=5)
    with capture_logs() as logs:
        world.send_until(lambda: world.waited > 1_000)
    assert world.bench.spool.count == 1
    assert [log["event"] for log in logs] == ["records_taken", "correction_waits"], "said once"
    world.node.open_from = NOON + 99 * QUARTER
    world.send_all()
    assert world.node.newest(world.key.meter)[3].import_mwh == KWH + 39_000
    assert world.sent[1][0].record[1] == Kind.REGISTERS, "what waited went first"


def test_one_that_comes_too_early_waits_no_longer_than_an_interval(world: World) -> None:
    world.bench.fill(4)
    world.send_all()
    world.node.open_from = NOON + 4 * QUARTER
    world.delivery = Delivery(
        world.bench.spool, world, 300.0, world.wait, lambda: world.waited, early_s=60.0
    )
    world.correct(4, KWH + 39_000)
    world.send_until(lambda: len(world.sent) == 2)
    world.node.open_from = NOON + 99 * QUARTER
    world.send_all()
    assert world.waited == 60.0
    settings = read_settings(world.folder)
    assert settings.correction_retry_s == 300.0
    assert msgspec.structs.replace(settings, interval_s=60).correction_retry_s == 60.0


def test_one_that_corrects_nothing_though_its_interval_is_long_over_is_put_aside(
    world: World,
) -> None:
    world.bench.fill(12)
    world.node.open_from = NOON
    world.send_all()
    world.correct(2, KWH + 25_000)
    with capture_logs() as logs:
        world.send_all()
    assert logs[0]["event"] == "correction_refused"
    [refused] = world.bench.spool.refused()
    assert (refused.name.sequence, refused.reason) == (2, "CORRECTS_NOTHING")
    world.node.open_from = NOON + 99 * QUARTER
    world.correct(2, KWH + 26_000)
    world.send_all()
    assert world.node.newest(world.key.meter)[1].import_mwh == KWH + 26_000, "signed again"


def test_a_second_one_in_the_same_interval_waits_for_the_next(world: World) -> None:
    world.bench.fill(20)
    world.send_all()
    world.correct(2, KWH + 25_000)
    world.send_all()
    world.node.open_from = NOON  # the first one is not settled yet
    world.correct(2, KWH + 26_000)
    world.send_until(lambda: world.waited > 900)
    assert world.bench.spool.count == 1
    assert len(world.sent) <= 2 + 5, "the node keeps what it refuses"
    world.node.open_from = NOON + 99 * QUARTER
    world.send_all()
    assert world.node.newest(world.key.meter)[1].import_mwh == KWH + 26_000


def test_what_cannot_be_corrected_is_refused_with_what_to_do(world: World) -> None:
    with pytest.raises(CorrectionUnusable, match="the node has no record of this meter"):
        world.correct(1, KWH)
    world.bench.fill(4)
    with pytest.raises(CorrectionUnusable, match="waits for the node itself"):
        world.correct(2, KWH + 25_000)
    world.send_all()
    with pytest.raises(CorrectionUnusable, match="4 ends from 2016-06-21T12:15:00Z to 2016"):
        world.correct(9, KWH)
    with pytest.raises(
        CorrectionUnusable, match=r"says 1\.020000 kWh in and 1\.000000 kWh out alr"
    ):
        world.correct(2, KWH + 20_000)
    with pytest.raises(
        CorrectionUnusable, match=r"before it, 1\.010000 kWh in .* at 2016-06-21T12:15"
    ):
        world.correct(2, KWH + 9_999)
    with pytest.raises(
        CorrectionUnusable, match=r"after it, 1\.030000 kWh in .* at 2016-06-21T12:45"
    ):
        world.correct(2, KWH + 30_001)
    with pytest.raises(
        CorrectionUnusable, match=r"before it, 1\.000000 kWh in .* at 2016-06-21T12:00"
    ):
        world.correct(1, KWH - 1)
    with pytest.raises(CorrectionUnusable, match=r"after it, 1\.040000 kWh in"):
        world.correct(4, KWH + 40_001)
    world.correct(2, KWH + 25_000)
    with pytest.raises(CorrectionUnusable, match="a correction of this record waits"):
        world.correct(2, KWH + 26_000)
    assert world.bench.spool.waiting_of(world.key.meter) == 1


def test_a_record_after_it_that_waits_still_counts_as_beside_it(world: World) -> None:
    world.bench.fill(4)
    world.send_all()
    world.bench.fill(1, first=5)
    world.bench.read(NOON + 5 * QUARTER + 60, 1_000)
    with pytest.raises(CorrectionUnusable, match=r"after it, 1\.050000 kWh in"):
        world.correct(4, KWH + 50_001)
    assert world.correct(4, KWH + 50_000).import_mwh == KWH + 50_000


def test_delivered_records_are_kept_as_long_as_they_may_be_corrected(world: World) -> None:
    world.bench.fill(ADJUSTABLE_MAX + 30)
    world.send_all()
    with pytest.raises(CorrectionUnusable, match=f"known are {ADJUSTABLE_MAX} ends from"):
        world.correct(30, KWH)
    with pytest.raises(CorrectionUnusable, match="says"):
        world.correct(31, KWH + 310_000)


def test_a_correction_survives_a_kill_and_is_sent_once_more_after_a_lost_answer(
    world: World, tmp_path: Path
) -> None:
    world.bench.fill(4)
    world.send_all()
    world.correct(2, KWH + 25_000)
    [waits] = world.bench.spool.waiting_corrections()
    world.node.take([waits.signed])  # and nobody heard of the answer
    world.bench.close()
    world.bench = again(tmp_path)
    world.delivery = Delivery(world.bench.spool, world, 300.0, world.wait, lambda: world.waited)
    assert world.bench.spool.count == 1
    world.send_all()
    assert len(world.node.versions[world.key.meter][1]) == 2


def test_a_late_answer_to_the_original_is_not_taken_for_the_corrections(world: World) -> None:
    world.bench.fill(4)
    world.send_all()
    world.correct(2, KWH + 25_000)
    [waits] = world.bench.spool.waiting_corrections()
    late = Answer(
        waits.name,
        world.node.versions[world.key.meter][1][0].digest,
        Fate.TAKEN,
        "",
        duplicate=True,
    )
    asked = world.link

    class LateAnswers:
        async def send(self, _: Sequence[SignedRecord]) -> list[Answer]:
            return [late, late]

        async def close(self) -> None:
            """Nothing to do."""

    world.link = LateAnswers()
    world.send_until(lambda: world.waited > 10)
    assert world.bench.spool.count == 1, "it still waits"
    world.link = asked
    world.send_all()
    assert len(world.node.versions[world.key.meter][1]) == 2


def test_what_was_added_after_an_exchange_is_added_to_its_corrections(tmp_path: Path) -> None:
    one = bench(tmp_path)
    one.fill(4)
    one.close()
    exchange(tmp_path)
    one = again(tmp_path)
    read(one, NOON + 6 * QUARTER, 9_000)
    signed = one.spool.waiting(9)
    one.spool.answer(Answer(name_of(s), s.digest, Fate.TAKEN, "", duplicate=False) for s in signed)

    def corrected(number: int, into: int, out: int) -> Record:
        end = NOON + number * QUARTER
        return correct_record(tmp_path, "home", end=end, shown=Shown(into, out))

    with pytest.raises(CorrectionUnusable, match=r"exchange 1\.043000 kWh in .* the display said"):
        corrected(6, KWH + 51_500, 2_000)
    assert corrected(6, 8_500, 2_000).import_mwh == KWH + 51_500, "the new device's display"
    assert corrected(4, KWH + 41_000, KWH).import_mwh == KWH + 41_000, "the old device's"
    one.close()


def test_registers_that_no_record_holds_are_refused() -> None:
    record = Record(1, 0, 1, bytes(8), bytes(20), 5, NOON, QUARTER, 10, 10, bytes(32))
    offset = Offset(-20, 0, 3, 0)
    found = Correctable(record, bytes(32), offset, None, Registers(NOON + 1, 10, 10))
    with pytest.raises(CorrectionUnusable, match="no record holds"):
        correction_of(found, Registers(NOON, 5, 5))


def test_a_spool_of_an_older_version_goes_on_and_gets_what_it_lacks(tmp_path: Path) -> None:
    one = Bench(tmp_path, meter("home"))
    one.fill(4)
    one.close()
    with closing(sqlite3.connect(tmp_path / "spool.sqlite")) as file:
        for table in ("exchange", "delivered", "correction"):
            file.execute(f"DROP TABLE {table}")
        file.commit()
    one = Bench(tmp_path, meter("home"))
    assert one.spool.count == 4
    signed = one.spool.waiting(4)
    one.spool.answer(Answer(name_of(s), s.digest, Fate.TAKEN, "", duplicate=False) for s in signed)
    made = Exchange(Registers(0, 1, 1), Registers(0, 0, 0), Offset(1, 1, 5, 0))
    one.spool.exchange(one.meters[0].key.meter, made)
    one.close()
    one = Bench(tmp_path, meter("home"))
    assert one.spool.exchanges(one.meters[0].key.meter) == [made]
    with pytest.raises(CorrectionUnusable, match="known are 4 ends"):
        one.spool.correct(one.meters[0].key.meter, NOON, lambda _: pytest.fail("nothing to sign"))
    one.close()


def test_a_correction_that_is_not_written_leaves_no_trace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bench.fill(4)
    world.send_all()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("commonwatt.node.gateway.spool._counted", dies)
        with pytest.raises(KeyboardInterrupt):
            world.correct(2, KWH + 25_000)
    spool = Spool(world.folder / "spool.sqlite")
    assert spool.count == 0
    spool.close()
    world.correct(2, KWH + 25_000)
    world.send_all()
