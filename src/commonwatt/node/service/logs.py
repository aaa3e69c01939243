"""What a node says of its work: one event a line, for people or as JSON, and nothing secret.

Whatever is logged, by us or by a library, goes through one place that takes out secrets: known
ones by their very characters (`REDACTION`), others by the name they are logged under. Bytes and
objects never appear, only numbers, texts, and lists and tables of them.
"""

import json
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TextIO, TypeAlias

import structlog

from commonwatt.meter.acceptance import Accepted, Duplicate, Late, Refused, Verdict
from commonwatt.node.pipeline import Closed
from commonwatt.node.service.redaction import HIDDEN, REDACTION, is_secret_name
from commonwatt.node.service.watch import CHAIN_WELL, Watch

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
OURS = ("commonwatt", "uvicorn.error")
"""Loggers that are heard at the level asked for; all others only when something is wrong."""
DEPTH_MAX, ENTRIES_MAX, CHARACTERS_MAX = 4, 50, 8_000
REFUSALS_S = 10.0
"""Refused records are counted so long before a line tells of them: outsiders can cause them."""
_ENVIRONMENT = ("PASSWORD", "TOKEN", "SECRET")
"""What a variable is called that holds one."""
_log = logging.getLogger("commonwatt.community")
_FIRST = ("time", "level", "logger", "event")


def configure_logs(
    level: Level = "info", *, as_json: bool = False, stream: TextIO | None = None
) -> None:
    """Send everything that is logged in this process to one stream.

    Args:
        level: of our own events; libraries are heard from warnings on.
        as_json: an object a line; a line for people otherwise.
        stream: where to; standard error unless given.
    """
    REDACTION.hide(value for name, value in os.environ.items() if name.endswith(_ENVIRONMENT))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        # What the standard library's loggers are given besides a message: `extra`.
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _clean,
            _json_line if as_json else _line,
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_is_heard)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    threading.excepthook = _tell_of_thread


def _is_heard(record: logging.LogRecord) -> bool:
    """Libraries log what they were given, parameters of statements among it: only if it is bad."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in {
        name.partition(".")[0] for name in OURS
    }


def _tell_of_thread(args: threading.ExceptHookArgs) -> None:
    """A thread that ends by an error says so like everything else."""
    error = args.exc_value
    logging.getLogger("commonwatt.thread").error(
        "thread %s ended", args.thread.name if args.thread else "", exc_info=error
    )


def _clean(_logger: object, _method: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """The event without anything secret, and with nothing but numbers and texts."""
    return {
        key: HIDDEN if key not in _FIRST and is_secret_name(key) else _plain(value, DEPTH_MAX)
        for key, value in event.items()
        if key != "color_message"  # uvicorn's, the same once more for a terminal
    }


def _plain(value: object, depth: int) -> object:
    if isinstance(value, BaseException):
        value = f"{type(value).__name__}: {value}"
    if isinstance(value, str):
        return REDACTION.text(value[:CHARACTERS_MAX])
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping) and depth:
        entries = list(value.items())[:ENTRIES_MAX]
        return {
            str(key): HIDDEN if is_secret_name(str(key)) else _plain(inner, depth - 1)
            for key, inner in entries
        }
    if isinstance(value, Sequence | set | frozenset) and depth:
        return [_plain(inner, depth - 1) for inner in list(value)[:ENTRIES_MAX]]
    return f"<{type(value).__name__}>"


def _json_line(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    first = {key: event[key] for key in _FIRST if key in event}
    return json.dumps(first | dict(event), ensure_ascii=False)


def _line(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    """A line for people: time, level, event, then names and values."""
    values = dict(event)
    moment, level, name, what = (values.pop(key, "") for key in _FIRST)
    told = [f"{key}={_word(value)}" for key, value in values.items()]
    return " ".join([f"{moment} {level:<7} {_printable(str(what))}", *told, f"({name})"])


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    plain = text and text.isprintable() and not set(' "=') & set(text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    """A text on one line, whatever somebody put into it."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


class CommunityLog(Watch):
    """Says what happens in a community."""

    def __init__(self, community: str, now: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            community: its name.
            now: seconds that only increase.
        """
        self._community, self._now = community, now
        self._told_at = now() - REFUSALS_S
        self._refused: Counter[str] = Counter()
        self._lock = threading.Lock()

    def _tell(self, level: int, event: str, **values: object) -> None:
        _log.log(level, event, extra={"community": self._community, **values})

    def took(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """A line for each batch while debugging, and now and then one for what was refused."""
        refused = [v.reason.name for v in verdicts if isinstance(v, Refused)]
        if _log.isEnabledFor(logging.DEBUG):
            kinds = Counter(type(verdict) for verdict in verdicts)
            self._tell(
                logging.DEBUG,
                "records",
                accepted=kinds[Accepted],
                late=kinds[Late],
                duplicate=kinds[Duplicate],
                refused=len(refused),
                seconds=round(seconds, 6),
            )
        if not refused and not self._refused:
            return
        with self._lock:
            self._refused.update(refused)
            if self._now() - self._told_at >= REFUSALS_S:
                self._tell(logging.INFO, "records_refused", **self._refused)
                self._refused.clear()
                self._told_at = self._now()

    def closed(self, closed: Closed) -> None:
        """A line for each interval."""
        header, inputs = closed.statement.header, closed.inputs
        self._tell(
            logging.INFO,
            "interval_closed",
            interval=inputs.interval.start_text,
            records=len(inputs.accepted),
            refused=len(inputs.refused),
            silent=len(closed.statement.silent),
            imported_wh=header.imported_wh,
            exported_wh=header.exported_wh,
            local_wh=header.local_wh,
            seconds=round(closed.seconds, 3),
        )

    def chain(self, state: str) -> None:
        """A line when the chain goes or comes."""
        if state == CHAIN_WELL:
            self._tell(logging.INFO, "chain_answers")
        else:
            self._tell(logging.WARNING, "chain_away", why=state)
