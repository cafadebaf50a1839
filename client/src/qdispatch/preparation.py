"""From a circuit and options to what is submitted."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, TypeGuard, Unpack

from qdispatch.circuits import CircuitForm, describe
from qdispatch.errors import CircuitError, InvalidJobError
from qdispatch.model import MAX_PRIORITY, JobSpec, PauliSum, ResultType
from qdispatch.observables import to_pauli_sum
from qdispatch.options import SubmitOptions
from qdispatch.points import points_of

_OF_OBSERVABLES: Final = frozenset((ResultType.EXPVAL, ResultType.VARIANCE))
_OF_SHOTS: Final = frozenset((ResultType.COUNTS, ResultType.MEMORY))
_SHOTS: Final = 1024


def prepare(circuit: object, **options: Unpack[SubmitOptions]) -> JobSpec:
    """What `Client.submit` sends for a circuit.

    Raises:
        CircuitError: The circuit cannot be carried, or its parameters are
            not those that have values.
        InvalidJobError: An option is wrong.
    """
    if unknown := options.keys() - SubmitOptions.__annotations__:
        raise TypeError(f"there is no option {', '.join(sorted(unknown))}")
    parameters = options.get("parameters")
    kinds = _result_types(options.get("result_types"))
    form = _described(circuit, options, keep_phase=ResultType.STATEVECTOR in kinds)
    observables = options.get("observables")
    sums = _observables(observables, form)
    if not kinds:
        kinds = form.result_types or _default_types(has_observables=bool(sums))
        if ResultType.STATEVECTOR in kinds:
            form = _described(circuit, options, keep_phase=True)
    # Those that the circuit brings along are of no use to other results.
    has_use = observables is not None or not _OF_OBSERVABLES.isdisjoint(kinds)
    extra = options.get("extra", "")
    return JobSpec(
        program=form.program,
        program_format=form.program_format,
        framework=form.framework,
        n_qubits=form.n_qubits,
        depth=form.depth,
        target=options.get("target", ""),
        submission_date=datetime.now(UTC),
        result_types=kinds,
        shots=_shots(_whole(options, "shots"), form, kinds),
        seed=_whole(options, "seed"),
        observables=sums if has_use else (),
        extra=extra if isinstance(extra, str) else json.dumps(extra),
        time_limit_s=options.get("time_limit_s"),
        tags=_tags(options.get("tags", ())),
        cache=options.get("cache", True),
        priority=_priority(options.get("priority", 0)),
        parameters=form.parameters,
        parameter_values=points_of(parameters, form),
    )


def prepare_all(circuits: Iterable[object], **options: Unpack[SubmitOptions]) -> list[JobSpec]:
    """What `Client.submit_batch` sends; specs are left as they are.

    Raises:
        CircuitError: As `prepare`; the message says of which circuit.
        InvalidJobError: As `prepare`; ``field`` says of which circuit.
    """
    specs = []
    for index, circuit in enumerate(circuits):
        if isinstance(circuit, JobSpec):
            specs.append(circuit)
            continue
        try:
            specs.append(prepare(circuit, **options))
        except CircuitError as error:
            raise CircuitError(f"circuit {index}: {error}", gate=error.gate) from error
        except InvalidJobError as error:
            field = ".".join(filter(None, (f"specs[{index}]", error.field)))
            raise InvalidJobError(error.message, field=field) from error
    return specs


def _described(circuit: object, options: SubmitOptions, *, keep_phase: bool) -> CircuitForm:
    return describe(
        circuit,
        options.get("args", ()),
        options.get("kwargs"),
        parametric=options.get("parameters") is not None,
        keep_phase=keep_phase,
    )


def _observables(given: object | None, form: CircuitForm) -> tuple[PauliSum, ...]:
    if given is None:
        return form.observables
    each_of = list(given) if isinstance(given, list) or _is_several(given) else [given]
    return tuple(to_pauli_sum(each, form, index=index) for index, each in enumerate(each_of))


def _is_several(given: object) -> TypeGuard[tuple[object, ...]]:
    """Whether a tuple is several observables, not one (label, coefficient)."""
    return isinstance(given, tuple) and not any(isinstance(part, int | float) for part in given)


def _result_types(given: Iterable[ResultType | str] | None) -> tuple[ResultType, ...]:
    names = (given,) if isinstance(given, str) else tuple(given or ())
    kinds = []
    for index, name in enumerate(names):
        try:
            kinds.append(ResultType(name))
        except ValueError as error:
            raise InvalidJobError(
                f"{name!r} is none; there are {', '.join(ResultType)}",
                field=f"result_types[{index}]",
            ) from error
    return tuple(kinds)


def _default_types(*, has_observables: bool) -> tuple[ResultType, ...]:
    return (ResultType.EXPVAL,) if has_observables else (ResultType.COUNTS,)


def _whole(options: SubmitOptions, name: Literal["shots", "seed"]) -> int | None:
    given = options.get(name)
    try:
        number = None if given is None else operator.index(given)
    except TypeError as error:
        raise InvalidJobError(f"{given!r} is no whole number", field=name) from error
    if number is not None and not 0 <= number < 2**64:
        raise InvalidJobError(f"{number} is out of range", field=name)
    return number


def _priority(given: object) -> int:
    try:
        number = operator.index(given)  # type: ignore[arg-type]
    except TypeError as error:
        raise InvalidJobError(f"{given!r} is no whole number", field="priority") from error
    if not -MAX_PRIORITY <= number <= MAX_PRIORITY:
        raise InvalidJobError(
            f"{number}; it is from {-MAX_PRIORITY} to {MAX_PRIORITY}", field="priority"
        )
    return number


def _tags(given: Iterable[str]) -> tuple[str, ...]:
    # A text has letters, which nobody means by it.
    return (given,) if isinstance(given, str) else tuple(given)


def _shots(given: int | None, form: CircuitForm, kinds: tuple[ResultType, ...]) -> int:
    if given is not None:
        return given
    if form.shots is not None:
        return form.shots
    return 0 if _OF_SHOTS.isdisjoint(kinds) else _SHOTS
