"""How many examples a property gets: a share of what the profile in `conftest.py` says."""

from hypothesis import settings

SOAKING = settings.default.max_examples > 100


def effort(share: float) -> settings:
    """Settings for a property whose one example costs more (or less) than most."""
    return settings(max_examples=max(5, int(settings.default.max_examples * share)))
