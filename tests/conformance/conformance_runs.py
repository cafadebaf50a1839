"""Runs programs on simulators."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from importlib.metadata import entry_points

from qdispatch.model import ProgramFormat, ResultType
from tasks.circuit import Circuit
from tasks.parse import parse
from tasks.simulators import GROUP, Request, Simulation, Simulator, load

BUILT_IN = ("aer", "cirq", "pennylane")
NAMES = sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))})

_loaded: dict[str, Simulator] = {}

Run = Callable[..., Simulation]


def loaded(name: str) -> Simulator:
    """One instance of each simulator for the whole session."""
    if name not in _loaded:
        with warnings.catch_warnings():
            # The SDKs warn about their own dependencies when they are imported.
            warnings.simplefilter("ignore")
            _loaded[name] = load(name)
    return _loaded[name]


def read(program: str) -> Circuit:
    """Parses a program in the language that it names."""
    version3 = re.search(r"^OPENQASM 3", program, re.MULTILINE)
    kind = ProgramFormat.OPENQASM3 if version3 else ProgramFormat.OPENQASM2
    return parse(program, kind, max_qubits=1000)


def run_on(name: str, program: str | Circuit, *types: ResultType, **asked: object) -> Simulation:
    """Runs a program on a simulator; `asked` are fields of the request."""
    circuit = read(program) if isinstance(program, str) else program
    fields = {"shots": 0, "seed": 1, **asked}
    return loaded(name).simulate(circuit, Request(result_types=types, **fields))
