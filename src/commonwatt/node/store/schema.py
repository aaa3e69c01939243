"""The tables, the same in SQLite and PostgreSQL; every one is keyed by community.

Tables in `KEPT` are written once: the database itself refuses to change or delete their rows, and
the journal vouches for them. Their columns stand in one order: community, the time that their rows
are read by, the rest, and last the number of the journal's entry. The lines of the book of
certificates are written once as well; their own hashes vouch for them. Changes of standing limits
are, too: the inputs of each interval, which are anchored, vouch for what held in it. Times that are
not an interval's are milliseconds of UTC by the database's clock, and their names end in `_ms`.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Float,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    event,
)
from sqlalchemy.schema import ExecutableDDLElement

from commonwatt.meter.record import RECORD_BYTES, SIGNATURE_BYTES

COMMUNITY_BYTES = 20
DIGEST_BYTES = 32

schema = MetaData()


def _community() -> Column[bytes]:
    return Column(
        "community",
        LargeBinary,
        CheckConstraint(f"length(community) = {COMMUNITY_BYTES}"),
        primary_key=True,
    )


def _entry() -> Column[int]:
    """The journal's entry that vouches for the row."""
    return Column("entry", BigInteger, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


schema_version = Table(
    "schema_version",
    schema,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("since_ms", BigInteger, nullable=False),
)

note = Table(
    "note",
    schema,
    _community(),
    Column("key", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Time before meter: an interval is read and written as one run of neighbouring rows.
record = Table(
    "record",
    schema,
    _community(),
    _number("time_end"),
    Column("meter", LargeBinary, primary_key=True),
    Column(
        "record",
        LargeBinary,
        CheckConstraint(f"length(record) = {RECORD_BYTES}"),
        nullable=False,
    ),
    Column(
        "signature",
        LargeBinary,
        CheckConstraint(f"length(signature) = {SIGNATURE_BYTES}"),
        nullable=False,
    ),
    _entry(),
    sqlite_with_rowid=False,
)

# Accepted when their interval was closed already; `start` is the interval that settles them.
late_record = Table(
    "late_record",
    schema,
    _community(),
    _number("start"),
    _number("time_end"),
    Column("meter", LargeBinary, primary_key=True),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    _entry(),
    Index("late_record_by_meter", "community", "time_end", "meter"),
)

refused = Table(
    "refused",
    schema,
    _community(),
    _number("start"),
    _number("number"),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("reason", String, nullable=False),
    _entry(),
    UniqueConstraint("community", "number"),
)

decision = Table(
    "decision",
    schema,
    _community(),
    _number("start"),
    _number("number"),
    Column("refusal", BigInteger, nullable=False),
    Column("ruling", String, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("decided_ms", BigInteger, nullable=False),
    Column("remark", String, nullable=False),
    _entry(),
    UniqueConstraint("community", "number"),
    Index("decision_by_refusal", "community", "refusal", "number"),
)

readmission = Table(
    "readmission",
    schema,
    _community(),
    _number("start"),
    _number("refusal"),
    _entry(),
    UniqueConstraint("community", "refusal"),
)

journal = Table(
    "journal",
    schema,
    _community(),
    _number("number"),
    Column("kind", String, nullable=False),
    Column("about", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("written_ms", BigInteger, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Index("journal_by_time", "community", "kind", "about", "number"),
)

KEPT = (record, late_record, refused, decision, readmission, journal)

statement = Table(
    "statement",
    schema,
    _community(),
    _number("start"),
    Column("header", LargeBinary, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("anchor", LargeBinary, nullable=False),
    Column("transaction", LargeBinary),
    Column("gas", BigInteger),
    Column("seconds", Float),
)

checkpoint = Table(
    "checkpoint",
    schema,
    _community(),
    _number("start"),
    Column("state", LargeBinary, nullable=False),
)

outbox = Table(
    "outbox",
    schema,
    _community(),
    _number("start"),
    Column("header", LargeBinary, nullable=False),
    Column("deltas", LargeBinary, nullable=False),
    Column("anchor", LargeBinary, nullable=False),
    Column("transaction", LargeBinary),
    Column("block", BigInteger),
    Column("gas", BigInteger),
)

attempt = Table(
    "attempt",
    schema,
    _community(),
    _number("start"),
    _number("number"),
    Column("anchor", LargeBinary, nullable=False),
    Column("transaction", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("gas_price", BigInteger, nullable=False),
    Column("tip", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    Column("failure", String),
    UniqueConstraint("community", "transaction"),
)

delivery = Table(
    "delivery",
    schema,
    _community(),
    _number("number"),
    Column("hook", String, nullable=False),
    Column("event", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("due_ms", BigInteger),
    Column("failures", BigInteger, nullable=False),
    Column("last_failure", String, nullable=False),
    Column("delivered_ms", BigInteger),
    UniqueConstraint("community", "hook", "event"),
    Index("delivery_by_time", "community", "due_ms", "number"),
)

answer = Table(
    "answer",
    schema,
    _community(),
    Column("actor", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("request", LargeBinary, nullable=False),
    Column("answer", LargeBinary),
    Column("until_ms", BigInteger, nullable=False),
    Index("answer_by_end", "until_ms"),
)

book_entry = Table(
    "book_entry",
    schema,
    _community(),
    _number("number"),
    Column("line", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Follows from the lines: bundles as they are now, for questions. A day's and an account's are read
# as runs of neighbouring rows, page by page.
book_bundle = Table(
    "book_bundle",
    schema,
    _community(),
    _number("number"),
    Column("meter", LargeBinary, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("holder", LargeBinary, nullable=False),
    Column("status", String, nullable=False),
    Column("by", BigInteger, nullable=False),
    Column("parent", BigInteger),
    Index("book_bundle_by_start", "community", "start", "number"),
    Index("book_bundle_by_holder", "community", "holder", "number"),
    sqlite_with_rowid=False,
)

book_snapshot = Table(
    "book_snapshot",
    schema,
    _community(),
    Column("entries", BigInteger, nullable=False),
    Column("book", LargeBinary, nullable=False),
)

BOOK = (book_entry, book_bundle, book_snapshot)
"""New in version 3."""

# Units per Wh; without both prices it is again what the community's file says. `start` is the first
# interval that a change holds for.
standing_limit = Table(
    "standing_limit",
    schema,
    _community(),
    _number("number"),
    Column("member", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("bid", BigInteger),
    Column("ask", BigInteger),
    Column("set_by", String, nullable=False),
    Column("set_ms", BigInteger, nullable=False),
    CheckConstraint("(bid IS NULL) = (ask IS NULL)"),
    Index("standing_limit_by_member", "community", "member", "number"),
)

STANDING_LIMITS = (standing_limit,)
"""New in version 4."""

lease = Table(
    "lease",
    schema,
    _community(),
    Column("node", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)


def of(table: Table, community: bytes) -> ColumnElement[bool]:
    """The condition that a row is this community's."""
    return table.c.community == community


# What was kept stays: neither a defect of ours nor a hand at the database's prompt changes it by
# mistake. Who takes the triggers away on purpose is found out by the journal.
_REFUSE = "commonwatt_refuse_change"
_WHY = "what was kept is never changed"
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {_REFUSE}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ': {_WHY}', ERRCODE = '23001'; END $$
"""


def _also(target: MetaData | Table, when: str, statement: str, dialect: str) -> None:
    ddl: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(target, when, ddl.execute_if(dialect=dialect))


_also(schema, "before_create", _FUNCTION, "postgresql")
for _table in (*KEPT, book_entry, standing_limit):
    _name = _table.name
    for _change in ("update", "delete"):
        _also(
            _table,
            "after_create",
            f"CREATE TRIGGER {_name}_refuses_{_change} BEFORE {_change} ON {_name} "
            f"BEGIN SELECT RAISE(ABORT, '{_name}: {_WHY}'); END",
            "sqlite",
        )
    _also(
        _table,
        "after_create",
        f"CREATE TRIGGER {_name}_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE "
        f"ON {_name} EXECUTE FUNCTION {_REFUSE}()",
        "postgresql",
    )
