"""How a tape is executed: what is asked of the service, and what is made of the answer.

Wire k of a tape's n wires is qubit n - 1 - k, so that the first wire is the
most significant bit of an index and stands on the left of an outcome, in the
service as in PennyLane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pennylane as qml
from pennylane import measurements as mps

from qdispatch.circuits.form import CircuitForm
from qdispatch.circuits.pennylane import form_of, pauli_terms
from qdispatch.model import PauliSum, ResultType
from qdispatch.observables import to_pauli_sum
from qdispatch.pennylane.preprocessing import is_shadow

if TYPE_CHECKING:
    from qdispatch.result import PointResult


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked of the service for one tape."""

    form: CircuitForm
    result_types: tuple[ResultType, ...]
    shots: int = 0
    observables: tuple[PauliSum, ...] = ()
    n_bytes: int = 0
    """About what the results take."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An order, and what is made of its answer."""

    order: Order
    finish: Callable[[PointResult], Any]
    """Gives the tape's results in PennyLane's form."""


def plan(tape: Any, generator: np.random.Generator | None) -> Plan:
    """How to execute a tape.

    Args:
        tape: With shots, its measurements have one basis in common.
        generator: For what is sampled here: the bases of classical shadows.

    Raises:
        CircuitError: It cannot be carried.
    """
    if tape.shots and not any(map(is_shadow, tape.measurements)):
        return _sampled(tape)
    if not tape.shots and all(_is_mean(each) or _is_probs(each) for each in tape.measurements):
        return _figures(tape.map_to_standard_wires())
    return _from_state(tape.map_to_standard_wires(), generator)


def _is_mean(measurement: Any) -> bool:
    """Whether it is a mean or a variance of a real sum of Pauli strings."""
    if not isinstance(measurement, mps.ExpectationMP | mps.VarianceMP):
        return False
    try:
        terms = pauli_terms(measurement.obs)
    except TypeError:
        return False
    return all(factor.imag == 0 for _, factor in terms)


def _is_probs(measurement: Any) -> bool:
    plain = measurement.obs is None and measurement.mv is None
    return isinstance(measurement, mps.ProbabilityMP) and plain


def _n_wires(tape: Any) -> int:
    # A program has at least one qubit, whatever the tape has.
    return max(tape.wires, default=0) + 1


def _form(tape: Any, wires: Sequence[Any], measured: Sequence[Any], **options: Any) -> CircuitForm:
    """The program of a tape's operations; the first of ``measured`` is the highest bit."""
    final = [qml.sample(wires=measured[::-1])] if measured else []
    return form_of(tape.copy(measurements=final, shots=None), wires[::-1], **options)


def _union(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """What is in any of them, in order."""
    return list(dict.fromkeys(each for one in lists for each in one))


def _unwrapped(results: Sequence[Any]) -> Any:
    return results[0] if len(results) == 1 else tuple(results)


def _figures(tape: Any) -> Plan:
    """Exact figures that the service computes."""
    wires = list(range(_n_wires(tape)))
    asked = [each for each in tape.measurements if _is_probs(each)]
    measured = _union([each.wires.tolist() or wires for each in asked])
    form = _form(tape, wires, measured)
    observed = [each for each in tape.measurements if not _is_probs(each)]
    kinds = [
        ResultType.EXPVAL if isinstance(each, mps.ExpectationMP) else ResultType.VARIANCE
        for each in observed
    ]
    if measured:
        kinds.append(ResultType.QUASI)
    order = Order(
        form=form,
        result_types=tuple(dict.fromkeys(kinds)),
        observables=tuple(
            to_pauli_sum(each.obs, form, index=index) for index, each in enumerate(observed)
        ),
        n_bytes=(8 + len(measured) // 8 << len(measured)) + 16 * len(observed),
    )

    def finish(result: PointResult) -> Any:
        # PennyLane takes probabilities from amplitudes only.
        amplitudes = np.sqrt(_dense(result.quasi, len(measured))) if measured else None
        places = iter(range(len(observed)))

        def value(measurement: Any) -> Any:
            if _is_probs(measurement):
                return measurement.process_state(amplitudes, qml.wires.Wires(measured))
            is_expval = isinstance(measurement, mps.ExpectationMP)
            values = result.expval if is_expval else result.variance
            return np.float64(values[next(places)])

        return _unwrapped([value(each) for each in tape.measurements])

    return Plan(order=order, finish=finish)


def _dense(quasi: Any, n_bits: int) -> npt.NDArray[np.float64]:
    """Probabilities of all outcomes; float64 of shape (2**n_bits,)."""
    dense = np.zeros(1 << n_bits)
    for outcome, probability in quasi.items():
        dense[int(outcome, 2)] = probability
    return dense


def _from_state(tape: Any, generator: np.random.Generator | None) -> Plan:
    """What PennyLane's own code measures on the exact state."""
    n_wires = _n_wires(tape)
    order = Order(
        form=_form(tape, list(range(n_wires)), [], keep_phase=True),
        result_types=(ResultType.STATEVECTOR,),
        n_bytes=16 << n_wires,
    )

    def finish(result: PointResult) -> Any:
        # A copy, since users may write into what they get.
        state = np.array(result.statevector).reshape([2] * n_wires)
        if tape.shots:
            found = qml.devices.qubit.measure_with_samples(
                tape.measurements, state, tape.shots, rng=generator
            )
            if tape.shots.has_partitioned_shots:
                return tuple(_unwrapped(each) for each in found)
            return _unwrapped(found)
        return _unwrapped([qml.devices.qubit.measure(each, state) for each in tape.measurements])

    return Plan(order=order, finish=finish)


def _sampled(tape: Any) -> Plan:
    """Results that PennyLane's own code takes from single shots."""
    middle = [each for each in tape.operations if isinstance(each, qml.ops.MidMeasure)]
    of_wires = [each for each in tape.measurements if not (middle and each.mv is not None)]
    all_wires = list(tape.wires) or [0]
    measured = _union([each.wires.tolist() or all_wires for each in of_wires])
    rotated = tape.copy(ops=[*tape.operations, *_rotations(of_wires)])
    # PennyLane drops the shots that are not selected.
    form = _form(rotated, all_wires, measured, ignore_postselect=True)
    order = Order(
        form=form,
        result_types=(ResultType.MEMORY,),
        shots=tape.shots.total_shots,
        n_bytes=tape.shots.total_shots * (len(measured) + len(middle) + 7) // 8,
    )

    def finish(result: PointResult) -> Any:
        bits = _bits(result.memory)
        samples = bits[:, bits.shape[1] - len(measured) :]
        names = qml.wires.Wires(measured)
        if middle:
            # The highest bit is that of the last of them.
            outcomes = dict(zip(reversed(middle), bits.T, strict=False))
            return _shot_by_shot(tape.measurements, samples, names, outcomes)
        found = [
            _unwrapped([each.process_samples(samples[lower:upper], names) for each in of_wires])
            for lower, upper in tape.shots.bins()
        ]
        return tuple(found) if tape.shots.has_partitioned_shots else found[0]

    return Plan(order=order, finish=finish)


def _shot_by_shot(
    measurements: Sequence[Any],
    samples: npt.NDArray[np.int64],
    wires: Any,
    outcomes: Mapping[Any, npt.NDArray[np.int64]],
) -> tuple[Any, ...]:
    """The results of each shot alone, which is how PennyLane takes mid-circuit measurements."""

    def column(measurement: Any) -> Any:
        if measurement.mv is not None:
            (source,) = measurement.mv.measurements
            return outcomes[source]
        if isinstance(measurement, mps.ExpectationMP):
            # The mean of a single shot is its value.
            return mps.SampleMP(measurement.obs).process_samples(samples, wires)
        return [measurement.process_samples(samples[k : k + 1], wires) for k in range(len(samples))]

    return tuple(map(_unwrapped, zip(*map(column, measurements), strict=True)))


def _rotations(measurements: Sequence[Any]) -> list[Any]:
    """Gates into the basis that measurements have in common."""
    observed = [each for each in measurements if each.obs is not None]
    with qml.QueuingManager.stop_recording():
        if len(observed) > 1 and all(qml.pauli.is_pauli_word(each.obs) for each in observed):
            gates, _ = qml.pauli.diagonalize_qwc_pauli_words([each.obs for each in observed])
            return list(gates)
        return [gate for each in observed for gate in each.diagonalizing_gates()]


def _bits(memory: Any) -> npt.NDArray[np.int64]:
    """Shape (shots, n_bits); the highest classical bit first."""
    bits = np.unpackbits(np.asarray(memory), axis=1)
    return bits[:, bits.shape[1] - memory.n_bits :].astype(np.int64)
