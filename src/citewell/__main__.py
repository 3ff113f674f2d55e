"""`python -m citewell` is the command `citewell`."""

from __future__ import annotations

import sys

from citewell.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
