"""What the client makes of its arguments, without a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qdispatch import preparation
from qdispatch.circuits import CircuitForm, CustomCircuit, custom
from qdispatch.client import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Client
from qdispatch.errors import CircuitError, InvalidJobError
from qdispatch.model import PauliSum, PauliTerm, ResultType
from qdispatch.preparation import prepare
from tests.specs import BELL, bell

CIRCUIT = CustomCircuit(
    program=BELL, program_format="openqasm2", n_qubits=2, depth=3, framework="mine"
)


def test_a_custom_circuit_brings_its_metadata() -> None:
    spec = prepare(CIRCUIT, target="aer", seed=1, tags=["a"], time_limit_s=2.0)
    assert (spec.program, spec.program_format) == (BELL, "openqasm2")
    assert (spec.framework, spec.n_qubits, spec.depth) == ("mine", 2, 3)
    assert (spec.target, spec.seed, spec.tags, spec.time_limit_s) == ("aer", 1, ("a",), 2.0)
    assert spec.submission_date is not None
    assert spec.submission_date.tzinfo is not None


@pytest.mark.parametrize(
    ("arguments", "kinds", "shots"),
    [
        ({}, ["counts"], 1024),
        ({"shots": 5}, ["counts"], 5),
        ({"result_types": "quasi"}, ["quasi"], 0),
        ({"result_types": ["quasi", "counts"]}, ["quasi", "counts"], 1024),
        ({"observables": "ZZ"}, ["expval"], 0),
        ({"result_types": ["memory"]}, ["memory"], 1024),
        ({"result_types": ["statevector", "probabilities"]}, ["statevector", "probabilities"], 0),
        ({"observables": ["ZZ"], "result_types": ["counts", "expval"]}, ["counts", "expval"], 1024),
        ({"shots": 0}, ["counts"], 0),
    ],
)
def test_what_is_not_said_is_filled_in(
    arguments: dict[str, Any], kinds: list[str], shots: int
) -> None:
    spec = prepare(CIRCUIT, **arguments)
    assert (list(spec.result_types), spec.shots) == (kinds, shots)


@pytest.mark.parametrize("given", [-11, 11, 1.5, "high"])
def test_a_priority_is_a_small_whole_number(given: Any) -> None:
    assert [prepare(CIRCUIT, priority=each).priority for each in (-10, 0, 10)] == [-10, 0, 10]
    assert prepare(CIRCUIT).priority == 0
    with pytest.raises(InvalidJobError, match="priority") as caught:
        prepare(CIRCUIT, priority=given)
    assert caught.value.field == "priority"


def test_observables_are_not_dropped_in_secret() -> None:
    # The server refuses them, and says why.
    spec = prepare(CIRCUIT, observables=["ZZ"], result_types=["counts"])
    assert spec.observables == (PauliSum(terms=(PauliTerm(paulis="ZZ"),)),)


@pytest.mark.parametrize(
    ("extra", "text"), [("", ""), ('{"a":1}', '{"a":1}'), ({"a": [1]}, '{"a": [1]}')]
)
def test_extra_is_text_or_what_json_can_carry(extra: object, text: str) -> None:
    assert prepare(CIRCUIT, extra=extra).extra == text


def test_an_unknown_result_type_is_refused() -> None:
    with pytest.raises(InvalidJobError, match="counts, quasi, expval") as caught:
        prepare(CIRCUIT, result_types=["counts", "samples"])
    assert caught.value.field == "result_types[1]"


def test_what_is_no_circuit_is_refused() -> None:
    with pytest.raises(CircuitError, match="type 'object' is not known"):
        prepare(object())


@pytest.mark.parametrize(
    "change",
    [{"shots": -1}, {"shots": 2**64}, {"seed": -1}, {"n_qubits": 2**32}, {"framework": "\ud800"}],
)
def test_what_the_wire_cannot_carry_is_an_error_of_the_job(change: dict[str, Any]) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(InvalidJobError, match="cannot be sent"):
        client.create_job(bell(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"program": ""},
        {"program_format": "quil"},
        {"n_qubits": 0},
        {"n_qubits": True},
        {"depth": -1},
        {"depth": 1.5},
        {"framework": " "},
        {"parameters": "ab"},
        {"parameters": ("a", "a")},
        {"parameters": ("1",)},
        {"parameters": ("a",)},
    ],
)
def test_a_custom_circuit_demands_its_metadata(change: dict[str, Any]) -> None:
    fields = {name: getattr(CIRCUIT, name) for name in CIRCUIT.__dataclass_fields__}
    with pytest.raises(CircuitError, match=next(iter(change))):
        CustomCircuit(**(fields | change))


def test_the_address_is_given_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    with Client() as client:
        assert client.address == DEFAULT_ADDRESS
    monkeypatch.setenv(ADDRESS_VARIABLE, "there:1")
    with Client() as there, Client("here:2") as here:
        assert (there.address, here.address) == ("there:1", "here:2")


def test_an_unknown_option_is_an_error_of_the_program() -> None:
    with pytest.raises(TypeError, match="there is no option shorts"):
        prepare(CIRCUIT, shorts=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("kinds", "phase"), [(["counts"], False), (["counts", "statevector"], True), (None, True)]
)
def test_the_global_phase_is_kept_for_a_state_vector(
    monkeypatch: pytest.MonkeyPatch, kinds: list[str] | None, phase: bool
) -> None:
    kept = []

    def describe(*_args: Any, keep_phase: bool, **_options: Any) -> CircuitForm:
        kept.append(keep_phase)
        # As a circuit does that asks for its state itself.
        return replace(custom.describe(CIRCUIT), result_types=(ResultType.STATEVECTOR,))

    monkeypatch.setattr(preparation, "describe", describe)
    prepare(CIRCUIT, result_types=kinds)
    assert kept[-1] is phase
