"""A process that calls SDKs directly; asked by `benchmarks.circuits` and `benchmarks.clifford`."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any, Final

from benchmarks.baselines.stim_direct import stim_counts
from benchmarks.baselines.ways import DIRECT, FIRST_TRIES, PRODUCT_STATE, Way
from benchmarks.process import serve

#: Names of ways that are none of `DIRECT`.
FIRST_TRY: Final = "first try"
MPS: Final = "matrix_product_state"
STIM: Final = "stim"


def way(target: str, name: str) -> Way:
    """The way of that name."""
    if name == FIRST_TRY:
        return FIRST_TRIES[target][1]
    if name == MPS:
        return PRODUCT_STATE
    if name == STIM:
        return stim_counts
    return DIRECT[target][name]


def run(*, target: str, name: str, file: str, shots: int, threads: int) -> dict[str, Any]:
    """Runs a program directly; the text is read before the clock starts."""
    text = Path(file).read_text()
    act = way(target, name)
    started = perf_counter()
    counts = act(text, shots, threads)
    took = perf_counter() - started
    return {"seconds": took, "shots": sum(counts.values()), "bits": len(next(iter(counts)))}


if __name__ == "__main__":
    serve(run)
