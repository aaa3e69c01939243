"""`commonwatt verify` and `commonwatt proof`: from a file to a verdict."""

import sys
from pathlib import Path

import msgspec

from commonwatt.errors import InputError
from commonwatt.quantity import decimal_text, parse_time, time_text
from commonwatt.statement.header import Header
from commonwatt.statement.leaves import PositionLeaf, Section
from commonwatt.statement.proof import Proof, first_flaw, read_proof

PROOF_BYTES_MAX = 256 * 1024 * 1024
ANCHOR_HEX_DIGITS = 64


class FileUnusable(InputError):
    """A file that cannot be read, or holds nothing to decide on."""


def run_verify(path: Path, anchor: str | None) -> int:
    """Check every proof of a file; prints the verdict, returns 0 for true and 1 for false."""
    if anchor is not None:
        anchor = anchor.lower().removeprefix("0x")
        if len(anchor) != ANCHOR_HEX_DIGITS or set(anchor) - set("0123456789abcdef"):
            raise FileUnusable(f"--anchor {anchor!r}: write 64 hex digits, as on the chain")
    proofs = _proofs_in(path)
    for proof in proofs:
        flaw = first_flaw(proof)
        if flaw is None and anchor is not None and proof.anchor != anchor:
            flaw = f"it leads to anchor {proof.anchor}, not to the one given"
        if flaw is not None:
            print(f"false: {_when(proof)}: {flaw}")
            return 1
    leaves = sum(len(proof.leaves) for proof in proofs)
    many = f"{len(proofs)} intervals lead to their anchors"
    print(
        f"true: {leaves} leaves in {many if len(proofs) > 1 else 'one interval lead to its anchor'}"
    )
    if len(proofs) == 1:
        _describe(proofs[0])
    if anchor is None:
        print(
            "to be certain, compare with the chain: commonwatt anchor DIR --at TIME, then --anchor"
        )
    return 0


def _when(proof: Proof) -> str:
    return time_text(proof.start) if 0 <= proof.start < 2**37 else f"interval {proof.start}"


def _describe(proof: Proof) -> None:
    header = Header.decode(bytes.fromhex(proof.header))
    print(f"  interval  {time_text(header.start)}, {header.duration} s")
    print(f"  anchor    {proof.anchor}")
    for entry in proof.leaves:
        if entry.section != Section.POSITIONS.label:
            continue
        position, green, _ = PositionLeaf.decode(bytes.fromhex(entry.leaf))
        print(f"  member    {position.member}")
        print(f"  energy    {position.imported_wh} Wh taken, {position.exported_wh} Wh given")
        print(
            f"  neighbours {position.bought_local_wh} Wh bought ({green} Wh certified green), "
            f"{position.sold_local_wh} Wh sold"
        )
        if position.adjusted:
            adjusted = decimal_text(position.adjusted, header.decimals)
            print(f"  adjusted  {adjusted} of the bill, for records that came late")
        print(f"  bill      {decimal_text(position.bill, header.decimals)}")
        print(f"  balance   {decimal_text(position.balance_after, header.decimals)}")


def _proofs_in(path: Path) -> list[Proof]:
    """The proofs of a file: one as JSON, or one in each line."""
    try:
        size = path.stat().st_size
        if size > PROOF_BYTES_MAX:
            raise FileUnusable(f"{path}: {size} bytes are no proof; name one member's day")
        text = path.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{path}: cannot be read ({error.strerror})") from None
    lines = [text] if text.lstrip()[:2] == b"{\n" else text.splitlines()
    proofs = []
    for number, line in enumerate(lines, start=1):
        try:
            proofs.append(read_proof(line))
        except InputError as error:
            raise FileUnusable(f"{path}, line {number}: {error}") from None
    if not proofs:
        raise FileUnusable(f"{path}: empty; name a proof, or a member's file of one day")
    return proofs


def run_proof(folder: Path, member: int, at: str, out: Path | None) -> int:
    """Take one proof out of a member's day."""
    from commonwatt.statement.publication import day_of, member_folder  # noqa: PLC0415 - slower

    start = parse_time(at)
    if not 0 <= member <= 10**6:
        raise FileUnusable(f"--member {member}: members are numbered from 0")
    path = folder / member_folder(member) / f"{day_of(start)}.jsonl"
    _require_published(path, member)
    proofs = _proofs_in(path)
    for proof in proofs:
        if proof.start == start:
            text = msgspec.json.format(msgspec.json.encode(proof)) + b"\n"
            if out is None:
                sys.stdout.write(text.decode())
                return 0
            try:
                out.write_bytes(text)
            except OSError as error:
                raise FileUnusable(f"{out}: cannot be written ({error.strerror})") from None
            print(f"wrote {out}; check it with: commonwatt verify {out}")
            return 0
    raise FileUnusable(
        f"{path}: no interval starts at {time_text(start)}; this file has {len(proofs)}, the first "
        f"from {_when(proofs[0])}, the last from {_when(proofs[-1])}"
    )


def _require_published(path: Path, member: int) -> None:
    """Raise `FileUnusable` that says which members and days there are, if this one is not there."""
    if path.exists():
        return
    members = path.parents[1]
    try:
        count = sum(one.is_dir() for one in members.iterdir())
        days = sorted(one.stem for one in path.parent.glob("*.jsonl"))
    except OSError as error:
        raise FileUnusable(
            f"{members}: cannot be read ({error.strerror}); name the directory of a community, "
            "with its published files"
        ) from None
    if not path.parent.exists():
        raise FileUnusable(f"--member {member}: there are {count}, numbered from 0")
    has = f"there are {len(days)}, {days[0]} to {days[-1]}" if days else "there is none yet"
    raise FileUnusable(f"{path}: nothing is published of this day; of this member {has}")
