"""Settings that come from files of their own: QDISPATCH_DATABASE_URL_FILE and the like.

What is in the environment shows in the lists of processes of some systems, and goes on
to every child; container engines and systemd therefore hand secrets over as files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

#: The settings that may come so.
SECRETS: Final = ("database_url", "broker_url", "result_backend", "programs_url")

_LONGEST: Final = 10_000


class SecretFileError(ValueError):
    """A file cannot be used; the text names its variable, and has nothing of the file."""


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the files that the environment names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """A value, its key, and that it is to be taken as it is."""
        del field
        return _value(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values that there are.

        Raises:
            SecretFileError: A file cannot be used.
        """
        values = {name: _value(name) for name in SECRETS}
        return {name: value for name, value in values.items() if value is not None}


def _value(name: str) -> str | None:
    variable = f"QDISPATCH_{name.upper()}"
    path = os.environ.get(f"{variable}_FILE")
    if not path:
        return None
    if os.environ.get(variable):
        raise SecretFileError(f"{variable} and {variable}_FILE are both set: keep one of them")
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(_LONGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SecretFileError(f"{variable}_FILE: cannot read {path}: {reason}") from error
    if not text or not text.isprintable():
        raise SecretFileError(f"{variable}_FILE: {path} has to have one line, and only that")
    return text
