"""Which jobs are equal, and which may be answered from the cache at all."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cache import ResultCache, content_key
from qdispatch.model import JobSpec, PauliSum, PauliTerm, ProgramFormat, ResultType
from tests.specs import BELL, bell
from tests.world import make_settings

ZZ = PauliSum(terms=(PauliTerm(paulis="ZZ"),))
XX = PauliSum(terms=(PauliTerm(paulis="XX"),))

#: Of each field that results depend on, values that give other results.
TELLING: Final[dict[str, tuple[Any, ...]]] = {
    "program": (BELL, BELL.replace("h ", "x ")),
    "program_format": tuple(ProgramFormat),
    "n_qubits": (2, 3),
    "target": ("aer", "cirq"),
    "result_types": (
        (ResultType.COUNTS,),
        (ResultType.COUNTS, ResultType.QUASI),
        (ResultType.QUASI, ResultType.COUNTS),
    ),
    "shots": (0, 100, 101),
    "seed": (None, 0, 7),
    "observables": ((), (ZZ,), (XX,), (ZZ, XX)),
    "extra": ("", '{"a": 1, "b": 2}', '{"a": 2, "b": 1}'),
    "parameters": ((), ("a",), ("b",)),
    "parameter_values": ((), ((0.5,),), ((0.5,), (1.0,))),
}
#: And of each other one, values that change nothing.
IDLE: Final[dict[str, tuple[Any, ...]]] = {
    "framework": ("qiskit", "cirq"),
    "depth": (3, 4),
    "submission_date": (None, datetime(2026, 1, 1, tzinfo=UTC)),
    "time_limit_s": (None, 5.0),
    "tags": ((), ("a", "b")),
    "priority": (0, 7),
}

telling = st.fixed_dictionaries({name: st.sampled_from(each) for name, each in TELLING.items()})
idle = st.fixed_dictionaries({name: st.sampled_from(each) for name, each in IDLE.items()})
owners = st.sampled_from(("anonymous", "ada", "adam"))


def key_of(owner: str, content: dict[str, Any], **changes: Any) -> bytes:
    spec = bell(**content | changes)
    return content_key(spec, spec.target, owner)


def test_every_field_of_a_job_is_looked_at() -> None:
    assert {each.name for each in fields(JobSpec)} == {*TELLING, *IDLE, "cache"}


@settings(max_examples=300, deadline=None)
@given(owners, owners, telling, telling, idle, idle, st.booleans())
def test_jobs_share_a_key_exactly_if_their_results_are_the_same(
    owner: str, other: str, one: Any, two: Any, idly: Any, otherwise: Any, same: bool
) -> None:
    two = one if same else two
    shared = key_of(owner, one, **idly) == key_of(other, two, **otherwise)
    assert shared is ((owner, one) == (other, two))


@pytest.mark.parametrize("name", TELLING)
def test_one_field_is_enough_to_tell_jobs_apart(name: str) -> None:
    content = {name: values[0] for name, values in TELLING.items()}
    keys = {key_of("ada", content, **{name: value}) for value in TELLING[name]}
    assert len(keys) == len(TELLING[name])


def test_options_are_the_same_however_they_are_written() -> None:
    written = ('{"b": 2, "a": 1}', '{"a":1,"b":2}', ' {"a": 1, "b": 2} ')
    assert len({content_key(bell(extra=each), "aer", "ada") for each in written}) == 1


def test_what_the_client_notes_there_is_no_option() -> None:
    """Qiskit numbers its circuits, so that each has a name of its own."""
    notes = ("", "{}", '{"qiskit": {"name": "circuit-1"}}', '{"qiskit": {"name": "circuit-2"}}')
    assert len({content_key(bell(extra=each), "aer", "ada") for each in notes}) == 1


@pytest.mark.parametrize(
    ("changes", "target", "max_bytes", "keyed"),
    [
        pytest.param({"seed": 0}, {}, 1, True, id="seeded"),
        pytest.param({"shots": 0}, {}, 1, True, id="exact"),
        pytest.param({}, {}, 1, False, id="at random"),
        pytest.param({"seed": 0, "cache": False}, {}, 1, False, id="off for the job"),
        pytest.param({"seed": 0}, {"cache": False}, 1, False, id="off for the target"),
        pytest.param({"seed": 0}, {}, 0, False, id="off for all"),
    ],
)
def test_who_takes_part(
    tmp_path: Path, changes: Any, target: Any, max_bytes: int, keyed: bool
) -> None:
    targets = {"aer": {"simulator": "aer"} | target}
    wanted = make_settings(tmp_path, targets=targets, cache={"max_bytes": max_bytes})
    cache = ResultCache(wanted, lambda: datetime.now(UTC))
    assert (cache.key(bell(**changes), "aer", "ada") is not None) is keyed


def test_the_key_is_of_the_target_that_was_picked(tmp_path: Path) -> None:
    cache = ResultCache(make_settings(tmp_path), lambda: datetime.now(UTC))
    left_open = replace(bell(seed=1), target="")
    keys = [cache.key(left_open, name, "ada") for name in ("aer", "cirq")]
    assert keys == [cache.key(bell(seed=1, target=name), name, "ada") for name in ("aer", "cirq")]
