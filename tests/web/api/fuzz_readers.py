"""Feed everything that reads a stranger's bytes with what atheris thinks of.

By hand, from the project's folder, with atheris installed:

    python tests/web/api/fuzz_readers.py -runs=100000

It begins with the samples, and stops at the first input that breaks a reader. `test_readers.py`
runs it, briefly, and longer in the soak.
"""

import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    import atheris  # noqa: PLC0415 - pytest reads this file, too, and not all have atheris

    sys.path.insert(0, str(Path(__file__).parents[2]))
    with atheris.instrument_imports(include=["commonwatt.web.api", "commonwatt.node.gateway"]):
        from web.api.outsiders import READERS, require_clear  # noqa: PLC0415 - after instrumenting

    readers = list(READERS.values())

    def one_input(data: bytes) -> None:
        """The first byte chooses the reader."""
        if data:
            require_clear(readers[data[0] % len(readers)], data[1:])

    with tempfile.TemporaryDirectory() as seeds:
        for number, reader in enumerate(readers):
            (Path(seeds) / str(number)).write_bytes(bytes([number]) + reader.sample)
        atheris.Setup(["fuzz_readers", *arguments, seeds], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
