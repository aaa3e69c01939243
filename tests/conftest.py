"""How hard hypothesis looks: a little on every run, long with COMMONWATT_SOAK=1."""

import os

from hypothesis import settings

settings.register_profile("default", max_examples=60, deadline=None)
settings.register_profile("soak", max_examples=3_000, deadline=None)
settings.load_profile("soak" if os.environ.get("COMMONWATT_SOAK") else "default")
