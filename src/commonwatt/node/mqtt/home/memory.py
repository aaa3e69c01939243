"""What is on the disk of the figures for Home Assistant: a short cut, and what was announced.

The published lines lead to every figure again. So that a community of years need not be read from
its first day at each start, figures are kept now and then, each with the anchor of the interval it
ends with, and believed only where the published lines have the same. Which topics hold retained
messages is known from nowhere else: they are kept before the messages go out.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from commonwatt.node.folder import write_whole
from commonwatt.node.mqtt.home.totals import Totals

MEMORY_FILE = "home-assistant.json"
_FORMAT = "commonwatt-home-1"

_log = structlog.get_logger("commonwatt.mqtt")


@dataclass(slots=True)
class Kept:
    """All that is kept of one community."""

    format: str = _FORMAT
    topics: list[str] = field(default_factory=list)
    """That may hold a retained message of ours."""
    members: dict[int, Totals] = field(default_factory=dict)


def recall(path: Path) -> Kept:
    """What was kept; nothing where there is no file, or none that can be read."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _log.warning("home_memory_lost", file=str(path), why=" ".join(str(error).split()))
        return Kept()
    return found if found.format == _FORMAT else Kept()


def keep(path: Path, kept: Kept) -> None:
    """Keep it, whole or not at all; raises `FolderUnusable`."""
    write_whole(path, [msgspec.json.encode(kept)])
