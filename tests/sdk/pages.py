"""The Python of the documentation, as its readers would type it in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]

# A heading; a block, with the one right below it that shows what it prints; any
# other block, whose lines are no headings.
_PART: Final = re.compile(
    r"^#+ +(?P<heading>[^\n]+)$"
    r"|^```python\n(?P<code>.*?)^```\n(?:```\n(?P<output>.*?)^```\n)?"
    r"|^```.*?^```$",
    re.MULTILINE | re.DOTALL,
)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of Python on a page."""

    heading: str
    """Of the section that it stands in."""
    code: str
    """What it says."""
    output: str
    """What the page says that it prints; empty if the page says nothing."""


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order.

    Args:
        page: Path of the page, from the root of the project.
    """
    found = []
    heading = ""
    for match in _PART.finditer((PROJECT / page).read_text()):
        if match["heading"]:
            heading = match["heading"]
        elif match["code"]:
            found.append(Block(heading=heading, code=match["code"], output=match["output"] or ""))
    return found


def pages() -> list[str]:
    """All pages with Python in them."""
    paths = (*PROJECT.glob("*.md"), *PROJECT.glob("client/*.md"), *PROJECT.glob("docs/**/*.md"))
    names = sorted(str(path.relative_to(PROJECT)) for path in paths)
    return [name for name in names if blocks(name)]


def without_ids(text: str) -> str:
    """The same text for every job."""
    return _UUID.sub("ID", text)
