"""Calls that wait, for those who must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from duet.futuretools import AwaitableFuture

T = TypeVar("T")


async def aside(call: Callable[[], T]) -> T:
    """Calls in a thread, under asyncio or under duet, which runs Cirq's asynchronous calls."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        threads = ThreadPoolExecutor(max_workers=1)
        future = AwaitableFuture.wrap(threads.submit(call))
        threads.shutdown(wait=False)
        return await future
    return await asyncio.to_thread(call)
