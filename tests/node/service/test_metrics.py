"""A node's figures and logs say how it works, and nothing that is secret."""

import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from bed import SCENARIO, Bed, init, make_bed
from commonwatt.chain.errors import ChainUnreachable
from commonwatt.meter.acceptance import Reason
from commonwatt.meter.record import SignedRecord
from commonwatt.node.keystore import read_account
from commonwatt.node.pipeline import Node
from commonwatt.node.service.logs import REFUSALS_S, CommunityLog, configure_logs
from commonwatt.node.service.members import community_key
from commonwatt.node.service.metrics import GAUGES, metrics_text
from commonwatt.node.service.redaction import (
    HIDDEN,
    Redaction,
    is_secret_name,
    secrets_in,
    shown_url,
)
from commonwatt.node.service.service import SALTS_NOTE

DEPLOY = Path(__file__).parents[3] / "deploy"
PASSWORD, API_KEY = "0ver-the-hills", "4f0c2a7be1d94c66"
Sample = tuple[str, tuple[tuple[str, str], ...]]


def figures(text: bytes) -> dict[Sample, float]:
    """Every sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def of(name: str, **labels: str) -> Sample:
    return f"commonwatt_{name}", tuple(sorted({"community": SCENARIO, **labels}.items()))


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    bed = Bed(make_bed(tmp_path_factory.mktemp("bed") / "bed"))
    yield bed
    bed.close()


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    """What is logged, with every logger there is at its most talkative."""
    stream = io.StringIO()
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    names = list(logging.root.manager.loggerDict)
    levels = {name: logging.getLogger(name).level for name in names}
    yield stream
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
    structlog.reset_defaults()


def talk() -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)


# Figures


def test_figures_say_what_happened(bed: Bed) -> None:
    before = figures(metrics_text(bed.service))
    assert before[of("records_accepted_total")] == 0
    assert before[of("records_refused_total", reason="OVER_CAPACITY")] == 0
    forged = SignedRecord(bed.fleet.registrations[0].opening.record, bytes(64))
    for more in ([forged], [], []):
        bed.interval(more)
    after = figures(metrics_text(bed.service))
    assert after[of("records_accepted_total")] == 3 * 31
    assert after[of("records_refused_total", reason="SIGNATURE_WRONG")] == 1
    assert after[of("intervals_closed_total")] == 3
    assert after[of("intake_batch_seconds_count")] == 3
    assert 0 < after[of("intake_batch_seconds_sum")] < 30
    assert after[of("interval_close_seconds_count")] == 3
    assert after[of("intervals_waiting")] == 0
    assert after[of("chain_up")] == after[of("keeper_up")] == 1
    meters = [after[of(name)] for name in ("meters", "meters_heard", "meters_silent")]
    assert meters == [31, 0, 0]
    assert after[of("open_interval_start_seconds")] == bed.start + 3 * 900
    assert after[of("book_entries")] == bed.hosted.status().book_entries > 0
    assert after["commonwatt_database_bytes", ()] > 100_000
    assert after["process_resident_memory_bytes", ()] > 10_000_000
    again = bed.hosted.take([forged])
    assert len(again) == 1
    last = figures(metrics_text(bed.service))
    assert last[of("records_refused_total", reason="SIGNATURE_WRONG")] == 2


def test_a_chain_that_is_away_and_intervals_that_wait_can_be_seen(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ChainUnreachable(f"http://me:{PASSWORD}@far/{API_KEY}", "no route")

    with monkeypatch.context() as patch:
        patch.setattr(bed.hosted._node, "settle", away)
        bed.hosted.take(bed.fleet.sign())
        bed.done += 1
        opened = bed.start + bed.done * bed.interval_s
        while bed.hosted.status().open_start < opened or bed.hosted.status().chain == "ok":
            pass
        found = figures(metrics_text(bed.service))
        assert (found[of("chain_up")], found[of("intervals_waiting")]) == (0, 1)
        # Everybody may see this; what the address keeps secret is not in it.
        assert "no chain answers" in bed.hosted.status().chain
        told = [event for event in bed.hosted.events.after(0) if event.kind == "chain"]
        assert PASSWORD not in str(told)
        assert API_KEY not in str(told)
    bed.interval()
    found = figures(metrics_text(bed.service))
    assert (found[of("chain_up")], found[of("intervals_waiting")]) == (1, 0)


def test_two_services_in_one_process_count_apart(bed: Bed, tmp_path: Path) -> None:
    init(tmp_path / "bed", scenario=SCENARIO)
    other = Bed(tmp_path / "bed")
    try:
        before = figures(metrics_text(bed.service))[of("records_accepted_total")]
        other.interval()
        assert figures(metrics_text(other.service))[of("records_accepted_total")] == 31
        assert figures(metrics_text(bed.service))[of("records_accepted_total")] == before
    finally:
        other.close()


# Files for those who watch


def own_names(text: bytes) -> set[str]:
    """Our own families' samples, without a histogram's parts."""
    found = {name for name, _ in figures(text) if name.startswith("commonwatt_")}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def expressions(part: object) -> Iterator[str]:
    """Every query in a document of Grafana's or Prometheus'."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in {"expr", "query"} and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(part, list):
        for entry in part:
            yield from expressions(entry)


def names_in(queries: Iterator[str]) -> set[str]:
    found = {name for query in queries for name in re.findall(r"commonwatt_\w+", query)}
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def test_the_dashboard_shows_every_figure_and_no_other(bed: Bed) -> None:
    names = own_names(metrics_text(bed.service))
    assert names > set(GAUGES)
    dashboard = json.loads((DEPLOY / "grafana" / "commonwatt.json").read_text())
    assert names_in(expressions(dashboard)) == names
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells), "no panel lies over another"
    assert max(x for x, _ in cells) == 23


def test_every_figure_is_explained_and_no_other(bed: Bed) -> None:
    page = (DEPLOY.parent / "docs" / "service.md").read_text()
    assert set(re.findall(r"^\| `(commonwatt_\w+)`", page, re.MULTILINE)) == own_names(
        metrics_text(bed.service)
    )


def test_alerts_ask_for_figures_that_are_there(bed: Bed) -> None:
    yaml = pytest.importorskip("yaml")
    names = own_names(metrics_text(bed.service))
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
    asked = names_in(expressions(rules))
    assert len(asked) > 5
    assert asked <= names
    text = (DEPLOY / "prometheus" / "rules.yml").read_text()
    reasons = re.search(r'reason!~"([A-Z_|]+)"', text)
    assert reasons is not None
    assert set(reasons[1].split("|")) <= {reason.name for reason in Reason}
    scrape = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert scrape["scrape_configs"][0]["metrics_path"] == "/metrics"


# Logs


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_logs_tell_of_intervals_in_one_line_each_and_of_nothing_secret(
    heard: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONWATT_PASSWORD", PASSWORD)
    monkeypatch.setattr("commonwatt.node.keystore.SCRYPT_N", 2)
    folder = make_bed(tmp_path / "bed")
    path = folder / "node.toml"
    key = read_account(folder / "operator.key").key
    configure_logs("debug", as_json=True, stream=heard)
    talk()
    bed = Bed(folder)
    talk()  # also what was made meanwhile
    salt = bed.service.store.database(community_key(SCENARIO)).note(SALTS_NOTE) or b""
    try:
        bed.interval([SignedRecord(bed.fleet.registrations[0].opening.record, bytes(64))])

        def fail(node: Node, *_: object) -> None:
            logging.getLogger("commonwatt.test").debug("state %r", node._secret)
            raise ChainUnreachable(f"https://me:{PASSWORD}@far/v3/{API_KEY}?token=x1x2x3x4", "gone")

        with monkeypatch.context() as patch:
            patch.setattr(Node, "settle", fail)
            bed.hosted.take(bed.fleet.sign())
            bed.done += 1
            while bed.hosted.status().chain == "ok":
                pass
            patch.setattr(Node, "settle", lambda _: 1 // 0)
            thread = bed.service.keepers[SCENARIO]._thread
            thread.join(10)
        assert not thread.is_alive()
        logging.getLogger("sqlalchemy.engine").info("[parameters: %r]", (salt,))
        structlog.get_logger("commonwatt.test").warning(
            "odd", key=key, password="short", account=read_account(folder / "operator.key"),
            nested={"salt_key": salt, "anchor": "ab" * 32}, url=f"postgresql://a:{PASSWORD}@b/c",
        )  # fmt: skip
    finally:
        bed.close()
    text = heard.getvalue()
    secrets = (PASSWORD, API_KEY, key.hex(), repr(key)[2:-1], salt.hex(), repr(salt)[2:-1], "x1x2")
    assert [secret for secret in secrets if secret in text] == []
    lines = lines_of(heard)
    assert {line["level"] for line in lines} == {"debug", "info", "warning", "error"}
    [closed] = [line for line in lines if line["event"] == "interval_closed"]
    assert closed["community"] == SCENARIO
    assert closed["interval"] == "2016-06-20T23:00:00Z"
    assert (closed["records"], closed["refused"], closed["silent"]) == (31, 1, 0)
    [away] = [line for line in lines if line["event"] == "chain_away"]
    assert away["why"].startswith("https://far/***: no chain answers (gone)")
    [ended] = [line for line in lines if "ended" in line["event"] and "keeper of" in line["event"]]
    assert "ZeroDivisionError" in ended["exception"]
    [odd] = [line for line in lines if line["event"] == "odd"]
    assert odd["key"] == odd["password"] == odd["nested"]["salt_key"] == HIDDEN
    assert odd["nested"]["anchor"] == "ab" * 32
    assert odd["account"] == "<Account>"
    assert not any("sqlalchemy" in line["logger"] for line in lines)
    assert path.is_file()


def test_a_line_for_people_is_one_line_whatever_is_in_it(heard: io.StringIO) -> None:
    configure_logs("info", stream=heard)
    log = structlog.get_logger("commonwatt.test")
    log.info("took\nin", device="a b\n\x1b[31mred", n=3, ok=True, empty="", none=None)
    log.debug("not asked for")
    logging.getLogger("commonwatt.old").warning("%s: %s", "hill", "no\nroute")
    logging.getLogger("somewhere.else").info("not ours")
    lines = heard.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(
        'info    took\\nin device="a b\\n\\u001b[31mred" n=3 ok=true empty="" none=null '
        "(commonwatt.test)"
    )
    assert lines[1].endswith(r"warning hill: no\nroute (commonwatt.old)")


def test_refusals_are_counted_before_they_are_told(heard: io.StringIO, bed: Bed) -> None:
    configure_logs("info", as_json=True, stream=heard)
    now = [0.0]
    log = CommunityLog("hill", lambda: now[0])
    forged = SignedRecord(bed.fleet.registrations[0].opening.record, bytes(64))
    verdicts = bed.hosted.take([forged])
    heard.truncate(0)
    heard.seek(0)
    for _ in range(100):
        log.took(verdicts, 0.01)
    now[0] = REFUSALS_S
    log.took([], 0.01)
    told = [line for line in lines_of(heard) if line["event"] == "records_refused"]
    assert [line["SIGNATURE_WRONG"] for line in told] == [1, 99]
    assert {line["community"] for line in told} == {"hill"}


def test_secrets_are_known_by_their_characters_and_by_their_names() -> None:
    redaction = Redaction()
    redaction.hide([b"\x01secret bytes\xff", "a-long-secret", "short", None, ""])
    said = redaction.text(f"{b'x' + bytes([1]) + b'secret bytes' + bytes([255])!r} a-long-secret.")
    assert said == f"b'x{HIDDEN}' {HIDDEN}."
    assert redaction.text("short") == "short"
    assert redaction.text("salt_key=b'\\x00, \\' )', n=1") == f"salt_key={HIDDEN}, n=1"
    assert "abcdefgh" not in redaction.text("Authorization: Bearer abcdefgh")
    assert redaction.text("(at https://a:b@c.d:1/e, now.)") == f"(at https://c.d:1/{HIDDEN}, now.)"
    assert is_secret_name("private_key")
    assert not is_secret_name("SIGNATURE_WRONG")
    assert not is_secret_name("monkey")


@pytest.mark.parametrize(
    ("url", "shown", "hidden"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545", []),
        ("https://a:b%40c@d.e/f?g=h", "https://d.e/***", ["b%40c", "b@c", "h"]),
        ("https://d.e/v3/" + 16 * "k", "https://d.e/***", [16 * "k"]),
        # The name of a database is no secret: hidden everywhere, it would hide our own name.
        ("postgresql://a:pw@h/commonwatt", "postgresql://h/***", ["pw"]),
        ("postgresql://h/commonwatt?password=pw", "postgresql://h/***", ["pw"]),
        ("mqtts://[::1]:8883/", "mqtts://[::1]:8883", []),
        ("http://[broken", "http://***", ["http://[broken"]),
    ],
)
def test_an_address_is_shown_without_what_it_keeps_secret(
    url: str, shown: str, hidden: list[str]
) -> None:
    assert shown_url(url) == shown
    assert secrets_in(url) == hidden
    assert secrets_in(None) == []


def test_logs_go_to_standard_error_unless_told(
    heard: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("warning")
    logging.getLogger("commonwatt.test").warning("hm")
    assert "hm (commonwatt.test)" in capsys.readouterr().err
    assert heard.getvalue() == ""
