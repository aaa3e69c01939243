"""The book of certificates once more, as plainly as can be: every watt-hour is a coin.

Nothing is summed up and nothing is divided here: a coin knows who has it and what became of it,
and what a consumption, a border or a charge has left is found by counting coins.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from msgspec.structs import replace

from commonwatt.certificate import actions as act

Key: TypeAlias = tuple[str, int, int]
"""Meter, start, duration."""
YEAR_S = 366 * 86_400


@dataclass(slots=True)
class Coin:
    """One Wh."""

    holder: str
    first: str = ""
    """Whose it was at first."""
    status: str = "active"
    promised: tuple[str, int] | None = None
    beneficiary: str | None = None
    use: Key | None = None
    border: tuple[str, str, int, int] | None = None
    charge: Key | None = None
    drawn_from: Key | None = None


@dataclass(slots=True)
class Said:
    """What the issuer said last of an interval."""

    metered: int
    retired: int
    stored: int
    free: int
    record: str
    coins: list[Coin]
    own: list[Coin] = field(default_factory=list)
    """Nobody has these: what a battery gave green and its home used."""
    withheld: int = 0
    owed: int = 0
    withdrawn: int = 0
    """By the issuer's own act, and not counted in a correction yet."""


@dataclass(slots=True)
class Site:
    """What a device's meters have in common."""

    owner: str
    offered: str | None = None
    debt: int = 0


@dataclass(slots=True)
class Plant:
    """A device, as one meter sees it."""

    said: act.Admit
    site: Site
    closed_from: int | None = None

    def could_move(self, wh: int, duration: int) -> bool:
        return 4 * wh * 3_600 <= 5 * self.said.rated_w * duration

    def was_in_service(self, start: int, end: int) -> bool:
        return self.said.first_start <= start and (
            self.closed_from is None or end <= self.closed_from
        )


@dataclass
class Coins:
    """Who has which coins. `does` says whether an action is right, and does it if it is."""

    issuer: str
    lifetime: int
    piece: Callable[[int], tuple[Key, int, int] | None]
    """Per bundle number the coins it is made of; None where it was divided or never was."""
    now: int = 0
    plants: dict[str, Plant] = field(default_factory=dict)
    issued: dict[Key, Said] = field(default_factory=dict)
    consumed: dict[Key, act.Consume] = field(default_factory=dict)
    revoked: set[Key] = field(default_factory=set)
    charged: dict[Key, act.Charge] = field(default_factory=dict)
    borders: dict[tuple[str, str, int, int], int] = field(default_factory=dict)
    messages: dict[str, list[Coin]] = field(default_factory=dict)
    """What is out under a message; nothing once it is back."""
    divided: set[int] = field(default_factory=set)
    """Bundles that an action before divided, of several done together."""

    def does(self, action: act.Action, actor: str, now: int) -> bool:
        if now < self.now:
            return False
        name = type(action).__name__.lower()
        by_issuer = hasattr(action, "reason") or name in {
            "admit", "close", "issue", "correct", "consume", "border", "charge", "discharge",
        }  # fmt: skip
        if name == "together":
            return self._together(action, actor, now)
        if by_issuer and actor != self.issuer:
            return False
        if hasattr(action, "reason") and not action.reason:
            return False
        before, self.now = self.now, now
        done = bool(getattr(self, f"_{name}")(action, actor))
        self.now = now if done else before
        return done

    def _together(self, a: act.Together, actor: str, now: int) -> bool:
        """All of it, or all is as it was before."""
        before = deepcopy({name: value for name, value in vars(self).items() if name != "piece"})
        done = 0 < len(a.actions) <= 100 and all(self._part(one, actor, now) for one in a.actions)
        self.divided.clear()
        if not done:
            vars(self).update(before)
        return done

    def _part(self, one: act.Single, actor: str, now: int) -> bool:
        coins = len(self._coins(one.bundle)) if hasattr(one, "bundle") else 0
        done = self.does(one, actor, now)
        if done and coins and getattr(one, "wh", coins) < coins:
            self.divided.add(one.bundle)
        return done

    def all(self) -> Iterator[Coin]:
        for said in self.issued.values():
            yield from said.coins
            yield from said.own

    def matched(self, use: Key) -> int:
        return sum(coin.use == use for coin in self.all())

    def crossed(self, border: tuple[str, str, int, int]) -> int:
        return sum(coin.border == border for coin in self.all())

    def stored(self, charge: Key) -> int:
        return sum(coin.charge == charge for coin in self.all())

    def drawn(self, charge: Key) -> int:
        return sum(coin.drawn_from == charge for coin in self.all())

    # What the issuer does.

    def _admit(self, a: act.Admit, _: str) -> bool:
        stores, generates = a.storage_permille > 0, a.source > 0
        if a.meter in self.plants or stores == generates or not _is_vouched(a):
            return False
        if a.commissioned not in {"", "2016-06-21"}:
            return False
        self.plants[a.meter] = Plant(a, Site(a.owner))
        return True

    def _close(self, a: act.Close, _: str) -> bool:
        plant = self.plants.get(a.meter)
        if plant is None or not self._can_end(a.meter, a.from_start):
            return False
        plant.closed_from, plant.site.offered = a.from_start, None
        return True

    def _can_end(self, meter: str, end: int) -> bool:
        if self.plants[meter].closed_from is not None:
            return False
        return not any(
            other == meter and start + duration > end
            for other, start, duration in [*self.issued, *self.charged]
        )

    def _hand(self, a: act.Hand, actor: str) -> bool:
        plant = self.plants.get(a.meter)
        if plant is None or plant.closed_from is not None or plant.site.owner != actor:
            return False
        if a.to == actor and plant.site.offered is None:
            return False
        plant.site.offered = None if a.to == actor else a.to
        return True

    def _accept(self, a: act.Accept, actor: str) -> bool:
        plant = self.plants.get(a.meter)
        if plant is None or plant.closed_from is not None or plant.site.offered != actor:
            return False
        plant.site.owner, plant.site.offered = actor, None
        return True

    def _replace(self, a: act.Replace, _: str) -> bool:
        plant = self.plants.get(a.meter)
        if plant is None or a.successor in self.plants:
            return False
        if a.from_start < plant.said.first_start or not self._can_end(a.meter, a.from_start):
            return False
        said = replace(
            plant.said, meter=a.successor, first_start=a.from_start, key=a.key,
            voucher="" if a.key else plant.said.voucher,
        )  # fmt: skip
        if not _is_vouched(said):
            return False
        plant.closed_from, plant.site.offered = a.from_start, None
        self.plants[a.successor] = Plant(said, plant.site)
        return True

    def _issue(self, a: act.Issue, _: str) -> bool:
        plant, key = self._plant(a, stores=False), _key(a)
        if plant is None or _met(key, self.issued) or not self._can_put(a, plant):
            return False
        into = sum(put.wh for put in a.stored)
        if min(a.metered_wh, a.retired_wh, a.free_wh) < 0:
            return False
        if not 0 < a.retired_wh + into + a.free_wh <= a.metered_wh:
            return False
        if not plant.could_move(a.metered_wh, a.duration):
            return False
        mine = plant.site.owner
        used = [Coin(mine, mine, "retired") for _ in range(a.retired_wh)]
        for put in a.stored:
            charge = (put.meter, a.start, a.duration)
            used += [Coin(mine, mine, "stored", charge=charge) for _ in range(put.wh)]
        said = Said(a.metered_wh, a.retired_wh, into, 0, a.record, used)
        self.issued[key] = said
        for _ in range(a.free_wh):
            said.free += 1
            self._find_one(plant, said)
        return True

    def _can_put(self, a: act.Issue, plant: Plant) -> bool:
        """Each battery once, something each, and each has room."""
        once = len({put.meter for put in a.stored}) == len(a.stored)
        return once and all(
            put.wh > 0
            and self._has_room((put.meter, a.start, a.duration), _key(a), plant.site.owner, put.wh)
            for put in a.stored
        )

    def _correct(self, a: act.Correct, _: str) -> bool:
        plant, said = self.plants.get(a.meter), self.issued.get(_key(a))
        if plant is None or said is None:
            return False
        free = min(a.free_wh, a.metered_wh - said.retired - said.stored)
        if a.record == said.record:
            return (a.metered_wh, free) == (said.metered, said.free)
        if a.corrects != said.record or plant.said.storage_permille:
            return False
        if not 0 <= a.free_wh <= a.metered_wh or not plant.could_move(a.metered_wh, a.duration):
            return False
        while said.free < free:
            said.free += 1
            self._find_one(plant, said)
        while said.free > free:
            said.free -= 1
            self._lose_one(plant, said)
        said.metered, said.record = a.metered_wh, a.record
        return True

    @staticmethod
    def _find_one(plant: Plant, said: Said) -> None:
        """One Wh more was made than was known."""
        site = plant.site
        if not site.debt:
            said.coins.append(Coin(site.owner, site.owner))
            return
        site.debt -= 1
        if said.owed:
            said.owed -= 1
        else:
            said.withheld += 1

    @staticmethod
    def _lose_one(plant: Plant, said: Said) -> None:
        """One Wh less was made than was known."""
        if said.withheld:
            said.withheld, plant.site.debt = said.withheld - 1, plant.site.debt + 1
            return
        if said.withdrawn:
            said.withdrawn -= 1
            return
        for coin in reversed(said.coins):
            if (coin.holder, coin.status) == (coin.first, "active"):
                coin.status = "withdrawn"
                return
        said.owed, plant.site.debt = said.owed + 1, plant.site.debt + 1

    def _consume(self, a: act.Consume, _: str) -> bool:
        key = _key(a)
        if not self._over(a) or not 0 <= a.covered_wh <= a.wh or not a.wh:
            return False
        if _met(key, self.consumed) or _met(key, self.charged):
            return False
        self.consumed[key] = a
        return True

    def _revoke(self, a: act.Revoke, _: str) -> bool:
        if _key(a) not in self.consumed or _key(a) in self.revoked:
            return False
        self.revoked.add(_key(a))
        return True

    def _border(self, a: act.Border, _: str) -> bool:
        border = (a.from_zone, a.to_zone, a.start, a.duration)
        if a.from_zone == a.to_zone or a.wh < 0 or not _on_grid(a):
            return False
        if any(
            zones == [a.from_zone, a.to_zone] and start < a.start + a.duration and a.start < end
            for *zones, start, end in ((*known[:3], known[2] + known[3]) for known in self.borders)
        ):
            return False
        self.borders[border] = a.wh
        return True

    def _charge(self, a: act.Charge, _: str) -> bool:
        plant, key = self._plant(a, stores=True), _key(a)
        if plant is None or a.wh <= 0 or not plant.could_move(a.wh, a.duration):
            return False
        if _met(key, self.consumed):
            return False
        for meter, start, duration in self.charged:
            if self.plants[meter].site is plant.site and start + duration > a.start:
                return False
        self.charged[key] = a
        return True

    def _discharge(self, a: act.Discharge, _: str) -> bool:
        plant, key = self._plant(a, stores=True), _key(a)
        if plant is None or a.wh <= 0 or _met(key, self.issued):
            return False
        if a.given_wh and not plant.could_move(a.wh, a.duration):
            return False
        if not 0 <= a.given_wh <= a.wh:
            return False
        green = [
            charge
            for charge in sorted(self.charged, key=lambda charge: charge[1])
            if self.plants[charge[0]].site is plant.site and charge[1] + charge[2] <= a.start
            for _ in range(
                self.stored(charge) * plant.said.storage_permille // 1_000 - self.drawn(charge)
            )
        ][: a.wh]
        # Wh by Wh: what has no certificate leaves the home first, then what has one.
        leaves = ["grey"] * (a.wh - len(green)) + ["green"] * len(green)
        issued = leaves[: a.given_wh].count("green")
        if not 0 <= a.retired_wh <= issued:
            return False
        mine = plant.site.owner
        coins = [Coin(mine, mine, drawn_from=charge) for charge in green[:issued]]
        for coin in coins[: a.retired_wh]:
            coin.status = "retired"
        own = [Coin("", "", "own", drawn_from=charge) for charge in green[issued:]]
        self.issued[key] = Said(a.wh, a.retired_wh, 0, issued - a.retired_wh, a.record, coins, own)
        return True

    def _withdraw(self, a: act.Withdraw, _: str) -> bool:
        coins = self._coins(a.bundle)
        if not 0 < a.wh <= len(coins):
            return False
        if any(coin.status not in {"active", "reserved"} for coin in coins):
            return False
        key = self._key_of(a.bundle)
        said, site = self.issued[key], self.plants[key[0]].site
        for coin in coins[: a.wh]:
            coin.status, coin.promised = "withdrawn", None
            if said.owed and site.debt:
                said.owed, site.debt = said.owed - 1, site.debt - 1
            else:
                said.withdrawn += 1
        return True

    def _reinstate(self, a: act.Reinstate, _: str) -> bool:
        coins = self._coins(a.bundle)
        if not coins or any(coin.use not in self.revoked for coin in coins):
            return False
        for coin in coins:
            coin.status, coin.beneficiary, coin.use, coin.border = "active", None, None, None
        return True

    def _restore(self, a: act.Restore, _: str) -> bool:
        out = self.messages.get(a.message)
        if not out:
            return False
        for coin in out:
            coin.status = "active"
        self.messages[a.message] = []
        return True

    # What holders do.

    def _transfer(self, a: act.Transfer, actor: str) -> bool:
        mine = [] if a.to == actor else self._mine(a, actor)
        for coin in mine:
            coin.holder = a.to
        return bool(mine)

    def _reserve(self, a: act.Reserve, actor: str) -> bool:
        if a.for_whom == actor or not 0 < a.until - self.now <= YEAR_S:
            return False
        mine = self._mine(a, actor)
        for coin in mine:
            coin.status, coin.promised = "reserved", (a.for_whom, a.until)
        return bool(mine)

    def _release(self, a: act.Release, actor: str) -> bool:
        return self._end(a.bundle, lambda whom, until: actor == whom or self.now >= until)

    def _take(self, a: act.Take, actor: str) -> bool:
        if self._is_expired(a.bundle):
            return False
        ended = self._end(a.bundle, lambda whom, until: actor == whom and self.now < until)
        for coin in self._coins(a.bundle) if ended else ():
            coin.holder = actor
        return ended

    def _end(self, bundle: int, may: Callable[[str, int], bool]) -> bool:
        coins = self._coins(bundle)
        if not coins or any(coin.promised is None or not may(*coin.promised) for coin in coins):
            return False
        for coin in coins:
            coin.status, coin.promised = "active", None
        return True

    def _retire(self, a: act.Retire, actor: str) -> bool:
        mine = self._mine(a, actor) if a.purpose else []
        use, border = _key(a) if a.meter else None, None
        if mine and use is not None:
            wanted = self.consumed.get(use)
            made = self._key_of(a.bundle)
            if wanted is None or use in self.revoked or wanted.owner != a.beneficiary:
                return False
            if not _inside(made, use) or self.matched(use) + a.wh > wanted.wh - wanted.covered_wh:
                return False
            zone = self.plants[made[0]].said.zone
            if zone != wanted.zone:
                border = (zone, wanted.zone, a.start, a.duration)
                if self.crossed(border) + a.wh > self.borders.get(border, 0):
                    return False
        for coin in mine:
            coin.status, coin.beneficiary = "retired", a.beneficiary
            coin.use, coin.border = use, border
        return bool(mine)

    def _claim(self, a: act.Claim, actor: str) -> bool:
        coins = self._coins(a.bundle)
        if not coins or any(
            (coin.status, coin.beneficiary) != ("retired", actor) or coin.use in self.revoked
            for coin in coins
        ):
            return False
        for coin in coins:
            coin.status = "claimed"
        return True

    def _export(self, a: act.Export, actor: str) -> bool:
        mine = self._mine(a, actor)
        if not mine or a.message in self.messages or not a.registry:
            return False
        for coin in mine:
            coin.status = "exported"
        self.messages[a.message] = mine
        return True

    def _store(self, a: act.Store, actor: str) -> bool:
        mine = self._mine(a, actor)
        if not mine or not self._has_room(_key(a), self._key_of(a.bundle), actor, a.wh):
            return False
        for coin in mine:
            coin.status, coin.charge = "stored", _key(a)
        return True

    # What both ask.

    def _has_room(self, charge: Key, made: Key, owner: str, wh: int) -> bool:
        """Whether units of an interval may be put into a charge."""
        found = self.charged.get(charge)
        if found is None or not _inside(made, charge):
            return False
        battery, roof = self.plants[charge[0]], self.plants[made[0]]
        if battery.site.owner != owner or battery.said.zone != roof.said.zone:
            return False
        return self.stored(charge) + wh <= found.wh

    def _coins(self, bundle: int) -> list[Coin]:
        found = self.piece(bundle)
        if found is None or bundle in self.divided:
            return []
        key, first, end = found
        return self.issued[key].coins[first:end]

    def _key_of(self, bundle: int) -> Key:
        found = self.piece(bundle)
        assert found is not None
        return found[0]

    def _is_expired(self, bundle: int) -> bool:
        if self.piece(bundle) is None:
            return False
        _, start, duration = self._key_of(bundle)
        return self.now >= start + duration + self.lifetime

    def _mine(self, a: act.Transfer | act.Retire | act.Store, actor: str) -> list[Coin]:
        """The coins an action is about, if its actor may use them now; none otherwise."""
        coins = self._coins(a.bundle)
        if not 0 < a.wh <= len(coins) or self._is_expired(a.bundle):
            return []
        if any((coin.holder, coin.status) != (actor, "active") for coin in coins):
            return []
        return coins[: a.wh]

    def _plant(self, a: act.Issue | act.Charge, *, stores: bool) -> Plant | None:
        """A device of this kind that was in service in an interval that is over."""
        plant = self.plants.get(a.meter)
        if plant is None or stores != bool(plant.said.storage_permille):
            return None
        in_service = plant.was_in_service(a.start, a.start + a.duration)
        return plant if in_service and self._over(a) else None

    def _over(self, a: act.Issue) -> bool:
        return _on_grid(a) and a.start + a.duration <= self.now


def _key(a: act.Issue | act.Retire) -> Key:
    return a.meter, a.start, a.duration


def _on_grid(a: act.Issue | act.Border) -> bool:
    fits = 60 <= a.duration <= 3_600 and 3_600 % a.duration == a.start % a.duration == 0
    return fits and a.start >= 0


def _is_vouched(a: act.Admit) -> bool:
    """By its own key or by somebody."""
    if a.key:
        return not a.voucher and sha256(bytes.fromhex(a.key)).hexdigest()[-40:] == a.meter
    return bool(a.voucher)


def _inside(made: Key, used: Key) -> bool:
    return used[1] <= made[1] and made[1] + made[2] <= used[1] + used[2]


def _met(key: Key, others: dict[Key, object]) -> bool:
    """Whether an interval of the same meter has a second in common with one of the others."""
    meter, start, duration = key
    return any(
        other == meter and begun < start + duration and start < begun + length
        for other, begun, length in others
    )
