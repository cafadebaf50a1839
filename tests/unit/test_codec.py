from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np  # noqa: F401 - long results are read by it
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdispatch import codec, results_codec
from qdispatch.arrays import Memory, PackedOutcomes, Probabilities, Statevector
from qdispatch.errors import InvalidJobError
from qdispatch.model import (
    CancelVerdict,
    JobError,
    JobEvent,
    JobInfo,
    JobSpec,
    JobStatus,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    Result,
    ResultType,
    TargetInfo,
    Timings,
)
from qdispatch.v1 import qdispatch_pb2 as pb

quick = settings(max_examples=25, deadline=None)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
uint32 = st.integers(0, 2**32 - 1)
moments = st.datetimes(timezones=st.just(UTC))
terms = st.one_of(
    st.builds(PauliTerm, paulis=st.text("IXYZ", max_size=5), coefficient=finite),
    st.dictionaries(uint32, st.sampled_from("IXYZ"), min_size=1, max_size=4).flatmap(
        lambda letters: st.builds(
            PauliTerm,
            paulis=st.just("".join(letters.values())),
            qubits=st.just(tuple(letters)),
            coefficient=finite,
        )
    ),
)
specs = st.builds(
    JobSpec,
    program=text,
    program_format=st.sampled_from(ProgramFormat),
    framework=text,
    n_qubits=uint32,
    depth=uint32,
    target=text,
    submission_date=st.none() | moments,
    result_types=st.lists(st.sampled_from(ResultType), unique=True).map(tuple),
    shots=st.integers(0, 2**64 - 1),
    seed=st.none() | st.integers(0, 2**63 - 1),
    observables=st.lists(
        st.builds(PauliSum, terms=st.lists(terms, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    extra=text,
    time_limit_s=st.none() | finite,
    tags=st.lists(text, max_size=3).map(tuple),
    cache=st.booleans(),
    parameters=st.just(("a", "b")),
    parameter_values=st.lists(st.tuples(finite, finite), max_size=3).map(tuple),
)


@st.composite
def results(draw: st.DrawFn) -> Result:
    kind = draw(st.sampled_from(ResultType))
    if kind is ResultType.EXPVAL:
        values = st.lists(finite, max_size=4).map(tuple)
        return Result(
            type=kind, expval=draw(values), standard_errors=draw(values), point=draw(uint32)
        )
    if kind is ResultType.VARIANCE:
        return Result(type=kind, variance=draw(st.lists(finite).map(tuple)), point=draw(uint32))
    if kind in (ResultType.STATEVECTOR, ResultType.PROBABILITIES):
        numbers = draw(
            st.sampled_from([1, 2, 8]).flatmap(lambda n: st.lists(finite, min_size=n, max_size=n))
        )
        if kind is ResultType.STATEVECTOR:
            return Result(type=kind, statevector=Statevector.of(map(complex, numbers, numbers)))
        return Result(type=kind, probabilities=Probabilities.of(numbers))
    if kind is ResultType.MEMORY:
        n_bits = draw(st.sampled_from([1, 7, 8, 9, 200]))
        shots = draw(
            st.lists(st.integers(0, 2**n_bits - 1).map(lambda value: f"{value:0{n_bits}b}"))
        )
        return Result(type=kind, n_bits=n_bits, memory=Memory.of(shots, n_bits))
    n_bits = draw(st.sampled_from([0, 1, 7, 8, 9, 64, 65, 200]))
    keys = st.integers(0, 2**n_bits - 1).map(lambda value: f"{value:0{n_bits}b}"[-n_bits or 1 :])
    values = st.integers(0, 2**64 - 1) if kind is ResultType.COUNTS else finite
    table = draw(st.dictionaries(keys if n_bits else st.just(""), values, max_size=5))
    return Result(type=kind, n_bits=n_bits, **{kind.value: dict(sorted(table.items()))})


infos = st.builds(
    JobInfo,
    id=text,
    owner=text,
    request_id=text,
    status=st.sampled_from(JobStatus),
    spec=specs,
    created_at=moments,
    started_at=st.none() | moments,
    finish_time=st.none() | moments,
    attempt=uint32,
    worker=text,
    error=st.none() | st.builds(JobError, kind=text, message=text),
    method=text,
    method_reason=text,
    cached_from=text,
    simulator_version=text,
    timings=st.builds(Timings, queued_s=st.none() | finite, saving_s=st.none() | finite),
    peak_memory_bytes=st.integers(0, 2**64 - 1),
    batch_id=text,
    batch_index=uint32,
    n_points=uint32,
    points_done=uint32,
    events=st.lists(
        st.builds(
            JobEvent, number=uint32, status=st.sampled_from(JobStatus), at=moments, attempt=uint32
        ),
        max_size=3,
    ).map(tuple),
)
targets = st.builds(
    TargetInfo,
    name=text,
    simulator=text,
    program_formats=st.lists(st.sampled_from(ProgramFormat)).map(tuple),
    max_qubits=uint32,
    result_types=st.lists(st.sampled_from(ResultType)).map(tuple),
    workers_online=uint32,
    queue_length=uint32,
    running=uint32,
    max_time_limit_s=finite,
)


def over_the_wire(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


@quick
@given(specs)
def test_specs_come_back(spec: JobSpec) -> None:
    assert codec.decode_spec(over_the_wire(codec.encode_spec(spec))) == spec


@quick
@given(results())
def test_results_come_back(result: Result) -> None:
    assert results_codec.decode_result(over_the_wire(results_codec.encode_result(result))) == result


@quick
@given(infos)
def test_jobs_come_back(info: JobInfo) -> None:
    assert codec.decode_job(over_the_wire(codec.encode_job(info))) == info


@quick
@given(targets)
def test_targets_come_back(target: TargetInfo) -> None:
    assert codec.decode_target(over_the_wire(codec.encode_target(target))) == target


@pytest.mark.parametrize("verdict", CancelVerdict)
def test_verdicts_come_back(verdict: CancelVerdict) -> None:
    assert codec.decode_verdict(codec.VERDICT[verdict]) is verdict


def test_every_enum_value_is_on_the_wire() -> None:
    for table, wire in [
        (codec.STATUS, pb.JobStatus),
        (codec.PROGRAM_FORMAT, pb.ProgramFormat),
        (codec.RESULT_TYPE, pb.ResultType),
        (codec.VERDICT, pb.CancelVerdict),
    ]:
        assert {0, *table.values()} == set(wire.values())


def test_golden_spec() -> None:
    spec = JobSpec(
        program="x",
        program_format=ProgramFormat.OPENQASM3,
        framework="f",
        n_qubits=2,
        depth=3,
        target="t",
        submission_date=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        result_types=(ResultType.COUNTS, ResultType.EXPVAL),
        shots=300,
        seed=0,
        observables=(PauliSum(terms=(PauliTerm(paulis="XZ", qubits=(1, 0), coefficient=0.5),)),),
        extra="{}",
        time_limit_s=1.0,
        tags=("a",),
    )
    golden = (
        "0a0178" "1002" "1a0174" "220166" "2802" "3003" "3a020801" "42020103" "48ac02" "5000"
        "5a130a11" "0a02585a" "12020100" "19000000000000e03f" "62027b7d" "69000000000000f03f"
        "720161"
    )  # fmt: skip
    assert codec.encode_spec(spec).SerializeToString(deterministic=True).hex() == golden


@pytest.mark.parametrize("number", [1, 16, 2048], ids=["", "two bytes long", "three bytes long"])
def test_points_are_on_the_wire_as_protobuf_has_them(number: int) -> None:
    values = [0.5 * place for place in range(2 * number)]
    points = tuple(zip(values[::2], values[1::2], strict=True))
    spec = JobSpec(
        program="x",
        program_format=ProgramFormat.OPENQASM3,
        framework="f",
        n_qubits=1,
        depth=1,
        parameters=("a", "b"),
        parameter_values=points,
    )
    message = codec.encode_spec(spec)
    assert list(message.parameter_values) == values
    assert codec.decode_spec(message) == spec
    packed = codec.decode_spec(message).parameter_values
    assert codec.encode_spec(replace(spec, parameter_values=packed)) == message


def test_golden_counts() -> None:
    # Nine bits: two bytes an outcome, big-endian, in ascending order.
    result = Result(type=ResultType.COUNTS, n_bits=9, counts={"100000001": 3, "000000010": 300})
    golden = "0801" "1a0f" "0a080809" "12040002" "0101" "1203" "ac0203"  # fmt: skip
    assert results_codec.encode_result(result).SerializeToString(deterministic=True).hex() == golden


def test_golden_expval() -> None:
    result = Result(type=ResultType.EXPVAL, expval=(-1.0,), standard_errors=(0.0,))
    golden = "0803" "2a14" "0a08000000000000f0bf" "12080000000000000000"  # fmt: skip
    assert results_codec.encode_result(result).SerializeToString(deterministic=True).hex() == golden


def test_outcomes_are_sorted_and_wider_than_64_bits() -> None:
    high, low = "1" + "0" * 99, "0" * 99 + "1"
    result = Result(type=ResultType.QUASI, n_bits=100, quasi={high: 0.25, low: 0.75})
    message = results_codec.encode_result(result)
    assert message.quasi.outcomes.packed == b"\0" * 12 + b"\x01" + b"\x08" + b"\0" * 12
    assert list(results_codec.decode_result(message).quasi or {}) == [low, high]


@pytest.mark.parametrize("n_bits", [17, 24, 70])
def test_more_outcomes_than_are_packed_at_once(
    n_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {format(number, f"0{n_bits}b"): number + 1 for number in range(0, 60_000, 2)}
    message = results_codec.encode_result(
        Result(type=ResultType.COUNTS, n_bits=n_bits, counts=counts)
    )
    width = (n_bits + 7) // 8
    assert message.counts.outcomes.packed == b"".join(
        int(key, 2).to_bytes(width, "big") for key in counts
    )
    assert "numpy" in sys.modules
    assert results_codec.decode_result(message).counts == counts
    # A client may do without.
    monkeypatch.delitem(sys.modules, "numpy")
    assert results_codec.decode_result(message).counts == counts


def test_packed_outcomes_are_sent_as_they_are_and_read_as_a_mapping() -> None:
    outcomes = PackedOutcomes(b"\0\1\1\0", [3, 4], 9)
    assert outcomes == {"000000001": 3, "100000000": 4}
    assert (len(outcomes), list(outcomes), outcomes["100000000"]) == (2, [*outcomes], 4)
    result = Result(type=ResultType.COUNTS, n_bits=9, counts=outcomes)
    assert results_codec.decode_result(results_codec.encode_result(result)).counts == outcomes


@pytest.mark.parametrize(
    ("packed", "numbers", "n_bits"), [(b"\0", [1, 2], 3), (b"\0", [1], 9), (b"", [], 0)]
)
def test_packed_outcomes_that_do_not_fit(packed: bytes, numbers: list[int], n_bits: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        PackedOutcomes(packed, numbers, n_bits)


def test_golden_memory() -> None:
    # In the order of the shots, not of the outcomes.
    result = Result(
        type=ResultType.MEMORY, n_bits=9, memory=Memory.of(["100000001", "000000010"], 9)
    )
    golden = "0804" "320a" "0a08" "0809" "1204" "0101" "0002"  # fmt: skip
    assert results_codec.encode_result(result).SerializeToString(deterministic=True).hex() == golden


def test_golden_statevector() -> None:
    result = Result(type=ResultType.STATEVECTOR, statevector=Statevector.of([0, -1j]))
    golden = "08053a2408011220" + "00" * 16 + "0000000000000080000000000000f0bf"
    encoded = results_codec.encode_result(result).SerializeToString(deterministic=True).hex()
    assert encoded == golden


def test_golden_probabilities() -> None:
    result = Result(type=ResultType.PROBABILITIES, probabilities=Probabilities.of([0.5, 0.5]))
    golden = "0806421408011210" + "000000000000e03f" * 2
    encoded = results_codec.encode_result(result).SerializeToString(deterministic=True).hex()
    assert encoded == golden


def spec_message(**changes: Any) -> pb.JobSpec:
    return pb.JobSpec(**{"program_format": 1, "result_types": [1], **changes})


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"program": b"ab\xff"}, "spec.program", "byte 2"),
        ({"program_format": 0}, "spec.program_format", "0 is not known"),
        ({"program_format": 77}, "spec.program_format", "77 is not known"),
        ({"result_types": [1, 9]}, "spec.result_types[1]", "counts"),
        ({"submission_date": {"seconds": 2**60}}, "spec.submission_date", "years 1 to 9999"),
    ],
)
def test_malformed_specs_are_named(changes: Any, field: str, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message) as caught:
        codec.decode_spec(spec_message(**changes))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("n_bits", "packed", "values"), [(8, b"\0", [1, 2]), (9, b"\0", [1]), (0, b"\0", [1])]
)
def test_outcomes_that_do_not_match_are_refused(
    n_bits: int, packed: bytes, values: list[int]
) -> None:
    outcomes = pb.Outcomes(n_bits=n_bits, packed=packed)
    with pytest.raises(ValueError, match="do not fit"):
        results_codec.decode_result(
            pb.Result(type=1, counts=pb.Counts(outcomes=outcomes, counts=values))
        )
    with pytest.raises(ValueError, match="do not fit"):
        results_codec.decode_result(
            pb.Result(type=2, quasi=pb.Quasi(outcomes=outcomes, probabilities=values))
        )


@pytest.mark.parametrize("number", [0, 99])
def test_unknown_enum_values_are_refused(number: int) -> None:
    with pytest.raises(InvalidJobError, match=f"{number} is not known"):
        codec.decode_verdict(number)
    with pytest.raises(InvalidJobError, match="status"):
        codec.decode_job(pb.Job(status=number, spec=spec_message()))
    with pytest.raises(InvalidJobError, match="type"):
        results_codec.decode_result(pb.Result(type=number))


def test_no_qubits_means_a_dense_label() -> None:
    message = spec_message(observables=[{"terms": [{"paulis": "XI", "coefficient": 1}]}])
    assert codec.decode_spec(message).observables[0].terms[0].qubits is None
