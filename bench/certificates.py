"""A child: how fast certificates are issued, moved, used up, and found again.

Prints the figures as JSON. Each is one run over many certificates; the book's own signatures are
checked in every action, and a durable action is on the disk before it is answered.
"""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import msgspec

from bench.figure import Figure, Section
from commonwatt.certificate.actions import Action, Admit, Issue, Retire, Transfer
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.issue import certify
from commonwatt.certificate.log import Log, SignedAction, book_identity, signed_text
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.chain.account import Account, signer_of
from commonwatt.merkle import Tree
from commonwatt.meter.acceptance import Accepted
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.record import (
    NO_PREVIOUS,
    RECORD_BYTES,
    SIGNATURE_BYTES,
    Kind,
    Quality,
    Record,
    SignedRecord,
)
from commonwatt.meter.registration import NO_SOURCE, SOLAR_ROOFTOP, Registration, Role
from commonwatt.node.book_store import BookStore
from commonwatt.node.store import ONLY_COMMUNITY, Store, file_url
from commonwatt.settlement.account import Position

ACTIONS, QUICK_ACTIONS = 3_000, 500
CERTIFICATES, QUICK_CERTIFICATES = 1_000_000, 50_000
METERS, QUARTER_S, DAY_S = 400, 900, 86_400
FIRST = 1_466_467_200
"""2016-06-21T00:00:00Z."""
NOW = FIRST + 4_000 * DAY_S
ROOFS, ISSUED_MIN = 500, 20_000.0
IN_MEMORY_MIN, DURABLE_MIN = 5_000.0, 1_000.0
DAY_MS_MAX, ID_MS_MAX = 20.0, 1.0
QUESTIONS = 51
RECORD = "11" * 32
HOLDER = b"\x07" * 20
IDENTITY = book_identity(31_337, b"R" * 20)


class Wallets:
    """Signs each account's next action."""

    def __init__(self) -> None:
        """Nobody has done anything yet."""
        self._done: dict[str, int] = {}

    def sign(self, who: Account, action: Action) -> SignedAction:
        """The account's next action."""
        nonce = self._done.get(who.address, 0)
        self._done[who.address] = nonce + 1
        signature = who.sign_text(signed_text(IDENTITY, nonce, action))
        return SignedAction(who.address_bytes.hex(), nonce, action, signature.hex())


def main(*, quick: bool) -> list[Section]:
    """Rates of actions, then times of questions."""
    actions = QUICK_ACTIONS if quick else ACTIONS
    with tempfile.TemporaryDirectory(prefix="commonwatt-bench-") as folder:
        rates = [*_rates(actions, None), *_rates(actions, Path(folder) / "rates.sqlite")]
        title = "the book of certificates: signed actions, each checked and logged"
        certificates = QUICK_CERTIFICATES if quick else CERTIFICATES
        questions = _questions(Path(folder) / "questions.sqlite", certificates)
    return [
        Section("certificates in statements", (_statement_rate(5 if quick else 21),)),
        Section(title, tuple(rates)),
        Section(f"questions to a book of {certificates:,} certificates", tuple(questions)),
    ]


def _statement_rate(rounds: int) -> Figure:
    """Issue for every roof of a community, retire what neighbours bought, with all proofs."""
    registrations, accepted, positions = _street(ROOFS)
    by_meter = {registration.meter: registration for registration in registrations}

    def work() -> None:
        certified = certify(accepted, by_meter, positions)
        tree = Tree([certificate.encode() for certificate in certified.certificates])
        if len([tree.path(index) for index in range(ROOFS)]) != len(certified.certificates):
            raise ValueError("not every roof was issued a certificate")

    work()
    return Figure(
        name="statement_certificates_per_second",
        what=f"issued in a statement of {ROOFS}, with proofs",
        unit="/ CPU s",
        target=ISSUED_MIN,
        at_least=True,
        runs=tuple(ROOFS / _timed(work) for _ in range(rounds)),
        digits=0,
    )


def _street(roofs: int) -> tuple[list[Registration], list[Accepted], list[Position]]:
    """Homes that all made 300 Wh and gave 200 to the street, half of it to neighbours."""
    registrations, accepted, positions = [], [], []
    opening = SignedRecord(bytes(RECORD_BYTES), bytes(SIGNATURE_BYTES))
    for member in range(roofs):
        for role, source, made_wh in (
            (Role.GRID, NO_SOURCE, 200),
            (Role.GENERATION, SOLAR_ROOFTOP, 300),
        ):
            key = MeterKey.from_seed(b"%d/%d" % (member, role))
            registrations.append(
                Registration(
                    key.public_key,
                    member,
                    role,
                    source,
                    10_000,
                    0,
                    "DE",
                    direct=False,
                    opening=opening,
                )
            )
            record = Record(
                version=1, kind=Kind.REGISTERS, quality=Quality.MEASURED, ledger=bytes(8),
                meter=key.meter, sequence=1, time_end=FIRST + QUARTER_S, duration=QUARTER_S,
                import_mwh=0, export_mwh=made_wh * 1_000, previous=NO_PREVIOUS,
            )  # fmt: skip
            signed = SignedRecord(record.encode(), bytes(SIGNATURE_BYTES))
            accepted.append(Accepted(signed, record, signed.digest, 0, made_wh, gap=False))
        zeros = dict.fromkeys((field.name for field in fields(Position)), 0)
        energy = {"exported_wh": 200, "sold_local_wh": 100, "sold_supplier_wh": 100}
        bought = {"imported_wh": 100, "bought_local_wh": 100}
        positions.append(Position(**{**zeros, **energy, **bought, "member": member}))
    return registrations, accepted, positions


def _account(name: str) -> Account:
    return Account.from_key(sha256(name.encode()).digest())


def _rates(count: int, path: Path | None) -> list[Figure]:
    """Issue, give away a part of each (which divides it), use up the rest."""
    issuer, producer, buyer = map(_account, ("issuer", "producer", "buyer"))
    wallets, scheme = Wallets(), Scheme(issuer.address_bytes, 0)
    owner, other = producer.address_bytes.hex(), buyer.address_bytes.hex()
    key = MeterKey.from_seed(b"bench")
    meter, signs = key.meter.hex(), key.public_key.hex()
    admission = wallets.sign(issuer, Admit(meter, owner, 0x010100, 10**9, "DE", 0, key=signs))
    # Each bundle divided leaves two more: the part given away, and the rest.
    rests = [count + 2 * number + 1 for number in range(count)]
    steps = {
        "issue": [_issue(wallets, issuer, meter, number) for number in range(count)],
        "transfer": [wallets.sign(producer, Transfer(n, 400, other)) for n in range(count)],
        "retire": [wallets.sign(producer, Retire(n, 600, owner, "own use")) for n in rests],
    }
    if path is None:
        log = Log(IDENTITY, scheme, signer_of)
        log.submit(admission, NOW)
        return [
            _rate(name, "in memory", count / _timed(_each(log, batch)), IN_MEMORY_MIN)
            for name, batch in steps.items()
        ]
    database = Store(file_url(path))
    store = BookStore(database.database(ONLY_COMMUNITY).scope, IDENTITY, scheme, signer_of)
    store.submit(admission, NOW)
    figures = [
        _rate(name, "durable", count / _timed(_together(store, batch)), DURABLE_MIN)
        for name, batch in steps.items()
    ]
    store.close()
    database.close()
    return figures


def _each(log: Log, batch: Sequence[SignedAction]) -> Callable[[], None]:
    def work() -> None:
        for signed in batch:
            log.submit(signed, NOW)

    return work


def _together(store: BookStore, batch: Sequence[SignedAction]) -> Callable[[], None]:
    def work() -> None:
        for answer in store.submit_many(batch, NOW):
            if isinstance(answer, ActionRefused):
                raise answer

    return work


def _issue(wallets: Wallets, issuer: Account, meter: str, number: int) -> SignedAction:
    start = FIRST + number * QUARTER_S
    return wallets.sign(issuer, Issue(meter, start, QUARTER_S, 1_000, 0, 1_000, RECORD))


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _rate(name: str, where: str, per_second: float, least: float) -> Figure:
    return Figure(
        name=f"book_{name}_{where.replace(' ', '_')}_per_second",
        what=f"{name}, {where}",
        unit="/ CPU s",
        target=least,
        at_least=True,
        runs=(per_second,),
        digits=0,
    )


def _questions(path: Path, count: int) -> list[Figure]:
    """A day of all meters, one certificate, an account page by page."""
    issuer = _account("issuer")
    database, scheme = Store(file_url(path)), Scheme(issuer.address_bytes, 0)
    store = BookStore(database.database(ONLY_COMMUNITY).scope, IDENTITY, scheme, signer_of)
    _fill(path, count)
    middle = FIRST + count // METERS // 2 * QUARTER_S
    figures = [
        _asking("day", "a day's first 1,000 bundles", DAY_MS_MAX,
                lambda: store.produced(middle, middle + DAY_S)),
        _asking("id", "one bundle by its number", ID_MS_MAX, lambda: store.bundle(count // 2)),
        _asking("account", "an account's next 1,000 bundles", DAY_MS_MAX,
                lambda: store.held(HOLDER, after=count // 2)),
    ]  # fmt: skip
    store.close()
    database.close()
    return figures


def _fill(path: Path, count: int) -> None:
    """Bundles without a log: what is asked of the tables does not read it."""
    rows = (
        (
            ONLY_COMMUNITY,
            number,
            (number % METERS).to_bytes(20),
            FIRST + number // METERS * QUARTER_S,
            QUARTER_S,
            0,
            1_000,
            HOLDER if number % 10 else (number % 997).to_bytes(20),
            "active",
            number,
            None,
        )
        for number in range(count)
    )
    database = sqlite3.connect(path)
    with database:
        database.executemany(f"INSERT INTO book_bundle VALUES ({', '.join('?' * 11)})", rows)  # noqa: S608
    database.close()


def _asking(name: str, what: str, most: float, question: Callable[[], object]) -> Figure:
    question()
    runs = tuple(_timed(question) * 1_000 for _ in range(QUESTIONS))
    return Figure(name=f"book_{name}_ms", what=what, unit="CPU ms", target=most, runs=runs)


if __name__ == "__main__":
    sections = main(quick="--quick" in sys.argv)
    sys.stdout.buffer.write(msgspec.json.encode(sections))
