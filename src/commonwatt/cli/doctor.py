"""`commonwatt doctor`: what is well with a node, what is not, and what to do."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from commonwatt.node.service.checks import examine
from commonwatt.node.service.finding import Finding
from commonwatt.web.api.settings import API_FILE, ApiFileUnusable, read_api_settings

STATE_COLUMN, CHECK_COLUMN = 7, 11


def run_doctor(folder: Path, *, as_json: bool) -> int:
    """Print each finding as it comes; returns 0 if all is well, 1 if not."""
    findings = []
    for finding in _all(folder):
        findings.append(finding)
        if not as_json:
            _print(finding)
    wrong = sum(not finding.is_well for finding in findings)
    if as_json:
        print(json.dumps({"well": not wrong, "checks": [_plain(found) for found in findings]}))
    elif wrong:
        print(f"{wrong} of {len(findings)} checks found something to do")
    else:
        print(f"all {len(findings)} checks are well")
    return 1 if wrong else 0


def _all(folder: Path) -> Iterator[Finding]:
    """What the node's own checks find, and those of the files that only its API reads."""
    for number, finding in enumerate(examine(folder)):
        yield finding
        if not number:
            yield from _api(folder)


def _api(folder: Path) -> Iterator[Finding]:
    """The API's settings, as `commonwatt serve` reads them before it begins."""
    if not (folder / API_FILE).exists():
        return
    try:
        read_api_settings(folder)
    except ApiFileUnusable as error:
        yield Finding("settings", str(error), "commonwatt serve does not begin before that")
    else:
        yield Finding("settings", f"{API_FILE} is read")


def _print(finding: Finding) -> None:
    state = "ok" if finding.is_well else "WRONG"
    whose = f"{finding.community}: " if finding.community else ""
    print(f"{state:<{STATE_COLUMN}}{finding.check:<{CHECK_COLUMN}}{whose}{finding.says}")
    if finding.do:
        print(f"{' ' * (STATE_COLUMN + CHECK_COLUMN)}do: {finding.do}")
    sys.stdout.flush()


def _plain(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check,
        "community": finding.community or None,
        "well": finding.is_well,
        "says": finding.says,
        "do": finding.do or None,
    }
