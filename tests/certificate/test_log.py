"""The log of certificates: signed once, in one place, and linked line by line."""

import json
from contextlib import suppress

import pytest

from certificates import (
    FORGER,
    IDENTITY,
    ISSUER,
    LATER,
    NEIGHBOUR,
    PRODUCER,
    SCHEME,
    Signers,
    admission,
    hex_of,
    issue,
)
from commonwatt.certificate.actions import Retire, Together, Transfer
from commonwatt.certificate.log import (
    LINE_BYTES_MAX,
    Entry,
    Log,
    LogBroken,
    SignedAction,
    book_identity,
    next_head,
    signed_text,
)
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.chain.account import Account, signer_of


class Told:
    """A log and the wallets around it."""

    def __init__(self) -> None:
        self.log, self.wallets, self.lines = Log(IDENTITY, SCHEME, signer_of), Signers(), []

    def do(self, who: Account, action, **options) -> Entry:
        entry, _ = self.log.submit(self.wallets.sign(who, action, **options), LATER)
        self.wallets.done(who)
        self.lines.append(entry.line())
        return entry


@pytest.fixture
def told() -> Told:
    """A roof, its certificate of 1,000 Wh, and 400 of them given to a neighbour."""
    told = Told()
    told.do(ISSUER, admission())
    told.do(ISSUER, issue())
    told.do(PRODUCER, Transfer(0, 400, hex_of(NEIGHBOUR)))
    return told


def test_whoever_has_the_lines_comes_to_the_same_book(told: Told) -> None:
    again = Log(IDENTITY, SCHEME, signer_of)
    again.replay(told.lines)
    assert again.head == told.log.head
    assert again.book.state == told.log.book.state
    head = bytes(32)
    for line in told.lines:
        head = next_head(head, line)
    assert head == again.head


def test_a_signature_is_good_for_one_action_of_one_account_once(told: Told) -> None:
    gift = Transfer(2, 100, hex_of(FORGER))
    refusals = {
        "another's signature": told.wallets.sign(PRODUCER, gift, key=FORGER),
        "another account's units": told.wallets.sign(FORGER, gift),
    }
    signed = told.wallets.sign(PRODUCER, gift)
    refusals["the signature of another action"] = SignedAction(
        signed.actor, signed.nonce, Transfer(2, 101, hex_of(FORGER)), signed.signature
    )
    first = json.loads(told.lines[2])
    refusals["an action that was done"] = SignedAction(
        first["actor"], first["nonce"], Transfer(0, 400, hex_of(NEIGHBOUR)), first["signature"]
    )
    for change in ("", "00" * 65, signed.signature[:-2], signed.signature.upper(), "zz" * 65):
        refusals[f"signature {change[:6]!r}"] = SignedAction(
            signed.actor, signed.nonce, gift, change
        )
    head, state = told.log.head, repr(told.log.book.state)
    for what, forged in refusals.items():
        with pytest.raises(ActionRefused) as refusal:
            told.log.submit(forged, LATER)
        assert refusal.value.rule in ("R5", "R13"), what
    assert (told.log.head, repr(told.log.book.state)) == (head, state)


def test_the_other_form_of_a_signature_is_refused(told: Told) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    signed = told.wallets.sign(PRODUCER, Transfer(2, 1, hex_of(FORGER)))
    raw = bytes.fromhex(signed.signature)
    other = raw[:32] + (order - int.from_bytes(raw[32:64])).to_bytes(32) + bytes((55 - raw[64],))
    with pytest.raises(ActionRefused, match="not this account's"):
        told.log.submit(SignedAction(signed.actor, signed.nonce, signed.action, other.hex()), LATER)


def test_a_signature_is_good_in_one_book_only(told: Told) -> None:
    elsewhere = Log(book_identity(1, b"R" * 20), SCHEME, signer_of)
    with pytest.raises(LogBroken, match="entry 0: the signature is not this account's"):
        elsewhere.replay(told.lines)


def head_of(lines: list[bytes]) -> bytes | None:
    """Where lines lead; None where they lead nowhere."""
    log = Log(IDENTITY, SCHEME, signer_of)
    with suppress(LogBroken):
        log.replay(lines)
        return log.head
    return None


def test_every_changed_byte_of_a_line_is_found(told: Told) -> None:
    """By the line itself, or where only the time was changed by the head, which the chain has."""
    line = told.lines[2]
    for place in range(len(line)):
        changed = line[:place] + bytes((line[place] ^ 1,)) + line[place + 1 :]
        assert head_of([*told.lines[:2], changed]) != told.log.head


def test_a_line_left_out_or_told_twice_is_found(told: Told) -> None:
    for lines in ([told.lines[0], told.lines[2]], [told.lines[0], told.lines[0]], told.lines[1:]):
        with pytest.raises(LogBroken):
            Log(IDENTITY, SCHEME, signer_of).replay(lines)
    with pytest.raises(LogBroken, match="longer than"):
        Log(IDENTITY, SCHEME, signer_of).replay([b" " * (LINE_BYTES_MAX + 1)])
    with pytest.raises(LogBroken, match="entry 0: not readable"):
        Log(IDENTITY, SCHEME, signer_of).replay([b"[" * 60_000])


def test_what_no_reader_would_take_does_not_get_into_the_log(told: Told) -> None:
    head, state = told.log.head, repr(told.log.book.state)
    # A control character takes six bytes: a hundred such purposes are more than a line holds.
    use = Retire(2, 1, hex_of(PRODUCER), "\x01" * 199 + "x")
    long = told.wallets.sign(PRODUCER, Together((use,) * 100))
    with pytest.raises(ActionRefused, match="divide it") as refusal:
        told.log.submit(long, LATER)
    assert refusal.value.rule == "R28"
    assert (told.log.head, repr(told.log.book.state)) == (head, state)
    told.do(PRODUCER, Together((use,)))
    assert head_of(told.lines) == told.log.head


def test_time_does_not_go_back(told: Told) -> None:
    with pytest.raises(ActionRefused) as refusal:
        told.log.submit(told.wallets.sign(ISSUER, issue(1)), LATER - 1)
    assert refusal.value.rule == "R28"


def test_what_is_signed_can_be_read_in_a_wallet() -> None:
    text = signed_text(IDENTITY, 7, Retire(3, 250, "cd" * 20, "our own use")).decode()
    assert text.splitlines() == [
        f"Commonwatt certificate book {IDENTITY.hex()}",
        "action 7 of this account",
        '{"action":"retire","bundle":3,"wh":250,"beneficiary":"' + "cd" * 20 + '",'
        '"purpose":"our own use"}',
    ]
