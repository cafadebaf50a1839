"""Writes the reference of the client's Python interface, from its docstrings.

    python -W error docs/reference.py build/docs

Ends with an error if something public has no docstring.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import pdoc
from pdoc import doc, render

import qdispatch

#: The modules that users import from; all others may change at any time.
MODULES: Final = (
    "qdispatch",
    "qdispatch.client",
    "qdispatch.job",
    "qdispatch.batch",
    "qdispatch.async_client",
    "qdispatch.async_job",
    "qdispatch.async_batch",
    "qdispatch.options",
    "qdispatch.result",
    "qdispatch.arrays",
    "qdispatch.model",
    "qdispatch.updates",
    "qdispatch.errors",
    "qdispatch.observables",
    "qdispatch.circuits",
    "qdispatch.plot",
    "qdispatch.qiskit",
    "qdispatch.cirq",
    "qdispatch.pennylane",
)


def undocumented(names: tuple[str, ...]) -> list[str]:
    """Full names of what is public in these modules, is ours, and has no docstring."""
    modules = [doc.Module.from_name(name) for name in names]
    return sorted({each.fullname for module in modules for each in _bare(module)})


def write(folder: Path) -> None:
    """Writes one page for each module, an index and a search."""
    render.configure(docformat="google", footer_text="qdispatch")
    pdoc.pdoc(*MODULES, output_directory=folder)


def _bare(namespace: doc.Namespace) -> Iterator[doc.Doc]:
    if not namespace.docstring:
        yield namespace
    for member in namespace.own_members:
        if not _shown(member):
            continue
        if isinstance(member, doc.Class):
            yield from _bare(member)
        elif not member.docstring and not _told(member, namespace.docstring):
            yield member


def _shown(member: doc.Doc) -> bool:
    return not member.name.startswith("_") and member.taken_from[0].startswith("qdispatch")


def _told(member: doc.Doc, text: str) -> bool:
    # Attributes are described by their class: under Attributes, Args, or in its text.
    return isinstance(member, doc.Variable) and bool(re.search(rf"\b{member.name}\b", text))


def main(folder: str) -> int:
    """Checks, then writes."""
    # Before pdoc does, which lets what it imports run no program: matplotlib asks
    # fc-list for the fonts, the first time that it is on a machine.
    for name in MODULES:
        import_module(name)
    # pdoc sees only the names that the package has loaded.
    for name in qdispatch.__all__:
        getattr(qdispatch, name)
    if bare := undocumented(MODULES):
        sys.stderr.write("no docstring: " + "\n              ".join(bare) + "\n")
        return 1
    write(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
