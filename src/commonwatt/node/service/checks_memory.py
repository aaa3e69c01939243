"""Checks of what a node keeps and hears: its database and its broker."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import suppress
from time import perf_counter

from sqlalchemy import Connection, insert, select, text

from commonwatt.errors import InvariantBroken
from commonwatt.node.mqtt.client import BrokerAddress, MqttError, connected
from commonwatt.node.service.finding import Finding, Patient
from commonwatt.node.service.members import community_key
from commonwatt.node.store.database import Database
from commonwatt.node.store.dialect import is_postgresql
from commonwatt.node.store.migration import VERSION
from commonwatt.node.store.schema import COMMUNITY_BYTES, note
from commonwatt.node.store.scope import Scope
from commonwatt.node.store.transactions import Transactions

NOBODY = b"doctor".ljust(COMMUNITY_BYTES, b"\0")
"""No community is kept under this."""
ECHO_TOPIC = "commonwatt/doctor"
ECHO_S = 5.0
"""A message that is not back after so long is lost."""


class _Undone(Exception):
    """Ends a transaction that was only to be tried."""


def database(patient: Patient) -> Iterator[Finding]:
    """Opens, is of a version this program knows, takes and gives back, and is what was kept."""
    peek = patient.database
    name = peek.transactions.name
    if not peek.is_there:
        yield Finding("database", f"{name}: not there yet; commonwatt serve makes it")
        return
    found = peek.version()
    if found > VERSION:
        yield Finding(
            "database",
            f"{name}: version {found}, this program knows up to {VERSION}",
            "use the newer release that made it",
        )
        return
    if found < VERSION:
        how = "empty" if found == 0 else f"of version {found}"
        yield Finding("database", f"{name}: {how}; commonwatt serve brings it to {VERSION}")
        return
    fault = _fault(peek.transactions)
    if fault is not None:
        yield Finding("database", f"{name}: {fault[0]}", fault[1])
        return
    began, entries = perf_counter(), 0
    for file in patient.files:
        scope = Scope(peek.transactions, community_key(file.name))
        try:
            entries += Database(scope).verified().number
        except InvariantBroken as error:
            yield Finding(
                "database",
                f"{name}: {error}",
                "stop the node, keep this database, and go back to the last backup",
                file.name,
            )
            return
    yield Finding(
        "database",
        f"{name}: version {found}, takes and gives back, {entries:,} of its journal's entries "
        f"verified in {perf_counter() - began:.1f} s",
    )


def _fault(transactions: Transactions) -> tuple[str, str] | None:
    """What is wrong with a database that opens, and what to do."""
    token = secrets.token_bytes(16)
    found: list[bytes | None] = []
    with suppress(_Undone), transactions.writing() as connection:
        found.append(_written(connection, token))
        _undo()
    with transactions.reading() as connection:
        left = connection.scalar(select(note.c.value).where(note.c.community == NOBODY))
        if is_postgresql(connection):
            if connection.scalar(text("SHOW fsync")) != "on":
                return "fsync is off: a power cut takes what it kept", "set fsync = on"
        else:
            said = connection.scalar(text("PRAGMA quick_check(1)"))
            if said != "ok":
                return f"damaged: {said}", "stop the node and go back to the last backup"
    if found != [token] or left is not None:
        return "does not take, give back and undo", "check the server, or use another database"
    return None


def _written(connection: Connection, token: bytes) -> bytes | None:
    """What comes back of a row that is written."""
    row = {"community": NOBODY, "key": token.hex(), "value": token}
    connection.execute(insert(note).values(row))
    query = select(note.c.value).where(note.c.community == NOBODY, note.c.key == token.hex())
    return connection.scalar(query)


def _undo() -> None:
    raise _Undone


def broker(patient: Patient) -> Iterator[Finding]:
    """Connects, and gives back what is published with an acknowledgement."""
    url = patient.settings.mqtt
    if url is None:
        yield Finding("broker", "none named; records come over HTTP")
        return
    where = BrokerAddress.parse(url)
    try:
        seconds = asyncio.run(_echo(where))
    except (MqttError, TimeoutError, OSError) as error:
        yield Finding(
            "broker",
            f"{where.shown}: {' '.join(str(error).split()) or 'no message came back'}",
            "is the broker running, may this user publish and listen below commonwatt/, and is "
            "the address in mqtt right?",
        )
    else:
        yield Finding("broker", f"{where.shown}: a message is back after {seconds * 1_000:.0f} ms")


async def _echo(where: BrokerAddress) -> float:
    """Seconds until a message of ours is back; raises MqttError, TimeoutError."""
    token = secrets.token_bytes(16)
    topic = f"{ECHO_TOPIC}/{token.hex()}"
    async with asyncio.timeout(ECHO_S), connected(where) as client:
        await client.subscribe(topic, qos=1)
        began = perf_counter()
        await client.publish(topic, token, qos=1)
        async for message in client.messages:
            if message.payload == token:
                return perf_counter() - began
    raise TimeoutError
