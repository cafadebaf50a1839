"""What an answer may be, whatever was asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from qdispatch.codec import ERROR_DETAIL_KEY
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.fuzz.known import Known
from tests.fuzz.requests import Request

Code = grpc.StatusCode

# A database of one file may be busy for too long; that is said, and counted: see `Report`.
_ALWAYS: Final = frozenset(
    {Code.OK, Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE}
)
_ALLOWED: Final[Mapping[str, frozenset[grpc.StatusCode]]] = {
    "CreateJob": frozenset({Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.FAILED_PRECONDITION}),
    "CreateJobs": frozenset({Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.FAILED_PRECONDITION}),
    "GetJob": frozenset({Code.NOT_FOUND}),
    "CancelJob": frozenset({Code.NOT_FOUND}),
    "DeleteJob": frozenset({Code.NOT_FOUND, Code.FAILED_PRECONDITION}),
    "GetResult": frozenset({Code.NOT_FOUND}),
    "WatchJob": frozenset({Code.NOT_FOUND}),
    "ListJobs": frozenset({Code.NOT_FOUND}),
    "GetBatch": frozenset({Code.NOT_FOUND}),
    "CancelBatch": frozenset({Code.NOT_FOUND}),
    "WatchBatch": frozenset({Code.NOT_FOUND}),
    # There are none of these.
    "Nothing": frozenset({Code.UNIMPLEMENTED}),
    "List": frozenset({Code.UNIMPLEMENTED}),
}
# Supervisors have no token.
_FREE: Final = frozenset({"Check", "Watch"})

# It tells clients which kind of thing there is none of.
_KINDS: Final = {"batch_id": "id"}

_INSIDE: Final = re.compile(
    r"Traceback|File \"|\.py\b|sqlalchemy|sqlite|psycopg|protobuf\.|Exception|Errno|site-packages"
    r"|<class|object at 0x|qd_[A-Z2-7]{10}_",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a call ended."""

    code: grpc.StatusCode
    text: str = ""
    answers: tuple[bytes, ...] = ()
    detail: bytes | None = None
    """A serialized qdispatch.v1.ErrorDetail."""
    given_up: bool = False
    """Whether the client broke off a stream that had said enough."""
    took_s: float = 0.0


class Judge:
    """Holds answers against what they may be, and learns from them.

    Args:
        known: What is learned.
        slow_s: How long a call may take.
    """

    def __init__(self, known: Known, slow_s: float) -> None:
        self._known = known
        self._slow_s = slow_s

    def problems(self, request: Request, ended: Ended) -> list[str]:
        """What is wrong with an answer, in words."""
        return [
            *self._of_code(request, ended),
            *_of_text(request, ended),
            *_of_detail(request, ended),
            *self._of_answers(request, ended),
        ]

    def _of_code(self, request: Request, ended: Ended) -> Iterator[str]:
        name, code = request.method.name, ended.code
        if ended.took_s > self._slow_s:
            yield f"took {ended.took_s:.0f} s, {code.name}"
        if ended.given_up or (request.timeout_s and code is Code.DEADLINE_EXCEEDED):
            return
        if not request.may_enter and name not in _FREE:
            if code not in {Code.UNAUTHENTICATED, Code.UNAVAILABLE}:
                yield f"{request.caller} was let in: {code.name}"
            return
        if code not in _ALWAYS | _ALLOWED.get(name, frozenset()):
            yield f"{code.name}: {ended.text}"
        answered = code is Code.OK and bool(request.messages) and name not in _FREE
        if answered and request.method.request is not None and request.decoded() is None:
            yield "what is no message was answered"

    def _of_answers(self, request: Request, ended: Ended) -> Iterator[str]:
        if request.method.response is None:
            return
        kind = message_factory.GetMessageClass(request.method.response)
        for data in ended.answers:
            try:
                answer: Any = kind.FromString(data)
            except DecodeError:
                yield "the answer is no message"
                continue
            yield from self._of_owner(request, answer)
        asked = getattr(request.decoded(), "id", "")
        owner = self._known.owner(asked) if asked and ended.answers else None
        if owner is not None and not _sees(request.caller, owner):
            yield f"{request.caller} was answered about {asked} of {owner}"

    def _of_owner(self, request: Request, answer: Any) -> Iterator[str]:
        for one in _jobs_in(answer):
            if not _sees(request.caller, one.owner):
                yield f"{request.caller} was told of {one.id} of {one.owner}"
            kind = "batch" if isinstance(one, pb.Batch) else "job"
            self._known.learn(kind, one.id, one.owner)
        if isinstance(answer, pb.CreateJobsResponse | pb.GetBatchResponse):
            for job_id in answer.job_ids:
                self._known.learn("job", job_id, answer.batch.owner)
        if isinstance(answer, pb.ListJobsResponse):
            self._known.learn("page", answer.next_page_token, request.caller)
        if isinstance(answer, pb.CancelJobsResponse):
            for each in answer.cancellations:
                owner = self._known.owner(each.id)
                unseen = owner is not None and not _sees(request.caller, owner)
                if unseen and each.verdict != pb.CANCEL_VERDICT_NOT_FOUND:
                    yield f"{request.caller} canceled {each.id} of {owner}"


def _sees(caller: str, owner: str) -> bool:
    return caller in {"root", "anonymous", owner}


def _jobs_in(answer: Any) -> Iterator[Any]:
    for field, value in answer.ListFields():
        if field.message_type is None:
            continue
        for one in value if field.is_repeated else (value,):
            if isinstance(one, pb.Job | pb.Batch):
                yield one


def _of_text(request: Request, ended: Ended) -> Iterator[str]:
    found = _INSIDE.search(ended.text)
    # What the request said may be said again.
    if found and found[0].encode() not in request.body:
        yield f"the text shows {found[0]!r}: {ended.text}"
    if len(ended.text) > 4_000:
        yield f"the text has {len(ended.text)} characters"


def _of_detail(request: Request, ended: Ended) -> Iterator[str]:
    if ended.detail is None:
        return
    try:
        field = pb.ErrorDetail.FromString(ended.detail).field
    except DecodeError:
        yield f"{ERROR_DETAIL_KEY} is no ErrorDetail"
        return
    descriptor = request.method.request
    if (
        descriptor is not None
        and field
        and not any(has_field(descriptor, each) for each in {field, _KINDS.get(field, field)})
    ):
        yield f"{descriptor.name} has no field {field}"


def has_field(descriptor: Descriptor, path: str) -> bool:
    """Whether there is a field of this path, such as ``specs[2].tags[0]``.

    An `extra` is JSON: below it is a key, such as ``spec.extra.method``.
    """
    inner: Descriptor | None = descriptor
    for step in re.sub(r"(?<=\bextra)\.\w+$", "", path).split("."):
        match = re.fullmatch(r"(\w+)(\[\d+\])?", step)
        if match is None or inner is None or match[1] not in inner.fields_by_name:
            return False
        field = inner.fields_by_name[match[1]]
        if match[2] and not field.is_repeated:
            return False
        inner = field.message_type
    return True
