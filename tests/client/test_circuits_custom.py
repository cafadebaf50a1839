from __future__ import annotations

import pytest

from qdispatch.circuits import CustomCircuit, describe
from qdispatch.circuits.form import longest_path
from qdispatch.circuits.writer import ProgramWriter, number
from qdispatch.errors import CircuitError
from qdispatch.model import ProgramFormat

GOOD = {
    "program": "OPENQASM 2.0; qreg q[1];",
    "program_format": "openqasm2",
    "n_qubits": 1,
    "depth": 0,
    "framework": "mine",
}


def test_what_is_given_is_what_is_sent() -> None:
    form = describe(CustomCircuit(**GOOD))
    assert form.program == GOOD["program"]
    assert form.program_format is ProgramFormat.OPENQASM2
    assert (form.n_qubits, form.depth, form.framework) == (1, 0, "mine")
    assert form.qubit_of == {0: 0}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("program", "", "program must be"),
        ("program", b"x", "program must be"),
        ("program_format", "quil", "'openqasm2', 'openqasm3', not 'quil'"),
        ("n_qubits", 0, "n_qubits must be a whole number from 1 on, not 0"),
        ("n_qubits", 1.0, "n_qubits"),
        ("n_qubits", True, "n_qubits"),
        ("depth", -1, "depth must be a whole number from 0 on"),
        ("framework", " ", "framework"),
    ],
)
def test_wrong_metadata_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(CircuitError, match=message):
        CustomCircuit(**{**GOOD, field: value})


@pytest.mark.parametrize("field", GOOD)
def test_all_metadata_is_needed(field: str) -> None:
    with pytest.raises(TypeError, match=field):
        CustomCircuit(**{key: value for key, value in GOOD.items() if key != field})


def test_it_is_frozen_and_keyword_only() -> None:
    with pytest.raises(TypeError):
        CustomCircuit("OPENQASM 2.0;")  # type: ignore[misc]
    with pytest.raises(AttributeError):
        CustomCircuit(**GOOD).depth = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("thing", "name"), [("OPENQASM 2.0;", "'str'"), (None, "NoneType"), (len, "builtin_function")]
)
def test_anything_else_is_refused_by_its_type(thing: object, name: str) -> None:
    with pytest.raises(CircuitError, match=name) as caught:
        describe(thing)
    assert "CustomCircuit" in str(caught.value)


def test_arguments_are_for_qnodes() -> None:
    with pytest.raises(CircuitError, match="QNode"):
        describe(CustomCircuit(**GOOD), (1,))


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-17, 1e300, 5e-324, -0.0, 3, 1e16])
def test_numbers_parse_back(value: float) -> None:
    text = number(value)
    assert float(text) == value
    assert "e" not in text or "." in text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(CircuitError, match="rx") as caught:
        number(value, "rx")
    assert caught.value.gate == "rx"


def test_depth_is_the_longest_path() -> None:
    assert longest_path([]) == 0
    assert longest_path([[0], [1], [0, 1], [2], [1]]) == 3


def test_register_names_are_made_fit() -> None:
    names = [("measure", 1), ("x", 1), ("Q", 1), ("é", 1), ("fine_1", 1), ("fine_1", 1), ("c0", 1)]
    writer = ProgramWriter(1, names)
    assert list(writer.registers.values()) == ["c0", "c1", "c2", "c3", "fine_1", "c4", "c5"]


def test_a_condition_on_too_many_bits_is_refused() -> None:
    writer = ProgramWriter(1, [("c", 11)])
    with pytest.raises(CircuitError, match="11 classical bits") as caught:
        writer.choose(range(11), lambda bits: True, lambda: None, gate="cond")
    assert caught.value.gate == "cond"
