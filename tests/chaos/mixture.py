"""The jobs: what is submitted, and how it must end."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Final

from qdispatch.model import ErrorKind, JobSpec, ProgramFormat

STUB: Final = "stub"
TARGETS: Final = ("aer", "cirq", "pennylane")


class Kind(StrEnum):
    """What a job is there for."""

    QUICK = "quick"
    """A few milliseconds; finishes."""
    SLOW = "slow"
    """Up to a few seconds, in native code where the target has any; finishes."""
    CANCELED = "canceled"
    """Gets canceled, pending or running, maybe too late."""
    ENDLESS = "endless"
    """Would run for minutes, and gets canceled."""
    INVALID = "invalid"
    """Its program breaks the rules of its language."""
    UNSUPPORTED = "unsupported"
    """Its target cannot run it."""
    TIME_LIMIT = "time limit"
    """Would run for minutes, and may not."""
    MEMORY = "memory"
    """Needs more memory than its target may take."""
    CRASHING = "crashing"
    """Takes its engine along, each time."""
    REFUSED = "refused"
    """Is refused at once, and leaves nothing behind."""


#: How a job of this kind fails; the others finish or are canceled.
FAILURES: Final = {
    Kind.INVALID: ErrorKind.PROGRAM_INVALID,
    Kind.UNSUPPORTED: ErrorKind.UNSUPPORTED,
    Kind.TIME_LIMIT: ErrorKind.TIME_LIMIT,
    Kind.MEMORY: ErrorKind.OUT_OF_MEMORY,
    Kind.CRASHING: ErrorKind.CRASHED,
}

_WEIGHTS: Final = {
    Kind.QUICK: 55,
    Kind.SLOW: 18,
    Kind.CANCELED: 11,
    Kind.ENDLESS: 4,
    Kind.INVALID: 3,
    Kind.UNSUPPORTED: 3,
    Kind.TIME_LIMIT: 2,
    Kind.MEMORY: 2,
    Kind.CRASHING: 1,
    Kind.REFUSED: 2,
}

# Qubits and layers that take up to a second of a core of one's own, and
# several of one that is shared with everything else here.
_HEAVY: Final = {"aer": (20, 10), "cirq": (20, 40), "pennylane": (20, 40)}


@dataclass(frozen=True, kw_only=True)
class Order:
    """One job to submit.

    Attributes:
        number: Its place in the plan.
        kind: What it is there for.
        spec: What is submitted.
        pause_s: How long the one who submits waits before.
        cancel_after_s: When it is canceled, after it was acknowledged.
        repeated: Whether it is submitted once more after it was acknowledged.
        series: What it is numbered within.
    """

    number: int
    kind: Kind
    spec: JobSpec
    pause_s: float = 0.0
    cancel_after_s: float | None = None
    repeated: bool = False
    series: str = "chaos"

    @property
    def request_id(self) -> str:
        """Names the submission."""
        return f"{self.series}-{self.number}"


def orders(seed: int) -> Iterator[Order]:
    """The jobs that a seed stands for, without end."""
    chance = random.Random(f"orders {seed}")
    kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    number = 0
    while True:
        kind = chance.choices(kinds, weights)[0]
        yield Order(
            number=number,
            kind=kind,
            spec=_spec(kind, chance),
            pause_s=chance.expovariate(1 / 0.35),
            cancel_after_s=_cancel_after(kind, chance),
            repeated=chance.random() < 0.05,
        )
        number += 1


def extra(number: int, target: str) -> Order:
    """A slow job for a target that would be idle otherwise when a fault comes."""
    slow = [spec for spec in _slow() if spec.target == target]
    return Order(number=number, kind=Kind.SLOW, spec=slow[number % len(slow)], series="chaos-extra")


def references() -> list[JobSpec]:
    """Every distinct job that finishes."""
    return [*_quick(), *_slow()]


def _cancel_after(kind: Kind, chance: random.Random) -> float | None:
    if kind is Kind.CANCELED:
        return chance.choice((0.0, chance.uniform(0, 0.5), chance.uniform(0.5, 4)))
    return chance.uniform(0, 3) if kind is Kind.ENDLESS else None


def _spec(kind: Kind, chance: random.Random) -> JobSpec:
    match kind:
        case Kind.QUICK:
            return chance.choice(_quick())
        case Kind.SLOW:
            return chance.choice(_slow())
        case Kind.CANCELED:
            return chance.choice((*_quick(), *_slow(), *_slow(), *_slow()))
        case Kind.ENDLESS:
            return chance.choice((_do("sleep"), *(heavy(each, 23, 400) for each in TARGETS)))
        case Kind.INVALID:
            broken = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; nonsense q[0];'
            return _spec_of(chance.choice(TARGETS), broken, 1)
        case Kind.UNSUPPORTED:
            return _do("refuse")
        case Kind.TIME_LIMIT:
            endless = chance.choice((_do("sleep"), heavy(chance.choice(TARGETS), 23, 400)))
            return replace(endless, time_limit_s=chance.choice((0.5, 1.0)))
        case Kind.MEMORY:
            return heavy(chance.choice(("cirq", "pennylane")), 30, 1)
        case Kind.CRASHING:
            return _do("crash")
        case Kind.REFUSED:
            bell = _quick()[0]
            return chance.choice((replace(bell, target="ibm"), replace(bell, shots=100_000_000)))


@cache
def _quick() -> tuple[JobSpec, ...]:
    circuits = (
        (2, "h q[0]; cx q[0],q[1];"),
        (5, "h q[0];" + "".join(f"cx q[{q}],q[{q + 1}];" for q in range(4))),
        (3, "x q[0]; h q[1]; rx(0.7) q[2]; t q[1]; h q[1];"),
    )
    stub = [replace(_do("count"), shots=shots) for shots in (100, 300)]
    return (
        *(
            _spec_of(target, _program(n_qubits, gates), n_qubits, shots=shots, seed=seed)
            for target in TARGETS
            for n_qubits, gates in circuits
            for seed, shots in ((1, 200), (2, 1000), (3, 317))
        ),
        *stub,
    )


@cache
def _slow() -> tuple[JobSpec, ...]:
    stub = [_do("nap", milliseconds) for milliseconds in (500, 1500, 3000)]
    native = [
        replace(heavy(target, *_HEAVY[target]), seed=seed) for target in TARGETS for seed in (4, 5)
    ]
    return (*native, *stub)


@cache
def heavy(target: str, n_qubits: int, layers: int) -> JobSpec:
    """A circuit that no simulator finds a short cut for."""
    gates = []
    for layer in range(layers):
        gates += [f"rx({0.1 + layer}) q[{q}];" for q in range(n_qubits)]
        step = 1 + layer % (n_qubits - 1)
        gates += [f"cx q[{q}],q[{(q + step) % n_qubits}];" for q in range(n_qubits)]
    return _spec_of(target, _program(n_qubits, "".join(gates)), n_qubits, shots=100)


def _do(action: str, size: int = 0) -> JobSpec:
    """A job that tells the stub simulator what to do."""
    bell = _spec_of(STUB, _program(2, "h q[0]; cx q[0],q[1];"), 2, shots=100)
    return replace(bell, extra=json.dumps({"do": action, "size": size}))


def _program(n_qubits: int, gates: str) -> str:
    registers = f"qreg q[{n_qubits}]; creg c[{n_qubits}];"
    return f'OPENQASM 2.0; include "qelib1.inc"; {registers} {gates} measure q -> c;'


def _spec_of(
    target: str, program: str, n_qubits: int, *, shots: int = 100, seed: int = 0
) -> JobSpec:
    return JobSpec(
        program=program,
        program_format=ProgramFormat.OPENQASM2,
        framework="handwritten",
        n_qubits=n_qubits,
        depth=1,
        target=target,
        shots=shots,
        seed=seed,
    )
