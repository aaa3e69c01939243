"""Two nodes on one PostgreSQL, with nothing else in common, keep one book and publish all of it."""

from pathlib import Path

import pytest

from anvil import DEV_KEY, running_anvil
from commonwatt.node.wiring import demonstration_account
from in_process import here
from postgres import PostgresServer, on_postgres, postgres
from served import Node, require_whole, serving, simulated

__all__ = ["postgres"]

pytestmark = [
    on_postgres,
    # Words are given as a person gives them, not as a test would.
    pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning"),
]

EVENING = 4
"""So many intervals has the first day of UTC."""
SHOP = demonstration_account("shop")
IMPORT = ("--as", "consumption", "--voucher", "Grid Lab", "--owner", SHOP.address)


@pytest.mark.soak
def test_a_node_without_a_shared_directory_takes_over_book_and_published_days(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    operator, table = tmp_path / "operator.key", tmp_path / "shop.csv"
    operator.write_text(DEV_KEY.hex() + "\n")
    table.write_text("metering_point;start;quantity_wh\nSHOP-1;2016-06-21T22:00:00Z;1200\n")
    database = postgres.url(postgres.new_database())
    with running_anvil(31_337) as url:
        shared = ("--chain", url, "--key", operator, "--database", database)
        first, second = (Node(tmp_path / name, *shared) for name in ("first", "second"))
        second.say(name="other")
        with serving(first), simulated(first, first.url, tmp_path / "meters") as meters:
            meters.end(EVENING + 1)
        with serving(second), simulated(second, second.url, tmp_path / "meters") as meters:
            answered = meters.end(meters.done + 2)
        chain = ("--chain", url)
        found = require_whole(second.published, *chain, answered=answered)
        assert found.json["intervals"] > EVENING, "the first day was another node's"

        # The issuer acts without a node, in what the second one published; the first goes on.
        words = ("import", second.published, table, *IMPORT, "--zone", "DE-LU", "--key", operator)
        entered = here("certificate", *words, *chain, "--json")
        assert entered.code == 0, entered.err
        assert (entered.json["imported"], entered.json["imported_wh"]) == (1, 1_200)
        with serving(first), simulated(first, first.url, tmp_path / "meters") as meters:
            answered = meters.end(meters.done + 1)
        again = require_whole(first.published, *chain, answered=answered)
        assert again.json["intervals"] > found.json["intervals"]
        assert again.json["certificates"]["vouched"] == 1
