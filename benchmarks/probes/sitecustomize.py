"""Python imports this by itself, where its folder is first on PYTHONPATH.

It wraps the functions that `probes.json` beside it names, as soon as their modules
have been imported, and appends a line for each call to `spans` beside it: the
function, the moments of its start and its end (CLOCK_MONOTONIC, which all
processes share, in ns), and the process. It needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import inspect
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def _append(file: str, *words: object) -> None:
    # Short lines that are appended are not torn apart, whoever else writes.
    number = os.open(_FOLDER / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    try:
        os.write(number, (json.dumps(words) + "\n").encode())
    finally:
        os.close(number)


@contextlib.contextmanager
def _span(name: str) -> Iterator[None]:
    started = time.monotonic_ns()
    try:
        yield
    finally:
        _append("spans", name, started, time.monotonic_ns(), os.getpid())


def _wrapped(name: str, function: Any) -> Any:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with _span(name):
                return await function(*args, **kwargs)

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        started = time.monotonic_ns()
        value: Any = None
        try:
            value = function(*args, **kwargs)
        finally:
            if not isinstance(value, contextlib.AbstractContextManager):
                _append("spans", name, started, time.monotonic_ns(), os.getpid())
        return _entered(name, value) if _is_context(value) else value

    return called


def _is_context(value: object) -> bool:
    return isinstance(value, contextlib.AbstractContextManager)


@contextlib.contextmanager
def _entered(name: str, context: Any) -> Iterator[Any]:
    """A context is measured from its beginning to its end."""
    with _span(name), context as value:
        yield value


def _wrap(module: Any, path: str) -> None:
    name = f"{module.__name__}:{path}"
    *owners, last = path.split(".")
    owner: Any = module
    try:
        for each in owners:
            owner = getattr(owner, each)
        function = owner.__dict__[last]
    except (AttributeError, KeyError):
        _append("missing", name)
        return
    setattr(owner, last, _wrapped(name, function))


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, paths: list[str]) -> None:
        self._loader = loader
        self._paths = paths

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        for path in self._paths:
            _wrap(module, path)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, wanted: dict[str, list[str]]) -> None:
        self._wanted = wanted

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname not in self._wanted:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._wanted[fullname])
        return spec


def _install() -> None:
    wanted: dict[str, list[str]] = {}
    for name in json.loads((_FOLDER / "probes.json").read_text()):
        module, _, path = name.partition(":")
        wanted.setdefault(module, []).append(path)
    sys.meta_path.insert(0, _Finder(wanted))


if (_FOLDER / "probes.json").exists():
    _install()
