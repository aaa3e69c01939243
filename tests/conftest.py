"""How hard hypothesis looks: a little on every run, long with COMMONWATT_SOAK=1."""

import logging
import os
from collections.abc import Iterator

# Loaded before any test: the specification raises Python's recursion limit, hypothesis minds that.
import ethereum.forks.osaka.fork  # noqa: F401
import pytest
import structlog
from hypothesis import settings

pytest.register_assert_rewrite("contracts.ground")  # asserts in it explain themselves

settings.register_profile("default", max_examples=50, deadline=None)
settings.register_profile("soak", max_examples=3_000, deadline=None)
settings.load_profile("soak" if os.environ.get("COMMONWATT_SOAK") else "default")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that was run in this process leaves where logs go to nobody after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long runs to `make soak`."""
    if os.environ.get("COMMONWATT_SOAK"):
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if not item.get_closest_marker("soak")]
