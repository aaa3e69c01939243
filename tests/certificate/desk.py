"""A book of certificates for the tests: its people, its meters, what they do at first."""

import pytest
from msgspec.structs import replace

from commonwatt.certificate.actions import (
    Accept,
    Action,
    Admit,
    Border,
    Charge,
    Close,
    Consume,
    Correct,
    Discharge,
    Export,
    Hand,
    Issue,
    Replace,
    Reserve,
    Restore,
    Retire,
    Revoke,
    Store,
    Transfer,
    Withdraw,
)
from commonwatt.certificate.book import Book
from commonwatt.certificate.bundle import Bundle, Origin, Status
from commonwatt.certificate.context import Scheme
from commonwatt.certificate.refusal import ActionRefused
from commonwatt.certificate.state import Issuance, require_conserved
from commonwatt.meter.keys import MeterKey
from commonwatt.meter.registration import SOLAR_ROOFTOP

ISSUER, PRODUCER, NEIGHBOUR, BUYER, FORGER = (bytes([number] * 20) for number in range(1, 6))
ROOF_KEY, TURBINE_KEY, NEW_KEY = (
    MeterKey.from_seed(name) for name in (b"roof", b"turbine", b"the new meter")
)
ROOF, TURBINE, NEW = (key.meter for key in (ROOF_KEY, TURBINE_KEY, NEW_KEY))
BATTERY, CELLAR, KITCHEN = (bytes([0xA0 + number] * 20) for number in range(3))
VOUCHER = "the grid operator"
QUARTER, HOUR, DAY = 900, 3_600, 86_400
NOON = 1_782_043_200
EVENING = NOON + 6 * HOUR
LIFETIME = 60 * DAY
LIMIT_WH = 1_562
"""What 5 kW can make in a quarter hour, a quarter of it on top (R7)."""


def digest(number: int) -> str:
    return number.to_bytes(32).hex()


ADMIT = Admit(
    ROOF.hex(), PRODUCER.hex(), SOLAR_ROOFTOP, 5_000, "KR", first_start=NOON - DAY,
    key=ROOF_KEY.public_key.hex(),
)  # fmt: skip
ADMIT_TURBINE = replace(ADMIT, meter=TURBINE.hex(), key=TURBINE_KEY.public_key.hex())
ADMIT_BATTERY = Admit(
    BATTERY.hex(), PRODUCER.hex(), 0, 5_000, "KR", first_start=NOON - DAY, storage_permille=900,
    voucher=VOUCHER,
)  # fmt: skip
HAND = Hand(ROOF.hex(), NEIGHBOUR.hex())
ACCEPT = Accept(ROOF.hex())
EXCHANGE = Replace(
    ROOF.hex(), NEW.hex(), NOON + HOUR, NEW_KEY.public_key.hex(), "the verification ran out"
)
CLOSE = Close(ROOF.hex(), from_start=NOON + DAY)
ISSUE = Issue(ROOF.hex(), NOON, QUARTER, 1_000, 300, 600, record=digest(1))
NEXT = replace(ISSUE, start=NOON + QUARTER, record=digest(2))
CORRECT = Correct(ROOF.hex(), NOON, QUARTER, 900, 500, corrects=digest(1), record=digest(3))
CONSUME = Consume(KITCHEN.hex(), NOON, HOUR, 400, "KR", NEIGHBOUR.hex())
REVOKE = Revoke(KITCHEN.hex(), NOON, HOUR, "the meter was read wrongly")
BORDER = Border("KR", "JP", NOON, HOUR, 250)
CHARGE = Charge(BATTERY.hex(), NOON, HOUR, 500)
DISCHARGE = Discharge(
    BATTERY.hex(), EVENING, QUARTER, 300, given_wh=300, retired_wh=0, record=digest(4)
)
RETIRED, FREE = 0, 1
"""Bundles of the first issue: what neighbours used, and what is the producer's."""
TRANSFER = Transfer(FREE, 200, NEIGHBOUR.hex())
RESERVE = Reserve(FREE, 200, NEIGHBOUR.hex(), until=NOON + 2 * DAY)
RETIRE = Retire(FREE, 200, NEIGHBOUR.hex(), "cooking")
MATCH = replace(RETIRE, meter=KITCHEN.hex(), start=NOON, duration=HOUR)
WITHDRAW = Withdraw(FREE, 200, "a fault of the meter")
EXPORT = Export(FREE, 200, "the registry across the border", message=digest(5))
RESTORE = Restore(digest(5), "refused over there")
STORE = Store(FREE, 200, BATTERY.hex(), NOON, HOUR)


class Desk:
    """A book, and the clock of whoever keeps it."""

    def __init__(self, lifetime_s: int = LIFETIME) -> None:
        self.book = Book(Scheme(ISSUER, lifetime_s))
        self.state = self.book.state
        self.now = NOON + DAY

    def canonical(self) -> str:
        return repr((self.state, self.book.entries, self.book.now))

    def does(self, actor: bytes, action: Action) -> tuple[Bundle, ...]:
        """It is done, and every unit of every interval is still in one place."""
        made = self.book.act(action, actor, self.now)
        for origin in self.state.issuances:
            require_conserved(self.state, origin)
        return made

    def refuses(self, actor: bytes, action: Action, rule: str) -> None:
        """It is refused under this rule, and nothing has changed."""
        before = self.canonical()
        with pytest.raises(ActionRefused) as refusal:
            self.book.act(action, actor, self.now)
        assert refusal.value.rule == rule, str(refusal.value)
        assert str(refusal.value).endswith(f"({rule})")
        assert self.canonical() == before

    def units(self, holder: bytes, status: Status, meter: bytes = ROOF) -> int:
        return sum(
            bundle.wh
            for bundle in self.state.bundles.values()
            if (bundle.holder, bundle.status, bundle.origin.meter) == (holder, status, meter)
        )

    def sums(self) -> tuple[int, int]:
        """Of all intervals: what is out, and what was found (R1)."""
        out = sum(
            bundle.wh
            for bundle in self.state.bundles.values()
            if bundle.status not in {Status.SPLIT, Status.WITHDRAWN}
        )
        return out, sum(found.found_wh for found in self.state.issuances.values())

    def issuance(self, start: int = NOON, meter: bytes = ROOF) -> Issuance:
        return self.state.issuances[Origin(meter, start, QUARTER)]

    @property
    def debt(self) -> int:
        return self.state.devices[ROOF].debt_wh
