"""The real command line without a process of its own, which takes a second to start."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import pytest

from commandline import Answer
from commonwatt.cli import main


def here(*words: object) -> Answer:
    """Run one command to its end; for many small ones."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    argv = ["commonwatt", *map(str, words)]
    with (
        patch.object(sys, "argv", argv),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main.run()
    return Answer(int(str(ended.value.code)), out.buffer.getvalue().decode(), err.getvalue())
