"""Every error of qdispatch.

QDispatchError
|- ConfigurationError      the client is set up wrongly; nothing was sent
|- CircuitError            the circuit cannot be carried; nothing was sent
|- RequestError            the server refused; mend the request
|  |- InvalidJobError      a field is wrong; `field` names it
|  |- UnknownTargetError   no target of that name
|  |- JobNotFoundError     no job of that id
|  |- BatchNotFoundError   no batch of that id
|  |- RequestConflictError the request_id stands for another job
|  |- TargetDrainedError   the target accepts no more jobs for now
|  |- JobActiveError       the job is not final yet, and must be for this
|  |- TooLargeError        over a size limit; the message says which
|  |- QuotaError           over a quota; `quota` says which, and when to come back
|  `- AuthenticationError  the server does not know who calls
|- UnavailableError        nobody answered, or a part is away; try again
|  `- HandshakeError       client and server do not agree on TLS; mend that first
|- ServerError             a defect of the service; its log tells more
|  `- UnimplementedError   the server is older than this call; upgrade it
|- WaitTimeoutError        the job goes on, the waiting has ended
`- JobEndedError           there are no results; `info` tells the story
   |- JobFailedError       `info.error` says why
   `- JobCanceledError
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from qdispatch.model import JobInfo


class QDispatchError(Exception):
    """The root of all errors of qdispatch."""


class ConfigurationError(QDispatchError, ValueError):
    """The client is set up wrongly: its address, its token or its certificates."""


class CircuitError(QDispatchError):
    """A circuit cannot be carried faithfully; nothing was sent.

    Attributes:
        gate: Name of the gate, parameter or construct at fault, or "".
    """

    def __init__(self, message: str, *, gate: str = "") -> None:
        super().__init__(message)
        self.gate = gate


class RequestError(QDispatchError):
    """The server refused a request; it will refuse it again as it is.

    Attributes:
        field: Path of the field at fault, such as "spec.shots", or "".
        message: What is wrong and what is allowed.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(_text(message, field))
        self.message = message
        self.field = field

    def moved(self, field: str) -> Self:
        """The same error, about another field."""
        error = copy(self)
        error.field = field
        error.args = (_text(self.message, field),)
        return error


def _text(message: str, field: str) -> str:
    return f"{field}: {message}" if field else message


class InvalidJobError(RequestError):
    """A field of the job is wrong."""


class UnknownTargetError(RequestError):
    """No target has that name."""


class JobNotFoundError(RequestError):
    """No job has that id."""


class BatchNotFoundError(RequestError):
    """There is no batch of that id."""


class RequestConflictError(RequestError):
    """The request_id stands for a job with other content."""


class TargetDrainedError(RequestError):
    """The target is being drained by its operators: it accepts no more jobs."""


class JobActiveError(RequestError):
    """The job is not final yet; cancel it first, or wait."""


class TooLargeError(RequestError):
    """A message or a program is over a size limit."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A limit that was met."""

    name: str
    """Its name in the server's settings, such as "jobs_in_flight"."""
    limit: float
    """The most there may be."""
    use: float
    """What is used of it, with what the call asked for."""
    retry_after_s: float | None = None
    """When to come back, in seconds from the refusal; None if waiting does not help."""

    def __str__(self) -> str:
        return f"{self.name} ({self.use:,.12g} of {self.limit:,.12g})"


class QuotaError(RequestError):
    """A quota is used up.

    Attributes:
        quota: Which one, and when to come back; None if the server did not say.
    """

    def __init__(self, message: str, *, field: str = "", quota: Quota | None = None) -> None:
        super().__init__(message, field=field)
        self.quota = quota


class AuthenticationError(RequestError):
    """The server does not know who calls: there is no token, or it is not valid (any more)."""


class UnavailableError(QDispatchError):
    """The server, or a part that it needs, is away; the same call may go through later."""


class HandshakeError(UnavailableError):
    """Client and server do not agree on encryption or certificates; the message says on what."""


class ServerError(QDispatchError):
    """A defect of the service."""


class UnimplementedError(ServerError):
    """The server does not offer this call: it is of an older version."""


class WaitTimeoutError(QDispatchError, TimeoutError):
    """The job, or the batch, is not final yet; it goes on."""


class JobEndedError(QDispatchError):
    """A job has ended without results.

    Attributes:
        info: The job.
    """

    def __init__(self, message: str, info: JobInfo) -> None:
        super().__init__(message)
        self.info = info


class JobFailedError(JobEndedError):
    """A job has failed; ``info.error`` says why."""


class JobCanceledError(JobEndedError):
    """A job was canceled."""
