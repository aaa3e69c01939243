"""Everything outside the drivers that reads what a stranger wrote, each with a good sample.

Whatever the bytes are, a reader gives a value or one of the errors it names, on one line.
"""

from collections.abc import Callable
from typing import NamedTuple

from certificates import PRODUCER
from commonwatt.certificate.log import LogBroken, read_line
from commonwatt.meter.record import Record, RecordUnreadable
from commonwatt.node.gateway.answers import NoAnswer, read_answers
from commonwatt.node.mqtt.batch import read_batch
from commonwatt.node.mqtt.topics import meter_in
from commonwatt.statement.proof import ProofUnreadable, first_flaw, read_proof
from commonwatt.web.api.parameters import account_named, cursor_of, day_named
from commonwatt.web.api.problem import Problem
from commonwatt.web.api.receiver import ReceiverUnusable, receiver_of
from commonwatt.web.api.siwe import read_sign_in
from web.api.parts import Moments, message_for

NOW = Moments()()
NONCE = "a1b2c3d4e5f6"
METER = bytes(range(20))
TEXT_MAX = 3_000


class Reader(NamedTuple):
    """One that reads what strangers write."""

    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    sample: bytes


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def sign_in(data: bytes) -> object:
    """The last 65 bytes are the signature, as a wallet writes it."""
    message, signature = text_of(data[:-65]), "0x" + data[-65:].hex()
    return read_sign_in(message, signature, domain="node.example.org", chain_ids={31_337}, now=NOW)


def proof(data: bytes) -> object:
    return first_flaw(read_proof(data))


_MESSAGE = message_for(PRODUCER, NONCE, NOW)
READERS = {
    "sign-in": Reader(
        sign_in, (Problem,), _MESSAGE.encode() + PRODUCER.sign_text(_MESSAGE.encode())
    ),
    "webhook": Reader(
        lambda data: receiver_of(text_of(data)), (ReceiverUnusable,), b"https://a.example:8443/x?y"
    ),
    "cursor": Reader(lambda data: cursor_of(text_of(data), 2), (Problem,), b"1466510400.17"),
    "day": Reader(lambda data: day_named(text_of(data)), (Problem,), b"2016-06-21"),
    "account": Reader(lambda data: account_named(text_of(data)), (Problem,), b"00" * 20),
    "proof": Reader(proof, (ProofUnreadable,), b'{"format":1,"header":"00","leaves":[]}'),
    "line of the book": Reader(
        lambda data: read_line(data, 7), (LogBroken,), b'{"number":7,"time":1,"actor":"00"}'
    ),
    "record": Reader(Record.decode, (RecordUnreadable,), bytes([1]) + bytes(99)),
    "batch of a broker": Reader(lambda data: read_batch(data, METER), (), bytes(164)),
    "topic of a broker": Reader(
        lambda data: meter_in(text_of(data)), (), b"commonwatt/elm/records/" + b"0" * 40
    ),
    "answer of a node": Reader(
        read_answers,
        (NoAnswer,),
        b'{"results":[{"meter":"00","sequence":1,"verdict":"accepted","reason":null}]}',
    ),
}


def require_clear(reader: Reader, data: bytes) -> None:
    """A value, or an error that the reader names, of one line that can be read."""
    try:
        reader.read(data)
    except reader.errors as error:
        told = str(error)
        assert "\n" not in told, told
        assert len(told) <= TEXT_MAX, told
