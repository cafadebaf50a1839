"""Row 14: `python -m app up`, on a fresh data directory, until it says that it is ready."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from select import select
from statistics import median
from typing import Final

import psutil

from benchmarks.lines import Line, at_most
from benchmarks.measure import in_turns, ratio, timed
from benchmarks.plan import Plan
from benchmarks.process import ProcessError
from benchmarks.table import seconds
from tests.e2e.stack import PROJECT
from tests.services.process import free_port

_READY: Final = b"ready on"
_READY_S: Final = 120.0
_STOP_S: Final = 40.0

#: What importing an SDK is, of each target.
SDKS: Final = {
    "Aer": "import qiskit_aer",
    "Cirq": "import cirq, qsimcirq",
    "PennyLane": "import pennylane",
}


def until_ready(plan: Plan) -> Iterator[Line]:
    """Row 14: against the SDK that takes the longest to import."""
    # The better of two tries: something else may be in the way of one.
    slowest = max(SDKS, key=lambda name: min(_import(SDKS[name]) for _ in range(2)))
    samples = in_turns(
        {
            "import": lambda: _import(SDKS[slowest]),
            "up": lambda: _up(plan.shop.folder("up")),
        },
        plan.runs,
        warm_up=0,
    )
    yield Line(
        row=14,
        what="app up until ready",
        baseline=f"import {slowest}",
        ratio=ratio(samples["up"], samples["import"]),
        goal=at_most(1.5),
        absolute=f"app up {seconds(median(samples['up']))}, of a bare interpreter that imports"
        f" {slowest} {seconds(median(samples['import']))}",
    )


def _import(code: str) -> float:
    """Start to end of an interpreter that imports an SDK, in seconds."""
    return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def _up(folder: Path) -> float:
    """Start of `app up` until it says that it is ready, in seconds."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("QDISPATCH_")
    }
    environment |= {
        "QDISPATCH_DATA_DIR": str(folder),
        "QDISPATCH_SERVER__ADDRESS": f"127.0.0.1:{free_port()}",
    }
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "app", "up"],
        env=environment,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            _wait_for(process, _READY, started + _READY_S)
            return time.perf_counter() - started
        finally:
            _end(process)


def _wait_for(process: subprocess.Popen[bytes], word: bytes, until: float) -> None:
    """Reads what a process says until a word comes.

    Raises:
        ProcessError: It ended, or did not say it in time.
    """
    said = b""
    if process.stdout is None:
        raise ProcessError("this process cannot be listened to")
    while word not in said:
        left = until - time.perf_counter()
        if left <= 0 or not select([process.stdout], [], [], left)[0]:
            raise ProcessError(f"app up is not ready within {_READY_S:g} s")
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            raise ProcessError(f"app up has ended: {said[-1000:].decode(errors='replace')}")
        said += part


def _end(process: subprocess.Popen[bytes]) -> None:
    # How it stops is no part of this: all its processes die with it.
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    psutil.wait_procs(family, timeout=_STOP_S)
