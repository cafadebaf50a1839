"""Where fuzzing keeps its files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")


def scratch() -> str | None:
    """Where nothing waits for a disk, if there is such a place."""
    return str(_IN_MEMORY) if _IN_MEMORY.is_dir() else None
