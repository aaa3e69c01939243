"""Records in: the route that matters most, so it does nothing that it need not."""

import msgspec

from commonwatt.meter.acceptance import Refused
from commonwatt.meter.record import RECORD_BYTES, SIGNATURE_BYTES, SignedRecord
from commonwatt.node.service.hosted import result_of
from commonwatt.web.api import shapes
from commonwatt.web.api.documents import read_document
from commonwatt.web.api.problem import Problem, later
from commonwatt.web.api.route import BINARY, Answer, Call

ENTRY_BYTES = RECORD_BYTES + SIGNATURE_BYTES
_decode = msgspec.json.Decoder(shapes.BatchSent).decode


def send(call: Call) -> Answer:
    """Records, judged; answered once what is accepted is on the disk (group commit)."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    batch = of_bytes(call.body) if media == BINARY else of_json(call.body)
    api = call.api
    wait = api.refused.wait_for(call.address)
    if wait:
        raise later("too-many", "Too many records from here were refused", wait)
    wait = api.records.take(call.address, len(batch))
    if wait:
        raise later("too-many", f"{len(batch)} records, and too many before", wait)
    verdicts = call.hosted.take(batch) if batch else []
    refused = sum(isinstance(verdict, Refused) for verdict in verdicts)
    if refused:
        api.refused.charge(call.address, refused)
    return Answer({"results": [result_of(verdict) for verdict in verdicts]})


def of_bytes(body: bytes) -> list[SignedRecord]:
    """A binary batch; raises `Problem` unless it is whole entries."""
    if len(body) % ENTRY_BYTES:
        raise Problem(
            "batch-unusable", f"body of {len(body)} bytes: not a multiple of {ENTRY_BYTES}"
        )
    return [
        SignedRecord(body[at : at + RECORD_BYTES], body[at + RECORD_BYTES : at + ENTRY_BYTES])
        for at in range(0, len(body), ENTRY_BYTES)
    ]


def of_json(body: bytes) -> list[SignedRecord]:
    """A batch in JSON; raises `Problem` naming the first place that is not one."""
    sent = read_document(_decode, body, "batch-unusable")
    try:
        return [
            SignedRecord(bytes.fromhex(one.record), bytes.fromhex(one.signature))
            for one in sent.records
        ]
    except ValueError:  # the pattern has let through only hex digits and a last line feed
        raise Problem("batch-unusable", "a record or signature is not hex digits") from None
