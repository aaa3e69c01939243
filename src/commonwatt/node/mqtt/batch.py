"""A message's payload as records, and what is answered to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

from commonwatt.meter.acceptance import Verdict
from commonwatt.meter.record import RECORD_BYTES, SIGNATURE_BYTES, SignedRecord
from commonwatt.node.service.hosted import result_of

ENTRY_BYTES = RECORD_BYTES + SIGNATURE_BYTES
"""Record and signature, 164 bytes."""


class TopicReason(Enum):
    """Why a record is refused before the community's rules are asked."""

    METER_OF_ANOTHER_TOPIC = "came on another meter's topic; publish it on its own"


class Unfit(Enum):
    """Why a whole message is answered without results; its records can be sent again."""

    NO_BATCH = "not a batch: 164 bytes for each record, 100 of record and 64 of signature"
    TOO_LARGE = "more records than one message may bring; send fewer at once"
    TOO_FAST = "more records than this topic may bring in this time; send the same later"
    FAILED = "the node failed on this message and has kept nothing of it"


@dataclass(frozen=True, slots=True)
class Sorted:
    """A message's records, by whether they are the topic's own."""

    records: tuple[SignedRecord, ...]
    is_own: tuple[bool, ...]

    @property
    def own(self) -> list[SignedRecord]:
        """Those to be judged."""
        return [record for record, mine in zip(self.records, self.is_own, strict=True) if mine]


def read_batch(payload: bytes, meter: bytes) -> Sorted | None:
    """The records of a message; None where it is no batch, or an empty one.

    Args:
        payload: as it came.
        meter: the one that the topic names.
    """
    if not payload or len(payload) % ENTRY_BYTES:
        return None
    entries = (payload[at : at + ENTRY_BYTES] for at in range(0, len(payload), ENTRY_BYTES))
    records = tuple(SignedRecord(e[:RECORD_BYTES], e[RECORD_BYTES:]) for e in entries)
    return Sorted(records, tuple(signed.meter == meter for signed in records))


def answer_to(found: Sorted, verdicts: Sequence[Verdict]) -> bytes:
    """The answer to a message: a result for each of its records, in their order.

    Args:
        found: the message's records.
        verdicts: on those of its own meter, in order.
    """
    remaining = iter(verdicts)
    results = [
        result_of(next(remaining)) if mine else _misplaced(signed)
        for signed, mine in zip(found.records, found.is_own, strict=True)
    ]
    return msgspec.json.encode({"results": results})


def answer_unfit(why: Unfit, retry_after_s: float | None = None) -> bytes:
    """The answer to a message nothing of which was judged."""
    answer: dict[str, object] = {"results": [], "error": why.name, "detail": why.value}
    if retry_after_s is not None:
        answer["retry_after_s"] = int(retry_after_s) + 1
    return msgspec.json.encode(answer)


def _misplaced(signed: SignedRecord) -> Mapping[str, object]:
    return {
        "record": signed.digest.hex(),
        "meter": signed.meter.hex(),
        "sequence": int.from_bytes(signed.record[32:40]),
        "verdict": "refused",
        "reason": TopicReason.METER_OF_ANOTHER_TOPIC.name,
    }
