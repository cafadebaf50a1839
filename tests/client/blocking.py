"""The async client, for tests that are written for the other one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from qdispatch import AsyncBatch, AsyncJob


class Blocking:
    """Awaits what the methods of an object return; so do the jobs that come from it."""

    def __init__(self, runner: asyncio.Runner, target: Any) -> None:
        self._runner = runner
        self.target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.target, name)
        return self._blocking(value) if inspect.ismethod(value) else value

    def __len__(self) -> int:
        return len(self.target)

    def _blocking(self, method: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            answer = method(*args, **options)
            if inspect.isawaitable(answer):
                answer = self._runner.run(answer)
            if isinstance(answer, AsyncIterator):
                return self._iterate(answer)
            return self._wrapped(answer)

        return call

    def _iterate(self, values: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    value = self._runner.run(anext(values))
                except StopAsyncIteration:
                    return
                yield self._wrapped(value)
        finally:
            self._runner.run(values.aclose())

    def _wrapped(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._wrapped(each) for each in value]
        is_async = isinstance(value, AsyncJob | AsyncBatch)
        return Blocking(self._runner, value) if is_async else value
