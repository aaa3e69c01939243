"""`commonwatt init` and `commonwatt doctor`: their options; what they do is loaded when asked."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def init(
    folder: Path,
    /,
    *,
    name: str | None = None,
    members: int | None = None,
    currency: str | None = None,
    interval: int | None = None,
    rule: str | None = None,
    market: Path | None = None,
    retail: str | None = None,
    feed_in: str | None = None,
    fee_local: str | None = None,
    fee_supplier: str | None = None,
    advance: str | None = None,
    supplier_advance: str | None = None,
    supplier: str | None = None,
    grid_operator: str | None = None,
    first_start: str | None = None,
    chain: str | None = None,
    key: Path | None = None,
    listen: str | None = None,
    database: str | None = None,
    mqtt: str | None = None,
    scenario: Literal["village", "suburb", "town"] | None = None,
    start: str | None = None,
    days: int | None = None,
    yes: Annotated[bool, Parameter(negative="")] = False,
    show: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    meter: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    member: int | None = None,
    role: Literal["grid", "generation", "storage"] | None = None,
    rated_w: int | None = None,
    zone: str | None = None,
    source: str | None = None,
    tokens: Annotated[bool, Parameter(negative="")] = False,
    add_member: str | None = None,
    account: str | None = None,
) -> int:
    """Make a node's directory: settings, a community, keys; then add members and meters to it.

    On a terminal it asks for what the options leave open, unless --yes is given.

    Args:
        folder: The node's directory.
        name: Name of the community, part of paths and topics; the directory's name unless given.
        members: How many; 2 unless given. Each gets an account with a key of its own.
        currency: Code of the currency; EUR unless given.
        interval: Seconds of an interval; 900 unless given.
        rule: How neighbours trade: a rule, an auction or an allocation key, by its name;
            mid_market_rate unless given.
        market: A TOML file with a rule and all that goes with it, instead of --rule.
        retail: What a member pays the supplier per kWh.
        feed_in: What it gets from the supplier per kWh.
        fee_local: Grid fee per kWh among neighbours.
        fee_supplier: Grid fee per kWh from the supplier.
        advance: What each member has paid in beforehand, for its lane at the founding; 50 in EUR
            and 0 in other currencies unless given.
        supplier_advance: The same of the supplier; 100 in EUR and 0 in others unless given.
        supplier: Account of the supplier; the operator's unless given.
        grid_operator: Account of the grid operator; the operator's unless given.
        first_start: Start of the first interval, as 2026-06-21T12:00:00Z; the next one unless
            given.
        chain: JSON-RPC URL of an Ethereum-type chain; the embedded one unless given.
        key: File with the operator's key, that is there already; a new one is made unless given.
        listen: Where the node answers, HOST:PORT; 127.0.0.1:8080 unless given.
        database: postgresql+psycopg://USER@HOST/DATABASE; a file of SQLite unless given.
        mqtt: URL of a broker, as mqtt://127.0.0.1:1883.
        scenario: Make a test bed of a neighbourhood that ships with the program.
        start: The test bed's first day, as 2016-06-21.
        days: How many days the test bed has; 1 unless given.
        yes: Ask nothing.
        show: Print where a community is or will be, its ledger, and what is missing.
        json: With --show, print one JSON object.
        meter: Add a meter to a member: a file as `commonwatt gateway init` prints it; - for
            standard input.
        member: Whose meter it is, a number from 0 on.
        role: What the meter stands at; as the file says unless given.
        rated_w: How much power can flow through it, in W.
        zone: Its bidding zone, as DE-LU; UNKNOWN unless given.
        source: AIB code of a generator; T010100, photovoltaic on a roof, unless given.
        tokens: A generator's free certificates may become tokens; kept in the book otherwise.
        add_member: Add a member with this name.
        account: Address of its wallet; an account with a key is made unless given.
    """
    from commonwatt.cli.init import AddOptions, run_init  # noqa: PLC0415 - heavy
    from commonwatt.cli.init_answers import InitOptions  # noqa: PLC0415 - heavy

    options = InitOptions(
        name=name,
        members=members,
        currency=currency,
        interval=interval,
        rule=rule,
        market=market,
        retail=retail,
        feed_in=feed_in,
        fee_local=fee_local,
        fee_supplier=fee_supplier,
        advance=advance,
        supplier_advance=supplier_advance,
        supplier=supplier,
        grid_operator=grid_operator,
        first_start=first_start,
        chain=chain,
        key=key,
        listen=listen,
        database=database,
        mqtt=mqtt,
        scenario=scenario,
        start=start,
        days=days,
    )
    add = AddOptions(
        meter=meter,
        member=member,
        role=role,
        rated_w=rated_w,
        zone=zone,
        source=source,
        tokens=tokens,
        add_member=add_member,
        account=account,
    )
    return run_init(folder, options, add, yes=yes, is_show=show, as_json=json)


def doctor(folder: Path, /, *, json: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Check a node's directory and all it needs; say of each what is wrong and what to do.

    Nothing is changed. Exit code 0: all is well; 1: something is not.

    Args:
        folder: The node's directory.
        json: Print one JSON object.
    """
    from commonwatt.cli.doctor import run_doctor  # noqa: PLC0415 - heavy

    return run_doctor(folder, as_json=json)
