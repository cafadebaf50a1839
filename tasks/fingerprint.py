"""What results depend on beside their job: the code, its packages, the target's limits.

Two runs of an equal job (exact, or with a seed) give the same if their
fingerprints are the same. It changes sooner than it has to: with any package
that is installed, and any line of this project's code.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import qdispatch
import tasks

if TYPE_CHECKING:
    from tasks.pipe import Limits
    from tasks.simulators import Simulator

_PACKAGES: Final = (tasks, qdispatch)


def fingerprint(simulator: Simulator, limits: Limits) -> str:
    """The fingerprint of this process' runs, as 64 hexadecimal digits.

    Args:
        simulator: The target's.
        limits: Of one simulation: how much memory there is decides about
            methods, and threads about the order of sums.
    """
    kind = type(simulator)
    parts = [
        platform.machine(),
        platform.python_version(),
        f"{kind.__module__}.{kind.__qualname__}",
        simulator.version,
        json.dumps(asdict(limits), sort_keys=True),
        *_installed(),
        *_sources(kind.__module__),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _installed() -> list[str]:
    """Every package that can be imported, with its version.

    By the names of folders: to read what each says about itself takes long.
    """
    folders = [Path(each) for each in sys.path if Path(each).is_dir()]
    kinds = ("*.dist-info", "*.egg-info")
    return sorted(
        {found.name for folder in folders for kind in kinds for found in folder.glob(kind)}
    )


def _sources(module: str) -> Iterator[str]:
    """Digests of the code that no version tells of: this project's, and a plug-in's module."""
    files: set[Path] = set()
    for package in _PACKAGES:
        files.update(path for folder in package.__path__ for path in Path(folder).rglob("*.py"))
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is not None:
        files.add(Path(file))
    for name, path in sorted((path.name, path) for path in files):
        yield f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
