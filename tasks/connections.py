"""Connections of the embedded broker: what a live one has, and what a dead one leaves.

See `tasks.transport` for the files.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


class LiveConnection:
    """The files of one live connection."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "connections" / uuid4().hex
        self.held = self.folder / "held"
        self.owns = self.folder / "owns"
        self.held.mkdir(parents=True)
        self.owns.mkdir()
        # Locked before it gets its name: nobody takes a new one for dead.
        fresh = self.folder / "fresh"
        self._lock = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.folder / "lock")

    def close(self) -> None:
        """Frees the lock; what is left is for others to clean up."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def recover(root: Path) -> None:
    """Puts back what dead connections held, and removes what was only theirs.

    Args:
        root: The folder of the broker.
    """
    connections = root / "connections"
    for name in listing(connections):
        folder = connections / name
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # it is being made, or has just been removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # alive
        else:
            _bury(root, folder)
        finally:
            os.close(lock)


@contextmanager
def owners(root: Path) -> Iterator[None]:
    """Nobody else takes or ends the ownership of a queue meanwhile."""
    lock = os.open(root / "owners", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _bury(root: Path, folder: Path) -> None:
    with owners(root):
        for queue in listing(folder / "owns"):
            (folder / "owns" / queue).unlink(missing_ok=True)
            if not any((root / "connections").glob(f"*/owns/{glob.escape(queue)}")):
                delete_queue(root, queue)
    for queue in listing(folder / "held"):
        for name in listing(folder / "held" / queue):
            move(folder / "held" / queue / name, root / "queues" / queue / name)
    shutil.rmtree(folder, ignore_errors=True)


def delete_queue(root: Path, queue: str) -> None:
    """Deletes a queue, by the name of its folder, with its messages and bindings."""
    for exchange in listing(root / "bindings"):
        for binding in listing(root / "bindings" / exchange):
            if binding.split(",")[2] == queue:
                (root / "bindings" / exchange / binding).unlink(missing_ok=True)
    shutil.rmtree(root / "queues" / queue, ignore_errors=True)


def listing(folder: Path) -> list[str]:
    """The names in a folder, in order; none if it is not there."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
    except FileNotFoundError:
        return []


def move(source: Path, destination: Path) -> None:
    """Moves a message, if it and the queue are still there."""
    # The queue may have been deleted, and the message with it.
    with suppress(FileNotFoundError):
        source.rename(destination)
