"""What a simulation will need, held against what it may have."""

from __future__ import annotations

import mmap
import os
from typing import Final

from qdispatch.model import ErrorKind
from tasks.simulators import SimulationError

#: The usual way out.
FEWER_QUBITS: Final = "Use fewer qubits"

# What is there for certain, and not worth a question; in bytes.
_SMALL_BYTES: Final = 2**22
_UNUSED: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_MOST_BITS: Final = 80
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def text(n_bytes: int) -> str:
    """A number of bytes for a person, such as "256.0 GiB"."""
    if n_bytes.bit_length() > _MOST_BITS:
        # No float holds it, and nobody reads its digits.
        return f"2^{n_bytes.bit_length() - 1} bytes"
    size = float(n_bytes)
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.1f} {_UNITS[unit]}" if size < 1e6 else f"{size:.1e} {_UNITS[unit]}"


def fits(need_bytes: int, limit_bytes: int | None) -> bool:
    """Whether a simulation may allocate that much."""
    return need_bytes <= ceiling(limit_bytes)


def ceiling(limit_bytes: int | None) -> int:
    """The limit; without one, the memory of the machine, in bytes."""
    if limit_bytes is not None:
        return limit_bytes
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check(need_bytes: int, limit_bytes: int | None, what: str, advice: str = FEWER_QUBITS) -> None:
    """Refuses a simulation that needs too much, before it allocates that.

    It is called before a simulation begins, and again before each branch of a
    dynamic circuit.

    Args:
        need_bytes: Estimate of the peak, beyond what the warm process holds.
        limit_bytes: What it may allocate; None for all that the machine has.
        what: How it would be held, such as "a state vector of 34 qubits".
        advice: What the user can do, without the full stop.

    Raises:
        SimulationError: OUT_OF_MEMORY, with need and limit.
    """
    need = f"about {text(need_bytes)} as {what}"
    if not fits(need_bytes, limit_bytes):
        raise refusal(need, limit_bytes, advice)
    if not _can_be_had(need_bytes):
        raise refusal(f"{need}, more than there is just now", limit_bytes, advice)


def _can_be_had(need_bytes: int) -> bool:
    """Whether the kernel lets this process map that much.

    Native code often does not survive it if not: qsim dies of it.
    """
    if need_bytes < _SMALL_BYTES:
        return True
    try:
        mmap.mmap(-1, need_bytes, flags=_UNUSED).close()
    except (OSError, OverflowError):
        return False
    return True


def refusal(need: str, limit_bytes: int | None, advice: str = FEWER_QUBITS) -> SimulationError:
    """An out-of-memory error with need, limit and a way out."""
    limit = text(ceiling(limit_bytes))
    return SimulationError(
        ErrorKind.OUT_OF_MEMORY,
        f"needs {need}; the limit of this target is {limit}. {advice}.",
    )
