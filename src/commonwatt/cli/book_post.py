"""`commonwatt certificate post`: the issuer puts the book's head on the chain."""

from itertools import islice
from pathlib import Path

from commonwatt.certificate.log import NO_HEAD, next_head
from commonwatt.cli.book_run import OpenBook, issuer_of, opened_book
from commonwatt.cli.certificate_run import CertificateRefused, Where
from commonwatt.cli.certificate_words import LABEL, print_json
from commonwatt.node.registrar import post_head


def run_post(where: Where, key: Path | None, *, as_json: bool) -> int:
    """Publish all entries, then post the head over them, unless the chain has it (R28)."""
    with opened_book(where) as book:
        issuer = issuer_of(book.run, key)
        covered = _require_continued(book)
        book.publish()
        gas = post_head(book.store, issuer, book.run.ledger)
        count, head = book.entries, book.store.log.head.hex()
    if as_json:
        print_json({"entries": count, "new": count - covered, "head": head, "gas": gas})
    elif gas:
        print(
            f"posted the head over {count:,} entries, {count - covered:,} of them new; gas {gas:,}"
        )
        print(f"{'head':<{LABEL}}{head}")
    else:
        print(f"nothing to post: the head over all {count:,} entries is on the chain")
        print(f"{'head':<{LABEL}}{head}")
    return 0


def _require_continued(book: OpenBook) -> int:
    """Refuse a book that does not go on from the head on the chain; returns what that covers."""
    count, posted = book.run.ledger.book_head()
    head, lines = NO_HEAD, 0
    for line in islice(book.store.lines(), count):
        head, lines = next_head(head, line), lines + 1
    if count and (lines, head) != (count, posted):
        raise CertificateRefused(
            f"{book.run.where.folder}: the chain has head {posted.hex()} over {count:,} entries, "
            f"which this book of {book.entries:,} does not lead to; restore its database from a "
            "backup"
        )
    return count
