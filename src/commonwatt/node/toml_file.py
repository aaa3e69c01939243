"""Settings out of TOML files: limited, checked against a structure, an error in one line."""

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from commonwatt.errors import InputError

T = TypeVar("T")


def read_toml(
    path: Path, kind: type[T], refusal: type[InputError], *, most_bytes: int, advice: str
) -> T:
    """A file as the structure it should be.

    Args:
        path: the file.
        kind: a `msgspec.Struct`, or what it may be made of.
        refusal: what is raised for a file that cannot be used.
        most_bytes: larger files are not read.
        advice: what to do where the file is missing, or does not say what it should.

    Raises:
        InputError: `refusal`, with the file, the entry and the advice.
    """
    try:
        with path.open("rb") as opened:
            text = opened.read(most_bytes + 1)
    except OSError as error:
        raise refusal(f"{path}: cannot be read ({error.strerror}); {advice}") from None
    if len(text) > most_bytes:
        raise refusal(f"{path}: larger than {most_bytes} bytes; shorten it")
    try:
        return msgspec.convert(tomllib.loads(text.decode()), kind)
    except msgspec.ValidationError as error:
        # A name may hold a line feed; an error is one line.
        raise refusal(f"{path}: {' '.join(str(error).split())}; {advice}") from None
    except (ValueError, RecursionError) as error:
        # Besides other syntax: endless numbers, and brackets within brackets.
        raise refusal(f"{path}: not TOML: {' '.join(str(error).split())}") from None
