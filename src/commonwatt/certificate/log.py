"""The log: every action as it was signed, one line each, hash-linked (R5, R28).

A line holds what was wanted, by whom, when, and the signature; the head is a running SHA-256 over
all lines, and the issuer posts it on the chain. Whoever has the lines does every action again and
must come to the same head and the same book.

The signed text names the book and counts the account's actions, so that it is good once and in one
place only (R5). It is text, because wallets show what they are asked to sign (EIP-191).
"""

from collections.abc import Callable, Iterable
from hashlib import sha256

import msgspec

from commonwatt.certificate.actions import Action
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.context import ACCOUNT_BYTES, Scheme, account_of
from commonwatt.certificate.refusal import ActionRefused, refuse_unless
from commonwatt.errors import CommonwattError, InputError

NO_HEAD = bytes(32)
BOOK_ID_BYTES = 8
LINE_BYTES_MAX = 65_536
SIGNATURE_BYTES = 65

SignerOf = Callable[[bytes, bytes], bytes | None]
"""The account that signed a text, from text and signature; None where nobody did."""


class LogBroken(InputError):
    """A log of certificates that does not follow from its own lines."""


class SignedAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account wants done, as it comes over a wire."""

    actor: str
    """Account, 40 hex digits."""
    nonce: int
    """How many actions of this account the book has done before."""
    action: Action
    signature: str
    """65 bytes r || s || v over `signed_text`, as hex digits."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the log."""

    number: int
    time: int
    """UTC second at which it was done."""
    actor: str
    nonce: int
    action: Action
    signature: str

    def line(self) -> bytes:
        """The line, with its line feed; the same entry always gives the same bytes."""
        return _encode(self) + b"\n"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


def signed_text(book: bytes, nonce: int, action: Action) -> bytes:
    """The text an account signs.

    Args:
        book: the book's id, 8 bytes.
        nonce: how many of the account's actions the book has done before.
        action: what is wanted.
    """
    return b"Commonwatt certificate book %s\naction %d of this account\n%s" % (
        book.hex().encode(),
        nonce,
        _encode(action),
    )


def next_head(head: bytes, line: bytes) -> bytes:
    """The head after one more line."""
    return sha256(head + line).digest()


class Log:
    """A book and the lines that led to it."""

    def __init__(self, identity: bytes, scheme: Scheme, signer_of: SignerOf) -> None:
        """Start empty.

        Args:
            identity: the book's id, 8 bytes.
            scheme: the rules fixed beforehand.
            signer_of: tells who signed a text.
        """
        self.identity, self.book, self._signer_of = identity, Book(scheme), signer_of
        self.head = NO_HEAD
        self.nonces: dict[bytes, int] = {}

    def submit(self, signed: SignedAction, now: int) -> tuple[Entry, tuple[Bundle, ...]]:
        """Do a signed action, or nothing of it; returns its line and what came of it.

        Raises:
            ActionRefused: the signature, the count or a rule says no; all is as it was.
        """
        number = self.book.entries
        entry = Entry(number, now, signed.actor, signed.nonce, signed.action, signed.signature)
        line = entry.line()
        # What no reader of the log would take must not get into it.
        refuse_unless(
            len(line) <= LINE_BYTES_MAX, "R28", f"an entry of {len(line)} bytes: divide it"
        )
        actor = self._proven(signed)
        made = self.book.act(signed.action, actor, now)
        self.nonces[actor] = signed.nonce + 1
        self.head = next_head(self.head, line)
        return entry, made

    def _proven(self, signed: SignedAction) -> bytes:
        """R5, R13: the account that signed, if it is the one named and this is its next action."""
        actor = account_of(signed.actor)
        expected = self.nonces.get(actor, 0)
        if signed.nonce != expected:
            raise ActionRefused("R5", f"action {signed.nonce} of this account; {expected} is next")
        try:
            signature = bytes.fromhex(signed.signature)
        except ValueError:
            signature = b""
        if len(signature) != SIGNATURE_BYTES or signature.hex() != signed.signature:
            raise ActionRefused("R13", f"a signature has {SIGNATURE_BYTES} bytes in hex digits")
        text = signed_text(self.identity, signed.nonce, signed.action)
        if self._signer_of(text, signature) != actor:
            raise ActionRefused("R13", "the signature is not this account's")
        return actor

    def replay(self, lines: Iterable[bytes]) -> None:
        """Do every line of a log again.

        Args:
            lines: each with its line feed, from the first on.

        Raises:
            LogBroken: at the first line that is not one, or that the book would not have done.
        """
        for line in lines:
            self.redo(line)

    def redo(self, line: bytes) -> Entry:
        """Do the next line of a log again; raises `LogBroken`."""
        number = self.book.entries
        entry = read_line(line, number)
        signed = SignedAction(entry.actor, entry.nonce, entry.action, entry.signature)
        try:
            again, _ = self.submit(signed, entry.time)
        except CommonwattError as error:
            raise LogBroken(f"entry {number}: {error}") from None
        if again.line() != line:
            raise LogBroken(f"entry {number}: written differently, or out of order")
        return entry


def read_line(line: bytes, number: int) -> Entry:
    """One line of a log; raises `LogBroken`."""
    if len(line) > LINE_BYTES_MAX:
        raise LogBroken(f"entry {number}: longer than {LINE_BYTES_MAX} bytes")
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LogBroken(f"entry {number}: not readable: {error}") from None


def book_identity(chain_id: int, registry: bytes) -> bytes:
    """A book's id: one for each registry of each chain (R5).

    >>> book_identity(31_337, bytes(20)).hex()
    'de2ce067bac0bf8a'
    """
    if len(registry) != ACCOUNT_BYTES:
        raise ValueError("a registry's address has 20 bytes")
    return sha256(b"book" + chain_id.to_bytes(32) + registry).digest()[:BOOK_ID_BYTES]
