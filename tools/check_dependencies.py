"""Are there known weaknesses in what the program is built from, and may all of it be shipped?

`make lint` runs it. Licences are looked at offline: nothing that ships with the program may be
under GPL or AGPL (LGPL may be used beside it, as psycopg is). Weaknesses are looked up by
pip-audit, and that needs an advisory service in the network; where none answers it is said aloud,
and only with COMMONWATT_AUDIT=required is it an error.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
SERVICES = ("pypi", "osv")
SERVICE_S = 90
LISTED_MAX = 8
LICENCE_CHARACTERS_MAX = 200
"""A longer text is the licence itself; then the classifiers are asked."""
REFUSED = re.compile(r"(?<![A-Z])A?GPL|Affero|GNU General Public", re.IGNORECASE)


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Everything that is installed because of some requirements, by its normal name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        try:
            package = found.setdefault(name, distribution(requirement.name))
        except PackageNotFoundError:
            sys.exit(f"{requirement.name}: is not installed; make test-tools installs everything")
        for part in {"", *requirement.extras} - {one for known, one in seen if known == name}:
            seen.add((name, part))
            waiting += [(Requirement(text), part) for text in package.requires or []]
    return found


def licence_of(metadata: Mapping[str, Any], classifiers: Iterable[str]) -> str:
    """What a package says of its licence; empty if it says nothing."""
    said = metadata.get("License-Expression") or metadata.get("License") or ""
    if 0 < len(said) <= LICENCE_CHARACTERS_MAX:
        return str(said)
    return " AND ".join(c.rpartition("::")[2].strip() for c in classifiers if "License ::" in c)


def is_refused(licence: str) -> bool:
    """Whether a licence leaves no choice but GPL or AGPL.

    >>> [is_refused(text) for text in ("GPL-3.0-only", "MIT OR GPL-2.0-or-later", "LGPL-3.0-only")]
    [True, False, False]
    """
    return all(REFUSED.search(choice) for choice in re.split(r"\bOR\b", licence))


def licence_flaws(packages: Mapping[str, Distribution]) -> list[str]:
    """A line for each package that may not be shipped, or says nothing of its licence."""
    flaws = []
    for name, package in sorted(packages.items()):
        classifiers = package.metadata.get_all("Classifier") or []
        licence = licence_of(dict(package.metadata.items()), classifiers)
        if not licence:
            flaws.append(
                f"{name}: says nothing of its licence; look it up, or take another package"
            )
        elif is_refused(licence):
            flaws.append(f"{name}: {licence}: must not be shipped; take another package")
    return flaws


def looked_up(versions: Mapping[str, str], service: str) -> list[dict[str, Any]] | None:
    """What an advisory service says of each package; None if it does not answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in versions.items())
        file.flush()
        words = [
            sys.executable, "-m", "pip_audit", "--requirement", file.name, "--no-deps",
            "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "10",
            "--vulnerability-service", service,
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 - our own words
                words, capture_output=True, text=True, timeout=SERVICE_S, check=False
            )
            found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return None
    return found if any("vulns" in one for one in found) else None


def verdict(found: list[dict[str, Any]] | None, service: str) -> tuple[bool, list[str]]:
    """Whether nothing is known against the packages, and lines about it."""
    if found is None:
        return True, [f"weaknesses: NOT LOOKED UP at {service}: it does not answer from here"]
    weak = [
        f"{one['name']} {one['version']}: {vuln['id']}, mended in "
        f"{', '.join(vuln.get('fix_versions') or ['no version yet'])}"
        for one in found
        for vuln in one.get("vulns", [])
    ]
    unknown = [one["name"] for one in found if "vulns" not in one]
    lines = [f"weaknesses: {len(found) - len(unknown)} packages looked up at {service}"]
    if unknown:
        more = "..." if len(unknown) > LISTED_MAX else ""
        listed = ", ".join(unknown[:LISTED_MAX])
        lines.append(f"weaknesses: {len(unknown)} NOT LOOKED UP, unknown there: {listed}{more}")
    return not weak, [*lines, *weak]


def main() -> int:
    """Look at all of it; 1 if something is to be done."""
    project = tomllib.loads(PROJECT.read_text())
    extras = project["project"]["optional-dependencies"].values()
    shipped = closure([*project["project"]["dependencies"], *(one for e in extras for one in e)])
    flaws = licence_flaws(shipped)
    print(f"licences: {len(shipped)} packages ship, {len(flaws)} must not")
    print("".join(f"  {flaw}\n" for flaw in flaws), end="")
    everything = shipped | closure(project["dependency-groups"]["dev"])
    versions = {name: package.version for name, package in everything.items()}
    for service in SERVICES:
        found = looked_up(versions, service)
        is_well, lines = verdict(found, service)
        print("\n".join(lines))
        if found is not None:
            return int(bool(flaws) or not is_well)
    return int(bool(flaws) or os.environ.get("COMMONWATT_AUDIT") == "required")


if __name__ == "__main__":
    sys.exit(main())
