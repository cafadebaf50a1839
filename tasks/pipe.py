"""What a slot, its fork server and its engine agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: A slot to the fork server, with one end of a socket pair: fork an engine.
SPAWN: Final = b"spawn"
#: No message between a slot and the fork server is larger, in bytes.
MESSAGE_BYTES: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a target allows one simulation."""

    threads: int
    """OpenMP threads."""
    max_qubits: int
    """The most that a program may declare."""
    memory_limit_bytes: int
    """The most that a simulation may allocate."""
    max_result_bytes: int
    """The most that the results of a job may take, encoded."""
    paths: tuple[str, ...] = ()
    """Files and folders that it may read and write, beside its own."""
    calls: tuple[str, ...] = ()
    """System calls that it may make, beside those that each simulation may."""
