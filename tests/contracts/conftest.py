"""One community that all tests of a file stand on: what is refused leaves it as it was."""

import pytest

from contracts.ground import Ground, fresh_ground


@pytest.fixture(scope="module")
def ground() -> Ground:
    return fresh_ground()
