"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples every time: a failure is the change's, not the day's. To look for new ones:
# HYPOTHESIS_PROFILE=default make test
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
