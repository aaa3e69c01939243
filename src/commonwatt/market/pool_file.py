"""The documents of `commonwatt market share` and `commonwatt market price`: bytes in, JSON out.

Wh are whole numbers, prices and shares decimal strings. Whatever cannot be used raises an
`InputError` of one line. The order of members in a document changes nothing: they are brought into
the order of their ids, which also decides who gets a Wh that cannot be divided.

>>> pool = b'''{"key": "dynamic", "plant_wh": 600, "members": [
...     {"id": "b", "used_wh": 600}, {"id": "a", "produced_wh": 100, "used_wh": 400}
... ]}'''
>>> share_document(pool)["allocated_wh"]
{'a': 200, 'b': 400}
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, TypedDict, TypeVar

import msgspec
import numpy as np

from commonwatt.errors import InputError
from commonwatt.market.columns import IntColumn
from commonwatt.market.keys import (
    PERCENT_ALL,
    RANK_MAX,
    SHARE_DECIMALS,
    SHARE_ONE,
    Key,
    Pairs,
    needs_of,
)
from commonwatt.market.price import averages, local_price
from commonwatt.market.share import MEMBER_WH_MAX, MEMBERS_MAX, PLANT_WH_MAX, Pool, share
from commonwatt.quantity import NUMBER_TEXT_MAX, Currency

FILE_BYTES_MAX = 2**26
ID_LENGTH_MAX = 100
PAIRS_MAX = 1_000_000
COMMUNITIES_MAX = 5
"""A meter takes part in no more communities (Austria, since April 2024)."""
PLANT = "plant"
"""Stands for the community's plant where a pair names a producer."""
_HINT = 'Wh are whole numbers, prices and shares texts such as "0.30"'
_SHARE = re.compile(rf"[01](\.[0-9]{{1,{SHARE_DECIMALS}}})?")
_Text = TypeVar("_Text", bound=msgspec.Struct)
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LENGTH_MAX)]
_Decimal = Annotated[str, msgspec.Meta(max_length=NUMBER_TEXT_MAX)]
_MemberWh = Annotated[int, msgspec.Meta(ge=0, le=MEMBER_WH_MAX)]
_PlantWh = Annotated[int, msgspec.Meta(ge=0, le=PLANT_WH_MAX)]
_Wh = Annotated[int, msgspec.Meta(ge=0)]
_Rank = Annotated[int, msgspec.Meta(ge=0, le=RANK_MAX)]
_Percent = Annotated[int, msgspec.Meta(ge=1, le=PERCENT_ALL)]


class PoolFileUnusable(InputError):
    """A pool or community document that cannot be read or understood."""


class MemberText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member in a pool document."""

    id: _Id
    produced_wh: _MemberWh = 0
    used_wh: _MemberWh = 0
    share: _Decimal | None = None
    priority: _Rank | None = None
    participation_percent: _Percent = PERCENT_ALL
    elsewhere_percent: Annotated[
        tuple[_Percent, ...], msgspec.Meta(max_length=COMMUNITIES_MAX - 1)
    ] = ()
    """The same meter's percentages in other communities."""


class PairText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"giver": "from"}):
    """A producer's share for a consumer in a pool document."""

    giver: _Id
    """A member's id, or `PLANT`; called `from` in the document."""
    to: _Id
    share: _Decimal


class PoolText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pool document: one step of a community, and the key it is to be shared by."""

    key: str
    members: Annotated[tuple[MemberText, ...], msgspec.Meta(max_length=MEMBERS_MAX)]
    plant_wh: _PlantWh = 0
    pairs: Annotated[tuple[PairText, ...], msgspec.Meta(max_length=PAIRS_MAX)] = ()


class CommunityText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A community document: one step, as far as its price asks."""

    rule: str
    retail: _Decimal
    feed_in: _Decimal
    produced_wh: _Wh
    used_wh: _Wh
    price: _Decimal | None = None
    """What the community agreed on, for `fixed_price`."""


class SharedJson(TypedDict):
    """Where each Wh went, by member's id; fields as of `share.Shared`."""

    key: str
    own_use_wh: dict[str, int]
    allocated_wh: dict[str, int]
    from_grid_wh: dict[str, int]
    sold_wh: dict[str, int]
    to_grid_wh: dict[str, int]
    """What neither the member itself nor this community took of what the member made."""
    plant_sold_wh: int
    surplus_wh: int


class PricedJson(TypedDict):
    """Prices per kWh as decimal strings."""

    rule: str
    buy: str | None
    """What buyers pay on average, the supplier's part included; None where nothing is used."""
    sell: str | None
    """What sellers get on average, likewise; None where nothing is made."""
    local: str
    """What shared energy costs."""
    rounded_down: list[str]
    """Which of these fell between two units."""


@dataclass(frozen=True, slots=True)
class NamedPool:
    """One step's pool and key, and whose column is whose."""

    ids: tuple[str, ...]
    """(M,) ascending."""
    pool: Pool
    key: Key


def read_pool(document: bytes) -> NamedPool:
    """A pool document, checked; any `InputError` is one line about what is wrong where."""
    text = _decoded(document, PoolText)
    members = sorted(text.members, key=lambda member: member.id)
    ids = tuple(member.id for member in members)
    if not ids:
        raise PoolFileUnusable("no members: there is nobody to share with; add some")
    for before, after in pairwise(("", *ids)):
        if before == after:
            raise PoolFileUnusable(f"two members have the id {after!r}: give each its own")
        if not after.isprintable():
            raise PoolFileUnusable(f"the id {after!r}: use printable characters")
    return NamedPool(
        ids,
        Pool(
            produced=_column(member.produced_wh for member in members)[np.newaxis],
            used=_column(member.used_wh for member in members)[np.newaxis],
            plant=_column([text.plant_wh]),
        ),
        Key(
            text.key,
            shares=_shares(members, text.key),
            priority=_ranks(members, text.key),
            pairs=_pairs(text.pairs, ids),
            percent=_percent(members),
        ),
    )


def share_document(document: bytes) -> SharedJson:
    """Share a pool document's energy; errors as of `read_pool`."""
    named = read_pool(document)
    shared = share(named.pool, named.key)
    to_grid = named.pool.produced - shared.own_use - shared.sold
    own_use, allocated, from_grid, sold, unsold = (
        dict(zip(named.ids, wh[0].tolist(), strict=True))
        for wh in (shared.own_use, shared.allocated, shared.from_grid, shared.sold, to_grid)
    )
    return {
        "key": named.key.name,
        "own_use_wh": own_use,
        "allocated_wh": allocated,
        "from_grid_wh": from_grid,
        "sold_wh": sold,
        "to_grid_wh": unsold,
        "plant_sold_wh": int(shared.plant_sold[0]),
        "surplus_wh": int(shared.surplus[0]),
    }


def price_document(document: bytes, currency: Currency) -> PricedJson:
    """Price a community document's energy; errors as of `read_pool`."""
    text = _decoded(document, CommunityText)
    retail, feed_in = currency.price(text.retail), currency.price(text.feed_in)
    fixed = None if text.price is None else currency.price(text.price)
    around = (retail, feed_in, text.produced_wh, text.used_wh)
    local = local_price(text.rule, *around, fixed=fixed)
    average = averages(local.price, *around)
    flags = {
        "local": local.rounded,
        "buy": average.buy_rounded,
        "sell": average.sell_rounded,
    }
    return {
        "rule": text.rule,
        "buy": None if average.buy is None else currency.price_text(average.buy),
        "sell": None if average.sell is None else currency.price_text(average.sell),
        "local": currency.price_text(local.price),
        "rounded_down": [name for name, rounded in flags.items() if rounded],
    }


def _decoded(document: bytes, form: type[_Text]) -> _Text:
    if len(document) > FILE_BYTES_MAX:
        raise PoolFileUnusable(f"longer than {FILE_BYTES_MAX} bytes: no community is so large")
    try:
        return msgspec.json.decode(document, type=form)
    except (msgspec.ValidationError, RecursionError) as error:
        # What it quotes from the file may hold line feeds.
        reason = " ".join(f"{error}".split())
        raise PoolFileUnusable(f"not as it should be: {reason:.200}; {_HINT}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PoolFileUnusable(f"not JSON: {error}") from None


def _percent(members: Sequence[MemberText]) -> IntColumn:
    for member in members:
        total = member.participation_percent + sum(member.elsewhere_percent)
        if total > PERCENT_ALL:
            raise PoolFileUnusable(
                f"member {member.id!r}: takes part with {total} % in all its communities: "
                f"at most {PERCENT_ALL}, lower some"
            )
    return _column(member.participation_percent for member in members)


def _shares(members: Sequence[MemberText], key: str) -> IntColumn:
    """(M,) out of `SHARE_ONE`; one neither given nor needed is 0."""
    for member in members:
        if member.share is None and needs_of(key).shares:
            raise PoolFileUnusable(f"member {member.id!r}: no share, and the key {key} needs one")
    return _column(_share(member.share or "0", f"member {member.id!r}") for member in members)


def _ranks(members: Sequence[MemberText], key: str) -> IntColumn:
    """(M,) ranks; one neither given nor needed is 0."""
    for member in members:
        if member.priority is None and needs_of(key).priority:
            raise PoolFileUnusable(
                f"member {member.id!r}: no priority, and the key {key} needs one"
            )
    return _column(member.priority or 0 for member in members)


def _pairs(pairs: Sequence[PairText], ids: Sequence[str]) -> Pairs | None:
    """The pairs by rows, in order; None where there are none."""
    consumers = {name: row for row, name in enumerate(ids)}
    if pairs and PLANT in consumers:
        raise PoolFileUnusable(f"a member has the id {PLANT!r}, which in pairs is the plant's")
    producers = consumers | {PLANT: len(ids)}
    shares: dict[tuple[int, int], int] = {}
    for pair in pairs:
        where = f"pair from {pair.giver!r} to {pair.to!r}"
        if pair.giver not in producers or pair.to not in consumers:
            raise PoolFileUnusable(f"{where}: name members by their ids, the plant as {PLANT!r}")
        rows = producers[pair.giver], consumers[pair.to]
        if rows in shares:
            raise PoolFileUnusable(f"{where}: named twice; name it once")
        shares[rows] = _share(pair.share, where)
    columns = zip(*((*rows, parts) for rows, parts in sorted(shares.items())), strict=True)
    return Pairs(*map(_column, columns)) if shares else None


def _share(text: str, where: str) -> int:
    """Out of `SHARE_ONE`."""
    whole, _, decimals = text.partition(".")
    parts = int(whole + decimals.ljust(SHARE_DECIMALS, "0")) if _SHARE.fullmatch(text) else -1
    if not 0 <= parts <= SHARE_ONE:
        raise PoolFileUnusable(
            f"{where}: a share of {text!r}: use 0 to 1 with at most {SHARE_DECIMALS} decimals"
        )
    return parts


def _column(values: Iterable[int]) -> IntColumn:
    return np.fromiter(values, dtype=np.int64)
