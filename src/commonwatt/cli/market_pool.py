"""`commonwatt market share` and `commonwatt market price`: sharing and pricing without bids."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from commonwatt.errors import InputError
from commonwatt.market.pool_file import (
    FILE_BYTES_MAX,
    PoolFileUnusable,
    PricedJson,
    SharedJson,
    price_document,
    share_document,
)
from commonwatt.quantity import Currency

_Answer = TypeVar("_Answer")


def run_share(file: Path, *, as_json: bool) -> int:
    """Share one step's pool by an allocation key, and print where each Wh went."""
    shared = _answered(file, share_document)
    if as_json:
        _print_json(shared)
    else:
        _print_shared(shared)
    return 0


def run_price(file: Path, *, as_json: bool) -> int:
    """Price one step's energy, and print what each side pays or gets on average."""
    currency = Currency()
    priced = _answered(file, lambda document: price_document(document, currency))
    if as_json:
        _print_json(priced)
    else:
        _print_priced(priced, currency)
    return 0


def _answered(file: Path, answer: Callable[[bytes], _Answer]) -> _Answer:
    """What becomes of a file's bytes; each error names the file."""
    try:
        with file.open("rb") as opened:
            return answer(opened.read(FILE_BYTES_MAX + 1))
    except OSError as error:
        raise PoolFileUnusable(f"{file}: cannot be read ({error.strerror})") from None
    except InputError as error:
        raise PoolFileUnusable(f"{file}: {error}") from None


def _print_json(answer: SharedJson | PricedJson) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.flush()


def _print_shared(shared: SharedJson) -> None:
    columns = {
        "own use": shared["own_use_wh"],
        "allocated": shared["allocated_wh"],
        "from grid": shared["from_grid_wh"],
        "sold": shared["sold_wh"],
        "to grid": shared["to_grid_wh"],
    }
    rows = [(name, *(wh[name] for wh in columns.values())) for name in shared["own_use_wh"]]
    rows.append(("all members", *(sum(wh.values()) for wh in columns.values())))
    print(f"{shared['key']}, Wh")
    first = max(len(f"{row[0]}") for row in rows)
    print("  ".join((" " * first, *(f"{heading:>12}" for heading in columns))))
    for name, *energies in rows:
        print("  ".join((f"{name:<{first}}", *(f"{wh:>12,}" for wh in energies))))
    print(f"sold from the plant {shared['plant_sold_wh']:,}, surplus {shared['surplus_wh']:,}")


def _print_priced(priced: PricedJson, currency: Currency) -> None:
    prices = {
        "local": ("shared energy costs", priced["local"]),
        "buy": ("buyers pay on average", priced["buy"]),
        "sell": ("sellers get on average", priced["sell"]),
    }
    print(f"{priced['rule']}, {currency.code} per kWh")
    for name, (words, price) in prices.items():
        rounded = ", rounded down" if name in priced["rounded_down"] else ""
        print(f"  {words:<22}  {price or 'nothing to price'}{rounded}")
