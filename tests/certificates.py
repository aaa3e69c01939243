"""Accounts, a small book and signed actions, for tests of the certificates' log."""

from hashlib import sha256

from commonwatt.certificate.actions import Action, Admit, Issue
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import SignedAction, book_identity, signed_text
from commonwatt.chain.account import Account
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.registration import SOLAR_ROOFTOP

QUARTER_S = 900
NOON = 1_466_510_400
"""2016-06-21T12:00:00Z."""
LATER = NOON + 30 * 86_400
ROOF_KEY = MeterKey.from_seed(b"roof")
ROOF = ROOF_KEY.meter.hex()
RECORD = "11" * 32
IDENTITY = book_identity(31_337, b"R" * 20)


def account(name: str) -> Account:
    return Account.from_key(sha256(name.encode()).digest())


ISSUER, PRODUCER, NEIGHBOUR, FORGER = map(account, ("issuer", "producer", "neighbour", "forger"))
SCHEME = Scheme(ISSUER.address_bytes, lifetime_s=0)


def hex_of(who: Account) -> str:
    return who.address_bytes.hex()


class Signers:
    """Counts each account's actions, as a wallet would."""

    def __init__(self) -> None:
        self.nonces: dict[str, int] = {}

    def sign(self, who: Account, action: Action, *, key: Account | None = None) -> SignedAction:
        """The account's next action, signed with its key or with somebody else's."""
        nonce = self.nonces.get(who.address, 0)
        signature = (key or who).sign_text(signed_text(IDENTITY, nonce, action))
        return SignedAction(hex_of(who), nonce, action, signature.hex())

    def done(self, who: Account) -> None:
        """The book has done the account's next action."""
        self.nonces[who.address] = self.nonces.get(who.address, 0) + 1


def admission() -> Admit:
    key = ROOF_KEY.public_key.hex()
    return Admit(ROOF, hex_of(PRODUCER), SOLAR_ROOFTOP, 10_000, "DE", NOON - 86_400, key=key)


def issue(quarter: int = 0, free_wh: int = 1_000) -> Issue:
    return Issue(ROOF, NOON + quarter * QUARTER_S, QUARTER_S, free_wh, 0, free_wh, RECORD)
