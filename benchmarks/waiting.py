"""How long should a thread of a simulation spin before it sleeps?

`python -m benchmarks.waiting` runs random circuits in engines' own simulators, with
one thread and with all cores, whose threads wait in different ways; alone, and
beside processes that keep all cores busy. It prints processor time and time by the
clock, in ms: medians over runs in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from statistics import median
from time import perf_counter, process_time
from typing import Final, TypeAlias

from benchmarks.large import FAMILIES
from benchmarks.plan import cores
from qdispatch.model import ProgramFormat, ResultType
from tasks.main_process import WAITING

#: Each way of waiting, and how many threads a simulation has.
_WAYS: Final[Mapping[str, tuple[int, Mapping[str, str]]]] = {
    "1 thread": (1, WAITING),
    "asleep at once": (cores(), {"OMP_WAIT_POLICY": "passive"}),
    "as engines wait": (cores(), WAITING),
    "spinning": (cores(), {}),
}
_SIZES: Final = {"cirq": (17, 18, 20), "aer": (16, 18)}
_TURNS: Final = 3
_RUNS: Final = 5
# How long one is measured at the least, in seconds.
_LONG_S: Final = 0.5

#: Processor time and time by the clock, in seconds.
_Times: TypeAlias = tuple[float, float]


def main() -> None:
    """Prints a table for cores that are free, and one for cores that are not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("TARGET", "THREADS"))
    options = parser.parse_args()
    if options.one:
        target, threads = options.one
        print(json.dumps([_measured(target, size, int(threads)) for size in _SIZES[target]]))
        return
    for busy in (0, cores()):
        print(f"\nbeside {busy} processes that keep a core busy; processor time / clock, ms\n")
        print("| | qubits |", " | ".join(_WAYS), "|")
        print("|---|---|" + "---|" * len(_WAYS))
        with _busy(busy):
            for target in _SIZES:
                _print_rows(target)


def _print_rows(target: str) -> None:
    found: dict[str, list[list[_Times]]] = defaultdict(list)
    for _, (name, (threads, environment)) in product(range(_TURNS), _WAYS.items()):
        found[name].append(_one(target, threads, environment))
    for place, n_qubits in enumerate(_SIZES[target]):
        row = [
            " / ".join(f"{1000 * median(each):.1f}" for each in zip(*times, strict=True))
            for times in ([turn[place] for turn in found[name]] for name in _WAYS)
        ]
        print(f"| {target} | {n_qubits} |", " | ".join(row), "|", flush=True)


def _one(target: str, threads: int, environment: Mapping[str, str]) -> list[_Times]:
    """In a process of its own: OpenMP reads its variables once."""
    clean = {name: text for name, text in os.environ.items() if name[:4] not in ("OMP_", "GOMP")}
    said = subprocess.check_output(
        [sys.executable, "-m", "benchmarks.waiting", "--one", target, str(threads)],
        env={**clean, **environment, "OMP_NUM_THREADS": str(threads)},
        text=True,
    )
    return [tuple(each) for each in json.loads(said)]


def _measured(target: str, n_qubits: int, threads: int) -> _Times:
    from tasks.parse import parse
    from tasks.simulators import Request, load

    simulator = load(target)
    circuit = parse(FAMILIES["random"](n_qubits), ProgramFormat.OPENQASM2, max_qubits=n_qubits)
    request = Request(result_types=(ResultType.COUNTS,), shots=100, seed=1, threads=threads)
    simulator.simulate(circuit, request)
    times: list[_Times] = []
    until = perf_counter() + _LONG_S
    while len(times) < _RUNS or perf_counter() < until:
        cpu, clock = process_time(), perf_counter()
        simulator.simulate(circuit, request)
        times.append((process_time() - cpu, perf_counter() - clock))
    cpu_s, clock_s = (median(each) for each in zip(*times, strict=True))
    return cpu_s, clock_s


@contextmanager
def _busy(number: int) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


if __name__ == "__main__":
    main()
