"""Feed every driver with what atheris thinks of.

By hand, from the project's folder, with atheris installed:

    python tests/meter/driver/fuzz_drivers.py ocmf -runs=100000

The first argument is a driver's name, or nothing for all of them; what follows goes to libFuzzer.
It begins with the samples, and stops at the first input that breaks a driver. `test_fuzz.py` runs
it in the soak.
"""

import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    import atheris  # noqa: PLC0415 - pytest reads this file, too, and most have no atheris

    sys.path.insert(0, str(Path(__file__).parents[2]))
    with atheris.instrument_imports(include=["commonwatt.meter.driver"]):
        from meter.driver.damage import require_clear  # noqa: PLC0415 - after instrumenting
        from meter.driver.samples import QUIET, SAMPLES  # noqa: PLC0415 - after instrumenting

    named = [name for name in arguments[:1] if not name.startswith("-")]
    samples = [
        sample for sample in [*SAMPLES.values(), *QUIET.values()] if named in ([], [sample.driver])
    ]
    if not samples:
        sys.exit(f"no driver is called {named[0]}")

    def one_input(data: bytes) -> None:
        """The first byte chooses the sample whose topic and options are used."""
        if data:
            require_clear(samples[data[0] % len(samples)].taken(data[1:]))

    with tempfile.TemporaryDirectory() as seeds:
        for number, sample in enumerate(samples):
            (Path(seeds) / str(number)).write_bytes(bytes([number]) + sample.payload)
        atheris.Setup(["fuzz_drivers", *arguments[len(named) :], seeds], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
