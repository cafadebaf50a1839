"""Values of observables: expectation values and variances, exact or sampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from qdispatch.model import PauliSum, PauliTerm
from tasks.simulators import Request

#: A Pauli string: pairs of a qubit and X, Y or Z, ascending; () is the identity.
Pauli: TypeAlias = tuple[tuple[int, str], ...]

#: Observables as strings, each with its coefficient.
Sums: TypeAlias = Sequence[Sequence[tuple[Pauli, float]]]


@dataclass(frozen=True, kw_only=True)
class Values:
    """Numbers of a run's observables, one of each per observable, in their order."""

    means: tuple[float, ...] = ()
    """Expectation values."""
    errors: tuple[float, ...] = ()
    """Standard error of each mean."""
    variances: tuple[float, ...] = ()
    """Empty unless they were asked for."""


def pauli(term: PauliTerm) -> Pauli:
    """The string of a term without its coefficient."""
    return tuple(sorted(term.letters().items()))


def terms(observable: PauliSum) -> list[tuple[dict[int, str], float]]:
    """Qubit -> letter, and the coefficient, of each term."""
    return [(each.letters(), each.coefficient) for each in observable.terms]


def paulis(observables: Iterable[PauliSum]) -> list[Pauli]:
    """The distinct strings in some observables, without the identity."""
    found = dict.fromkeys(pauli(term) for each in observables for term in each.terms)
    return [each for each in found if each]


def sums(observables: Iterable[PauliSum]) -> Sums:
    """Of each observable its strings, each with its coefficient."""
    return [[(pauli(term), term.coefficient) for term in each.terms] for each in observables]


def exact_values(
    observables: Sequence[PauliSum], means: Mapping[Pauli, float]
) -> tuple[float, ...]:
    """The value of each observable from the exact mean of each string."""
    return _exact(sums(observables), means)


def _exact(observables: Sums, means: Mapping[Pauli, float]) -> tuple[float, ...]:
    return tuple(
        math.fsum(coefficient * means.get(string, 1.0) for string, coefficient in each)
        for each in observables
    )


def sampled_values(
    observables: Sums, means: Mapping[Pauli, float], shots: int, rng: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Estimates as if each term were measured on its own.

    A Pauli string has outcomes 1 and -1; with mean e, `shots` measurements of
    it give the outcome 1 k ~ Binomial(shots, (1 + e) / 2) times. The estimate
    is m = 2k / shots - 1, its variance (1 - m**2) / shots; terms are
    independent, so their variances add up with coefficient**2.

    Returns:
        The estimates, and the standard error of each.
    """
    chances = [(1 + means[string]) / 2 for each in observables for string, _ in each if string]
    # In one call, which draws the same numbers as one call for each.
    drawn = iter(rng.binomial(shots, np.array(chances)).tolist())
    values, errors = [], []
    for observable in observables:
        value, variance = 0.0, 0.0
        for string, coefficient in observable:
            if not string:
                value += coefficient
                continue
            mean = 2 * float(next(drawn)) / shots - 1
            value += coefficient * mean
            variance += coefficient**2 * (1 - mean * mean) / shots
        values.append(value)
        errors.append(math.sqrt(variance))
    return tuple(values), tuple(errors)


def static_values(
    request: Request,
    squares: Sequence[PauliSum],
    means: Mapping[Pauli, float],
    rng: np.random.Generator,
    *,
    all_sums: Sums | None = None,
) -> Values:
    """The values for a static circuit, exact or sampled as asked for.

    A variance is <O^2> - <O>^2, of the part of O that is not the identity. If
    it is sampled, O^2 is estimated as any other observable, by measurements
    of its own; where these make the difference negative, it is 0.

    Args:
        request: Its observables and shots.
        squares: `tasks.simulators.squares.square` of each observable; none if
            no variance is asked for, or it comes from elsewhere.
        means: Exact mean of each string of the observables and the squares.
        rng: The source of randomness.
        all_sums: `sums` of the observables and the squares, for who has them already.
    """
    observables, number = request.observables, len(request.observables)
    if all_sums is None:
        # The squares come last, so that means do not depend on whether they are asked for.
        all_sums = sums((*observables, *squares))
    if request.shots:
        values, errors = sampled_values(all_sums, means, request.shots, rng)
    else:
        values = _exact(all_sums, means)
        errors = (0.0,) * len(values)
    variances = tuple(
        max(0.0, second - (first - constant(each)) ** 2)
        for each, first, second in zip(observables, values, values[number:], strict=False)
    )
    return Values(means=values[:number], errors=errors[:number], variances=variances)


def constant(observable: PauliSum) -> float:
    """The coefficient of the identity."""
    return math.fsum(each.coefficient for each in observable.terms if not pauli(each))


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The observables in the final state of one branch."""

    weight: float
    """Shots, or a probability."""
    means: tuple[float, ...]
    variances: tuple[float, ...]
    """Empty unless they were asked for."""


def average(trajectories: Sequence[Trajectory], shots: int) -> Values:
    """Weighted means over trajectories, their standard errors, and the variances.

    The variance in a mixture is the mean of those in its states, and that of
    their means: E<O^2> - (E<O>)^2 = E(<O^2> - <O>^2) + E(<O> - E<O>)^2.
    """
    if not trajectories:
        return Values()
    weights = np.array([each.weight for each in trajectories], dtype=np.float64)
    weights /= weights.sum()
    table = np.array([each.means for each in trajectories])
    means = weights @ table
    spread = weights @ (table - means) ** 2
    inside = np.array([each.variances for each in trajectories])
    variances = weights @ inside + spread if inside.size else np.empty(0)
    if not shots:
        errors = np.zeros_like(means)
    elif shots == 1:
        errors = np.full_like(means, math.inf)
    else:
        errors = np.sqrt(spread / (shots - 1))
    return Values(
        means=tuple(means.tolist()),
        errors=tuple(errors.tolist()),
        variances=tuple(variances.tolist()),
    )
