"""`commonwatt certificate offer`, `buy`, `cancel`: the commands; `certificate.py` gathers them."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(negative="")]


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
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_trade import run_offer  # noqa: PLC0415 - heavy

    where = Where(folder, chain)
    return run_offer(where, Who(key, member), id, wh, price=price, until=until, as_json=json)


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
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_trade import run_buy  # noqa: PLC0415 - heavy

    where = Where(folder, chain)
    return run_buy(where, Who(key, member), offer, wh, from_lane=from_lane, as_json=json)


def cancel(
    folder: Path,
    offer: int,
    /,
    *,
    key: Path | None = None,
    member: int | None = None,
    chain: str | None = None,
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
        json: Print one JSON object.
    """
    from commonwatt.cli.certificate_run import Where, Who  # noqa: PLC0415 - heavy
    from commonwatt.cli.certificate_trade import run_cancel  # noqa: PLC0415 - heavy

    return run_cancel(Where(folder, chain), Who(key, member), offer, as_json=json)
