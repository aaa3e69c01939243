"""A small book of certificates with one roof, one battery and three accounts, for the tests."""

from commonwatt.certificate.actions import Action, Admit, Consume, Issue
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import Bundle
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.log import Entry
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.registration import SOLAR_ROOFTOP

ISSUER, PRODUCER, NEIGHBOUR, FORGER = (bytes([digit]) * 20 for digit in (1, 2, 3, 4))
ROOF, KITCHEN = (bytes([digit]) * 20 for digit in (0xA1, 0xA3))
BATTERY_KEY = MeterKey.from_seed(b"battery")
BATTERY = BATTERY_KEY.meter
VOUCHER = "the grid operator"
NOON = 1_466_510_400
"""2016-06-21T12:00:00Z."""
QUARTER_S = 900
LIFETIME_S = 60 * 86_400
RATED_W = 1_000_000


class LivedBook:
    """A book, and the entries that led to it."""

    def __init__(self, lifetime_s: int = LIFETIME_S) -> None:
        self.book = Book(Scheme(ISSUER, lifetime_s))
        self.entries: list[Entry] = []
        owner, zone = PRODUCER.hex(), "DE-LU"
        roof = Admit(ROOF.hex(), owner, SOLAR_ROOFTOP, RATED_W, zone, 0, voucher=VOUCHER)
        self.do(ISSUER, roof)
        key = BATTERY_KEY.public_key.hex()
        self.do(ISSUER, Admit(BATTERY.hex(), owner, 0, RATED_W, zone, 0, "", 870, key))

    def do(self, actor: bytes, action: Action, now: int | None = None) -> tuple[Bundle, ...]:
        now = max(self.book.now, NOON + QUARTER_S) if now is None else now
        made = self.book.act(action, actor, now)
        self.entries.append(Entry(len(self.entries), now, actor.hex(), 0, action, "00" * 65))
        return made

    def issue(self, wh: int, start: int = NOON, retired_wh: int = 0) -> Bundle:
        free = wh - retired_wh
        action = Issue(ROOF.hex(), start, QUARTER_S, wh, retired_wh, free, "5c" * 32)
        return self.do(ISSUER, action, max(self.book.now, start + QUARTER_S))[-1]

    def consume(self, wh: int, start: int = NOON) -> None:
        owner = NEIGHBOUR.hex()
        self.do(ISSUER, Consume(KITCHEN.hex(), start, QUARTER_S, wh, "DE-LU", owner))
