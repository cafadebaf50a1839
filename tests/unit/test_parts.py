"""What a request is made of, counted on the wire: what is over a limit is not decoded."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from app.settings import MAX_BATCH_JOBS, ServerSettings
from app.validation import MAX_PARAMETERS, MAX_TAGS, MAX_TERMS, check_spec
from app.visible_jobs import MAX_CANCELED
from qdispatch.codec import decode_spec, varint
from qdispatch.errors import InvalidJobError, RequestError, TooLargeError
from qdispatch.v1 import qdispatch_pb2 as pb
from rpc import parts
from rpc.parts import Parts

UNTYPED: Any = pb
JOB = Parts(UNTYPED.CreateJobRequest.DESCRIPTOR)
BATCH = Parts(UNTYPED.CreateJobsRequest.DESCRIPTOR)
CANCEL = Parts(UNTYPED.CancelJobsRequest.DESCRIPTOR)
WATCH = Parts(UNTYPED.WatchBatchRequest.DESCRIPTOR)

TERM = pb.PauliTerm(paulis="X", coefficient=1)


def spec(**fields: Any) -> pb.JobSpec:
    given: dict[str, Any] = {
        "program": b"OPENQASM 3.0;",
        "program_format": pb.PROGRAM_FORMAT_OPENQASM3,
        "n_qubits": 1,
        "result_types": [pb.RESULT_TYPE_EXPVAL],
    }
    return pb.JobSpec(**(given | fields))


def one(**fields: Any) -> bytes:
    return pb.CreateJobRequest(request_id="a", spec=spec(**fields)).SerializeToString()


def many(*specs: pb.JobSpec) -> bytes:
    return pb.CreateJobsRequest(request_id="a", specs=specs).SerializeToString()


def inside(number: int, content: bytes) -> bytes:
    """A field that is a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


TAGS = {"tags": [""] * (MAX_TAGS + 1)}
RESULTS = {"result_types": [pb.RESULT_TYPE_COUNTS] * 8}
TERMS = {
    "observables": [pb.PauliSum(terms=[TERM] * (MAX_TERMS // 2))] * 2 + [pb.PauliSum(terms=[TERM])]
}
EMPTY = {"observables": [pb.PauliSum()] * (MAX_TERMS + 1)}
NAMES = {"parameters": [""] * (MAX_PARAMETERS + 1)}
#: A type of results, not packed.
LOOSE = b"\x40\x01"


@pytest.mark.parametrize(
    ("counted", "data", "says"),
    [
        (JOB, one(**TAGS), "spec.tags: at most 64 are allowed"),
        (JOB, one(**RESULTS), "spec.result_types: at most 7 are allowed"),
        (JOB, inside(2, LOOSE * 8), "spec.result_types: at most 7 are allowed"),
        (JOB, one(**TERMS), "spec.observables: more than 100000 Pauli terms; at most 100000"),
        (JOB, one(**EMPTY), "spec.observables: at most 100000 are allowed"),
        (JOB, one(**NAMES), "spec.parameters: more than 10000 parameters; at most 10000"),
        (BATCH, many(spec(), spec(), spec(**TAGS)), r"specs\[2\].tags: at most 64 are allowed"),
        (BATCH, many(*[spec()] * (MAX_BATCH_JOBS + 1)), "specs: more than 10000 jobs; a batch has"),
        (CANCEL, b"\x0a\x00" * (MAX_CANCELED + 1), "ids: more than 10000 ids; one call cancels"),
        (WATCH, b"\x10\x01" * (MAX_BATCH_JOBS + 1), "after: more than 10000 numbers; a batch has"),
    ],
    ids=[
        *("tags", "results", "loose results", "terms", "observables", "parameters"),
        *("tags in a batch", "jobs", "ids", "numbers"),
    ],
)
def test_too_many_of_a_field_are_refused_by_its_name(
    counted: Parts, data: bytes, says: str
) -> None:
    with pytest.raises(RequestError, match=f"^{says}"):
        counted.count(data)
    # No further than to the one that is too many.
    with pytest.raises(RequestError, match=f"^{says}"):
        counted.count(data + b"\xff")


@pytest.mark.parametrize(
    "fields",
    [
        TERMS,
        TAGS | {"result_types": [pb.RESULT_TYPE_QUASI]},
        NAMES
        | {
            "result_types": [pb.RESULT_TYPE_QUASI],
            "parameter_values": [0.5] * (MAX_PARAMETERS + 1),
        },
    ],
    ids=["terms", "tags", "parameters"],
)
def test_the_words_are_those_of_who_checks_what_is_decoded(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidJobError) as counted:
        JOB.count(one(**fields))
    with pytest.raises(InvalidJobError) as checked:
        check_spec(decode_spec(spec(**fields)), ServerSettings())
    assert checked.value.field == counted.value.field
    assert checked.value.message.rpartition("; ")[2] == counted.value.message.rpartition("; ")[2]


def test_as_many_as_are_allowed_are_let_through() -> None:
    fields = {
        "tags": [""] * MAX_TAGS,
        "result_types": range(1, 8),
        "observables": [pb.PauliSum(terms=[TERM])] * MAX_TERMS,
        "parameters": ["t"],
        "parameter_values": [0.5] * 1_000_000,
    }
    # Of each term: the sum, the term, and its two fields. A million values are one.
    assert JOB.count(one(**fields)) == 4 * MAX_TERMS + MAX_TAGS + 1 + 7 + 1 + 1 + 3 + 2
    assert BATCH.count(many(*[spec(**TAGS | {"tags": ["a"] * MAX_TAGS})] * 3)) > 3 * MAX_TAGS
    assert CANCEL.count(b"\x0a\x00" * MAX_CANCELED) == MAX_CANCELED


def test_a_job_that_comes_in_two_pieces_is_one_job() -> None:
    half = inside(2, pb.JobSpec(tags=[""] * 40).SerializeToString())
    with pytest.raises(InvalidJobError, match=r"^spec\.tags"):
        JOB.count(half * 2)
    # In a batch they are two.
    assert BATCH.count(half * 2) == 82


@pytest.mark.parametrize(
    "data",
    [
        inside(2, inside(11, inside(1, inside(2, b"\x01" * 1001)))),
        inside(2, inside(11, inside(1, b"\x10\x01" * 1001))),
        b"\xc0\x3e\x01" * 1001,
        b"\xc3\x3e\xc4\x3e" * 501,
        inside(2, b"\x81\x01" + b"\0" * 8) * 1001,
    ],
    ids=["packed", "loose", "unknown", "groups", "loose doubles"],
)
def test_all_of_it_has_a_limit(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    JOB.count(data)
    monkeypatch.setattr(parts, "MAX_PARTS", 1000)
    with pytest.raises(InvalidJobError, match="more than 2000000 parts") as caught:
        JOB.count(data)
    assert caught.value.field == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\x05a",
        b"\x12\x02\x0a\x05",
        b"\x08" + b"\xff" * 11,
        b"\x0f",
        b"\x09abc",
        b"\x80",
    ],
    ids=["no length", "cut off", "inside", "long number", "no wire type", "number", "tag"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJobError, match=r"is no qdispatch\.v1\.Create"):
        JOB.count(data)


def test_every_list_in_a_job_has_a_limit() -> None:
    """One that is added needs a line in `rpc.parts`; but for packed doubles, which stay so."""
    lists = {
        field.full_name
        for message in (
            pb.JobSpec,
            pb.PauliSum,
            pb.CreateJobsRequest,
            pb.CancelJobsRequest,
            pb.WatchBatchRequest,
        )
        for field in message.DESCRIPTOR.fields
        if field.is_repeated and field.type != FieldDescriptor.TYPE_DOUBLE
    }
    assert lists == set(parts._CAPS)
    assert issubclass(parts._CAPS["qdispatch.v1.CreateJobsRequest.specs"].kind, TooLargeError)
