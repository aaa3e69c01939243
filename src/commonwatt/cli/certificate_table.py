"""Words for the units of tokens: whose they are, until when, at which price."""

from collections.abc import Iterable, Sequence

from commonwatt.audit.units import ESCROWED, HELD, STATES, Place, Units
from commonwatt.chain.account import checksum
from commonwatt.chain.holdings import Offer
from commonwatt.chain.production import TokenId
from commonwatt.cli.certificate_run import Run
from commonwatt.cli.certificate_words import id_text, moment, price_text

_USABLE = (HELD, ESCROWED)
"""Only these expire."""


class UnitTable:
    """Words for the places of units: whose, until when, at which price."""

    def __init__(self, run: Run, found: Sequence[Units]) -> None:
        """Ask the chain for its time, and how long certificates can be used."""
        self.run, self.now = run, run.now()
        self._lifetime: int | None = None
        if found:
            token = TokenId(*found[0].origin)
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
        expires = self.expires(TokenId(*units.origin))
        if (
            place.state in _USABLE
            and expires is not None
            and self.has_expired(TokenId(*units.origin))
        ):
            text += f", expired {moment(expires)}"
        return text

    def as_json(self, units: Units, places: Iterable[tuple[Place, int]]) -> dict[str, object]:
        """One certificate with some of its places."""
        token = TokenId(*units.origin)
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
