"""`commonwatt certificate`: the commands; what they do is loaded by the one that is called."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

certificate_app = App(name="certificate", help="Certificates of origin: see, give, sell, use them.")

Json = Annotated[bool, Parameter(negative="")]


@certificate_app.command(name="list")
def list_(
    folder: Path,
    /,
    *,
    account: str | None = None,
    chain: str | None = None,
    exchange: str | None = None,
    json: Json = False,
) -> int:
    """List certificates: which meter and interval, how many Wh, who holds them, what became of it.

    Args:
        folder: The directory of a run.
        account: Only this account's units, an address.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        exchange: Address of the exchange, where it was not made with the community.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_list import run_list  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    return run_list(Where(folder, chain, exchange), account, as_json=json)


@certificate_app.command
def show(
    folder: Path,
    id: str,  # noqa: A002 - its name on the command line
    /,
    *,
    chain: str | None = None,
    exchange: str | None = None,
    json: Json = False,
) -> int:
    """Show one certificate: where it comes from, who has it, all that happened to it.

    Args:
        folder: The directory of a run.
        id: Which certificate: its id, or METER@START as c0ffee00@2016-06-21T10:00:00Z.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        exchange: Address of the exchange, where it was not made with the community.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_list import run_show  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where  # noqa: PLC0415 - heavy

    return run_show(Where(folder, chain, exchange), id, as_json=json)


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
        id: Which certificate: its id, or METER@START as c0ffee00@2016-06-21T10:00:00Z.
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
    from_: Annotated[str, Parameter(name="--from")],
    until: str,
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
        id: Which certificate: its id, or METER@START as c0ffee00@2016-06-21T10:00:00Z.
        wh: How many Wh.
        beneficiary: Whose consumption it was.
        purpose: What for.
        from_: Start of the consumption, as 2016-06-21T10:00:00Z; the certificate's interval must
            lie within.
        until: End of the consumption, the first moment after it.
        country: Where it was consumed, ISO 3166-1; the country of the meter's zone unless given.
        location: Where in that country.
        key: File with the holder's private key, 64 hex digits.
        member: In a demonstration's folder, the member that holds them, instead of --key.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_acts import RetireOptions, run_retire  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy

    options = RetireOptions(beneficiary, purpose, from_, until, country, location)
    return run_retire(Where(folder, chain), Who(key, member), id, wh, options, as_json=json)


@certificate_app.command
def offer(
    folder: Path,
    id: str,  # noqa: A002 - its name on the command line
    wh: int,
    /,
    *,
    price: str,
    until: str,
    key: Path | None = None,
    member: int | None = None,
    chain: str | None = None,
    exchange: str | None = None,
    json: Json = False,
) -> int:
    """Offer units of a certificate for sale; they wait in escrow until they are sold.

    Args:
        folder: The directory of a run.
        id: Which certificate: its id, or METER@START as c0ffee00@2016-06-21T10:00:00Z.
        wh: How many Wh.
        price: Price per kWh in the community's currency, as 0.05.
        until: End of the offer, as 2016-06-30T00:00:00Z.
        key: File with the seller's private key, 64 hex digits.
        member: In a demonstration's folder, the member that sells, instead of --key.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        exchange: Address of the exchange, where it was not made with the community.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_acts import run_offer  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy

    where = Where(folder, chain, exchange)
    return run_offer(where, Who(key, member), id, wh, price=price, until=until, as_json=json)


@certificate_app.command
def buy(
    folder: Path,
    offer: int,
    wh: int,
    /,
    *,
    from_lane: Annotated[bool, Parameter(negative="")] = False,
    key: Path | None = None,
    member: int | None = None,
    chain: str | None = None,
    exchange: str | None = None,
    json: Json = False,
) -> int:
    """Buy units of an offer: payment and delivery in one transaction.

    Args:
        folder: The directory of a run.
        offer: Number of the offer.
        wh: How many Wh of it.
        from_lane: Take out of the buyer's own lane what its wallet lacks.
        key: File with the buyer's private key, 64 hex digits.
        member: In a demonstration's folder, the member that buys, instead of --key.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        exchange: Address of the exchange, where it was not made with the community.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_acts import run_buy  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy

    where = Where(folder, chain, exchange)
    return run_buy(where, Who(key, member), offer, wh, from_lane=from_lane, as_json=json)


@certificate_app.command
def cancel(
    folder: Path,
    offer: int,
    /,
    *,
    key: Path | None = None,
    member: int | None = None,
    chain: str | None = None,
    exchange: str | None = None,
    json: Json = False,
) -> int:
    """End an offer; what is left of it goes back to the seller.

    Args:
        folder: The directory of a run.
        offer: Number of the offer.
        key: File with the seller's private key, 64 hex digits; anybody's once it is over.
        member: In a demonstration's folder, the member that sells, instead of --key.
        chain: JSON-RPC URL of the community's chain; the embedded one in the directory unless
            given.
        exchange: Address of the exchange, where it was not made with the community.
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_acts import run_cancel  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy

    return run_cancel(Where(folder, chain, exchange), Who(key, member), offer, as_json=json)
