"""A small book to act in: an issuer, accounts and meters by number, one noon in UTC."""

from commonwatt.certificate import actions
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import Bundle, Origin
from commonwatt.certificate.context import Scheme

NOON = 1_466_510_400
"""2016-06-21T12:00:00Z"""
QUARTER, HOUR, DAY = 900, 3_600, 86_400
LATER = NOON + 2 * HOUR
ISSUER, BUYER, PRODUCER, FARM, BROKER = (bytes([tag]) * 20 for tag in range(1, 6))
SOLAR, WIND = 0x010100, 0x020001
HERE, THERE = "DE-LU", "FR"


def meter(number: int) -> bytes:
    return number.to_bytes(20, "big")


class LittleBook:
    """Acts and remembers how many records there were."""

    def __init__(self, lifetime_s: int = 0) -> None:
        self.book = Book(Scheme(ISSUER, lifetime_s))
        self.records = 0

    @property
    def state(self):
        return self.book.state

    def do(self, action, actor: bytes = ISSUER, now: int = LATER) -> tuple[Bundle, ...]:
        return self.book.act(action, actor, now)

    def admit(
        self, number: int, owner: bytes, zone: str = HERE, source: int = SOLAR, permille: int = 0
    ) -> None:
        self.do(
            actions.Admit(
                meter(number).hex(),
                owner.hex(),
                0 if permille else source,
                10_000_000,
                zone,
                0,
                storage_permille=permille,
                voucher="the grid operator",
            )
        )

    def record(self) -> str:
        self.records += 1
        return self.records.to_bytes(32, "big").hex()

    def issue(
        self,
        number: int,
        wh: int,
        start: int = NOON,
        duration: int = QUARTER,
        *,
        metered: int | None = None,
        retired: int = 0,
    ) -> Bundle | None:
        made = self.do(
            actions.Issue(
                meter(number).hex(),
                start,
                duration,
                wh + retired if metered is None else metered,
                retired,
                wh,
                self.record(),
            )
        )
        # A device in debt may get nothing.
        return made[-1] if made else None

    def give(self, bundle: Bundle, wh: int | None = None, to: bytes = BUYER) -> Bundle:
        action = actions.Transfer(bundle.number, bundle.wh if wh is None else wh, to.hex())
        return self.do(action, bundle.holder)[0]

    def consume(
        self,
        number: int,
        wh: int,
        start: int = NOON,
        duration: int = QUARTER,
        zone: str = HERE,
        owner: bytes = BUYER,
    ) -> Origin:
        self.do(actions.Consume(meter(number).hex(), start, duration, wh, zone, owner.hex()))
        return Origin(meter(number), start, duration)

    def border(self, wh: int, start: int = NOON, duration: int = QUARTER) -> None:
        self.do(actions.Border(THERE, HERE, start, duration, wh))
