"""What a fuzzing client has learned from answers: ids that hit, and whose they are."""

from __future__ import annotations

import random
from typing import Final

_MOST: Final = 400
# A page's token is the id of a job, which may be another's who listed it.
_OWNED: Final = ("job", "batch")


class Known:
    """Ids by kind and by owner, the last few hundred of each.

    Args:
        chance: Draws.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._by_kind: dict[tuple[str, str], list[str]] = {}
        self._whose: dict[str, str] = {}

    def learn(self, kind: str, text: str, owner: str) -> None:
        """Keeps an id, a request_id or a page token of an owner."""
        if not text:
            return
        kept = self._by_kind.setdefault((kind, owner), [])
        if len(kept) < _MOST:
            kept.append(text)
        else:
            place = self._chance.randrange(_MOST)
            if kind in _OWNED:
                self._whose.pop(kept[place], None)
            kept[place] = text
        if kind in _OWNED:
            self._whose[text] = owner

    def draw(self, kind: str, owner: str) -> str:
        """One of an owner, or of another; empty if none is known."""
        owners = [whose for each, whose in self._by_kind if each == kind]
        if not owners:
            return ""
        own = (kind, owner) in self._by_kind and self._chance.random() < 0.6
        return self._chance.choice(
            self._by_kind[kind, owner if own else self._chance.choice(owners)]
        )

    def owner(self, text: str) -> str | None:
        """Whose an id is, if that is known."""
        return self._whose.get(text)
