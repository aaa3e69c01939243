"""One community that all tests of a file stand on: what is refused leaves it as it was."""

# Loaded here, before any test: it raises Python's recursion limit, and hypothesis minds that.
import ethereum.forks.osaka.fork  # noqa: F401
import pytest

pytest.register_assert_rewrite("contracts.ground")

from contracts.ground import Ground, fresh_ground  # noqa: E402 - asserts in it explain themselves


@pytest.fixture(scope="module")
def ground() -> Ground:
    return fresh_ground()
