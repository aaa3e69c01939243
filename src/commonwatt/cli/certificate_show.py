"""`commonwatt certificate show`: what the chain's events tell of one certificate's units."""

from collections.abc import Iterator

from commonwatt.audit.facts import Act, Movement
from commonwatt.audit.units import Units, units_of
from commonwatt.chain.abi import contract
from commonwatt.chain.account import checksum
from commonwatt.chain.errors import ChainError
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.cli.book_run import bundle_from
from commonwatt.cli.book_show import show_bundle
from commonwatt.cli.certificate_run import Run, Where, opened_run, token_from
from commonwatt.cli.certificate_table import UnitTable
from commonwatt.cli.certificate_words import (
    LABEL,
    id_text,
    moment,
    print_json,
    print_table,
    printable,
    short,
)
from commonwatt.node.units import read_history


def run_show(where: Where, text: str, *, as_json: bool) -> int:
    """Print all there is to know of a certificate, or of a bundle of the book."""
    with opened_run(where) as run:
        number = bundle_from(text)
        if number is None:
            _show_token(run, text, as_json=as_json)
        else:
            show_bundle(run, number, as_json=as_json)
    return 0


def _show_token(run: Run, text: str, *, as_json: bool) -> None:
    token = token_from(run, text)
    found = units_of(*read_history(run.ledger, {token.meter}))
    units = next(units for units in found if TokenId(*units.origin) == token)
    table, traits = UnitTable(run, [units]), _Traits(run, token)
    if as_json:
        answer = table.as_json(units, table.places(units, None)) | traits.as_json()
        answer["movements"] = [_movement_json(entry) for entry in units.history]
        print_json(answer)
    else:
        _print_units(table, units, traits)


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


def _print_units(table: UnitTable, units: Units, traits: _Traits) -> None:
    token = TokenId(*units.origin)
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
    print_table(("Wh", "holder", "state"), places, right=range(1))
    print()
    rows = [_movement_row(entry) for entry in units.history]
    heads = ("what", "Wh", "from", "to", "transaction", "words")
    print_table(heads, rows, right=range(1, 2))


def _movement_row(m: Movement) -> tuple[str, ...]:
    giver, taker = (checksum(who) if who else "" for who in (m.giver, m.taker))
    words = printable(", ".join(str(text) for text in _words(m).values() if text))
    return (m.act.value, f"{m.wh:,}", giver, taker, "0x" + m.transaction.hex(), words)


def _movement_json(m: Movement) -> dict[str, object]:
    return {
        "act": m.act.value,
        "wh": m.wh,
        "from": checksum(m.giver) if m.giver else None,
        "to": checksum(m.taker) if m.taker else None,
        "transaction": "0x" + m.transaction.hex(),
        "block": m.block,
        **_words(m),
    }


def _words(m: Movement) -> dict[str, object]:
    """What was said with a movement."""
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
