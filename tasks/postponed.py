"""Imports that wait until something of the module is used.

SDKs import much that no simulation needs: libraries to draw with, other SDKs
to convert to. In the fork server that would be time at every start, and memory
for good. A postponed module is there under its name; its code runs when the
first of its attributes is asked for. Nothing is missing, it only comes later.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def postpone(packages: Iterable[str]) -> None:
    """Postpones what this process imports of these packages, from now on.

    Args:
        packages: Names of top-level packages; those that are imported already
            stay as they are.
    """
    sys.meta_path.insert(0, _Finder(frozenset(packages)))


def is_postponed(name: str) -> bool:
    """Whether a module was imported, and its code has not run yet."""
    return isinstance(sys.modules.get(name), _Postponed)


class _Postponed(ModuleType):
    def __getattr__(self, name: str) -> Any:
        # `from package import module` needs the module, and not the package.
        child = f"{self.__name__}.{name}"
        if "__path__" in self.__dict__ and not name.startswith("__") and find_spec(child):
            return importlib.import_module(child)
        _run(self)
        return getattr(self, name)


def _run(module: ModuleType) -> None:
    parent = module.__name__.rpartition(".")[0]
    if parent:
        # A package's own code comes first, and may be what runs this module.
        _run(sys.modules[parent])
    if type(module) is not _Postponed:
        return
    module.__class__ = ModuleType  # type: ignore[assignment]
    spec = module.__spec__
    if spec is None or not isinstance(spec.loader, _Later):
        raise ImportError(f"{module.__name__} was changed before it was loaded")
    spec.loader = module.__loader__ = spec.loader.loader
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # As with any import that fails: the next one tries again.
        sys.modules.pop(module.__name__, None)
        raise


class _Later(Loader):
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Not sooner: Python has asked it for much until now.
        module.__class__ = _Postponed


class _Finder(MetaPathFinder):
    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, _ = name.partition(".")
        parent = sys.modules.get(name.rpartition(".")[0])
        if package not in self._packages or (parent is not None and _has_run(parent)):
            return None
        spec = PathFinder.find_spec(name, path, target)
        # A folder without code of its own has nothing to postpone; a native
        # module may not be ready to be made and not run.
        if spec is not None and spec.loader is not None and hasattr(spec.loader, "get_source"):
            spec.loader = _Later(spec.loader)
        return spec


def _has_run(parent: ModuleType) -> bool:
    # A package without code of its own never runs.
    return not isinstance(parent, _Postponed) and getattr(parent, "__file__", None) is not None
