"""The machine's maximum of simultaneous simulations, over workers started separately.

One file stands for each simulation that the machine may run. A worker locks as
many as it has slots, for its life; the kernel frees them when it dies.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from app.folders import make_private
from app.settings import SettingsError


def reserve(folder: Path, *, wanted: int, most: int, worker: str) -> list[int]:
    """Takes places for the simulations of a worker.

    Args:
        folder: Shared by all workers of this installation on this machine.
        wanted: How many the worker needs.
        most: How many the machine has.
        worker: The worker's node name, shown to those who find no place.

    Returns:
        File descriptors; the places are held as long as they are open.

    Raises:
        SettingsError: There are not enough free places.
    """
    make_private(folder.parent)
    folder.mkdir(exist_ok=True)
    held: list[int] = []
    holders: list[str] = []
    for place in range(most):
        if len(held) == wanted:
            return held
        path = folder / f"simulation-{place}"
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holders.append(path.read_text())
            os.close(file)
            continue
        os.ftruncate(file, 0)
        os.write(file, worker.encode())
        held.append(file)
    if len(held) == wanted:
        return held
    free = len(held)
    for file in held:
        os.close(file)
    taken = ", ".join(f"{name} {holders.count(name)}" for name in sorted(set(holders)))
    raise SettingsError(
        f"{worker} is to run {wanted} simulations at once, but of the {most} that this machine"
        f" may run (machine.max_simulations) only {free} are free"
        + (f"; held: {taken}" if taken else "")
        + ". Raise it, or lower a concurrency"
    )
