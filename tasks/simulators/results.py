"""From raw numbers to the results that were asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from qdispatch.model import ErrorKind, PauliSum, PauliTerm, Result, ResultType
from tasks.circuit import Branch, Circuit, Loop, Measure, Op
from tasks.simulators import Request, SimulationError

#: A Pauli string: pairs of a qubit and X, Y or Z, ascending; () is the identity.
Pauli: TypeAlias = tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a simulation found, before it is dressed as results."""

    counts: Mapping[str, int] | None = None
    """Outcome -> samples, at shots > 0."""
    quasi: Mapping[str, float] | None = None
    """Outcome -> exact probability, at shots = 0."""
    values: tuple[float, ...] = ()
    """One per observable."""
    errors: tuple[float, ...] = ()
    """Standard error of each value."""


def wants_outcomes(request: Request) -> bool:
    """Whether counts or quasi are asked for."""
    return ResultType.COUNTS in request.result_types or ResultType.QUASI in request.result_types


def wants_values(request: Request) -> bool:
    """Whether expectation values are asked for."""
    return ResultType.EXPVAL in request.result_types


def check(circuit: Circuit, request: Request) -> None:
    """Refuses what no simulator can answer.

    Raises:
        SimulationError: Outcomes of a program that measures nothing, counts
            without shots, or an observable beyond the last qubit.
    """
    if wants_outcomes(request) and not (circuit.n_clbits and _measures(circuit.ops)):
        raise SimulationError(
            ErrorKind.PROGRAM_INVALID,
            "the program measures nothing; add measurements or ask for expval",
        )
    if ResultType.COUNTS in request.result_types and request.shots == 0:
        raise SimulationError(ErrorKind.UNSUPPORTED, "counts need shots > 0; ask for quasi instead")
    for pauli in paulis(request.observables):
        if pauli[-1][0] >= circuit.n_qubits:
            raise SimulationError(
                ErrorKind.PROGRAM_INVALID,
                f"an observable acts on qubit {pauli[-1][0]};"
                f" the program has {circuit.n_qubits} qubits",
            )


def _measures(ops: Iterable[Op]) -> bool:
    for op in ops:
        if isinstance(op, Measure):
            return True
        if isinstance(op, Branch) and (_measures(op.then) or _measures(op.otherwise)):
            return True
        if isinstance(op, Loop) and _measures(op.body):
            return True
    return False


def pauli(term: PauliTerm) -> Pauli:
    """The string of a term without its coefficient."""
    return tuple(sorted(term.letters().items()))


def paulis(observables: Iterable[PauliSum]) -> list[Pauli]:
    """The distinct strings in some observables, without the identity."""
    found = dict.fromkeys(pauli(term) for each in observables for term in each.terms)
    return [each for each in found if each]


def exact_values(
    observables: Sequence[PauliSum], means: Mapping[Pauli, float]
) -> tuple[float, ...]:
    """The value of each observable from the exact mean of each string."""
    return tuple(
        math.fsum(term.coefficient * means.get(pauli(term), 1.0) for term in each.terms)
        for each in observables
    )


def sampled_values(
    observables: Sequence[PauliSum],
    means: Mapping[Pauli, float],
    shots: int,
    rng: np.random.Generator,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Estimates as if each term were measured on its own.

    A Pauli string has outcomes 1 and -1; with mean e, `shots` measurements of
    it give the outcome 1 k ~ Binomial(shots, (1 + e) / 2) times. The estimate
    is m = 2k / shots - 1, its variance (1 - m**2) / shots; terms are
    independent, so their variances add up with coefficient**2.

    Returns:
        The estimates, and the standard error of each.
    """
    values, errors = [], []
    for observable in observables:
        value, variance = 0.0, 0.0
        for term in observable.terms:
            string = pauli(term)
            if not string:
                value += term.coefficient
                continue
            hits = rng.binomial(shots, (1 + means[string]) / 2)
            mean = 2 * float(hits) / shots - 1
            value += term.coefficient * mean
            variance += term.coefficient**2 * (1 - mean * mean) / shots
        values.append(value)
        errors.append(math.sqrt(variance))
    return tuple(values), tuple(errors)


def static_values(
    request: Request, means: Mapping[Pauli, float], rng: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Values and standard errors for a static circuit, exact or sampled as asked for."""
    if not wants_values(request):
        return (), ()
    if request.shots:
        return sampled_values(request.observables, means, request.shots, rng)
    values = exact_values(request.observables, means)
    return values, (0.0,) * len(values)


def streams(seed: int | None) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent sources of randomness: for outcomes and for values.

    They are apart so that a job's counts do not depend on whether expval was
    asked for as well.

    Args:
        seed: Any non-negative integer; None draws entropy.
    """
    outcomes, values = np.random.SeedSequence(seed).spawn(2)
    return np.random.Generator(np.random.PCG64(outcomes)), np.random.Generator(
        np.random.PCG64(values)
    )


def fewer_outcomes(request: Request) -> str:
    """The way out if outcomes are what takes the memory."""
    if request.shots:
        return "Use fewer shots, or measure fewer bits"
    return "Measure fewer bits, or declare fewer classical bits"


def dress(circuit: Circuit, request: Request, raw: Raw) -> tuple[Result, ...]:
    """The results, in the order asked for."""
    return tuple(_result(kind, circuit, request, raw) for kind in request.result_types)


def _result(kind: ResultType, circuit: Circuit, request: Request, raw: Raw) -> Result:
    if kind is ResultType.EXPVAL:
        return Result(type=kind, expval=raw.values, standard_errors=raw.errors)
    if kind is ResultType.COUNTS:
        return Result(type=kind, n_bits=circuit.n_clbits, counts=ordered(raw.counts or {}))
    quasi = raw.quasi
    if quasi is None:
        quasi = {key: times / request.shots for key, times in (raw.counts or {}).items()}
    return Result(type=kind, n_bits=circuit.n_clbits, quasi=ordered(quasi))


def ordered(outcomes: Mapping[str, Any]) -> dict[str, Any]:
    """By ascending outcome."""
    return dict(sorted(outcomes.items()))
