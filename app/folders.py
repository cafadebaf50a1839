"""Folders that are nobody else's."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

_log = logging.getLogger(__name__)


def make_private(folder: Path) -> None:
    """Makes a folder that its owner alone can enter, unless it is there.

    One that is there is left as it is: who may enter it was for somebody to say, such as
    a group of several users who run parts of the service.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def warn_if_open(folder: Path, name: str) -> None:
    """Says so if everybody on this machine can enter a folder.

    Args:
        folder: One that is there.
        name: Of the setting.
    """
    if folder.stat().st_mode & stat.S_IXOTH:
        _log.warning(
            "%s: everybody on this machine can enter %s, where jobs, results and programs"
            " are: chmod o-rwx it",
            name,
            folder,
        )
