"""The audit: who did what, from where, and what they were refused.

Whoever serves calls tells it, once for each call that changes something or is
refused. A record holds names and numbers only: no text of a caller's is in it but
what the service has given out itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote

from app.identity import Caller
from app.ids import known_id
from app.logs import event_logger
from qdispatch.model import Cancellation, CancelVerdict

#: The logger of its records.
AUDIT: Final = "qdispatch.audit"

#: The most ids in one record; longer lines are cut by some collectors.
MOST_IDS: Final = 500

# In place of a verdict: the database did not say whether it went through.
_OPEN: Final = "open"

# As gRPC calls it.
_NOT_FOUND: Final = "NOT_FOUND"

_CODES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: _NOT_FOUND,
    405: "UNIMPLEMENTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """What a call has changed."""

    event: str
    """What it is called, such as "job.created"."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """What was changed: ids, names out of the settings, and numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedCall:
    """A call that was not answered."""

    method: str
    """What was called, such as "/qdispatch.v1.QDispatch/CreateJob"."""
    code: str
    """Why, such as "UNAUTHENTICATED"."""
    field: str = ""
    """The part of the request that is to blame; empty for none."""
    quota: str = ""
    """The quota that is used up; empty for none."""
    wanted: str = ""
    """The id of the job or the batch that was asked for; anything else counts as none."""
    missing: Sequence[str] = ()
    """Of many that were asked for, those that there are not; what is no id is counted."""


class Audit(Protocol):
    """Is told of what callers do."""

    def done(self, caller: Caller, deed: Deed) -> None:
        """Notes what somebody has done."""

    def refused(self, caller: Caller | None, peer: str, call: RefusedCall) -> None:
        """Notes what somebody was refused.

        Args:
            caller: Who; None if they were not let in.
            peer: Where the call came from.
            call: What it was.
        """


class LogAudit:
    """An audit that is part of the log: one line for each record."""

    def __init__(self) -> None:
        self._log = event_logger(AUDIT).bind()

    def done(self, caller: Caller, deed: Deed) -> None:
        """Notes what somebody has done."""
        self._log.info(deed.event, **_who(caller, caller.peer), **deed.fields)

    def refused(self, caller: Caller | None, peer: str, call: RefusedCall) -> None:
        """Notes what somebody was refused."""
        what: dict[str, object] = {"method": call.method, "code": call.code}
        if call.field:
            what["field"] = call.field
        if call.quota:
            what["quota"] = call.quota
        # What is no id may be any text.
        if call.wanted and known_id(call.wanted):
            what["id"] = _id(call.wanted)
        if call.missing:
            what["not_found"] = len(call.missing)
            what["ids"] = [_id(each) for each in call.missing if known_id(each)]
        self._log.warning("call.refused", **_who(caller, peer), **what)


def job_created(job_id: str, target: str) -> Deed:
    """A job was accepted; also if it had been before, under the same request_id."""
    return Deed(event="job.created", fields={"job_id": job_id, "target": target})


def batch_created(batch_id: str, number: int) -> Deed:
    """So many jobs were accepted together."""
    return Deed(event="batch.created", fields={"batch_id": batch_id, "number": number})


def job_canceled(job_id: str, verdict: CancelVerdict | None) -> Deed:
    """Somebody has canceled a job, or come too late for it; None if that is open."""
    verdict_name = _OPEN if verdict is None else verdict.value
    return Deed(event="job.canceled", fields={"job_id": _id(job_id), "verdict": verdict_name})


def batch_canceled(batch_id: str, ends: Iterable[CancelVerdict], n_open: int = 0) -> Deed:
    """Somebody has canceled a batch.

    Args:
        batch_id: The batch.
        ends: The verdicts.
        n_open: Of how many jobs more it is open whether they were canceled.
    """
    counts = _counted(ends) | ({_OPEN: n_open} if n_open else {})
    return Deed(event="batch.canceled", fields={"batch_id": _id(batch_id), **counts})


def jobs_canceled(ends: Sequence[Cancellation]) -> Iterator[Deed]:
    """Somebody has canceled many jobs: which, and how many at each verdict.

    Yields:
        One deed for each `MOST_IDS` of those that there are.
    """
    found = [each for each in ends if each.verdict is not CancelVerdict.NOT_FOUND]
    for piece in _pieces(found):
        fields = _counted(each.verdict for each in piece)
        yield _many_canceled(fields, [each.id for each in piece])


def jobs_left_open(job_ids: Sequence[str]) -> Iterator[Deed]:
    """Somebody wanted many jobs canceled, and whether they were is open."""
    for piece in _pieces(job_ids):
        yield _many_canceled({_OPEN: len(piece)}, piece)


def jobs_not_found(method: str, ends: Sequence[Cancellation]) -> Iterator[RefusedCall]:
    """Somebody wanted jobs canceled that there are not: which.

    Yields:
        One refusal for each `MOST_IDS` of them, as if they had been asked for one by one.
    """
    missing = [each.id for each in ends if each.verdict is CancelVerdict.NOT_FOUND]
    for piece in _pieces(missing):
        yield RefusedCall(method=method, code=_NOT_FOUND, missing=piece)


def job_deleted(job_id: str) -> Deed:
    """Somebody has deleted a job."""
    return Deed(event="job.deleted", fields={"job_id": _id(job_id)})


def _id(text: str) -> str:
    # As it was asked for it may have blanks, or a line break.
    return str(known_id(text))


def _many_canceled(counts: Mapping[str, int], job_ids: Iterable[str]) -> Deed:
    return Deed(event="jobs.canceled", fields={**counts, "job_ids": list(map(_id, job_ids))})


def _pieces(some: Sequence[T]) -> Iterator[Sequence[T]]:
    return (some[at : at + MOST_IDS] for at in range(0, len(some), MOST_IDS))


def _counted(ends: Iterable[CancelVerdict]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for verdict in ends:
        counts[verdict.value] = counts.get(verdict.value, 0) + 1
    return counts


def _who(caller: Caller | None, peer: str) -> dict[str, str]:
    # gRPC writes the brackets of an IPv6 address as %5B and %5D.
    where = unquote(peer) if "%" in peer else peer
    if caller is None:
        return {"peer": where}
    if caller.token_id:
        return {"owner": caller.owner, "token_id": caller.token_id, "peer": where}
    return {"owner": caller.owner, "peer": where}


def peer_name(host: str, port: int) -> str:
    """Where something came from, as gRPC writes it."""
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"


def code_of_http(status: int) -> str:
    """What gRPC calls a status of HTTP, such as 404; "HTTP_" and the status if nothing."""
    return _CODES.get(status, f"HTTP_{status}")
