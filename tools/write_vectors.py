"""Write the anchors of the reference days that the tests compare with.

Run it only after a deliberate change of what a statement's bytes are, and say so in CHANGELOG.md.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

VECTORS = ROOT / "tests" / "vectors"
APRIL = ["--start", "2016-04-10"]
DAYS = {
    "village": ["--scenario", "village"],
    "suburb": ["--scenario", "suburb"],
    "town_by_auction": ["--scenario", "town", *APRIL, "--rule", "uniform_price"],
    "village_by_bids": ["--scenario", "village", *APRIL, "--market", "village.toml"],
    "suburb_by_shares": ["--scenario", "suburb", *APRIL, "--market", "suburb.toml"],
}
"""Options of the demonstration; a market's file is named as it is beside the vectors."""


def main() -> None:
    """Run each day and keep its anchors."""
    import reference  # noqa: PLC0415 - after the path is set
    from commandline import anchors  # noqa: PLC0415

    vectors = {}
    for name, options in DAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            words = [str(VECTORS / word) if word.endswith(".toml") else word for word in options]
            command = [sys.executable, "-m", "commonwatt.cli.main", "demo", *words]
            subprocess.run([*command, "--out", str(out)], check=True)  # noqa: S603 - our own words
            found = {str(start): anchor for start, anchor in anchors(out).items()}
            vectors[name] = {"options": options, "anchors": found}
    path = VECTORS / "days.json"
    path.write_text(json.dumps(vectors, indent=1) + "\n")
    reference.PATH.write_text(reference.as_json())
    print(f"wrote {path} and {reference.PATH}")


if __name__ == "__main__":
    main()
