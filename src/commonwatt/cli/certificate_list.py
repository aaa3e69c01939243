"""`commonwatt certificate list` and `show`: what the chain's events tell of certificates."""

from collections.abc import Iterable, Iterator, Sequence

from commonwatt.audit.facts import Act
from commonwatt.chain.abi import contract
from commonwatt.chain.account import checksum
from commonwatt.chain.errors import ChainError
from commonwatt.chain.holdings import Offer
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.cli.certificate_run import (
    Run,
    Where,
    address_from,
    id_text,
    opened_run,
    print_json,
    printable,
    short,
    token_from,
)
from commonwatt.node.units import (
    ESCROWED,
    HELD,
    STATES,
    Happened,
    Place,
    Units,
    read_history,
    units_of,
)
from commonwatt.quantity import TIME_MAX, time_text

LABEL = 13
_USABLE = (HELD, ESCROWED)
"""Only these expire."""


def run_list(where: Where, account: str | None, *, as_json: bool) -> int:
    """Print every certificate and where its units are."""
    wanted = None if account is None else address_from(account, "--account")
    with opened_run(where) as run:
        found = units_of(*read_history(run.ledger, run.community.by_meter))
        table = _Table(run, found)
        kept = [(units, table.places(units, wanted)) for units in found]
        kept = [(units, places) for units, places in kept if places]
        if as_json:
            print_json(
                {
                    "time": time_text(table.now),
                    "certificates": [table.as_json(units, places) for units, places in kept],
                }
            )
        else:
            _print_list(table, kept)
    return 0


def run_show(where: Where, text: str, *, as_json: bool) -> int:
    """Print all there is to know of one certificate."""
    with opened_run(where) as run:
        token = token_from(run, text)
        found = units_of(*read_history(run.ledger, {token.meter}))
        units = next(units for units in found if units.token == token)
        table = _Table(run, [units])
        traits = _Traits(run, token)
        if as_json:
            answer = table.as_json(units, table.places(units, None))
            answer |= traits.as_json()
            answer["movements"] = [_movement_json(entry) for entry in units.history]
            print_json(answer)
        else:
            _print_units(table, units, traits)
    return 0


class _Table:
    """Words for the places of units: whose, until when, at which price."""

    def __init__(self, run: Run, found: Sequence[Units]) -> None:
        """Ask the chain for its time, and how long certificates can be used."""
        self.run, self.now = run, run.now()
        self._lifetime: int | None = None
        if found:
            token = found[0].token
            expires = run.ledger.expires_at(token)
            if expires is not None:
                self._lifetime = expires - token.start - token.duration
        self._offers: dict[int, Offer | None] = {}

    def places(self, units: Units, account: bytes | None) -> list[tuple[Place, int]]:
        """The places of an account's units, or everybody's."""
        own = [(p, wh) for p, wh in units.places.items() if account in (None, p.holder)]
        return sorted(own, key=lambda entry: (STATES.index(entry[0].state), entry[0].holder))

    def expires(self, token: TokenId) -> int | None:
        """UTC seconds; None: never."""
        end = token.start + token.duration
        return None if self._lifetime is None else end + self._lifetime

    def has_expired(self, token: TokenId) -> bool:
        """Whether its units cannot be used any more."""
        expires = self.expires(token)
        return expires is not None and expires <= self.now

    def offer(self, place: Place) -> tuple[int, Offer] | None:
        """The offer in whose escrow units are, with its number."""
        escrow = place.escrow
        if escrow is None or escrow.agent != self.run.ledger.addresses.exchange:
            return None
        if escrow.number not in self._offers:
            self._offers[escrow.number] = self.run.ledger.offer_of(escrow.number)
        found = self._offers[escrow.number]
        return None if found is None else (escrow.number, found)

    def state(self, units: Units, place: Place) -> str:
        """What units are, for a person."""
        text = place.state
        offered = self.offer(place)
        if offered is not None:
            number, offer = offered
            until = "over since" if offer.expires <= self.now else "until"
            price = price_text(self.run, offer.price)
            text = f"offer {number}, {price}, {until} {moment(offer.expires)}"
        expires = self.expires(units.token)
        if place.state in _USABLE and expires is not None and self.has_expired(units.token):
            text += f", expired {moment(expires)}"
        return text

    def as_json(self, units: Units, places: Iterable[tuple[Place, int]]) -> dict[str, object]:
        """One certificate with some of its places."""
        token = units.token
        expires = self.expires(token)
        return {
            "id": id_text(token),
            "meter": token.meter.hex(),
            "start": moment(token.start),
            "end": moment(token.start + token.duration),
            "issued_wh": units.issued_wh,
            "expires": None if expires is None else moment(expires),
            "expired": self.has_expired(token),
            "units": [self._place_json(place, wh) for place, wh in places],
        }

    def _place_json(self, place: Place, wh: int) -> dict[str, object]:
        answer: dict[str, object] = {
            "account": checksum(place.holder),
            "state": place.state,
            "wh": wh,
        }
        offered = self.offer(place)
        if offered is not None:
            number, offer = offered
            answer["offer"] = {
                "number": number,
                "price": self.run.community.currency.price_text(offer.price),
                "until": moment(offer.expires),
                "over": offer.expires <= self.now,
            }
        return answer


class _Traits:
    """What the registry says of a certificate's meter."""

    def __init__(self, run: Run, token: TokenId) -> None:
        """Ask it."""
        known, at = contract("Registry"), "0x" + run.ledger.addresses.registry.hex()
        data = known.data("producer", int.from_bytes(token.meter))
        ((*_, community, owner, issuer, _, source, rated_w, _, is_direct),) = known.answer(
            "producer", run.ledger.connection.call(at, data)
        )
        self.run, self.source, self.rated_w, self.is_direct = run, source, rated_w, is_direct
        self.community, self.owner, self.issuer = (
            bytes.fromhex(text[2:]) for text in (community, owner, issuer)
        )

    def as_json(self) -> dict[str, object]:
        """The same as JSON."""
        return {
            "issuer": checksum(self.issuer),
            "source": f"T{self.source:06x}",
            "rated_w": self.rated_w,
            "direct": self.is_direct,
            "owner": checksum(self.owner),
            "community": checksum(self.community),
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """The same for a person."""
        yield "source", f"T{self.source:06x}, {self.rated_w:,} W"
        yield "issuer", checksum(self.issuer)
        yield "owner", f"{self.run.account_text(self.owner)}, of the meter"
        yield "community", checksum(self.community)


def moment(seconds: int) -> str:
    """A time as text; one that no calendar has as a number."""
    return time_text(seconds) if 0 <= seconds < TIME_MAX else str(seconds)


def price_text(run: Run, price: int) -> str:
    """A price as people read it."""
    currency = run.community.currency
    return f"{currency.price_text(price)} {currency.code} per kWh"


def _print_list(table: _Table, kept: Sequence[tuple[Units, list[tuple[Place, int]]]]) -> None:
    rows = [
        (
            short(units.token),
            moment(units.token.start + units.token.duration),
            f"{wh:,}",
            table.run.account_text(place.holder),
            table.state(units, place),
        )
        for units, places in kept
        for place, wh in places
    ]
    if not rows:
        print("no certificates")
        return
    _print_table(("certificate", "end", "Wh", "holder", "state"), rows, right=2)


def _print_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: int) -> None:
    """Columns side by side; the one at `right` holds numbers."""
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (
            cell.rjust(width) if place == right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _print_units(table: _Table, units: Units, traits: _Traits) -> None:
    token = units.token
    expires = table.expires(token)
    lines = [
        ("certificate", short(token)),
        ("id", id_text(token)),
        ("meter", token.meter.hex()),
        ("interval", f"{moment(token.start)} to {moment(token.start + token.duration)}"),
        ("issued", f"{units.issued_wh:,} Wh"),
        *traits.lines(),
    ]
    if expires is None:
        lines.append(("expires", "never"))
    else:
        lines.append(("expired" if table.has_expired(token) else "expires", moment(expires)))
    for label, text in lines:
        print(f"{label:<{LABEL}}{text}")
    print()
    places = [
        (f"{wh:,}", table.run.account_text(place.holder), table.state(units, place))
        for place, wh in table.places(units, None)
    ]
    _print_table(("Wh", "holder", "state"), places, right=0)
    print()
    rows = [_movement_row(entry) for entry in units.history]
    heads = ("what", "Wh", "from", "to", "transaction", "words")
    _print_table(heads, rows, right=1)


def _movement_row(entry: Happened) -> tuple[str, ...]:
    m = entry.movement
    giver, taker = (checksum(who) if who else "" for who in (m.giver, m.taker))
    words = printable(", ".join(str(text) for text in _words(entry).values() if text))
    return (m.act.value, f"{m.wh:,}", giver, taker, "0x" + entry.transaction.hex(), words)


def _movement_json(entry: Happened) -> dict[str, object]:
    m = entry.movement
    return {
        "act": m.act.value,
        "wh": m.wh,
        "from": checksum(m.giver) if m.giver else None,
        "to": checksum(m.taker) if m.taker else None,
        "transaction": "0x" + entry.transaction.hex(),
        "block": entry.block,
        **_words(entry),
    }


def _words(entry: Happened) -> dict[str, object]:
    """What was said with a movement."""
    m = entry.movement
    if m.act is Act.RETIRED:
        try:
            said = Purpose.decode(m.words)
        except ChainError:
            return {"words": m.words.hex()}
        return {
            "beneficiary": said.beneficiary,
            "purpose": said.purpose,
            "period_start": moment(said.period_start),
            "period_end": moment(said.period_end),
            "country": said.country,
            "location": said.location,
        }
    if m.act in (Act.WITHDRAWN, Act.REINSTATED):
        return {"reason": m.words.decode(errors="replace")}
    if m.act is Act.EXPORTED:
        return {"destination": m.destination.hex(), "message": m.words.hex()}
    if m.act is Act.RESTORED:
        return {"message": m.words.hex()}
    return {}
