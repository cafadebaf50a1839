"""The short form of `make fuzz`: a few thousand requests, and that it would find something."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from qdispatch.v1 import qdispatch_pb2 as pb
from tests.fuzz.known import Known
from tests.fuzz.requests import ENTERING, Request, Requests, load, methods
from tests.fuzz.runner import fuzz
from tests.fuzz.verdict import Ended, Judge, has_field

Code = grpc.StatusCode
MINE, OTHERS = str(uuid4()), str(uuid4())


def test_a_few_thousand_requests_find_nothing(tmp_path: Path) -> None:
    report = fuzz(2_000, seed=20, findings=tmp_path / "findings")
    assert not report.findings, "\n".join(report.lines())
    assert report.count == 2_000
    assert report.decoded_share > 0.5
    # Every method was asked, and each that there is gave an answer.
    assert set(report.methods) == {each.name for each in methods()}
    assert {name for name, number in report.answered.items() if not number} == {"Nothing", "List"}
    seen = {"OK", "NOT_FOUND", "INVALID_ARGUMENT", "UNAUTHENTICATED", "ALREADY_EXISTS"}
    assert seen <= set(report.codes)


def request(name: str, body: bytes, caller: str = "ada") -> Request:
    method = next(each for each in methods() if each.name == name)
    return Request(method=method, source="structured", caller=caller, messages=(body,))


GET = request("GetJob", pb.GetJobRequest(id=OTHERS).SerializeToString())
JOB = pb.GetJobResponse(job=pb.Job(id=OTHERS, owner="bob")).SerializeToString()
NO_FIELD = pb.ErrorDetail(field="spec.nothing").SerializeToString()
DETAIL = pb.ErrorDetail(field="specs[2].observables[0].terms[1].paulis").SerializeToString()


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("spec.tags[0]", True),
        ("spec.extra", True),
        ("spec.extra.method", True),
        ("spec.extra.method.more", False),
        ("spec.tags.method", False),
        ("spec.program[0]", False),
        ("specs[0].extra.method", False),
    ],
)
def test_it_knows_which_fields_there_are(path: str, is_there: bool) -> None:
    assert has_field(pb.CreateJobRequest.DESCRIPTOR, path) is is_there


@pytest.mark.parametrize(
    ("asked", "ended", "said"),
    [
        (GET, Ended(code=Code.INTERNAL, text="a defect"), "INTERNAL: a defect"),
        (GET, Ended(code=Code.UNKNOWN, text="x"), "UNKNOWN: x"),
        (GET, Ended(code=Code.FAILED_PRECONDITION, text="x"), "FAILED_PRECONDITION: x"),
        (GET, Ended(code=Code.OK, answers=(JOB,)), f"ada was told of {OTHERS} of bob"),
        (GET, Ended(code=Code.OK, answers=(b"\xff",)), "the answer is no message"),
        (GET, Ended(code=Code.NOT_FOUND, text="rpc/edge.py, line 3"), "the text shows '.py'"),
        (GET, Ended(code=Code.NOT_FOUND, detail=NO_FIELD), "GetJobRequest has no field spec.no"),
        (GET, Ended(code=Code.NOT_FOUND, detail=b"\xff"), "qdispatch-error-bin is no ErrorDetail"),
        (GET, Ended(code=Code.NOT_FOUND, took_s=99), "took 99 s, NOT_FOUND"),
        (replace(GET, messages=(b"\xff",)), Ended(code=Code.OK), "what is no message was answered"),
        (replace(GET, caller="expired"), Ended(code=Code.NOT_FOUND), "expired was let in"),
    ],
    ids=[
        *("internal", "unknown", "code", "others", "answer", "inside", "field", "detail"),
        *("slow", "nonsense", "token"),
    ],
)
def test_what_is_wrong_with_an_answer_is_seen(asked: Request, ended: Ended, said: str) -> None:
    problems = Judge(Known(random.Random(1)), slow_s=20).problems(asked, ended)
    assert any(each.startswith(said) for each in problems), problems


def test_what_others_cancel_is_seen() -> None:
    known = Known(random.Random(1))
    known.learn("job", OTHERS, "bob")
    known.learn("job", MINE, "ada")
    asked = request("CancelJobs", pb.CancelJobsRequest(ids=[MINE, OTHERS]).SerializeToString())
    verdicts = (pb.CANCEL_VERDICT_TOO_LATE, pb.CANCEL_VERDICT_NOT_FOUND)
    for mine, others, number in ((*verdicts, 0), (*reversed(verdicts), 1)):
        answer = pb.CancelJobsResponse(
            cancellations=[
                pb.Cancellation(id=MINE, verdict=mine),
                pb.Cancellation(id=OTHERS, verdict=others),
            ]
        )
        ended = Ended(code=Code.OK, answers=(answer.SerializeToString(),))
        assert len(Judge(known, slow_s=20).problems(asked, ended)) == number


def test_what_is_right_is_left_alone() -> None:
    judge = Judge(Known(random.Random(1)), slow_s=20)
    refused = Ended(code=Code.INVALID_ARGUMENT, text="must be at least 1", detail=DETAIL)
    assert judge.problems(request("CreateJobs", b""), refused) == []
    assert judge.problems(replace(GET, caller="odd"), Ended(code=Code.UNAUTHENTICATED)) == []
    assert judge.problems(replace(GET, caller="root"), Ended(code=Code.OK, answers=(JOB,))) == []


def test_a_seed_gives_the_same_requests_and_what_is_kept_can_be_sent_again(tmp_path: Path) -> None:
    first, second = (
        Requests(random.Random(5), Known(random.Random(6)), {"ada": "qd_A"}) for _ in range(2)
    )
    drawn = [first.draw() for _ in range(300)]
    assert drawn == [second.draw() for _ in range(300)]
    for each in drawn[:50]:
        each.save(tmp_path / "kept.json", "why")
        again = load(tmp_path / "kept.json")
        assert (again.method, again.messages) == (each.method, each.messages)
    assert sum(each.caller in ENTERING and each.decoded() is not None for each in drawn) > 150
