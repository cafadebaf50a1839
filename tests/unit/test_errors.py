"""The one table from errors to gRPC's codes, and the way back in the client."""

from __future__ import annotations

import logging

import grpc
import pytest

from qdispatch import errors
from qdispatch.codec import ERROR_DETAIL_KEY
from qdispatch.refusals import translated
from qdispatch.v1 import qdispatch_pb2 as pb
from rpc.errors import CODES, Refusal, refusal


class Aborted(Exception):
    pass


class ReceivedError(grpc.RpcError):
    """The error as the client's channel raises it."""

    def __init__(self, end: Refusal) -> None:
        self._end = end

    def code(self) -> grpc.StatusCode:
        return self._end.code

    def details(self) -> str:
        return self._end.text

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return self._end.metadata


def end(error: Exception) -> Refusal:
    return refusal(error, "CreateJob r-1")


TABLE = [
    (errors.InvalidJobError, "spec.shots", grpc.StatusCode.INVALID_ARGUMENT),
    (errors.UnknownTargetError, "spec.target", grpc.StatusCode.NOT_FOUND),
    (errors.JobNotFoundError, "id", grpc.StatusCode.NOT_FOUND),
    (errors.BatchNotFoundError, "batch_id", grpc.StatusCode.NOT_FOUND),
    (errors.RequestConflictError, "request_id", grpc.StatusCode.ALREADY_EXISTS),
    (errors.TooLargeError, "spec.program", grpc.StatusCode.RESOURCE_EXHAUSTED),
]


@pytest.mark.parametrize(("kind", "field", "code"), TABLE)
def test_a_refusal_goes_to_the_client_and_becomes_itself_again(
    kind: type[errors.RequestError], field: str, code: grpc.StatusCode
) -> None:
    context = end(kind("is wrong; 1 to 2 are allowed", field=field))
    assert context.code is code
    assert context.text == f"{field}: is wrong; 1 to 2 are allowed"
    ((key, value),) = context.metadata
    assert (key, pb.ErrorDetail.FromString(value).field) == (ERROR_DETAIL_KEY, field)
    again = translated(ReceivedError(context), "here:1")
    assert type(again) is kind
    assert isinstance(again, errors.RequestError)
    assert (again.field, again.message) == (field, "is wrong; 1 to 2 are allowed")


def test_every_refusal_is_in_the_table() -> None:
    listed = {kind for kind, _ in CODES}
    assert set(errors.RequestError.__subclasses__()) <= listed
    assert errors.UnavailableError in listed


def test_a_part_that_is_away_can_be_tried_again() -> None:
    context = end(errors.UnavailableError("the database does not answer; try again"))
    assert context.code is grpc.StatusCode.UNAVAILABLE
    again = translated(ReceivedError(context), "here:1")
    assert type(again) is errors.UnavailableError
    assert "here:1" in str(again)
    assert "the database does not answer" in str(again)


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), errors.ServerError("secret")])
def test_what_the_table_lacks_is_a_defect_and_stays_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        context = end(error)
    assert context.code is grpc.StatusCode.INTERNAL
    assert context.metadata == ()
    assert "secret" not in context.text
    assert "CreateJob r-1" in caplog.text
    assert "secret" in caplog.text
    assert type(translated(ReceivedError(context), "here:1")) is errors.ServerError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.UnavailableError),
        (grpc.StatusCode.UNIMPLEMENTED, errors.UnimplementedError),
        (grpc.StatusCode.UNKNOWN, errors.ServerError),
    ],
)
def test_what_grpc_itself_says_has_a_class_too(
    code: grpc.StatusCode, kind: type[errors.QDispatchError]
) -> None:
    error = translated(ReceivedError(Refusal(code=code, text="something")), "here:1")
    assert type(error) is kind
    assert "something" in str(error)
