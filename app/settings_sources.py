"""The environment as a source of settings, and where a setting that is wrong comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

#: What the names of variables begin with, and what is between their parts.
PREFIX: Final = "QDISPATCH_"
DELIMITER: Final = "__"

_LISTS: Final = ("tuple_type", "list_type")


class Environment(EnvSettingsSource):
    """Reads the variables; what should be JSON and is none is left to the validation.

    That knows which setting it is, and so which variable; this would tell its section.
    """

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """What the text of a variable stands for, or the text."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def explained(error: ValidationError, file: Path) -> str:
    """All that is wrong, each with the variable or the file that says so.

    Args:
        error: Of the settings.
        file: Where settings are that no variable has.
    """
    variables = {name.upper(): name for name in os.environ}
    in_file, elsewhere = [], []
    for each in error.errors():
        key = ".".join(map(str, each["loc"]))
        variable = _variable(each["loc"], variables)
        if variable is None:
            in_file.append(f"{key or 'settings'}: {each['msg']}")
        else:
            elsewhere.append(f"{variable} ({key}): {_said(each, variable)}")
    if in_file:
        in_file[0] = f"{file}: {in_file[0]}"
    return "; ".join([*in_file, *elsewhere])


def _variable(location: Sequence[str | int], variables: Mapping[str, str]) -> str | None:
    """The variable that sets something, by itself or as a part of its JSON."""
    for length in range(len(location), 0, -1):
        name = PREFIX + DELIMITER.join(map(str, location[:length])).upper()
        if name in variables and _has(os.environ[variables[name]], location[length:]):
            return variables[name]
    return None


def _has(text: str, location: Sequence[str | int]) -> bool:
    if not location:
        return True
    try:
        value: Any = json.loads(text)
        for part in location:
            value = value[part]
    except (ValueError, LookupError, TypeError):
        return False
    return True


def _said(error: ErrorDetails, variable: str) -> str:
    """What is wrong with a variable, in the words of one who writes variables."""
    if error["type"] == "model_type":
        return f"is a section: each of its keys has a variable, {variable}{DELIMITER}KEY"
    if error["type"] in _LISTS and isinstance(error["input"], str):
        words = [each.strip(" []'\"") for each in error["input"].split(",")]
        return f"is a list, and written as {json.dumps(words)}"
    return error["msg"]
