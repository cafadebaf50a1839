"""What tapes go through before they are executed: PennyLane's own transforms, mostly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml
from pennylane import measurements as mps
from pennylane.devices import preprocess

from qdispatch.circuits.pennylane import is_native


def pipeline(wires: Any, name: str, config: Any) -> Any:
    """The transforms, in order.

    Args:
        wires: The device's, or None.
        name: The device's.
        config: Whose method of mid-circuit measurements is settled.
    """
    deferred = config.mcm_config.mcm_method == "deferred"
    program = qml.CompilePipeline()
    if deferred:
        program.add_transform(_refuse_postselect)
        program.add_transform(qml.defer_measurements, allow_postselect=False)
    program.add_transform(
        preprocess.decompose,
        stopping_condition=_accepts_operation,
        skip_initial_state_prep=False,
        device_wires=wires,
        target_gates=_TARGET_GATES,
        name=name,
    )
    program.add_transform(
        preprocess.device_resolve_dynamic_wires, wires=wires, allow_resets=not deferred
    )
    program.add_transform(preprocess.validate_device_wires, wires, name=name)
    program.add_transform(
        preprocess.validate_measurements,
        analytic_measurements=_accepts_exact,
        sample_measurements=_accepts_sampled,
        name=name,
    )
    program.add_transform(qml.transforms.broadcast_expand)
    program.add_transform(_split)
    if not deferred:
        program.add_transform(
            qml.dynamic_one_shot, postselect_mode=config.mcm_config.postselect_mode
        )
    return program


_TARGET_GATES = {
    "PauliX", "PauliY", "PauliZ", "Hadamard", "S", "T", "SX", "RX", "RY", "RZ", "PhaseShift",
    "U3", "CNOT", "CY", "CZ", "CH", "SWAP", "CRX", "CRY", "CRZ", "ControlledPhaseShift",
    "IsingXX", "IsingZZ", "Toffoli", "CSWAP", "GlobalPhase", "Identity", "QubitUnitary",
    "MidMeasureMP",
}  # fmt: skip
"""For PennyLane's decomposition by graph, where that is switched on."""


def _accepts_operation(operation: Any) -> bool:
    """Whether the program's writer takes it; what has a matrix it can decompose by itself."""
    return is_native(operation) or bool(operation.has_matrix)


def _each_accepts(observable: Any, accepts: Callable[[Any], bool]) -> bool:
    if isinstance(observable, qml.ops.CompositeOp):
        return all(_each_accepts(each, accepts) for each in observable.operands)
    if isinstance(observable, qml.ops.SymbolicOp):
        return _each_accepts(observable.base, accepts)
    return accepts(observable)


def _accepts_exact(measurement: Any) -> bool:
    if not isinstance(measurement, mps.StateMeasurement):
        return False
    is_mean = isinstance(measurement, mps.ExpectationMP)

    def accepts(observable: Any) -> bool:
        by_matrix = is_mean and isinstance(observable, qml.SparseHamiltonian | qml.Hermitian)
        return by_matrix or bool(observable.has_diagonalizing_gates)

    return measurement.obs is None or _each_accepts(measurement.obs, accepts)


def _accepts_sampled(measurement: Any) -> bool:
    if is_shadow(measurement):
        return True
    if not isinstance(measurement, mps.SampleMeasurement):
        return False
    return measurement.obs is None or _each_accepts(
        measurement.obs, lambda each: bool(each.has_diagonalizing_gates)
    )


def is_shadow(measurement: Any) -> bool:
    """Whether it is of a classical shadow, which measures each shot in another basis."""
    return isinstance(measurement, mps.ClassicalShadowMP | mps.ShadowExpvalMP)


def _stands_alone(measurement: Any) -> bool:
    """Whether it cannot share its shots with others, nor be split into terms."""
    if is_shadow(measurement):
        return True
    if isinstance(measurement, mps.ExpectationMP) or measurement.obs is None:
        return False
    return isinstance(qml.simplify(measurement.obs), qml.ops.Sum)


@qml.transform  # type: ignore[untyped-decorator]
def _refuse_postselect(tape: Any) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    if any(getattr(each, "postselect", None) is not None for each in tape.operations):
        raise qml.exceptions.DeviceError(
            "postselect is not supported by qdispatch without shots, nor with deferred"
            " measurements; set shots, and mcm_method='one-shot'"
        )
    return (tape,), _first


@qml.transform  # type: ignore[untyped-decorator]
def _split(tape: Any) -> tuple[Sequence[Any], Callable[[Any], Any]]:
    """Splits a tape with shots into tapes whose measurements have one basis in common."""
    if not tape.shots:
        return (tape,), _first
    alone = [k for k, each in enumerate(tape.measurements) if _stands_alone(each)]
    if not alone:
        return qml.transforms.split_non_commuting(tape, grouping_strategy="qwc")  # type: ignore[no-any-return]
    if len(tape.measurements) == 1:
        return (tape,), _first
    groups = [[k] for k in alone]
    tapes = [tape.copy(measurements=[tape.measurements[k]]) for k in alone]
    together = [k for k in range(len(tape.measurements)) if k not in alone]
    join: Callable[[Any], Any] = _first
    if together:
        rest = tape.copy(measurements=[tape.measurements[k] for k in together])
        parts, join = qml.transforms.split_non_commuting(rest, grouping_strategy="qwc")
        tapes += parts
        groups.append(together)

    def put_together(results: Sequence[Any]) -> Any:
        found = list(results[: len(alone)])
        if together:
            found.append(join(results[len(alone) :]))
        if not tape.shots.has_partitioned_shots:
            return _ordered(groups, found)
        return tuple(_ordered(groups, each) for each in zip(*found, strict=True))

    return tapes, put_together


def _first(results: Sequence[Any]) -> Any:
    return results[0]


def _ordered(groups: Sequence[Sequence[int]], found: Sequence[Any]) -> tuple[Any, ...]:
    """Results of groups of measurements, in the order of the measurements."""
    placed: dict[int, Any] = {}
    for group, results in zip(groups, found, strict=True):
        placed.update(zip(group, [results] if len(group) == 1 else results, strict=True))
    return tuple(placed[k] for k in sorted(placed))
