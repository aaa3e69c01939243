"""What nodes must not forget, in SQLite or PostgreSQL, for many communities in one database.

Acknowledged means on the disk: a method that writes returns once the database has synced. What was
kept of the meters' records is never changed or deleted: the database refuses it, and a journal
finds out what was lost or altered all the same.

>>> import tempfile
>>> folder = tempfile.TemporaryDirectory()
>>> store = Store(f"sqlite:///{folder.name}/node.sqlite")
>>> database = store.database(community=bytes(20))
>>> database.take_note("opened", b"today")
>>> database.take_note("opened", b"tomorrow")  # a note keeps its first value
>>> database.note("opened")
b'today'
>>> store.close()
>>> folder.cleanup()

| module | knows |
|---|---|
| `store` | a database, opened |
| `database` | a community's records, statements, checkpoints, notes |
| `journal` | entries that vouch for every record, chained by hashes |
| `quarantine` | refused records, and the operator's decisions |
| `outbox` | closes on their way to the chain |
| `deliveries` | messages to webhooks |
| `standing_limits` | limit prices that members set, change by change |
| `answers` | requests that were answered, by their key |
| `leases` | which node works for which community |
| `backup` | a copy made while nodes write |
| `schema`, `migration` | the tables, and how older ones become them |
| `transactions`, `scope` | transactions, and whose rows they are |
| `dialect`, `postgresql` | what SQLite and PostgreSQL say differently |
"""

from commonwatt.node.store.answers import Answered, Answers, Busy, Fresh, KeyTaken
from commonwatt.node.store.backup import backup
from commonwatt.node.store.database import Database, StatementRow
from commonwatt.node.store.deliveries import Deliveries, Delivery
from commonwatt.node.store.journal import Head
from commonwatt.node.store.leases import Lease, LeaseLost, Leases
from commonwatt.node.store.migration import ONLY_COMMUNITY
from commonwatt.node.store.outbox import Attempt, Close, Outbox, PendingClose, Signed
from commonwatt.node.store.quarantine import (
    Decision,
    Quarantine,
    Quarantined,
    Ruling,
    Undecidable,
)
from commonwatt.node.store.standing_limits import (
    LIMIT_CHANGES_PER_INTERVAL_MAX,
    LimitChange,
    StandingLimits,
    TooManyChanges,
)
from commonwatt.node.store.store import Store, file_url

__all__ = [
    "LIMIT_CHANGES_PER_INTERVAL_MAX",
    "ONLY_COMMUNITY",
    "Answered",
    "Answers",
    "Attempt",
    "Busy",
    "Close",
    "Database",
    "Decision",
    "Deliveries",
    "Delivery",
    "Fresh",
    "Head",
    "KeyTaken",
    "Lease",
    "LeaseLost",
    "Leases",
    "LimitChange",
    "Outbox",
    "PendingClose",
    "Quarantine",
    "Quarantined",
    "Ruling",
    "Signed",
    "StandingLimits",
    "StatementRow",
    "Store",
    "TooManyChanges",
    "Undecidable",
    "backup",
    "file_url",
]
