"""What is refused before it runs: the error, the field, and what it says is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.settings import ServerSettings, TargetSettings
from app.validation import (
    MAX_DEPTH,
    MAX_EXTRA,
    MAX_PARAMETERS,
    MAX_SEED,
    MAX_TAGS,
    MAX_TERMS,
    MAX_WORD,
    candidates,
    check_fit,
    check_request_id,
    check_spec,
)
from qdispatch.arrays import PackedPoints, pack_points
from qdispatch.errors import InvalidJobError, RequestError, TooLargeError, UnknownTargetError
from qdispatch.model import JobSpec, PauliSum, PauliTerm, ProgramFormat, ResultType
from tests.world import bell

COUNTS, QUASI, EXPVAL = ResultType.COUNTS, ResultType.QUASI, ResultType.EXPVAL

LIMITS = ServerSettings(max_program_bytes=1000, max_shots=1_000_000)

TARGETS = {
    "wide": TargetSettings(simulator="a", max_qubits=100, result_types=(COUNTS,)),
    "full": TargetSettings(simulator="b", max_qubits=30),
    "old": TargetSettings(simulator="c", max_qubits=20, program_formats=(ProgramFormat.OPENQASM2,)),
}


def expval(*terms: PauliTerm, **changes: Any) -> dict[str, Any]:
    observables = (PauliSum(terms=(PauliTerm(paulis="ZZ"),)), PauliSum(terms=terms))
    return {"result_types": (EXPVAL,), "shots": 0, "observables": observables} | changes


def nested(depth: int) -> str:
    """An extra with lists and objects in turns, so many one in another."""
    parts = [('{"a": ', "}") if n % 2 == 0 else ("[", "]") for n in range(depth - 1)]
    return "".join(a for a, _ in parts) + "[]" + "".join(b for _, b in reversed(parts))


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"program": ""}, "spec.program", "needed"),
    ({"program": " \n\t"}, "spec.program", "needed"),
    ({"n_qubits": 0}, "spec.n_qubits", "at least 1"),
    ({"framework": "x" * (MAX_WORD + 1)}, "spec.framework", "200"),
    ({"framework": "a\0b"}, "spec.framework", "NUL"),
    ({"target": "a\0"}, "spec.target", "NUL"),
    ({"result_types": ()}, "spec.result_types", "counts, quasi, expval"),
    ({"result_types": (QUASI, QUASI)}, "spec.result_types[1]", "quasi is asked for twice"),
    ({"result_types": (COUNTS, QUASI, COUNTS)}, "spec.result_types[2]", "counts"),
    ({"result_types": (EXPVAL,)}, "spec.observables", "'ZZ'"),
    (expval(PauliTerm(paulis="ZZ", coefficient=1e61)), "spec.observables[1]", "1e+60"),
    (expval(PauliTerm(paulis="ZZ"), result_types=(QUASI,)), "spec.observables", "result_types"),
    (expval(), "spec.observables[1]", "no terms"),
    (expval(*[PauliTerm(paulis="")] * MAX_TERMS), "spec.observables", "at most 100000"),
    (
        expval(PauliTerm(paulis="ZZ"), PauliTerm(paulis="ZA")),
        "spec.observables[1].terms[1].paulis",
        "I, X, Y and Z",
    ),
    (expval(PauliTerm(paulis="zz")), "spec.observables[1].terms[0].paulis", "I, X, Y and Z"),
    (expval(PauliTerm(paulis="Z")), "spec.observables[1].terms[0].paulis", "2 qubits"),
    (expval(PauliTerm(paulis="ZZZ")), "spec.observables[1].terms[0].paulis", "2 qubits"),
    (
        expval(PauliTerm(paulis="ZZ", coefficient=float("nan"))),
        "spec.observables[1].terms[0].coefficient",
        "finite",
    ),
    (
        expval(PauliTerm(paulis="ZZ", coefficient=float("-inf"))),
        "spec.observables[1].terms[0].coefficient",
        "finite",
    ),
    (expval(PauliTerm(paulis="X", qubits=(0, 1))), "spec.observables[1].terms[0].qubits", "1 let"),
    (expval(PauliTerm(paulis="XX", qubits=(1, 1))), "spec.observables[1].terms[0].qubits", "twice"),
    (expval(PauliTerm(paulis="X", qubits=(2,))), "spec.observables[1].terms[0].qubits", "0 to 1"),
    (expval(PauliTerm(paulis="X", qubits=(-1,))), "spec.observables[1].terms[0].qubits", "0 to 1"),
    ({"shots": 0}, "spec.shots", "at least 1 (0 means exact: ask for quasi)"),
    ({"shots": 1_000_001}, "spec.shots", "0 to 1000000 are allowed (server.max_shots)"),
    ({"shots": -1}, "spec.shots", "0 to 1000000"),
    ({"seed": -1}, "spec.seed", str(MAX_SEED)),
    ({"seed": MAX_SEED + 1}, "spec.seed", str(MAX_SEED)),
    ({"tags": ("t",) * (MAX_TAGS + 1)}, "spec.tags", "at most 64"),
    ({"tags": ("t", "x" * (MAX_WORD + 1))}, "spec.tags[1]", "at most 200"),
    ({"tags": ("\0",)}, "spec.tags[0]", "NUL"),
    ({"extra": "{"}, "spec.extra", "JSON object"),
    ({"extra": "[]"}, "spec.extra", "JSON object"),
    ({"extra": "1"}, "spec.extra", "JSON object"),
    ({"extra": "{} {}"}, "spec.extra", "JSON object"),
    ({"extra": '{"a": ' + "9" * 5000 + "}"}, "spec.extra", "JSON object"),
    ({"extra": "[" * 100_000}, "spec.extra", "JSON object"),
    ({"extra": '{"a": 1, "b": {"c": 1, "c": 2}}'}, "spec.extra", "twice"),
    ({"extra": '{"a": [1e999]}'}, "spec.extra", "finite"),
    ({"extra": '{"a": -Infinity}'}, "spec.extra", "finite"),
    ({"extra": '{"a": "\0"}'}, "spec.extra", "NUL"),
    ({"extra": '{"a": ' + "9" * 4000 + "}"}, "spec.extra", "finite"),
    ({"extra": nested(MAX_DEPTH + 1)}, "spec.extra", "at most 100 deep"),
    ({"extra": " " * (MAX_EXTRA + 1)}, "spec.extra", "at most 1000000"),
    ({"time_limit_s": 0.0}, "spec.time_limit_s", "above 0"),
    ({"time_limit_s": -1.0}, "spec.time_limit_s", "above 0"),
    ({"time_limit_s": float("nan")}, "spec.time_limit_s", "above 0"),
    ({"time_limit_s": float("inf")}, "spec.time_limit_s", "above 0"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"shots": 1},
    {"shots": 1_000_000},
    {"shots": 0, "result_types": (QUASI,)},
    {"shots": 0, "result_types": (QUASI,), "seed": 1},
    {"seed": 0},
    {"seed": MAX_SEED},
    {"depth": 0},
    {"framework": ""},
    {"framework": "x" * MAX_WORD},
    {"tags": ("",) * MAX_TAGS},
    {"extra": "{}"},
    {"extra": '{"a": {"b": [1, null, "ü"]}}'},
    {"extra": '{"a": "\\u0000"}'},
    {"extra": nested(MAX_DEPTH)},
    {"extra": '{"a": [' + ", ".join(["{}"] * 1000) + "]}"},
    {"time_limit_s": 1e-9},
    {"time_limit_s": 1e300},
    {"program": "x" * 1000},
    {"program": "ü" * 500},
    expval(PauliTerm(paulis="")),
    expval(PauliTerm(paulis="II")),
    expval(PauliTerm(paulis="XY", coefficient=0.0), PauliTerm(paulis="XY", coefficient=-1e60)),
    expval(PauliTerm(paulis="Y", qubits=(1,)), PauliTerm(paulis="XZ", qubits=(1, 0))),
    expval(PauliTerm(paulis="", qubits=())),
    expval(PauliTerm(paulis="ZZ"), result_types=(EXPVAL, COUNTS, QUASI), shots=1),
]


@pytest.mark.parametrize(
    ("change", "field", "says"), REFUSED, ids=[f"{n}-{each[1]}" for n, each in enumerate(REFUSED)]
)
def test_refused(change: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidJobError) as caught:
        check_spec(bell(**change), LIMITS)
    assert caught.value.field == field
    assert says in caught.value.message
    assert str(caught.value) == f"{field}: {caught.value.message}"
    # Whatever was sent, the answer stays readable.
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("change", ACCEPTED, ids=range(len(ACCEPTED)))
def test_accepted(change: dict[str, Any]) -> None:
    check_spec(bell(**change), LIMITS)


def test_a_value_that_is_not_finite_is_found() -> None:
    inf = float("inf")
    for values in ([1.0, 2.0, inf, -inf], [1.0, 2.0, float("nan"), 3.0]):
        for points in (tuple(zip(values, strict=True)), packed(*values)):
            with pytest.raises(InvalidJobError, match="point 2 has a value that is not finite"):
                check_spec(swept(points), LIMITS)
    # Their sum is not.
    check_spec(swept(packed(1e308, 1e308)), LIMITS)


def packed(*values: float) -> PackedPoints:
    return PackedPoints(pack_points([values]), 1)


def swept(points: Sequence[tuple[float, ...]]) -> JobSpec:
    return bell(program_format=ProgramFormat.OPENQASM3, parameters=("a",), parameter_values=points)


def test_a_sweep_has_so_many_parameters_at_the_most() -> None:
    names = tuple(f"p{each}" for each in range(MAX_PARAMETERS + 1))
    spec = replace(swept(((0.0,) * MAX_PARAMETERS,)), parameters=names[:-1])
    check_spec(spec, LIMITS)
    with pytest.raises(InvalidJobError, match="at most 10000 are allowed") as caught:
        check_spec(replace(spec, parameters=names), LIMITS)
    assert caught.value.field == "spec.parameters"


@pytest.mark.parametrize("program", ["x" * 1001, "ü" * 501])
def test_a_program_over_the_limit_is_refused_by_its_bytes(program: str) -> None:
    with pytest.raises(TooLargeError) as caught:
        check_spec(bell(program=program), LIMITS)
    assert caught.value.field == "spec.program"
    assert f"{len(program.encode())} bytes" in caught.value.message
    assert "at most 1000 are allowed (server.max_program_bytes)" in caught.value.message


@pytest.mark.parametrize(
    ("request_id", "says"), [("", "needed"), ("x" * 201, "at most 200"), ("a\0", "NUL")]
)
def test_a_request_id_that_names_nothing_is_refused(request_id: str, says: str) -> None:
    with pytest.raises(InvalidJobError, match=says) as caught:
        check_request_id(request_id)
    assert caught.value.field == "request_id"


@pytest.mark.parametrize("request_id", ["a", "x" * 200, "any text ✓"])
def test_a_request_id_is_any_word(request_id: str) -> None:
    check_request_id(request_id)


@pytest.mark.parametrize(
    ("target", "change", "field", "says"),
    [
        ("full", {"n_qubits": 31}, "spec.n_qubits", "31 qubits; target full takes at most 30"),
        (
            "old",
            {"program_format": ProgramFormat.OPENQASM3},
            "spec.program_format",
            "target old takes openqasm2",
        ),
        (
            "wide",
            {"result_types": (COUNTS, QUASI)},
            "spec.result_types[1]",
            "target wide gives counts",
        ),
    ],
)
def test_what_a_target_never_runs_is_refused(
    target: str, change: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidJobError) as caught:
        check_fit(bell(target=target, **change), target, TARGETS[target])
    assert (caught.value.field, caught.value.message) == (field, says)


SHIPPED = {
    name: TargetSettings(simulator=name, max_qubits=n)
    for n, name in enumerate(("aer", "cirq", "pennylane"), 30)
} | {"theirs": TargetSettings(simulator="theirs", max_qubits=20)}
METHODS = "must be one of automatic, statevector, stabilizer"


@pytest.mark.parametrize(
    ("target", "key", "value", "says"),
    [
        ("cirq", "method", '"mps"', f'on target cirq it {METHODS}, not "mps"'),
        ("cirq", "method", '"matrix_product_state"', METHODS),
        ("aer", "method", '"Statevector"', f"{METHODS}, matrix_product_state, not"),
        ("pennylane", "method", "null", f"{METHODS}, not null"),
        ("pennylane", "method", "1e308", "not 1e+308"),
        ("pennylane", "method", '["statevector"]', "not a list"),
        ("pennylane", "method", '{"a": "statevector"}', "not an object"),
        ("pennylane", "method", '"\\ud800"', r'not "\ud800"'),
        ("pennylane", "method", f'"{"x" * 100_000}"', "xxx..."),
        ("cirq", "precision", "2", "must be one of single, double, not 2"),
        ("cirq", "precision", "true", "not true"),
    ],
    ids=range(11),
)
def test_an_option_that_is_known_is_checked(target: str, key: str, value: str, says: str) -> None:
    spec = bell(target=target, extra=f'{{"mine": 1, "{key}": {value}}}')
    check_spec(spec, LIMITS)
    with pytest.raises(InvalidJobError) as caught:
        candidates(spec, SHIPPED)
    assert caught.value.field == f"spec.extra.{key}"
    assert says in caught.value.message
    assert len(str(caught.value).encode()) < 300
    # Who knows it otherwise checks it as it runs.
    assert candidates(replace(spec, target="theirs"), SHIPPED) == ["theirs"]


def test_what_nobody_knows_is_left_alone() -> None:
    for extra in ('{"noise": true}', '{"seed": -1}', '{"Method": 1}', '{"a": {"method": 1}}'):
        assert candidates(bell(target="aer", extra=extra), SHIPPED) == ["aer"]
    assert candidates(bell(target="aer", extra='{"precision": 2}'), SHIPPED) == ["aer"]


def test_a_job_without_a_target_goes_where_its_options_are_known() -> None:
    shipped = {name: each for name, each in SHIPPED.items() if name != "theirs"}
    spec = bell(target="", extra='{"method": "matrix_product_state"}')
    assert candidates(spec, shipped) == ["aer"]
    with pytest.raises(InvalidJobError, match="on target pennylane it must be one of"):
        candidates(replace(spec, extra='{"method": "none"}'), shipped)


def test_as_wide_as_the_target_is_accepted() -> None:
    check_fit(bell(n_qubits=30), "full", TARGETS["full"])


def test_an_unknown_target_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownTargetError) as caught:
        candidates(bell(target="Full"), TARGETS)
    assert caught.value.field == "spec.target"
    assert caught.value.message == "there is no target 'Full'; there are: full, old, wide"


def test_a_named_target_is_the_only_candidate_and_must_fit() -> None:
    assert candidates(bell(target="old"), TARGETS) == ["old"]
    with pytest.raises(InvalidJobError, match="at most 20"):
        candidates(bell(target="old", n_qubits=21), TARGETS)


@pytest.mark.parametrize(
    ("change", "fitting"),
    [
        ({}, {"wide", "full", "old"}),
        ({"n_qubits": 25}, {"wide", "full"}),
        ({"n_qubits": 100}, {"wide"}),
        ({"result_types": (QUASI,)}, {"full", "old"}),
        ({"program_format": ProgramFormat.OPENQASM3}, {"wide", "full"}),
    ],
)
def test_without_a_target_all_that_fit_are_candidates(
    change: dict[str, Any], fitting: set[str]
) -> None:
    assert set(candidates(bell(target="", **change), TARGETS)) == fitting


def test_a_wide_job_without_a_target_goes_where_wide_ones_are_wanted() -> None:
    narrow = TARGETS | {"full": TargetSettings(simulator="b", max_qubits=50, max_unnamed_qubits=20)}
    assert set(candidates(bell(target="", n_qubits=20), narrow)) == {"wide", "full", "old"}
    assert candidates(bell(target="", n_qubits=21), narrow) == ["wide"]
    # Nobody else gives quasi at that width; and who names it is not kept away.
    assert candidates(bell(target="", n_qubits=21, result_types=(QUASI,)), narrow) == ["full"]
    assert candidates(bell(target="full", n_qubits=21), narrow) == ["full"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n_qubits": 101}, "spec.n_qubits"),
        ({"n_qubits": 50, "result_types": (QUASI,)}, "spec.result_types[0]"),
    ],
)
def test_what_fits_nowhere_is_refused_by_the_widest(change: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError, match="wide") as caught:
        candidates(bell(target="", **change), TARGETS)
    assert caught.value.field == field
