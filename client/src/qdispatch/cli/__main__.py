"""``python -m qdispatch.cli`` is the command ``qdispatch``."""

from __future__ import annotations

import sys

from qdispatch.cli import main

if __name__ == "__main__":
    sys.exit(main())
