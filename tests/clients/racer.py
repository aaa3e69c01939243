"""One of two processes that want the same: sends a call at a given moment, says what came of it.

Its argument is a chain's URL. Each line of standard input is a task, each line of output an answer.
"""

import json
import sys
import time
from typing import Any

from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.errors import CallReverted, NodeRefused, TransactionReverted


def race(connection: Connection, task: dict[str, Any]) -> dict[str, Any]:
    """Send the call as soon as its moment has come."""
    account = Account.from_key(bytes.fromhex(task["key"]))
    while time.monotonic() < task["at"]:
        pass  # both processes see the same clock
    try:
        receipt = connection.send(account, task["to"], bytes.fromhex(task["data"]), task["gas"])
    except CallReverted as why:
        return {"won": False, "how": "the estimate said no", "why": why.reason, "block": None}
    except TransactionReverted as why:
        block = why.block_number
        return {"won": False, "how": "undone in a block", "why": why.reason, "block": block}
    except NodeRefused as why:
        return {"won": False, "how": "refused by the node", "why": why.message, "block": None}
    return {"won": True, "how": "done", "why": "", "block": receipt.block_number}


def main() -> None:
    """Answer until there is nothing more to do."""
    with Connection.http(sys.argv[1]) as connection:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(race(connection, json.loads(line))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
