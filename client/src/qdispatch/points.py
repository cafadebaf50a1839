"""The values of a program's parameters, point by point."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from qdispatch.arrays import PackedPoints, pack_values
from qdispatch.circuits import CircuitForm
from qdispatch.errors import CircuitError, InvalidJobError

_Values: TypeAlias = "float | array[float]"


def points_of(
    parameters: Mapping[Any, Any] | None, form: CircuitForm
) -> Sequence[tuple[float, ...]]:
    """The points of a sweep.

    Args:
        parameters: As `SubmitOptions` has them; None for no sweep.
        form: The circuit.

    Returns:
        Of each point, the value of each of the form's parameters, in their
        order; empty without a sweep.

    Raises:
        CircuitError: The parameters are not those of the circuit.
        InvalidJobError: The values are no finite numbers, or not equally many.
    """
    values = dict(_columns(parameters or {}, form))
    if missing := [name for name in form.parameters if name not in values]:
        known = _given_names(form)
        raise CircuitError(
            f"parameters without a value: {', '.join(known[each] for each in missing)};"
            " give them in `parameters`",
            gate=known[missing[0]],
        )
    if not values:
        return ()
    n_points = _length(values, _given_names(form))
    width = len(form.parameters)
    table = array("d", [0.0]) * (n_points * width)
    for place, name in enumerate(form.parameters):
        each = values[name]
        column = each if isinstance(each, array) else array("d", [each]) * n_points
        table[place::width] = column
    return PackedPoints(pack_values(table), width)


def _given_names(form: CircuitForm) -> dict[str, str]:
    """The name of each input variable in the circuit that was handed over."""
    names: dict[str, str] = {}
    for key, name in form.parameter_of.items():
        names.setdefault(name, str(key))
    return names


def _columns(parameters: Mapping[Any, Any], form: CircuitForm) -> Iterator[tuple[str, _Values]]:
    """Each input variable with its value, or its values."""
    given: set[str] = set()
    for key, value in _single(parameters, form):
        name = form.parameter_of[key]
        if name in given:
            raise CircuitError(f"parameter {key} has been given twice", gate=str(key))
        given.add(name)
        yield name, _checked(_plain(value), str(key))


def _single(parameters: Mapping[Any, Any], form: CircuitForm) -> Iterator[tuple[Any, Any]]:
    """The parameters, with those of a vector one by one."""
    for key, value in parameters.items():
        if key in form.parameter_of:
            yield key, value
            continue
        elements = [] if isinstance(key, str) or not isinstance(key, Iterable) else list(key)
        if not any(each in form.parameter_of for each in elements):
            known = ", ".join(_given_names(form).values()) or "none"
            raise CircuitError(f"the circuit has no parameter {key}; it has {known}", gate=str(key))
        for element, column in zip(elements, _split(key, value, len(elements)), strict=True):
            if element in form.parameter_of:
                yield element, column


def _split(key: object, value: Any, length: int) -> list[Any]:
    """The values of a vector's elements, of an array (length,) or (points, length)."""
    plain = _plain(value)
    rows = plain if isinstance(plain, list) else [plain]
    by_point = bool(rows) and all(isinstance(row, list) for row in map(_plain, rows))
    points = [_plain(row) for row in rows] if by_point else [rows]
    if any(len(point) != length for point in points):
        raise InvalidJobError(
            f"{key} has {length} elements; give {length} numbers, or an array of shape"
            f" (points, {length})",
            field="parameters",
        )
    columns = [list(column) for column in zip(*points, strict=True)]
    return columns if by_point else [column[0] for column in columns]


def _plain(value: Any) -> Any:
    """An array or a sequence as a list, a number as it is."""
    if hasattr(value, "tolist"):
        return value.tolist()
    is_number = hasattr(value, "__float__") or isinstance(value, str | complex)
    return list(value) if isinstance(value, Iterable) and not is_number else value


def _checked(value: Any, name: str) -> _Values:
    if not isinstance(value, list):
        return _number(value, name)
    with suppress(TypeError, ValueError, OverflowError):
        column = array("d", value)
        # It would not be finite if one of them were not.
        if math.isfinite(sum(column)):
            return column
    return array("d", [_number(each, name) for each in value])


def _number(value: Any, name: str) -> float:
    try:
        number = math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidJobError(
            f"{name} cannot be {value!r}; give a finite number, or a sequence of them",
            field="parameters",
        )
    return number


def _length(values: Mapping[str, _Values], known: Mapping[str, str]) -> int:
    """How many points there are."""
    lengths = {known[name]: len(each) for name, each in values.items() if isinstance(each, array)}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise InvalidJobError(
            f"each parameter needs one value for each point, and at least one; given are {shown}",
            field="parameters",
        )
    return next(iter(lengths.values()), 1)
