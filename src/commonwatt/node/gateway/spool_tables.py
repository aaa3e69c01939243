"""The tables of a spool's file.

Tables are only ever added: a file of an older version gets those it lacks when it is opened.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

schema = MetaData()

meter = Table(
    "meter",
    schema,
    Column("meter", LargeBinary, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("opening", LargeBinary, nullable=False),
    Column("opening_signature", LargeBinary, nullable=False),
    Column("last", LargeBinary, nullable=False),  # the last record that was signed
    Column("at_time", BigInteger, nullable=False),
    Column("at_import_mwh", BigInteger, nullable=False),
    Column("at_export_mwh", BigInteger, nullable=False),
    Column("quality", Integer, nullable=False),
    Column("unbroken_since", BigInteger, nullable=False),
    Column("doubtful", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# Time before meter: what waits longest is sent first, and each meter's in order.
record = Table(
    "record",
    schema,
    Column("time_end", BigInteger, primary_key=True, autoincrement=False),
    Column("meter", LargeBinary, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    UniqueConstraint("meter", "sequence"),
    sqlite_with_rowid=False,
)

refused = Table(
    "refused",
    schema,
    Column("number", Integer, primary_key=True),
    Column("meter", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("reason", String, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    UniqueConstraint("meter", "sequence"),
)

file = Table(
    "file",
    schema,
    Column("feed", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("name", String, nullable=False),
    sqlite_with_rowid=False,
)

clock = Table(
    "clock",
    schema,
    Column("number", Integer, primary_key=True),
    Column("latest", BigInteger, nullable=False),
)

# An exchanged device: what is added to the new one's registers, from one record on.
exchange = Table(
    "exchange",
    schema,
    Column("meter", LargeBinary, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("time", BigInteger, nullable=False),
    Column("final_import_mwh", BigInteger, nullable=False),
    Column("final_export_mwh", BigInteger, nullable=False),
    Column("start_import_mwh", BigInteger, nullable=False),
    Column("start_export_mwh", BigInteger, nullable=False),
    Column("offset_import_mwh", BigInteger, nullable=False),
    Column("offset_export_mwh", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What the node has taken, as it stands after its corrections.
delivered = Table(
    "delivered",
    schema,
    Column("meter", LargeBinary, primary_key=True),
    Column("time_end", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the newest version
    Column("import_mwh", BigInteger, nullable=False),  # of the newest version
    Column("export_mwh", BigInteger, nullable=False),
    # End of the meter's newest record when that version was taken.
    Column("taken_at", BigInteger, nullable=False),
    UniqueConstraint("meter", "sequence"),
    sqlite_with_rowid=False,
)

# A correction has the meter and sequence of its original, so it waits beside, not among the others.
correction = Table(
    "correction",
    schema,
    Column("meter", LargeBinary, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("record", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
