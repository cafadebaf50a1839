"""Small disks of one's own that can be filled up; never the machine's."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Final

_BALLAST: Final = "ballast"
_BLOCK: Final = bytes(2**20)


class Disk:
    """A file system in memory, mounted over a folder.

    Args:
        folder: Where to mount it; made when missing.
        size_mib: What it holds.
    """

    def __init__(self, folder: Path, size_mib: int) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        options = f"size={size_mib}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", str(folder)], check=True)

    def fill(self) -> None:
        """Takes all the room that is left; safe to repeat."""
        if not self._folder.is_mount():
            raise RuntimeError(f"{self._folder} is no disk of its own")
        file = os.open(
            self._folder / _BALLAST, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        try:
            while True:
                os.write(file, _BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(file)

    def free(self) -> None:
        """Gives the room back."""
        (self._folder / _BALLAST).unlink(missing_ok=True)

    def unmount(self) -> None:
        """Takes it away, with all that is on it."""
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False)


def may_mount() -> bool:
    """Whether this process may mount; the mounts are to be in a name space of its own."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "chaos", "/mnt"],
        check=False,
        capture_output=True,
    )
    return tried.returncode == 0
