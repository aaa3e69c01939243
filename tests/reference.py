"""A street whose every byte is written down: three members, four intervals, all that can happen.

Run this file to write `tests/vectors/street.json` again, only after a deliberate change of what a
statement's bytes are, and say so in CHANGELOG.md.
"""

import json
from hashlib import sha256
from pathlib import Path

from street import Street

PATH = Path(__file__).parent / "vectors" / "street.json"
PRODUCER, NEIGHBOUR, POOR = range(3)


def reference_street() -> tuple[Street, list[dict[str, object]]]:
    """The street after its four intervals, and what each was closed as."""
    street = Street(members=3, producers=1, batteries=1, balance=30_000_000)
    intervals = []

    def close(taken: list[int], gave: list[int], made: int, stored: int, lost: int | None) -> None:
        batch = street.measure(taken, gave, [made], [stored])
        if lost is not None:
            # The record is lost on its way, and a forger tries to fill its place.
            forger = street.grid[PRODUCER].key
            batch[lost] = forger.sign(batch[lost].record)
        statement = street.close(batch)
        header = statement.header
        intervals.append(
            {
                "start": header.start,
                "header": header.encode().hex(),
                "anchor": header.anchor.hex(),
                "deltas": [word.hex() for word in statement.deltas],
                "refused": len(street.last_inputs.refused),
                "trades": [list(trade) for trade in statement.trades],
                "arrears": [position.arrears_after for position in statement.settled.positions],
                "certificates": [c.encode().hex() for c in statement.certified.certificates],
            }
        )

    close([0, 300, 500], [1_000, 0, 0], 1_200, 150, None)
    close([0, 410, 900], [700, 0, 0], 510, -250, None)
    close([0, 220, 310], [640, 0, 0], 700, 0, NEIGHBOUR)
    close([40, 180, 270], [640, 0, 0], 700, 60, None)
    return street, intervals


def as_json() -> str:
    """What `street.json` should say."""
    street, intervals = reference_street()
    vectors = {
        "ledger": street.community.chain.ledger.hex(),
        "roll": street.community.roll.hex(),
        "constitution": street.constitution.hex(),
        "intervals": intervals,
        "balances": street.balances,
        "supplier": street.supplier_balance,
        "grid_operator": street.grid_balance,
        "files": {path: sha256(text).hexdigest() for path, text in sorted(street.files.items())},
    }
    return json.dumps(vectors, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(as_json())
