"""Every error of qdispatch.

QDispatchError
|- CircuitError            the circuit cannot be carried; nothing was sent
|- RequestError            the server refused; mend the request
|  |- InvalidJobError      a field is wrong; `field` names it
|  |- UnknownTargetError   no target of that name
|  |- JobNotFoundError     no job of that id
|  |- BatchNotFoundError   no batch of that id
|  |- RequestConflictError the request_id stands for another job
|  |- TargetDrainedError   the target accepts no more jobs for now
|  |- JobActiveError       the job is not final yet, and must be for this
|  `- TooLargeError        over a size limit; the message says which
|- UnavailableError        nobody answered, or a part is away; try again
|- ServerError             a defect of the service; its log tells more
|  `- UnimplementedError   the server is older than this call; upgrade it
|- WaitTimeoutError        the job goes on, the waiting has ended
`- JobEndedError           there are no results; `info` tells the story
   |- JobFailedError       `info.error` says why
   `- JobCanceledError
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdispatch.model import JobInfo


class QDispatchError(Exception):
    """The root of all errors of qdispatch."""


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
        super().__init__(f"{field}: {message}" if field else message)
        self.message = message
        self.field = field


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


class UnavailableError(QDispatchError):
    """The server, or a part that it needs, is away; the same call may go through later."""


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
