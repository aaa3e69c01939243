"""`commonwatt certificate`: the commands; what they do is loaded by the one that is called.

What is a token is named by its id or METER@START, what is kept in the book by `b` and its number.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from commonwatt.cli import book, certificate_offers

certificate_app = App(
    name="certificate", help="Certificates of origin: see, give, sell, match, use, check them."
)

Json = Annotated[bool, Parameter(negative="")]


@certificate_app.command(name="list")
def list_(
    folder: Path,
    /,
    *,
    account: str | None = None,
    day: str | None = None,
    chain: str | None = None,
    json: Json = False,
) -> int:
    """List certificates: tokens on the chain, then what the book keeps.

    Of the book it tells the sums of each account; with --account or --day every bundle.

    Args:
        folder: The directory of a run.
        account: Only this account's units, an address.
        day: Only what was produced on this UTC day, as 2016-06-21.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_list import run_list  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    return run_list(Where(folder, chain), account, day, as_json=json)


@certificate_app.command
def show(
    folder: Path,
    id: str,  # noqa: A002 - its name on the command line
    /,
    *,
    chain: str | None = None,
    json: Json = False,
) -> int:
    """Show one certificate: where it comes from, who has it, all that happened to it.

    Args:
        folder: The directory of a run.
        id: Which certificate: a token's id, or METER@START as c0ffee00@2016-06-21T10:00:00Z, or a
            bundle of the book, as b17.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_show import run_show  # noqa: PLC0415 - heavy

    return run_show(Where(folder, chain), id, as_json=json)


@certificate_app.command
def transfer(
    folder: Path,
    id: str,  # noqa: A002 - its name on the command line
    wh: int,
    /,
    *,
    to: str,
    key: Path | None = None,
    member: int | None = None,
    chain: str | None = None,
    json: Json = False,
) -> int:
    """Give units of a certificate to another account.

    Args:
        folder: The directory of a run.
        id: Which certificate: a token's id, or METER@START as c0ffee00@2016-06-21T10:00:00Z, or a
            bundle of the book, as b17.
        wh: How many Wh.
        to: The receiver's address.
        key: File with the holder's private key, 64 hex digits.
        member: In a demonstration's folder, the member that holds them, instead of --key.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_acts import run_transfer  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy

    return run_transfer(Where(folder, chain), Who(key, member), id, wh, to, as_json=json)


@certificate_app.command
def retire(
    folder: Path,
    id: str,  # noqa: A002 - its name on the command line
    wh: int,
    /,
    *,
    beneficiary: str,
    purpose: str,
    meter: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    until: str | None = None,
    country: str | None = None,
    location: str = "",
    key: Path | None = None,
    member: int | None = None,
    chain: str | None = None,
    json: Json = False,
) -> int:
    """Use units of a certificate up, for somebody's consumption. Nobody can use them again.

    Args:
        folder: The directory of a run.
        id: Which certificate: a token's id, or METER@START as c0ffee00@2016-06-21T10:00:00Z, or a
            bundle of the book, as b17.
        wh: How many Wh.
        beneficiary: Whose consumption it was: of a token any words, of a bundle an address.
        purpose: What for.
        meter: Bundles only: the meter of a consumption in the book, by its first digits.
        from_: Start of the consumption, as 2016-06-21T10:00:00Z. A token's interval must lie
            within; of a bundle it is the very interval that the book knows, or left out.
        until: End of the consumption, the first moment after it.
        country: Tokens only: where it was consumed, ISO 3166-1; the country of the meter's zone
            unless given.
        location: Tokens only: where in that country.
        key: File with the holder's private key, 64 hex digits.
        member: In a demonstration's folder, the member that holds them, instead of --key.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_acts import run_retire  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import RetireOptions, Where, Who  # noqa: PLC0415 - heavy

    options = RetireOptions(beneficiary, purpose, from_, until, meter, country, location)
    return run_retire(Where(folder, chain), Who(key, member), id, wh, options, as_json=json)


for _command in (
    certificate_offers.offer,
    certificate_offers.buy,
    certificate_offers.cancel,
    book.match,
    book.score,
    book.statement,
    book.verify,
    book.post,
):
    certificate_app.command(_command)
certificate_app.command(book.import_, name="import")
