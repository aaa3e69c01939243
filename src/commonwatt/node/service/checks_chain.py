"""Checks of a community's chain: there, of our time, ours, and paid for."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from commonwatt.audit.facts import SUPPLIER_LANE
from commonwatt.chain.account import checksum
from commonwatt.chain.calls import Addresses
from commonwatt.chain.connection import Connection
from commonwatt.chain.errors import ChainError, JournalLocked, NodeRefused
from commonwatt.chain.ledger import Ledger
from commonwatt.node.keeping import kept_inputs
from commonwatt.node.service.checks_book import posted
from commonwatt.node.service.finding import Finding, Patient, counted, listed
from commonwatt.node.service.members import (
    CommunityFile,
    community_key,
    currency_of,
    deposits_of,
)
from commonwatt.node.service.outlook import (
    Outlook,
    Stage,
    outlook_of,
    viewed_chain,
)
from commonwatt.node.service.redaction import shown_url
from commonwatt.node.store.database import Database
from commonwatt.node.store.migration import VERSION
from commonwatt.node.store.scope import Scope
from commonwatt.quantity import SECONDS_PER_DAY, Interval
from commonwatt.statement.header import Header
from commonwatt.statement.publication import CONSTITUTION_PATH, Constitution

BLOCK_AGE_S_MAX = 900
AHEAD_S_MAX = 15
"""A block of a later time than ours: our clock is behind by so much or more."""
FOUNDING_GAS, MEMBER_GAS, METER_GAS, DEPOSIT_GAS, KEEP_GAS = (
    12_000_000,
    30_000,
    121_000,
    54_100,
    70_000,
)
"""Measured: 22,275,827 for 39 members, 53 meters, 40 deposits and 10 kept generators."""
CLOSE_GAS, CLOSE_GAS_PER_MEMBER = 75_000, 1_050
"""Measured: 75,625 with 6 members, 1,064,524 with 1,000."""
WEI_PER_ETHER = 10**18


def chain(patient: Patient) -> Iterator[Finding]:
    """Each community's chain, its contracts, and what it costs."""
    for file in patient.files:
        yield from _one(patient, file)


def _one(patient: Patient, file: CommunityFile) -> Iterator[Finding]:
    url = patient.settings.chain.url
    name = "embedded" if url is None else shown_url(url)
    try:
        outlook = outlook_of(patient.folder, patient.settings, file)
        with viewed_chain(patient.settings, patient.data / file.name) as connection:
            if connection is None:
                says = "embedded, not there yet; commonwatt serve makes it"
                yield Finding("chain", says, community=file.name)
                return
            if url is not None:
                found = _block(connection, patient.now(), name, file)
                yield found
                if not found.is_well:
                    return
            yield from _contracts(connection, outlook, patient.data, name, file)
            yield from _funds(connection, outlook, patient, file)
    except JournalLocked:
        says = "embedded, open in the running node: its contracts were not looked at"
        yield Finding("chain", says, community=file.name)
    except ChainError as error:
        says = str(error).replace(url, name) if url else str(error)
        yield Finding("chain", says, "is the node running, and url in node.toml right?", file.name)


def _block(connection: Connection, now: float, name: str, file: CommunityFile) -> Finding:
    """Whether the chain's node keeps up, and our clock with the chain."""
    latest: dict[str, Any] = connection.request("eth_getBlockByNumber", "latest", False)  # noqa: FBT003
    number, age = int(latest["number"], 16), now - int(latest["timestamp"], 16)
    told = f"{name}, id {connection.chain_id}, block {number:,}"
    if age < -AHEAD_S_MAX:
        return Finding(
            "clock",
            f"{-age:,.0f} s behind block {number:,} of {name}",
            "set it right, with a time service such as chrony",
            file.name,
        )
    try:
        is_behind = connection.request("eth_syncing") is not False
    except NodeRefused:
        is_behind = False  # development chains do not know the question
    if is_behind or age > BLOCK_AGE_S_MAX:
        return Finding(
            "chain",
            f"{told} is {age:,.0f} s old" + (", the node is catching up" if is_behind else ""),
            "wait until its node has caught up, and see that it has peers; a development chain "
            "that makes blocks on demand may be left as it is",
            file.name,
        )
    return Finding("chain", f"{told}, {max(age, 0):,.0f} s old", community=file.name)


def _contracts(
    connection: Connection, outlook: Outlook, data: Path, name: str, file: CommunityFile
) -> Iterator[Finding]:
    """Whether the contracts are where they should be, and our account may use them."""
    if outlook.stage is Stage.PLANNED:
        yield Finding("contracts", "not founded yet; commonwatt serve does it", community=file.name)
        return
    registry = _published_registry(data / file.name)
    if registry not in {None, outlook.chain.registry.hex()}:
        yield Finding(
            "contracts",
            f"it was founded by another account than {checksum(outlook.operator)}",
            "name the key it was founded with in node.toml",
            file.name,
        )
        return
    try:
        ledger = Ledger(connection, _addresses(outlook))
    except ChainError as error:
        if outlook.stage is Stage.BEGUN:
            says = f"the founding has begun: {error}"
            yield Finding("contracts", says, "commonwatt serve goes on with it", file.name)
        else:
            step = f"name the chain it was founded on in node.toml; {name} is another one, or new"
            yield Finding("contracts", str(error), step, file.name)
        return
    own = outlook.operator
    roles = {"closer": ledger.closer(), "issuer": ledger.issuer(), "operator": ledger.operator()}
    others = [f"{role} is {checksum(who)}" for role, who in roles.items() if who != own]
    if others:
        yield Finding(
            "contracts",
            f"our account is {checksum(own)}, but the {', the '.join(others)}",
            "name the right key in node.toml, or give the role to this account",
            file.name,
        )
    else:
        yield Finding(
            "contracts",
            f"founded; {checksum(own)} closes, issues and operates",
            community=file.name,
        )


def _published_registry(folder: Path) -> str | None:
    """The registry that a community has published as its own; None before that."""
    try:
        text = (folder / CONSTITUTION_PATH).read_bytes()
        return msgspec.json.decode(text, type=Constitution).registry.removeprefix("0x")
    except (OSError, msgspec.DecodeError):
        return None


def _funds(
    connection: Connection, outlook: Outlook, patient: Patient, file: CommunityFile
) -> Iterator[Finding]:
    yield _ether(connection, outlook, file)
    if outlook.stage is Stage.FOUNDED and patient.database.version() == VERSION:
        ledger = Ledger(connection, _addresses(outlook))
        yield _lanes(ledger, patient, file)
        yield posted(patient, file, ledger)


def _ether(connection: Connection, outlook: Outlook, file: CommunityFile) -> Finding:
    """Whether the operator's ether lasts for the founding, or for a day of closes."""
    price = int(connection.request("eth_gasPrice"), 16)
    if outlook.stage is Stage.FOUNDED:
        closes = SECONDS_PER_DAY // file.interval_s
        what, gas = "a day of closes", closes * close_gas(len(file.members))
    else:
        what, gas = "the founding", founding_gas(file)
    account = checksum(outlook.operator)
    have = int(connection.request("eth_getBalance", account, "latest"), 16)
    need = gas * price
    told = f"{ether(have)} ether, {what} takes about {ether(need)}"
    if price == 0:
        return Finding("ether", "gas costs nothing on this chain", community=file.name)
    if have < need:
        return Finding("ether", told, f"send ether to {account}", file.name)
    return Finding("ether", told, community=file.name)


def founding_gas(file: CommunityFile) -> int:
    """Gas that founding a community takes, from the measured parts of it."""
    kept = sum(meter.role == "generation" and not meter.tokens for meter in file.meters)
    return (
        FOUNDING_GAS
        + MEMBER_GAS * len(file.members)
        + METER_GAS * len(file.meters)
        + DEPOSIT_GAS * len(deposits_of(file))
        + KEEP_GAS * kept
    )


def close_gas(members: int) -> int:
    """Gas that a close takes.

    >>> close_gas(1_000)
    1125000
    """
    return CLOSE_GAS + CLOSE_GAS_PER_MEMBER * members


def ether(wei: int) -> str:
    """An amount for a person.

    >>> ether(1_234_567_890_000_000_000)
    '1.234567'
    """
    return f"{wei // WEI_PER_ETHER}.{wei % WEI_PER_ETHER:018d}"[:-12]


def _lanes(ledger: Ledger, patient: Patient, file: CommunityFile) -> Finding:
    """Whether what is in the lanes lasts for another day like the last one."""
    database = Database(Scope(patient.database.transactions, community_key(file.name)))
    balances, amount = ledger.balances(), currency_of(file).amount_text
    spent, owed = _last_day(database, file, balances)
    short = [n for n, (have, need) in enumerate(zip(balances, spent, strict=True)) if have < need]
    supplier = ledger.balance(SUPPLIER_LANE)
    told = (
        f"{amount(sum(balances), 2)} {file.currency} in {counted(len(balances), 'lane')}, "
        f"{amount(supplier, 2)} in the supplier's"
    )
    if owed:
        told += f"; members owe {amount(owed, 2)}"
    if short:
        told += f"; the lanes of members {listed(short)} do not last for a day like the last one"
    if (owed or short) and not patient.is_test_bed:
        step = "have them pay in: until then neighbours sell them less, and the supplier waits"
        return Finding("funds", told, step, file.name)
    return Finding("funds", told, community=file.name)


def _last_day(
    database: Database, file: CommunityFile, now: tuple[int, ...]
) -> tuple[list[int], int]:
    """What each lane lost in the last day's intervals, and what members owed after the last."""
    checkpoint = database.checkpoint()
    rows = database.statements((checkpoint[0] if checkpoint else 0) - SECONDS_PER_DAY)
    rows = rows[-SECONDS_PER_DAY // file.interval_s :]
    spent = [0] * len(now)
    lanes = [
        kept_inputs(row.inputs, Interval(row.start, file.interval_s), (), (), ()).balances
        for row in rows
    ]
    for before, after in pairwise([*lanes, now]):
        for member, (was, became) in enumerate(zip(before, after, strict=True)):
            spent[member] += max(was - became, 0)
    return spent, Header.decode(rows[-1].header).members_owe if rows else 0


def _addresses(outlook: Outlook) -> Addresses:
    found = asdict(outlook.chain)
    del found["chain_id"]
    return Addresses(**found)
