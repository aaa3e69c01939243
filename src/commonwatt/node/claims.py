"""Turning free units into tokens: a producer claims from nothing but its own folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from commonwatt.audit.published import Files
from commonwatt.certificate.issue import CertificateLeaf
from commonwatt.chain.connection import Account
from commonwatt.chain.ledger import Ledger
from commonwatt.chain.production import RUN_MAX, Production, TokenId
from commonwatt.meter.record import DIGEST_BYTES, Record
from commonwatt.meter.registration import Registration
from commonwatt.statement.header import seal_of
from commonwatt.statement.leaves import Section
from commonwatt.statement.proof import Proof, read_proof
from commonwatt.statement.publication import member_folder


@dataclass(frozen=True, slots=True)
class Claimed:
    """What became tokens."""

    wh: int = 0
    intervals: int = 0
    gas: int = 0


@dataclass(frozen=True, slots=True)
class Made:
    """One interval of a generator, with all that a claim needs."""

    production: Production
    signature: bytes
    record: Record


def productions(files: Files, member: int, generator: bytes) -> Iterator[Made]:
    """One generator's intervals, in order, from its owner's folder."""
    prefix = member_folder(member) + "/"
    for path in sorted(path for path in files.paths() if path.startswith(prefix)):
        for line in files.lines(path):
            made = _production(read_proof(line), generator)
            if made is not None:
                yield made


def _production(proof: Proof, generator: bytes) -> Made | None:
    """The generator's part of one interval; None where it said nothing."""
    spoken = certified = None
    for entry in proof.leaves:
        leaf = bytes.fromhex(entry.leaf)
        if entry.section == Section.RECORDS.label:
            record = Record.decode(bytes.fromhex(entry.record))
            if record.meter == generator:
                spoken = record, leaf[DIGEST_BYTES:]
        elif entry.section == Section.CERTIFICATES.label:
            certificate = CertificateLeaf.decode(leaf)
            if certificate.meter == generator:
                certified = certificate, entry
    if spoken is None:
        return None
    record, signature = spoken
    if certified is None:
        return Made(Production(record=record.encode()), signature, record)
    certificate, entry = certified
    production = Production(
        record=record.encode(),
        seal=seal_of(bytes.fromhex(proof.header)),
        index=entry.index,
        path=tuple(bytes.fromhex(sibling) for sibling in entry.path),
        issued_wh=certificate.issued_wh,
        free_wh=certificate.free_wh,
    )
    return Made(production, signature, record)


def best_run(made: Sequence[Made]) -> Sequence[Made]:
    """The consecutive intervals, at most 32 ending with free units, that hold the most of them."""
    best: Sequence[Made] = ()
    most = 0
    for last, entry in enumerate(made):
        if not entry.production.free_wh:
            continue
        first = last
        while first and last - first + 1 < RUN_MAX and _adjacent(made[first - 1], made[first]):
            first -= 1
        free = sum(step.production.free_wh for step in made[first : last + 1])
        if free > most:
            best, most = made[first : last + 1], free
    return best


def _adjacent(before: Made, after: Made) -> bool:
    linked = sha256(before.production.record).digest() == after.record.previous
    return linked and before.record.time_end == after.record.time_end - after.record.duration


def claim_best_run(
    ledger: Ledger, sender: Account, files: Files, generator: Registration | None
) -> Claimed:
    """Claim a producer's best run of intervals; what is claimed already is not claimed again."""
    if generator is None:
        return Claimed()
    made = list(productions(files, generator.member, generator.meter))
    run = best_run(made)
    if not run:
        return Claimed()
    free = sum(step.production.free_wh for step in run)
    last = run[-1].record
    token = TokenId(generator.meter, last.time_end - last.duration, last.duration)
    if ledger.is_issued(token):
        return Claimed(free, len(run))
    before = made.index(run[0]) - 1
    previous = made[before].production.record if before >= 0 else generator.opening.record
    steps = [step.production for step in run]
    receipt = ledger.claim_run(sender, previous, steps, run[-1].signature)
    return Claimed(free, len(run), receipt.gas_used)
