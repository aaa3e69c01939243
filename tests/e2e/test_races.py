"""Two real processes want the same units at the same moment: one gets them, and nothing is lost.

In a third of the trials they ask for an estimate first, as our client does; in a third they send
without asking; and on Anvil, in the last, both transactions are in one block.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from anvil import running_anvil
from clients import racer
from clients.node import served
from commonwatt.chain.abi import contract
from commonwatt.chain.connection import Account, Connection
from commonwatt.chain.embedded import EmbeddedChain
from commonwatt.chain.embedded.chain import CHAIN_ID
from commonwatt.chain.founding import deploy
from commonwatt.chain.production import Purpose, TokenId
from commonwatt.node.wiring import CHAIN_FILE, NODE_FOLDER
from contracts.ground import QUARTER, Clock, Ground, account

pytestmark = pytest.mark.xdist_group("races")

LONG = [pytest.param(200, marks=pytest.mark.soak)] if os.environ.get("COMMONWATT_SOAK") else []
TRIALS = pytest.mark.parametrize("trials", [20, *LONG])

BEGIN = 1_699_990_200
"""On the grid, and before the time at which Anvil begins."""
ISSUED_WH, POCKET = 100_000, 10**12
GAS = 400_000
"""Enough for each of the calls; who sends it along asks for no estimate."""
LEAD_SECONDS = 0.01
FOR_EVER = 2**32 - 1
BREAD = Purpose("bakery", "Market Square 1", "DE", BEGIN - 86_400, BEGIN + 86_400, "bread")

STOCK, HOLDER, BROKER = account("member 0"), account("holder"), account("broker")
RACERS = [account("racer 0"), account("racer 1")]
PLACES = [account("a first place").address_bytes, account("a second place").address_bytes]


@dataclass(frozen=True)
class Wish:
    """What one process is to do, and in whose name."""

    who: Account
    contract: str
    function: str
    values: tuple[object, ...]


@dataclass
class Track:
    """A community on a chain behind a URL, and two processes beside it."""

    ground: Ground
    token: TokenId
    processes: list[subprocess.Popen[str]]
    same_block: bool
    """Whether the chain can be told when to make a block."""

    tally: Counter[str] = field(default_factory=Counter)

    def race(self, first: Wish, second: Wish, trial: int) -> tuple[int, dict[str, Any]]:
        """Who of the two won, and what the other was told; it must be one of the two."""
        mode = trial % (3 if self.same_block else 2)
        ask = self.ground.ledger.connection.request
        if mode == 2:
            ask("evm_setAutomine", False)  # noqa: FBT003
        at = time.monotonic() + LEAD_SECONDS
        for process, wish in zip(self.processes, (first, second), strict=True):
            to = getattr(self.ground.ledger.addresses, wish.contract)
            data = contract(wish.contract.capitalize()).data(wish.function, *wish.values)
            task = {
                "key": wish.who.key.hex(), "to": "0x" + to.hex(), "data": data.hex(),
                "gas": GAS if mode else None, "at": at,
            }  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
        if mode == 2:
            self._wait_for_two()
            ask("evm_mine")
            ask("evm_setAutomine", True)  # noqa: FBT003
        answers = [
            json.loads(process.stdout.readline()) for process in self.processes if process.stdout
        ]
        assert [answer["won"] for answer in answers].count(True) == 1, answers
        winner = [answer["won"] for answer in answers].index(True)
        loser = answers[1 - winner]
        if mode == 2:
            assert loser["block"] == answers[winner]["block"]
        self.tally[f"{('estimate', 'blind', 'one block')[mode]}: {loser['how']}"] += 1
        return winner, loser

    def _wait_for_two(self) -> None:
        deadline = time.monotonic() + 10
        while int(self.ground.ledger.connection.request("txpool_status")["pending"], 16) < 2:
            assert time.monotonic() < deadline, "two transactions were to be sent"
            time.sleep(0.001)

    def units(self, *holders: bytes) -> list[int]:
        return [self.ground.ledger.units(holder, self.token) for holder in holders]

    def money(self, *holders: bytes) -> list[int]:
        return [self.ground.ledger.wallet(holder) for holder in holders]

    def stock_up(self, wh: int) -> None:
        """Give the holder exactly so many Wh."""
        assert self.units(HOLDER.address_bytes) == [0]
        own = STOCK.address_bytes
        self.ground.ledger.transfer(STOCK, own, HOLDER.address_bytes, self.token, wh)


@pytest.fixture(scope="module", params=["anvil", "embedded chain"])
def track(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Track]:
    if request.param == "anvil":
        with running_anvil(CHAIN_ID) as url:
            yield from _track(url, same_block=True)
    else:
        folder = tmp_path_factory.mktemp("races")
        (folder / NODE_FOLDER).mkdir()
        EmbeddedChain(folder / NODE_FOLDER / CHAIN_FILE).close()
        with served(folder) as url:
            yield from _track(url, same_block=False)


def _track(url: str, *, same_block: bool) -> Iterator[Track]:
    """A community with one certificate of 100 kWh in stock, and two processes that wait."""
    with Connection.http(url) as connection:
        ledger = deploy(
            connection, issuer=Ground.issuer, operator=Ground.operator.address_bytes,
            supplier=Ground.supplier.address_bytes, grid_operator=Ground.grid.address_bytes,
            lifetime_s=0,
        )  # fmt: skip
        ground = Ground(Clock(BEGIN), None, ledger)  # its chain is not in this process
        ground.join(1)
        plant = ground.meter("plant", direct=True, rated_w=10**6, first_day=BEGIN // 86_400)
        ground.register(plant)
        ledger.start_direct(ground.stranger, plant.last.record)
        ground.issue(plant, export_wh=ISSUED_WH)
        token = TokenId(plant.key.meter, BEGIN, QUARTER)
        ledger.approve(STOCK, ledger.addresses.exchange or b"")
        ledger.approve(HOLDER, BROKER.address_bytes)
        for buyer in RACERS:
            ground.allow(buyer, POCKET)
        processes = [_racer(url), _racer(url)]
        try:
            track = Track(ground, token, processes, same_block)
            yield track
            _require_conserved(track)
        finally:
            for process in processes:
                process.communicate(timeout=20)
        assert [process.returncode for process in processes] == [0, 0]


def _racer(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(Path(racer.__file__)), url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _require_conserved(track: Track) -> None:
    """What was issued is held or retired by somebody, and no money was made or lost."""
    buyers = [buyer.address_bytes for buyer in RACERS]
    holders = [STOCK.address_bytes, HOLDER.address_bytes, BROKER.address_bytes, *buyers, *PLACES]
    retired = track.ground.ledger.retired(HOLDER.address_bytes, track.token)
    assert sum(track.units(*holders)) + retired == ISSUED_WH
    assert sum(track.money(STOCK.address_bytes, *buyers)) == len(RACERS) * POCKET
    assert track.ground.ledger.token_supply() == len(RACERS) * POCKET


def tell(track: Track, what: str) -> None:
    """Seen with `pytest -s`."""
    sys.stdout.write(f"\n{what}: {dict(sorted(track.tally.items()))}\n")
    track.tally.clear()


@TRIALS
def test_of_two_buyers_of_the_same_units_one_gets_them_and_pays_once(
    track: Track, trials: int
) -> None:
    ledger, seller = track.ground.ledger, STOCK.address_bytes
    people = [seller, *(buyer.address_bytes for buyer in RACERS)]
    for trial in range(trials):
        wanted, price = 2 + trial % 3, 25_000 + trial
        # All of the offer, or so much of it that there is not enough for both.
        offered = wanted if trial % 2 else 2 * wanted - 1
        number = ledger.number_of(ledger.offer(STOCK, track.token, offered, price, FOR_EVER))
        units, money = track.units(*people), track.money(*people)
        values = (number, wanted, wanted * price)
        wishes = [Wish(buyer, "exchange", "buy", values) for buyer in RACERS]
        winner, loser = track.race(*wishes, trial)
        reason = "certificate: balance too small" if offered > wanted else "exchange: no such offer"
        assert loser["why"] == reason
        moved, paid = [0, 0, 0], [wanted * price, 0, 0]
        moved[1 + winner], paid[1 + winner] = wanted, -wanted * price
        assert track.units(*people) == [a + b for a, b in zip(units, moved, strict=True)]
        assert track.money(*people) == [a + b for a, b in zip(money, paid, strict=True)]
        escrow = ledger.escrow_of_offer(seller, number)
        assert track.units(escrow) == [offered - wanted]
        if offered > wanted:
            ledger.cancel_offer(STOCK, number)
        assert ledger.offer_of(number) is None
        assert track.units(escrow) == [0]
    _require_conserved(track)
    tell(track, f"buy or buy, {trials} trials")


@TRIALS
def test_units_that_are_moved_and_retired_at_once_are_moved_or_retired(
    track: Track, trials: int
) -> None:
    ledger, own, number = track.ground.ledger, HOLDER.address_bytes, track.token.number
    for trial in range(trials):
        wh = 1 + trial % 5
        track.stock_up(wh)
        [there], gone = track.units(PLACES[0]), ledger.retired(own, track.token)
        moving = (own, PLACES[0], number, wh, b"")
        retiring = (own, number, wh, BREAD.encode())
        winner, loser = track.race(
            Wish(HOLDER, "certificate", "safeTransferFrom", moving),
            Wish(BROKER, "certificate", "retire", retiring),
            trial,
        )
        assert loser["why"] == "certificate: balance too small"
        assert track.units(own, PLACES[0]) == [0, there + wh * (winner == 0)]
        assert ledger.retired(own, track.token) == gone + wh * (winner == 1)
    _require_conserved(track)
    tell(track, f"move or retire, {trials} trials")


@TRIALS
def test_units_that_one_key_sends_to_two_places_arrive_in_one(track: Track, trials: int) -> None:
    own, number = HOLDER.address_bytes, track.token.number
    for trial in range(trials):
        wh = 1 + trial % 5
        track.stock_up(wh)
        before = track.units(*PLACES)
        wishes = [
            Wish(HOLDER, "certificate", "safeTransferFrom", (own, place, number, wh, b""))
            for place in PLACES
        ]
        # Two transactions of one account with one number are never both in a block.
        winner, _ = track.race(*wishes, trial % 2)
        before[winner] += wh
        assert track.units(own, *PLACES) == [0, *before]
    _require_conserved(track)
    tell(track, f"one key twice, {trials} trials")
