"""`commonwatt init`: make a node's directory, add to it, show what it still needs."""

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from commonwatt.chain.account import Account, checksum
from commonwatt.cli.init_answers import (
    EURO,
    Answers,
    InitOptions,
    Questions,
    account_told,
    advance_told,
    market_of,
)
from commonwatt.cli.init_show import looked_at, print_chain, print_next, row, show
from commonwatt.node.keystore import PASSWORD_VARIABLE
from commonwatt.node.service.additions import (
    MeterWishes,
    Place,
    add_member,
    add_meter,
    meter_of,
    place_of,
    places_of,
    require_open,
)
from commonwatt.node.service.finding import counted
from commonwatt.node.service.members import CommunityFile, MemberEntry
from commonwatt.node.service.outlook import account_of_key, planned_address
from commonwatt.node.service.settings import NODE_FILE, ChainSettings, NodeSettings
from commonwatt.node.service.setup import (
    COMMUNITY_FILE,
    KEYS_FOLDER,
    NewNode,
    SetupUnusable,
    chosen_password,
    make_key,
    put_beside,
    put_in_place,
    require_free,
    write_keys,
)
from commonwatt.node.service.testbed import (
    OPERATOR,
    community_of_scenario,
    neighbourhood_named,
    simulated_meters,
)
from commonwatt.node.wiring import demonstration_account
from commonwatt.quantity import Currency, Interval, parse_time, time_text

OPERATOR_KEY = "operator.key"
LISTED_MAX = 5
"""More members than these are counted, not listed."""


@dataclass(frozen=True, slots=True)
class AddOptions:
    """What is to be added to a community; None: nothing."""

    meter: Path | None = None
    member: int | None = None
    role: str | None = None
    rated_w: int | None = None
    zone: str | None = None
    source: str | None = None
    tokens: bool = False
    add_member: str | None = None
    account: str | None = None


def run_init(
    folder: Path, options: InitOptions, add: AddOptions, *, yes: bool, is_show: bool, as_json: bool
) -> int:
    """Make a node, add to it, or show it."""
    adds = add != AddOptions()
    allowed = InitOptions(name=options.name, advance=options.advance if adds else None)
    if (is_show or adds) and (options != allowed or (is_show and adds)):
        raise SetupUnusable(
            f"{folder}: --show, --meter and --add-member each go on with a node that is there: "
            "give one of them, without the options that make a node"
        )
    if is_show:
        return show(place_of(folder, options.name), as_json=as_json)
    if as_json:
        raise SetupUnusable("--json goes with --show")
    if add.add_member is not None:
        return _add_member(place_of(folder, options.name), add, options.advance)
    if adds:
        return _add_meter(place_of(folder, options.name), add)
    asks = sys.stdin.isatty() and not yes
    if options.scenario is not None:
        return _make_test_bed(folder, options)
    if options.start is not None or options.days is not None:
        raise SetupUnusable("--start and --days choose days of a scenario: give --scenario, too")
    if (folder / NODE_FILE).exists():
        return _make_beside(folder, options, asks=asks)
    return _make(folder, options, asks=asks)


def _make(folder: Path, options: InitOptions, *, asks: bool) -> int:
    """A new node with a community."""
    require_free(folder)
    questions = Questions(options, asks=asks)
    answers = questions.community(folder)
    settings, keys = _settings(folder, options, questions.chain())
    operator = _operator(folder, settings, keys)
    community, member_keys = _community(answers, options, operator)
    keys |= member_keys
    password = chosen_password()
    put_in_place(folder, NewNode(settings, community, keys), password)
    row("written", f"{folder / NODE_FILE}, {folder / COMMUNITY_FILE}, {_counted(keys)}")
    _print_new(place_of(folder, None), encrypted=password is not None)
    return 0


def _make_beside(folder: Path, options: InitOptions, *, asks: bool) -> int:
    """A further community in a node that is there."""
    places = places_of(folder)
    if options.name is None or options.name in places:
        raise SetupUnusable(
            f"{folder}: is a node already, with {', '.join(places)}; go on with --show, --meter "
            "or --add-member, or give another --name for one more community"
        )
    node_wide = (options.chain, options.key, options.listen, options.database, options.mqtt)
    if any(value is not None for value in node_wide):
        raise SetupUnusable(
            f"{folder}: is a node already: change its chain, key, address, database and broker "
            f"in {NODE_FILE}"
        )
    settings = next(iter(places.values())).settings
    answers = Questions(options, asks=asks).community(folder)
    operator = account_of_key(folder / settings.chain.key)
    community, keys = _community(answers, options, operator)
    password = chosen_password()
    put_beside(folder, NewNode(settings, community, keys), password)
    place = place_of(folder, community.name)
    row("written", f"{place.path}, {_counted(keys)}; {folder / NODE_FILE} names it now")
    _print_new(place, encrypted=password is not None)
    return 0


def _make_test_bed(folder: Path, options: InitOptions) -> int:
    """A scenario's community, whose time the records drive."""
    require_free(folder)
    own = (options.members, options.currency, options.interval, options.advance)
    others = (
        options.supplier_advance,
        options.supplier,
        options.grid_operator,
        options.first_start,
    )
    if any(value is not None for value in (*own, *others)):
        raise SetupUnusable(
            "--scenario brings members, currency, interval, advances, accounts and times of its "
            "own: leave their options away"
        )
    if options.chain is not None and options.key is None:
        raise SetupUnusable(
            "--scenario with --chain needs --key: a test bed's own key can be computed by anybody, "
            "and this one pays for the transactions"
        )
    neighbourhood = neighbourhood_named(options.scenario or "", options.start, options.days)
    settings, keys = _settings(folder, options, options.chain)
    if keys:
        keys = {OPERATOR_KEY: demonstration_account(OPERATOR).key}
    settings = msgspec.structs.replace(settings, clock="records")
    community = community_of_scenario(
        neighbourhood,
        name=options.name or neighbourhood.name,
        market=market_of(options),
        tariff=Questions(options, asks=False).tariff(Currency(EURO)),
    )
    at = planned_address(_operator(folder, settings, keys), settings.chain.url, community)
    meters = simulated_meters(neighbourhood, at.ledger)
    community = msgspec.structs.replace(community, meters=meters)
    put_in_place(folder, NewNode(settings, community, keys), chosen_password())
    row("written", f"{folder / NODE_FILE}, {folder / COMMUNITY_FILE}, {_counted(keys)}")
    place = place_of(folder, None)
    row("test bed", f"{community.name}: {len(community.members)} members, {len(meters)} simulated "
        f"meters, from {community.first_start}")  # fmt: skip
    row("", "an interval ends as soon as every meter has spoken for it")
    row("", "anybody can compute the members' keys: use it for nothing of value")
    print_chain(place, looked_at(place)[0])
    days = f" --start {options.start}" if options.start else ""
    days += f" --days {options.days}" if options.days else ""
    print_next(
        f"commonwatt serve {shlex.quote(str(folder))}",
        f"in another window: commonwatt meter simulate --scenario {options.scenario}{days} "
        f"--community {community.name} --to http://{settings.listen}",
    )
    return 0


def _settings(
    folder: Path, options: InitOptions, url: str | None
) -> tuple[NodeSettings, dict[str, bytes]]:
    """The node's settings, and a key to be written where none was named."""
    key, keys = OPERATOR_KEY, {OPERATOR_KEY: make_key()}
    if options.key is not None:
        path, own, keys = options.key.resolve(), folder.resolve(), {}
        key = str(path.relative_to(own) if path.is_relative_to(own) else path)
    settings = NodeSettings(
        listen=options.listen or NodeSettings().listen,
        database=options.database,
        mqtt=options.mqtt,
        chain=ChainSettings(url=url, key=key),
    )
    return settings, keys


def _operator(folder: Path, settings: NodeSettings, keys: dict[str, bytes]) -> bytes:
    """The account that signs for the node."""
    if keys:
        return Account.from_key(keys[OPERATOR_KEY]).address_bytes
    return account_of_key(folder / settings.chain.key)


def _community(
    answers: Answers, options: InitOptions, operator: bytes
) -> tuple[CommunityFile, dict[str, bytes]]:
    """The community, and a new key for each of its members."""
    keys = {f"{KEYS_FOLDER}/{answers.name}-{n}.key": make_key() for n in range(answers.members)}
    now, length = int(time.time()), answers.interval_s
    start = options.first_start or time_text(now - now % length + length)
    Interval(parse_time(start), length)
    own = checksum(operator)
    community = CommunityFile(
        name=answers.name,
        first_start=start,
        supplier=account_told(options.supplier or own, "--supplier"),
        grid_operator=account_told(options.grid_operator or own, "--grid-operator"),
        tariff=answers.tariff,
        members=tuple(
            MemberEntry(f"member {number}", Account.from_key(key).address, answers.advance)
            for number, key in enumerate(keys.values())
        ),
        currency=answers.currency.code,
        decimals=answers.currency.decimals,
        interval_s=length,
        supplier_advance=answers.supplier_advance,
        market=answers.market,
    )
    return community, keys


def _print_new(place: Place, *, encrypted: bool) -> None:
    """What was made, and what comes next."""
    file, folder = place.community, place.folder
    outlook, away = looked_at(place)
    when = f"intervals of {file.interval_s} s from {file.first_start}"
    how = f"{counted(len(file.members), 'member')}, {file.currency}, {file.market.rule}"
    row("community", f"{file.name}: {how}, {when}")
    print_chain(place, outlook)
    if away:
        row("ledger", away)
    for number, member in enumerate(file.members[:LISTED_MAX]):
        row(f"member {number}", f"{member.account}, key in {_member_key(file.name, number)}")
    if len(file.members) > LISTED_MAX:
        row("", f"and {len(file.members) - LISTED_MAX} more, keys in {KEYS_FOLDER}")
    if encrypted:
        row("keys", "encrypted; the node asks the environment for the password")
    else:
        row("keys", "NOT encrypted: whoever reads the files has the accounts; with "
            f"{PASSWORD_VARIABLE} set, init encrypts them")  # fmt: skip
    ether = "send ether to the operator's account: it pays for every transaction"
    steps = [] if place.settings.chain.url is None else [ether]
    ledger = "LEDGER" if outlook is None else outlook.chain.ledger.hex()
    own = shlex.quote(str(folder))
    print_next(
        *steps,
        "set up each meter for this ledger; one that cannot sign is read by a gateway, as\n"
        f"commonwatt gateway init gateway --source p1 --at /dev/ttyUSB0 --community {file.name} "
        f"--ledger {ledger} --interval {file.interval_s} --to http://{place.settings.listen} "
        "> meter.json",
        "add it to its member, as\n"
        f"commonwatt init {own} --meter meter.json --member 0 --rated-w 17250",
        f"see what is missing: commonwatt init {own} --show",
        f"check everything: commonwatt doctor {own}",
        f"found the community and keep it: commonwatt serve {own}",
    )


def _member_key(community: str, number: int) -> str:
    return f"{KEYS_FOLDER}/{community}-{number}.key"


def _counted(keys: dict[str, bytes]) -> str:
    return counted(len(keys), "key file")


def _add_member(place: Place, add: AddOptions, advance: str | None) -> int:
    if add != AddOptions(add_member=add.add_member, account=add.account):
        raise SetupUnusable("--add-member goes with --account and --advance, not with a meter's")
    require_open(place)
    file, keys = place.community, {}
    if add.account is None:
        keys = {_member_key(file.name, len(file.members)): make_key()}
        account = Account.from_key(next(iter(keys.values()))).address
    else:
        account = account_told(add.account, "--account")
    usual = file.members[-1].advance if file.members else "0"
    told = advance_told(advance or usual, Currency(file.currency, file.decimals))
    written = write_keys(place.folder, keys, chosen_password())
    try:
        number = add_member(place, MemberEntry(add.add_member or "", account, told))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    key = f", key in {next(iter(keys))}" if keys else ""
    row(f"member {number}", f"{add.add_member}: {account}{key}; in {place.path}")
    return 0


def _add_meter(place: Place, add: AddOptions) -> int:
    if add.meter is None or add.account is not None:
        raise SetupUnusable(
            "--member, --role, --rated-w, --zone, --source and --tokens go with --meter FILE, "
            "--account with --add-member NAME"
        )
    if add.member is None:
        raise SetupUnusable(f"--meter {add.meter}: whose is it? give --member, a number from 0 on")
    wishes = MeterWishes(add.member, add.role, add.rated_w, add.zone, add.source, add.tokens)
    entry = add_meter(place, add.meter, wishes)
    source = f", {entry.source}" if entry.source else ""
    row("meter", f"{meter_of(entry)}, {entry.role} of member {entry.member}, {entry.rated_w} W, "
        f"zone {entry.zone}{source}; in {place.path}")  # fmt: skip
    return 0
