"""What a job must be like to be accepted: all that is cheap to tell before it runs.

Every refusal names the field and says what is allowed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

from app.options import options_of, wrong_option
from app.settings import ServerSettings, TargetSettings
from qdispatch.arrays import PackedPoints
from qdispatch.errors import InvalidJobError, RequestError, TooLargeError, UnknownTargetError
from qdispatch.model import MAX_PRIORITY, JobSpec, PauliTerm, ProgramFormat, ResultType
from qdispatch.updates import JobFilter

MAX_SEED = 2**63 - 1
MAX_WORD = 200
MAX_TAGS = 64
MAX_EXTRA = 1_000_000
#: Lists and objects of the extra, one in another.
MAX_DEPTH = 100
MAX_TERMS = 100_000
#: The sum of an observable's coefficients, without their signs; variances square it.
MAX_COEFFICIENTS = 1e60
#: Parameters of a sweep.
MAX_PARAMETERS = 10_000
#: Values of a sweep, over all points and parameters.
MAX_VALUES = 5_000_000

_OF_OBSERVABLES = frozenset({ResultType.EXPVAL, ResultType.VARIANCE})
_SAMPLED = frozenset({ResultType.COUNTS, ResultType.MEMORY})


def at_most(number: int) -> str:
    """Says how many there may be of something."""
    return f"at most {number} are allowed"


def check_request_id(request_id: str) -> None:
    """Refuses a request_id that cannot name a submission."""
    if not request_id:
        raise InvalidJobError("is needed; make a new one for every submission", field="request_id")
    _check_word(request_id, "request_id")


def check_spec(spec: JobSpec, limits: ServerSettings) -> None:
    """Refuses a job that no target could ever run.

    Raises:
        InvalidJobError: A field is wrong.
        TooLargeError: The program is over the limit.
    """
    if not spec.program.strip():
        raise InvalidJobError("is needed; it is empty", field="spec.program")
    size = len(spec.program.encode())
    if size > limits.max_program_bytes:
        raise TooLargeError(
            f"{size} bytes, at most {limits.max_program_bytes} are allowed"
            " (server.max_program_bytes)",
            field="spec.program",
        )
    if spec.n_qubits < 1:
        raise InvalidJobError("must be at least 1", field="spec.n_qubits")
    _check_word(spec.framework, "spec.framework")
    _check_word(spec.target, "spec.target")
    _check_results(spec)
    _check_sampling(spec, limits)
    _check_sweep(spec, limits)
    if len(spec.tags) > MAX_TAGS:
        raise InvalidJobError(at_most(MAX_TAGS), field="spec.tags")
    for index, tag in enumerate(spec.tags):
        _check_word(tag, f"spec.tags[{index}]")
    _check_extra(spec.extra)
    if not -MAX_PRIORITY <= spec.priority <= MAX_PRIORITY:
        raise InvalidJobError(
            f"must be from {-MAX_PRIORITY} to {MAX_PRIORITY}", field="spec.priority"
        )
    if spec.time_limit_s is not None and not (
        spec.time_limit_s > 0 and math.isfinite(spec.time_limit_s)
    ):
        raise InvalidJobError("must be a number of seconds above 0", field="spec.time_limit_s")


@contextmanager
def in_batch(index: int) -> Iterator[None]:
    """Has a refusal say which job of a batch it is about."""
    try:
        yield
    except RequestError as error:
        field = error.field.removeprefix("spec")
        raise error.moved(f"specs[{index}]{field}") from error


def check_fit(spec: JobSpec, name: str, target: TargetSettings) -> None:
    """Refuses a job that this target will never run.

    Raises:
        InvalidJobError: It is too wide, or asks for what the target lacks.
    """
    if spec.n_qubits > target.max_qubits:
        raise InvalidJobError(
            f"{spec.n_qubits} qubits; target {name} takes at most {target.max_qubits}",
            field="spec.n_qubits",
        )
    if spec.program_format not in target.program_formats:
        raise InvalidJobError(
            f"target {name} takes {', '.join(target.program_formats)}", field="spec.program_format"
        )
    for index, kind in enumerate(spec.result_types):
        if kind not in target.result_types:
            raise InvalidJobError(
                f"target {name} gives {', '.join(target.result_types)}",
                field=f"spec.result_types[{index}]",
            )


def check_options(options: Mapping[str, object], name: str, target: TargetSettings) -> None:
    """Refuses options that the simulator of this target knows, and that cannot be so.

    Raises:
        InvalidJobError: One is of another type, or none of those that there are.
    """
    wrong = wrong_option(target.simulator, options)
    if wrong is not None:
        key, told = wrong
        raise InvalidJobError(f"on target {name} it {told}", field=f"spec.extra.{key}")


def candidates(spec: JobSpec, targets: Mapping[str, TargetSettings]) -> list[str]:
    """Names of the targets that this job may run on, never none.

    Of those that fit a job without a target, only those are named that want jobs
    of its width (`max_unnamed_qubits`), if there are any.

    Raises:
        UnknownTargetError: It names a target that does not exist.
        InvalidJobError: It fits none.
    """
    options = options_of(spec.extra)
    if spec.target:
        if spec.target not in targets:
            known = ", ".join(sorted(targets))
            raise UnknownTargetError(
                f"there is no target {spec.target!r}; there are: {known}", field="spec.target"
            )
        check_fit(spec, spec.target, targets[spec.target])
        check_options(options, spec.target, targets[spec.target])
        return [spec.target]
    fitting = []
    refusal: InvalidJobError | None = None
    # The widest last, so that the refusal shown is of the one that came closest.
    for name, target in sorted(targets.items(), key=lambda item: item[1].max_qubits):
        try:
            check_fit(spec, name, target)
            check_options(options, name, target)
        except InvalidJobError as error:
            refusal = error
        else:
            fitting.append(name)
    if not fitting and refusal is not None:
        raise refusal
    return [name for name in fitting if _wants(targets[name], spec)] or fitting


def _wants(target: TargetSettings, spec: JobSpec) -> bool:
    most = target.max_unnamed_qubits
    return most is None or spec.n_qubits <= most


def check_filter(wanted: JobFilter) -> None:
    """Refuses what no job can have.

    Raises:
        InvalidJobError: A text cannot be stored; ``field`` names it.
    """
    _check_text(wanted.target, "target")
    _check_text(wanted.tag, "tag")
    _check_text(wanted.owner, "owner")


def _check_word(word: str, field: str) -> None:
    if len(word) > MAX_WORD:
        raise InvalidJobError(f"at most {MAX_WORD} characters are allowed", field=field)
    _check_text(word, field)


def _check_text(text: str, field: str) -> None:
    # PostgreSQL's text cannot hold it.
    if "\0" in text:
        raise InvalidJobError("must not contain the character NUL", field=field)


def _check_results(spec: JobSpec) -> None:
    if not spec.result_types:
        allowed = ", ".join(ResultType)
        raise InvalidJobError(f"ask for one or more of {allowed}", field="spec.result_types")
    for index, kind in enumerate(spec.result_types):
        if kind in spec.result_types[:index]:
            raise InvalidJobError(f"{kind} is asked for twice", field=f"spec.result_types[{index}]")
    of_observables = [kind for kind in spec.result_types if kind in _OF_OBSERVABLES]
    if of_observables:
        if not spec.observables:
            raise InvalidJobError(
                f"{of_observables[0]} needs at least one observable, such as 'ZZ'",
                field="spec.observables",
            )
        terms = sum(len(each.terms) for each in spec.observables)
        if terms > MAX_TERMS:
            raise InvalidJobError(
                f"{terms} Pauli terms; {at_most(MAX_TERMS)}", field="spec.observables"
            )
    elif spec.observables:
        raise InvalidJobError(
            "are only used by expval and variance; add one to result_types or leave them out",
            field="spec.observables",
        )
    for index, observable in enumerate(spec.observables):
        if not observable.terms:
            raise InvalidJobError("has no terms", field=f"spec.observables[{index}]")
        for place, term in enumerate(observable.terms):
            _check_term(term, spec.n_qubits, f"spec.observables[{index}].terms[{place}]")
        if sum(abs(term.coefficient) for term in observable.terms) > MAX_COEFFICIENTS:
            raise InvalidJobError(
                f"its coefficients add up to more than {MAX_COEFFICIENTS:g}",
                field=f"spec.observables[{index}]",
            )


def _check_term(term: PauliTerm, n_qubits: int, field: str) -> None:
    foreign = set(term.paulis) - set("IXYZ")
    if foreign:
        raise InvalidJobError(
            f"{term.paulis[:60]!r} is no Pauli string; its letters are I, X, Y and Z",
            field=f"{field}.paulis",
        )
    if not math.isfinite(term.coefficient):
        raise InvalidJobError("must be a finite number", field=f"{field}.coefficient")
    if term.qubits is None:
        # The empty label is the identity, on however many qubits.
        if term.paulis and len(term.paulis) != n_qubits:
            raise InvalidJobError(
                f"{len(term.paulis)} letters for {n_qubits} qubits; give one for each, the"
                " highest qubit on the left, or name the qubits",
                field=f"{field}.paulis",
            )
        return
    if len(term.qubits) != len(term.paulis):
        raise InvalidJobError(
            f"{len(term.qubits)} qubits for {len(term.paulis)} letters; give one for each",
            field=f"{field}.qubits",
        )
    if len(set(term.qubits)) != len(term.qubits):
        raise InvalidJobError("a qubit is named twice", field=f"{field}.qubits")
    if any(not 0 <= qubit < n_qubits for qubit in term.qubits):
        raise InvalidJobError(
            f"qubits are numbered from 0 to {n_qubits - 1}", field=f"{field}.qubits"
        )


def _check_sampling(spec: JobSpec, limits: ServerSettings) -> None:
    sampled = [kind for kind in spec.result_types if kind in _SAMPLED]
    if spec.shots == 0 and sampled:
        raise InvalidJobError(
            f"{sampled[0]} needs at least 1 (0 means exact: ask for quasi)", field="spec.shots"
        )
    if not 0 <= spec.shots <= limits.max_shots:
        raise InvalidJobError(
            f"{spec.shots}; 0 to {limits.max_shots} are allowed (server.max_shots)",
            field="spec.shots",
        )
    if spec.seed is not None and not 0 <= spec.seed <= MAX_SEED:
        raise InvalidJobError(f"0 to {MAX_SEED} are allowed", field="spec.seed")


def _check_sweep(spec: JobSpec, limits: ServerSettings) -> None:
    if not spec.parameters:
        return
    if spec.program_format is not ProgramFormat.OPENQASM3:
        raise InvalidJobError(
            "a sweep needs a program in OpenQASM 3, which declares its parameters as input",
            field="spec.program_format",
        )
    _check_names(spec.parameters)
    points = spec.parameter_values
    if not points:
        raise InvalidJobError("a sweep needs at least one point", field="spec.parameter_values")
    if len(points) > limits.max_points:
        raise InvalidJobError(
            f"{len(points)} points; at most {limits.max_points} are allowed (server.max_points):"
            " split the sweep",
            field="spec.parameter_values",
        )
    if len(points) * len(spec.parameters) > MAX_VALUES:
        raise InvalidJobError(
            f"{len(points) * len(spec.parameters)} values; at most {MAX_VALUES} are allowed:"
            " split the sweep",
            field="spec.parameter_values",
        )
    if math.isfinite(_sum(points)):
        # It would not be if one of them were not.
        return
    for index, point in enumerate(points):
        if not all(map(math.isfinite, point)):
            raise InvalidJobError(
                f"point {index} has a value that is not finite", field="spec.parameter_values"
            )


def _check_names(names: Sequence[str]) -> None:
    if len(names) > MAX_PARAMETERS:
        raise InvalidJobError(
            f"{len(names)} parameters; {at_most(MAX_PARAMETERS)}",
            field="spec.parameters",
        )
    for index, name in enumerate(names):
        if not name.isidentifier():
            raise InvalidJobError(
                f"{name[:60]!r} is no name of an input variable", field=f"spec.parameters[{index}]"
            )
        _check_word(name, f"spec.parameters[{index}]")
    if len(set(names)) != len(names):
        raise InvalidJobError("a parameter is named twice", field="spec.parameters")


def _sum(points: Sequence[Sequence[float]]) -> float:
    values = points.values if isinstance(points, PackedPoints) else chain.from_iterable(points)
    return float(sum(values))


def _check_extra(extra: str) -> None:
    if not extra:
        return
    if len(extra) > MAX_EXTRA:
        raise InvalidJobError(f"at most {MAX_EXTRA} characters are allowed", field="spec.extra")
    _check_text(extra, "spec.extra")
    try:
        value = json.loads(
            extra,
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_int=_whole,
            parse_constant=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidJobError(f"must be a JSON object: {error}", field="spec.extra") from error
    if not isinstance(value, dict):
        raise InvalidJobError(
            'must be a JSON object, such as {"method": "statevector"}', field="spec.extra"
        )
    # Whoever reads it again may have less of the stack left.
    if extra.count("[") + extra.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise InvalidJobError(
            f"lists and objects may be at most {MAX_DEPTH} deep", field="spec.extra"
        )


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Readers differ in which of them they take.
        raise ValueError("a key is there twice")
    return found


def _is_deeper(value: dict[str, object], most: int) -> bool:
    level: list[dict[str, object] | list[object]] = [value]
    for _ in range(most):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for some in inner for each in some if isinstance(each, dict | list)]
    return bool(level)


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:60]} is not a finite number")
    return number
