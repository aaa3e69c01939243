"""`commonwatt certificate list`: tokens as the chain's events tell them, and the book's bundles."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from commonwatt.audit.units import Place, Units, units_of
from commonwatt.chain.production import TokenId
from commonwatt.cli.book_list import Choice, print_book, write_book_json
from commonwatt.cli.book_place import place_of
from commonwatt.cli.book_run import OpenBook, book_of
from commonwatt.cli.certificate_run import (
    CertificateInputUnusable,
    Run,
    Where,
    address_from,
    day_from,
    opened_run,
)
from commonwatt.cli.certificate_table import UnitTable
from commonwatt.cli.certificate_words import moment, print_table, short
from commonwatt.node.time_zone import calendar_of
from commonwatt.node.units import read_history
from commonwatt.quantity import SECONDS_PER_DAY, TIME_MAX, time_text

Kept = Sequence[tuple[Units, Sequence[tuple[Place, int]]]]
"""Certificates, each with the places of its units that are listed."""


def run_list(where: Where, account: str | None, day: str | None, *, as_json: bool) -> int:
    """Print every certificate and where its units are."""
    choice = _choice(account, day)
    with opened_run(where) as run, _book_of(run) as book:
        found = units_of(*read_history(run.ledger, run.community.by_meter))
        table = UnitTable(run, found)
        chosen = [units for units in found if choice.start <= units.origin.start < choice.end]
        places = ((units, table.places(units, choice.account)) for units in chosen)
        kept = [(units, listed) for units, listed in places if listed]
        if as_json:
            _write_json(book, table, kept, choice)
        else:
            _print_list(table, kept)
            print()
            if book is None:
                print("book: none in this folder")
            else:
                print_book(book, choice)
    return 0


@contextmanager
def _book_of(run: Run) -> Iterator[OpenBook | None]:
    """The run's book if it keeps one, opened before anything is printed."""
    if place_of(run.where.folder) is None:
        yield None
    else:
        with book_of(run) as book:
            yield book


def _choice(account: str | None, day: str | None) -> Choice:
    holder = None if account is None else address_from(account, "--account")
    if day is None:
        return Choice(holder)
    start = calendar_of("UTC").midnight(day_from(day, "--day"))
    if not 0 <= start < TIME_MAX:
        raise CertificateInputUnusable(f"--day {day}: choose one from 1970 on")
    return Choice(holder, start, start + SECONDS_PER_DAY)


def _write_json(book: OpenBook | None, table: UnitTable, kept: Kept, choice: Choice) -> None:
    answer = {
        "time": time_text(table.now),
        "certificates": [table.as_json(units, places) for units, places in kept],
    }
    out = sys.stdout.buffer
    out.write(msgspec.json.encode(answer).removesuffix(b"}") + b',"book":')
    if book is None:
        out.write(b"null")
    else:
        write_book_json(book, choice)
    out.write(b"}\n")


def _print_list(table: UnitTable, kept: Kept) -> None:
    rows = [
        (
            short(TokenId(*units.origin)),
            moment(TokenId(*units.origin).start + TokenId(*units.origin).duration),
            f"{wh:,}",
            table.run.account_text(place.holder),
            table.state(units, place),
        )
        for units, places in kept
        for place, wh in places
    ]
    if not rows:
        print("no certificates are tokens")
        return
    print_table(("certificate", "end", "Wh", "holder", "state"), rows, right=range(2, 3))
