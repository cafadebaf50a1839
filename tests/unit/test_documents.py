"""What documents point to is there: tests, other documents, their headings, settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    (*PROJECT.glob("*.md"), *PROJECT.glob("client/*.md"), *PROJECT.glob("docs/**/*.md"))
)
NAMES = [str(each.relative_to(PROJECT)) for each in DOCUMENTS]

_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# `tests/unit/test_edge.py::test_x`, and `::test_y` for another of the same file.
_TEST = re.compile(r"`(tests/[\w/.]+)?(?:::(test_\w+))?`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def named_tests(text: str) -> Iterator[tuple[str, str | None]]:
    """The files of tests that a text names, and the functions in them."""
    file = ""
    for path, function in _TEST.findall(text):
        file = path or file
        if path or function:
            yield file, function or None


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(
        each.name
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@cache
def anchors(path: Path) -> frozenset[str]:
    """The headings of a document, as links name them."""
    headings = _HEADING.findall(_CODE.sub("", path.read_text()))
    plain = (re.sub(r"[^\w\- ]", "", each.lower()) for each in headings)
    return frozenset(each.strip().replace(" ", "-") for each in plain)


def missing(file: str, function: str | None) -> str | None:
    path = PROJECT / file
    if not path.exists():
        return file
    if function is not None and function not in functions(path):
        return f"{file}::{function}"
    return None


@pytest.mark.parametrize("document", NAMES)
def test_the_tests_that_are_named_are_there(document: str) -> None:
    named = named_tests((PROJECT / document).read_text())
    assert not [gone for file, function in named if (gone := missing(file, function))]


def test_every_threat_names_its_test() -> None:
    _, _, text = (PROJECT / "docs/security.md").read_text().partition("\n## Threats\n")
    threats, _, _ = text.partition("\n## ")
    rows = [each for each in threats.splitlines() if each.startswith("|")]
    head = re.compile(r"\| Threat |\|---")
    bare = [each for each in rows if "`tests/" not in each and not head.match(each)]
    assert len(rows) > 60
    assert all("| the same" in each for each in bare), bare


@pytest.mark.parametrize("document", NAMES)
def test_links_lead_somewhere(document: str) -> None:
    path = PROJECT / document
    dead = []
    for link in _LINK.findall(_CODE.sub("", path.read_text())):
        if re.match(r"\w+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead
