"""Who asks: the owner that a call acts for, and what it may see."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from qdispatch.errors import RequestError

#: The owner of every job where nobody has to say who they are.
ANONYMOUS: Final = "anonymous"

_OWNER: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")


def is_owner(name: str) -> bool:
    """Whether an owner may be called so."""
    return _OWNER.fullmatch(name) is not None


def check_owner(name: str) -> None:
    """Refuses what no owner may be called.

    Raises:
        RequestError: The name has other characters, or too many.
    """
    if not is_owner(name):
        raise RequestError(
            f"{name[:80]!r} is no name of an owner: it has 1 to 64 characters, which are"
            " letters of ASCII, digits, and . _ @ -",
            field="owner",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Somebody whom the service has let in."""

    owner: str
    """Whose jobs they submit."""
    is_admin: bool = False
    """Whether they see, and may end, everybody's jobs."""
    token_id: str = ""
    """Names the token that they came with; empty if with none."""
    peer: str = ""
    """Where they call from, for the audit."""

    @property
    def sees(self) -> str | None:
        """Whose jobs there are for them; None for everybody's."""
        return None if self.is_admin else self.owner


#: Who calls where there is no authentication: one owner, who may do everything.
EVERYBODY: Final = Caller(owner=ANONYMOUS, is_admin=True)
