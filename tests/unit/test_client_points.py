"""What a user says of parameters, as the points of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from qdispatch.arrays import PackedPoints, pack_points
from qdispatch.circuits import CustomCircuit
from qdispatch.circuits.custom import describe
from qdispatch.circuits.writer import ProgramWriter
from qdispatch.errors import CircuitError, InvalidJobError, QDispatchError
from qdispatch.model import JobSpec
from qdispatch.points import points_of
from qdispatch.preparation import prepare

CIRCUIT = CustomCircuit(
    program="input float[64] b; input float[64] a; qubit q; rx(a) q; rz(b) q;",
    program_format="openqasm3",
    n_qubits=1,
    depth=2,
    framework="mine",
    parameters=("b", "a"),
)


class Vector(tuple[str, ...]):
    """As an SDK's vector of parameters: several at once."""


def points(parameters: Any) -> Sequence[tuple[float, ...]]:
    return points_of(parameters, describe(CIRCUIT))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": 1, "b": 2}, [(2, 1)]),
        ({"a": [1, 2], "b": 3}, [(3, 1), (3, 2)]),
        ({"a": (1, 2), "b": range(2)}, [(0, 1), (1, 2)]),
        ({"a": np.linspace(0, 1, 3), "b": np.float32(0.5)}, [(0.5, 0), (0.5, 0.5), (0.5, 1)]),
        ({"a": [np.array(1.5)], "b": np.int64(2)}, [(2, 1.5)]),
        ({Vector("ba"): [1, 2]}, [(1, 2)]),
        ({Vector("ba"): np.array([[1, 2], [3, 4], [5, 6]])}, [(1, 2), (3, 4), (5, 6)]),
        ({Vector("bax"): [1, 2, 3]}, [(1, 2)]),
        ({"a": [Fraction(1, 2), True], "b": [1e308, 1e308]}, [(1e308, 0.5), (1e308, 1)]),
    ],
    ids=[
        "numbers",
        "repeated",
        "sequences",
        "arrays",
        "scalars",
        "vector",
        "vectors",
        "unused",
        "a sum that overflows",
    ],
)
def test_values_become_points_in_the_order_of_the_program(
    given: Any, expected: list[tuple[float, ...]]
) -> None:
    found = points(given)
    assert found == tuple(expected)
    assert {type(value) for point in found for value in point} == {float}


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"a": 1}, CircuitError, "without a value: b"),
        ({"a": 1, "b": 2, "c": 3}, CircuitError, "no parameter c; it has b, a"),
        ({Vector("cd"): [1, 2]}, CircuitError, "no parameter"),
        ({"a": 1, "b": 2, Vector("ab"): [1, 2]}, CircuitError, "a has been given twice"),
        ({"a": [1, 2], "b": [1, 2, 3]}, InvalidJobError, "a: 2, b: 3"),
        ({"a": [], "b": 1}, InvalidJobError, "at least one; given are a: 0"),
        ({"a": [1, float("nan")], "b": 1}, InvalidJobError, "a cannot be nan; give a finite"),
        ({"a": [1, float("inf"), -float("inf")], "b": 1}, InvalidJobError, "a cannot be inf"),
        ({"a": [1, 10**400], "b": 1}, InvalidJobError, "a cannot be 1000"),
        ({"a": "1", "b": 1}, InvalidJobError, "a cannot be '1'"),
        ({"a": [1, "1"], "b": 1}, InvalidJobError, "a cannot be '1'"),
        ({"a": 1j, "b": 1}, InvalidJobError, "a cannot be 1j"),
        ({"a": np.ones((2, 2)), "b": 1}, InvalidJobError, r"a cannot be \[1.0, 1.0\]"),
        ({Vector("ba"): [1, 2, 3]}, InvalidJobError, "2 numbers, or an array of shape"),
        (None, CircuitError, "without a value: b, a"),
    ],
)
def test_what_makes_no_points_is_refused(given: Any, kind: type[QDispatchError], text: str) -> None:
    with pytest.raises(kind, match=text):
        points(given)


def test_packed_points_are_as_a_tuple_of_them() -> None:
    plain = ((0.5, -0.0), (1e300, 2.0), (-1.25, 5e-324))
    packed = PackedPoints(pack_points(plain), 2)
    assert (packed, hash(packed), len(packed)) == (plain, hash(plain), 3)
    assert plain == packed
    assert packed != plain[:2]
    assert packed != PackedPoints(packed.packed, 3)
    assert (packed[1], packed[-1], packed[1:]) == (plain[1], plain[-1], plain[1:])
    assert isinstance(packed[::2], PackedPoints)
    assert packed[::2] == plain[::2]
    assert packed.values.tolist() == [value for point in plain for value in point]
    np.testing.assert_array_equal(np.asarray(packed), np.array(plain))
    assert pack_points(packed) is packed.packed


@pytest.mark.parametrize(
    ("size", "width", "text"),
    [(8, 0, "at least one value"), (24, 2, "24 bytes are no whole number")],
    ids=["no parameters", "half a point"],
)
def test_bytes_that_are_no_points(size: int, width: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        PackedPoints(bytes(size), width)


def test_a_sweep_is_submitted_with_its_values() -> None:
    spec = prepare(CIRCUIT, parameters={"a": [1, 2], "b": 0})
    assert (spec.parameters, spec.parameter_values) == (("b", "a"), ((0, 1), (0, 2)))


@pytest.mark.parametrize("parameters", [None, {}], ids=["none", "empty"])
def test_a_circuit_without_parameters_is_no_sweep(parameters: Any) -> None:
    circuit = CustomCircuit(
        program="qubit q;", program_format="openqasm3", n_qubits=1, depth=0, framework="mine"
    )
    spec = prepare(circuit, parameters=parameters)
    assert isinstance(spec, JobSpec)
    assert (spec.parameters, spec.parameter_values) == ((), ())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("theta", "theta"),
        ("θ", "θ"),
        ("φ[12]", "φ_12"),
        ("Γ", "Γ"),
        ("t", "t_"),
        ("pi", "pi_"),
        ("π", "p0"),
        ("a b", "p0"),
        ("β₁", "p0"),
    ],
    ids=["word", "greek", "element", "capital", "gate", "constant", "sign", "two", "index"],
)
def test_a_program_keeps_the_names_of_parameters_where_it_can(name: str, expected: str) -> None:
    writer = ProgramWriter(1, parameters=[name])
    assert writer.inputs == {name: expected}


def test_names_in_a_program_differ() -> None:
    writer = ProgramWriter(1, parameters=["a[0]", "a_0", "π", "p0"])
    assert list(writer.inputs.values()) == ["a_0", "a_0_", "p0", "p0_"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"shots": "10"}, "shots: '10' is no whole number"),
        ({"shots": 10.0}, "shots: 10.0 is no whole number"),
        ({"seed": -1}, "seed: -1 is out of range"),
    ],
    ids=["text", "fraction", "negative"],
)
def test_what_is_no_number_of_shots_and_no_seed_is_named(options: Any, text: str) -> None:
    with pytest.raises(InvalidJobError, match=text):
        prepare(CIRCUIT, parameters={"a": 1, "b": 2}, **options)


def test_one_tag_may_stand_alone() -> None:
    assert prepare(CIRCUIT, parameters={"a": 1, "b": 2}, tags="rabi").tags == ("rabi",)
