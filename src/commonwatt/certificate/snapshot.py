"""A book at one entry, so that a long log need not be done again from its first line.

A snapshot is a convenience of whoever keeps the book and proves nothing: only the lines are signed
and anchored, and an audit does them all. It is taken only by the very program that made it, for the
same book, at the head that the lines lead to; whatever does not fit is passed over, and the log is
done again.
"""

import zlib
from hashlib import sha256

import msgspec

from commonwatt import __version__
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import Log, SignerOf
from commonwatt.certificate.state import State

_DIGEST_BYTES = 32


class _Snapshot(msgspec.Struct, frozen=True):
    """A log without its lines."""

    version: str
    """Of the program: another one may keep other rules."""
    identity: bytes
    scheme: Scheme
    entries: int
    now: int
    head: bytes
    nonces: dict[bytes, int]
    state: State


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode


def snapshot_of(log: Log) -> bytes:
    """A log as it is now, behind a digest that tells when a byte was lost."""
    book = log.book
    body = _encode(
        _Snapshot(
            __version__, log.identity, book.scheme, book.entries, book.now, log.head, log.nonces,
            book.state,
        )
    )  # fmt: skip
    # Names of fields come again and again: the quickest compression makes it a tenth.
    packed = zlib.compress(body, level=1)
    return sha256(packed).digest() + packed


def log_of(
    snapshot: bytes, identity: bytes, scheme: Scheme, signer_of: SignerOf, head: bytes
) -> Log | None:
    """The log a snapshot was taken of; None where it is none of this book at this head.

    Args:
        snapshot: as `snapshot_of` gave it.
        identity: the book's id.
        scheme: the book's.
        signer_of: tells who signed a text.
        head: that the lines up to the snapshot's entry lead to.
    """
    digest, packed = snapshot[:_DIGEST_BYTES], snapshot[_DIGEST_BYTES:]
    if sha256(packed).digest() != digest:
        return None
    try:
        found = _decode(zlib.decompress(packed))
    except (zlib.error, msgspec.DecodeError):
        return None
    expected = (__version__, identity, scheme, head)
    if (found.version, found.identity, found.scheme, found.head) != expected:
        return None
    log = Log(identity, scheme, signer_of)
    log.head, log.nonces = found.head, found.nonces
    log.book.state, log.book.entries, log.book.now = found.state, found.entries, found.now
    return log
