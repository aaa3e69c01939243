"""Checks of a community's work: meters that speak, intervals that wait, records refused."""

import shlex
from collections.abc import Iterator, Mapping

from sqlalchemy import func, select

from commonwatt.errors import CommonwattError
from commonwatt.meter.acceptance import Reason
from commonwatt.meter.record import Record
from commonwatt.node.founding import FOUNDING_GAS
from commonwatt.node.service.additions import meter_of
from commonwatt.node.service.finding import Finding, Patient, counted
from commonwatt.node.service.members import CommunityFile, community_key
from commonwatt.node.service.outlook import LISTED_MAX, lacks, outlook_of
from commonwatt.node.store.migration import VERSION
from commonwatt.node.store.quarantine import PASSING
from commonwatt.node.store.schema import decision, of, record, refused, statement
from commonwatt.quantity import parse_time, time_text

SILENT_INTERVALS, SILENT_S_MIN = 4, 3_600
"""A meter is silent after so many intervals, and not before so many seconds."""
WAITING_MAX = 2
"""The chain may take its time for the latest intervals."""
ANYBODYS = frozenset(
    reason.name
    for reason in (
        Reason.UNREADABLE,
        Reason.VERSION_UNKNOWN,
        Reason.METER_UNKNOWN,
        Reason.SIGNATURE_WRONG,
    )
)
"""Reasons that anybody can cause, who needs no meter for it."""


def work(patient: Patient) -> Iterator[Finding]:
    """Each community's meters, waiting intervals and quarantine."""
    for file in patient.files:
        if _is_founded(patient, file):
            yield _silent(patient, file) if file.meters else _meterless(patient, file)
            yield _waiting(patient, file)
            yield _quarantine(patient, file)
        else:
            yield from _before(patient, file)


def _is_founded(patient: Patient, file: CommunityFile) -> bool:
    """Whether its work has begun; the database knows, also while the chain is away."""
    if patient.database.version() != VERSION:
        return False
    return patient.database.note(file.name, FOUNDING_GAS) is not None


def _before(patient: Patient, file: CommunityFile) -> Iterator[Finding]:
    """What is missing before a founding."""
    try:
        ledger = outlook_of(patient.folder, patient.settings, file).chain.ledger
    except CommonwattError:
        ledger = None  # the chain's check has said why
    missing = lacks(file, ledger)
    for what in missing:
        says, _, do = what.partition(": ")
        do = do.replace("FOLDER", shlex.quote(str(patient.folder)))
        yield Finding("members", says, do or "add it", file.name)
    missed = int(patient.now() - parse_time(file.first_start)) // file.interval_s
    if missed > SILENT_INTERVALS and not patient.is_test_bed:
        yield Finding(
            "members",
            f"first_start is {file.first_start}: {missed:,} intervals would be closed without "
            "records",
            "write a later first_start into the community's file before it is founded",
            file.name,
        )
    elif not missing:
        members, meters = counted(len(file.members), "member"), counted(len(file.meters), "meter")
        says = f"{members} and {meters}, as the file says"
        yield Finding("members", says, community=file.name)


def _silent(patient: Patient, file: CommunityFile) -> Finding:
    """Meters without a record for some time."""
    key, ends = community_key(file.name), record.c.time_end
    with patient.database.transactions.reading() as connection:
        last = connection.scalar(select(func.max(ends)).where(of(record, key)))
        now = int(patient.now()) if not patient.is_test_bed else last or 0
        since = now - max(SILENT_INTERVALS * file.interval_s, SILENT_S_MIN) - file.grace_s
        query = select(record.c.meter).where(of(record, key), ends > since).distinct()
        heard = {meter.hex() for meter in connection.scalars(query)}
    silent = [meter_of(meter) for meter in file.meters if meter_of(meter) not in heard]
    if since < parse_time(file.first_start):
        spoken = len(file.meters) - len(silent)
        told = f"{spoken} of {counted(len(file.meters), 'meter')} have spoken since the beginning"
        return Finding("meters", told, community=file.name)
    if not silent:
        return Finding("meters", f"all {len(file.meters)} speak", community=file.name)
    told = ", ".join(silent[:LISTED_MAX]) + (", ..." if len(silent) > LISTED_MAX else "")
    return Finding(
        "meters",
        f"{len(silent)} of {len(file.meters)} silent since {time_text(since)}: {told}",
        "do they have power and network, what do their gateways say, and is the node running?",
        file.name,
    )


def _meterless(patient: Patient, file: CommunityFile) -> Finding:
    """Founded without meters, which only a test bed may be on purpose."""
    says = "no meter is in it, and after the founding none can be added"
    if patient.is_test_bed:
        return Finding("meters", says, community=file.name)
    step = f"commonwatt init {shlex.quote(str(patient.folder))} --name NAME"
    return Finding(
        "meters",
        says,
        f"make another community, {step}, and add its meters before it is served; then take "
        "this one out of node.toml",
        file.name,
    )


def _waiting(patient: Patient, file: CommunityFile) -> Finding:
    """Intervals that are stated and not on the chain."""
    key = community_key(file.name)
    open_ = (of(statement, key), statement.c.transaction.is_(None))
    with patient.database.transactions.reading() as connection:
        query = select(func.count(), func.min(statement.c.start)).where(*open_)
        count, first = connection.execute(query).one()
        last = connection.scalar(select(func.max(statement.c.start)).where(of(statement, key)))
    if count > WAITING_MAX:
        return Finding(
            "intervals",
            f"{count:,} wait for the chain, the first from {time_text(first)}",
            "see what is said of the chain; the node sends them in order once it answers",
            file.name,
        )
    told = (
        "none closed yet" if last is None else f"closed up to {time_text(last + file.interval_s)}"
    )
    waiting = f", {count} on the way to the chain" if count else ""
    return Finding("intervals", told + waiting, community=file.name)


def _quarantine(patient: Patient, file: CommunityFile) -> Finding:
    """Refused records to decide about; what is sent again, or of before the beginning, may lie."""
    key, begin = community_key(file.name), parse_time(file.first_start)
    decided = select(decision.c.refusal).where(of(decision, key))
    query = (
        select(refused.c.reason, func.count())
        .where(of(refused, key), refused.c.number.not_in(decided))
        .group_by(refused.c.reason)
        .order_by(refused.c.reason)
    )
    late = select(refused.c.record).where(
        of(refused, key), refused.c.number.not_in(decided), refused.c.reason == Reason.TOO_LATE.name
    )
    with patient.database.transactions.reading() as connection:
        found = {row[0]: int(row[1]) for row in connection.execute(query)}
        # A meter that is set up before the first interval may say where it stood until then.
        early = sum(Record.decode(row[0]).time_end <= begin for row in connection.execute(late))
    if early:
        found[Reason.TOO_LATE.name] -= early
    known = {why: count for why, count in found.items() if count and why not in ANYBODYS}
    strangers = sum(found.values()) - sum(known.values())
    passing = {why: count for why, count in known.items() if Reason[why] in PASSING}
    ours = {why: count for why, count in known.items() if why not in passing}
    told = [f"{counted(early, 'record')} of before the first interval"] if early else []
    if strangers:
        told.append(f"{counted(strangers, 'record')} that no meter of the community signed")
    if passing:
        told.append(
            f"{counted(sum(passing.values()), 'record')} to be sent again: {_named(passing)}"
        )
    if not ours:
        return Finding("quarantine", "; ".join(told) or "empty", community=file.name)
    return Finding(
        "quarantine",
        f"{counted(sum(ours.values()), 'record')} of the community's meters: {_named(ours)}",
        "look at them and release or reject them; docs/errors.md explains the reasons",
        file.name,
    )


def _named(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in found.items())
