"""Calling the program as a person would: its real command line, in a process of its own."""

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DAY_START = 1_466_467_200  # 2016-06-21T00:00:00Z


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


def commonwatt(*words: object, timeout: float = 300, **environment: str) -> Answer:
    """Run one command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "commonwatt.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **environment},
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def street_csv(path: Path, *, homes: int = 4, intervals: int = 24, interval_s: int = 900) -> Path:
    """A street's file: some homes with sun, all with load, from 09:00 UTC on midsummer's day."""
    start = DAY_START + 9 * 3600
    lines = ["home,interval_start,load_kwh,pv_kwh"]
    for home in range(homes):
        for index in range(intervals):
            hour = 9 + index * interval_s / 3600
            sun = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * (home % 2) * 1.5
            load = 0.2 + 0.05 * home + 0.1 * math.sin(index + home)
            stamp = start + index * interval_s
            when = f"2016-06-21T{(stamp - DAY_START) // 3600:02d}:{stamp % 3600 // 60:02d}:00Z"
            lines.append(f"{home + 1},{when},{load:.4f},{sun:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def anchors(folder: Path) -> dict[int, str]:
    """Each interval's anchor, as published."""
    lines = (
        json.loads(line)
        for path in sorted((folder / "public").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    )
    return {line["start"]: line["anchor"] for line in lines}
