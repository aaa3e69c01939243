"""`commonwatt certificate`: the commands on the book; `certificate.py` gathers them."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="")]
From = Annotated[str, Parameter(name="--from")]


def match(
    folder: Path,
    /,
    *,
    from_: From,
    until: str,
    zone: str = "UTC",
    member: int | None = None,
    key: Path | None = None,
    contract: Annotated[list[str] | None, Parameter(negative="")] = None,
    dry_run: Flag = False,
    chain: str | None = None,
    json: Flag = False,
) -> int:
    """Retire an account's units for what it used in the very intervals they were made in.

    Args:
        folder: The directory of a run.
        from_: First day, as 2016-06-21.
        until: The day after the last.
        zone: Time zone of the days, by its IANA name.
        member: In a demonstration's folder, the member whose units and consumption it is.
        key: File with the account's private key, 64 hex digits, instead of --member.
        contract: Account or meter of a producer whose units come before others'; can be repeated.
        dry_run: Only say what would be retired.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.book_match import MatchOptions, run_match  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy

    options = MatchOptions(from_, until, zone, contract or (), dry_run)
    return run_match(Where(folder, chain), Who(key, member), options, as_json=json)


def score(
    folder: Path,
    /,
    *,
    from_: From,
    until: str,
    member: int | None = None,
    account: str | None = None,
    zone: str | None = None,
    chain: str | None = None,
    json: Flag = False,
) -> int:
    """Say how much of what an account used was matched by units of the same interval.

    Args:
        folder: The directory of a run.
        from_: First day, as 2016-06-21.
        until: The day after the last.
        member: The member whose score it is.
        account: Instead of a member any account, an address.
        zone: Time zone of days and months, by its IANA name; UTC unless given.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.book_score import run_score  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    where = Where(folder, chain)
    return run_score(where, member, account, (from_, until), zone, as_json=json)


def statement(
    folder: Path,
    bundle: str,
    /,
    *,
    chain: str | None = None,
    json: Flag = False,
) -> int:
    """Write the statement of a retirement again, as JSON and as a page.

    Args:
        folder: The directory of a run.
        bundle: The retired bundle, as b17.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.book_statements import run_statement  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    return run_statement(Where(folder, chain), bundle, as_json=json)


def verify(
    folder: Path,
    statement: Path,
    /,
    *,
    chain: str | None = None,
    json: Flag = False,
) -> int:
    """Check a retirement's statement against the published log and the head on the chain.

    Exit code 0: true; 1: different; 2: it cannot be decided.

    Args:
        folder: What was published, with public and audit in it.
        statement: The statement, a JSON file.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.book_statements import run_verify  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    return run_verify(Where(folder, chain), statement, as_json=json)


def import_(
    folder: Path,
    table: Path,
    /,
    *,
    voucher: str,
    as_: Annotated[Literal["consumption", "production"], Parameter(name="--as")],
    owner: str,
    zone: str,
    rated_w: int | None = None,
    source: str | None = None,
    key: Path | None = None,
    chain: str | None = None,
    json: Flag = False,
) -> int:
    """Enter a table of readings that somebody vouches for, whole or not at all.

    Args:
        folder: The directory of a run.
        table: A CSV file of metering_point, start, quantity_wh or quantity_kwh, and duration_s if
            intervals are not the community's.
        voucher: Who vouches for the readings, by name.
        as_: What the readings are of.
        owner: Address of whoever consumed, or whose the generator is.
        zone: Bidding zone, as DE-LU.
        rated_w: Rated power of a generator that is new to the book.
        source: Its AIB technology code, as T010100.
        key: File with the issuer's private key, 64 hex digits; in a demonstration's folder its
            operator signs unless given.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.book_import import run_import  # noqa: PLC0415 - heavy
    from commonwatt.cli.book_readings import ImportOptions  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    options = ImportOptions(table, voucher, as_, owner, zone, rated_w, source, key)
    return run_import(Where(folder, chain), options, as_json=json)


def post(
    folder: Path,
    /,
    *,
    key: Path | None = None,
    chain: str | None = None,
    json: Flag = False,
) -> int:
    """Post the book's head on the chain, so that its entries can no longer be changed unseen.

    Args:
        folder: The directory of a run.
        key: File with the issuer's private key, 64 hex digits; in a demonstration's folder its
            operator signs unless given.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.book_post import run_post  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    return run_post(Where(folder, chain), key, as_json=json)
