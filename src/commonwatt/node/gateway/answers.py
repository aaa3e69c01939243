"""Records on the wire, and what a node says to them.

A batch is any number of entries of 164 bytes, record and signature. The node answers each of them
once it is durable: accepted, duplicate, or refused with a reason. Most reasons stay what they are
however often the record comes; some pass with time, and then the record has to come again.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Literal, NamedTuple

import msgspec

from commonwatt.meter.acceptance import Reason
from commonwatt.meter.record import DIGEST_BYTES, METER_BYTES, SignedRecord

BATCH_TYPE = "application/octet-stream"
ANSWER_BYTES_MAX = 4 * 1_024 * 1_024
"""No answer to a batch is longer."""
RECORDS_PER_BATCH_MAX = 500
"""82 kB; fewer where the node says that it is too much."""
PASSES = frozenset({Reason.METER_UNKNOWN.name, Reason.IN_THE_FUTURE.name})
"""Reasons that pass: the meter is registered, the time comes."""

TOO_LARGE = "TOO_LARGE"
"""What a node answers through a broker to more records than one message may bring."""


class RecordName(NamedTuple):
    """What a record is called: a meter has one record of each sequence number."""

    meter: bytes
    sequence: int


class Fate(Enum):
    """What becomes of a record after an answer."""

    TAKEN = "the node has it"
    REFUSED = "the node will never take it"
    LATER = "the node may take it later"


class Answer(NamedTuple):
    """A node's answer to one record."""

    name: RecordName
    digest: bytes
    """SHA-256 of the record: a correction has the name of what it corrects."""
    fate: Fate
    reason: str
    """Why it was refused; empty otherwise."""
    duplicate: bool


class NoAnswer(Exception):
    """Not what a node answers, or that it took nothing; the records count as not sent."""

    def __init__(
        self, why: str, *, retry_after_s: float | None = None, is_too_large: bool = False
    ) -> None:
        """Say why, how long the node asks to be left alone, and whether fewer would do."""
        super().__init__(why)
        self.retry_after_s, self.is_too_large = retry_after_s, is_too_large


class _Result(msgspec.Struct, frozen=True):
    record: str
    meter: str
    sequence: int
    verdict: Literal["accepted", "duplicate", "refused"]
    reason: str | None = None


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]
    error: str = ""
    detail: str = ""
    retry_after_s: float | None = None


_DECODER = msgspec.json.Decoder(_Results)


def name_of(signed: SignedRecord) -> RecordName:
    """The record's name, from offsets 12 and 32 of its layout."""
    return RecordName(signed.record[12:32], int.from_bytes(signed.record[32:40]))


def encode_batch(batch: Iterable[SignedRecord]) -> bytes:
    """The batch as a node takes it."""
    return b"".join(signed.record + signed.signature for signed in batch)


def read_answers(text: bytes) -> list[Answer]:
    """A node's answers.

    Raises:
        NoAnswer: something else, only a part of it, or that nothing of the batch was judged.
    """
    if len(text) > ANSWER_BYTES_MAX:
        raise NoAnswer(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    try:
        found = _DECODER.decode(text)
        answers = [_answer(result) for result in found.results]
    except (msgspec.DecodeError, ValueError) as error:
        raise NoAnswer(f"not the results of a batch ({' '.join(str(error).split())})") from None
    if found.error:
        raise NoAnswer(
            f"the node says {found.detail[:200] or found.error[:80]!a}",
            retry_after_s=found.retry_after_s,
            is_too_large=found.error == TOO_LARGE,
        )
    return answers


def _answer(result: _Result) -> Answer:
    meter, digest = bytes.fromhex(result.meter), bytes.fromhex(result.record)
    sound = len(meter) == METER_BYTES and len(digest) == DIGEST_BYTES
    if not sound or not 0 <= result.sequence < 2**64:
        raise ValueError("no record is called so")
    name = RecordName(meter, result.sequence)
    if result.verdict != "refused":
        return Answer(name, digest, Fate.TAKEN, "", result.verdict == "duplicate")
    reason = (result.reason or "no reason given")[:80]
    fate = Fate.LATER if reason in PASSES else Fate.REFUSED
    return Answer(name, digest, fate, reason, duplicate=False)


def of_batch(answers: Iterable[Answer], batch: Sequence[SignedRecord]) -> list[Answer]:
    """Only the answers to these records, each once: others came twice, late, or for somebody else.

    Of several answers to one record the one that says that the node has it counts, else the last.
    """
    digests = {signed.digest for signed in batch}
    found: dict[bytes, Answer] = {}
    for answer in answers:
        before = found.get(answer.digest)
        if answer.digest in digests and (before is None or before.fate is not Fate.TAKEN):
            found[answer.digest] = answer
    return list(found.values())
