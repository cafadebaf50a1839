"""The options of simulators in a job's extra: keys that are known, and what they may be.

Of the simulators that come with the service, by the names of their entry points; what
others know is theirs to check, when a job runs. Keys that are not here are left alone:
`extra` is for notes, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

AUTOMATIC: Final = "automatic"
STATEVECTOR: Final = "statevector"
STABILIZER: Final = "stabilizer"
MPS: Final = "matrix_product_state"

SINGLE: Final = "single"
DOUBLE: Final = "double"

#: What options may be; the first is what is taken if nothing is said.
METHODS: Final = (AUTOMATIC, STATEVECTOR, STABILIZER)
METHODS_OF_AER: Final = (*METHODS, MPS)
PRECISIONS: Final = (SINGLE, DOUBLE)

# By simulator and key.
_OPTIONS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "aer": {"method": METHODS_OF_AER},
    "cirq": {"method": METHODS, "precision": PRECISIONS},
    "pennylane": {"method": METHODS},
}

# Characters of a value that are shown.
_SHOWN: Final = 60


def options_of(extra: str) -> Mapping[str, object]:
    """The object that a job's extra is the text of."""
    options: Mapping[str, object] = json.loads(extra) if extra else {}
    return options


def wrong_option(simulator: str, options: Mapping[str, object]) -> tuple[str, str] | None:
    """The first option that a simulator knows, and that cannot be what it is.

    Args:
        simulator: The name of its entry point.
        options: A job's.

    Returns:
        Its key and what is to be said; None if there is none.
    """
    for key, allowed in _OPTIONS.get(simulator, {}).items():
        if key in options and (told := unlike(options[key], allowed)):
            return key, told
    return None


def unlike(value: object, allowed: Sequence[str]) -> str:
    """What is to be said of a value that is none of these; nothing if it is one."""
    if isinstance(value, str) and value in allowed:
        return ""
    return f"must be one of {', '.join(allowed)}, not {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
