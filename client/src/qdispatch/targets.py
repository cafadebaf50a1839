"""The targets of a server, as a list that shows itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qdispatch.model import TargetInfo

if TYPE_CHECKING:
    from rich.console import RenderableType


class TargetList(list[TargetInfo]):
    """A list of targets that terminals and notebooks show as a table."""

    def __rich__(self) -> RenderableType:
        from qdispatch.display.terminal import targets_view

        return targets_view(self)

    def _repr_html_(self) -> str:
        from qdispatch.display.html import targets_html

        return targets_html(self)
