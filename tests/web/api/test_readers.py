"""Whatever a stranger writes, whoever reads it gives a value or one clear error."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonwatt.web.api.siwe import SignIn
from effort import SOAKING
from web.api.outsiders import NONCE, READERS, require_clear

FUZZER = Path(__file__).with_name("fuzz_readers.py")
every_reader = pytest.mark.parametrize("name", READERS)
DEEP = (b"[", b'{"a":', b'{"leaves":[', b'{"header":{"a":', b'"\\u0000', b"9", b"\xff", b"\n")


def test_the_signed_sample_is_a_good_one() -> None:
    signed = READERS["sign-in"]
    found = signed.read(signed.sample)
    assert isinstance(found, SignIn)
    assert found.nonce == NONCE


@every_reader
def test_a_sample_with_a_changed_byte_is_a_value_or_a_clear_error(name: str) -> None:
    reader = READERS[name]
    require_clear(reader, reader.sample)
    for place in range(len(reader.sample)):
        for byte in (0, 10, 34, 45, 91, 123, 255):
            changed = reader.sample[:place] + bytes([byte]) + reader.sample[place + 1 :]
            require_clear(reader, changed)
        require_clear(reader, reader.sample[:place])


@every_reader
@pytest.mark.parametrize("unit", DEEP, ids=repr)
def test_long_and_endlessly_nested_ones_are_a_value_or_a_clear_error(
    name: str, unit: bytes
) -> None:
    require_clear(READERS[name], unit * 20_000)
    require_clear(READERS[name], READERS[name].sample + unit * 20_000)


@every_reader
@given(data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_noise_is_a_value_or_a_clear_error(name: str, data: bytes) -> None:
    require_clear(READERS[name], data)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_fuzzer_breaks_no_reader(tmp_path: Path) -> None:
    runs = 100_000 if SOAKING else 1_000
    done = subprocess.run(
        [sys.executable, str(FUZZER), f"-runs={runs}", "-max_total_time=120"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "Done " in done.stderr
