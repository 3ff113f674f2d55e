"""Property tests draw the same cases on every machine; `make test-long` draws new ones, and more of them."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("CITEWELL_CASES", "same"))
