"""Waits until a service that is being started serves."""

from __future__ import annotations

import time
from typing import Final

from app.settings import Settings
from qdispatch.client import Client
from qdispatch.errors import QDispatchError
from qdispatch.model import TargetInfo

_READY_S: Final = 120.0
_POLL_S: Final = 0.1


def wait_until_ready(settings: Settings) -> list[TargetInfo]:
    """Waits until the server answers and every target has a worker.

    Raises:
        QDispatchError: That took too long.
    """
    until = time.monotonic() + _READY_S
    with Client(settings.server.address, timeout_s=2.0) as client:
        while True:
            try:
                targets = client.targets()
            except QDispatchError:
                targets = []
            missing = [each.name for each in targets if not each.workers_online]
            if targets and not missing:
                return targets
            if time.monotonic() > until:
                waited_for = ", ".join(missing) or "the server"
                raise QDispatchError(f"not ready after {_READY_S:g} s: {waited_for}")
            time.sleep(_POLL_S)
