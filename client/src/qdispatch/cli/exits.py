"""How the command ends: codes for scripts, and words for people."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from qdispatch import errors


class Exit(IntEnum):
    """What the command returns to the shell."""

    OK = 0
    ENDED = 1
    """A job failed or was canceled, or could not be canceled any more."""
    USAGE = 2
    """The command line, the configuration, a file or a circuit is wrong; nothing was sent."""
    REFUSED = 3
    """The server refuses the request, has no such job, or is older than the command."""
    UNAVAILABLE = 4
    """The server does not answer."""
    TIMED_OUT = 5
    """The time to wait is over; the job goes on."""
    DEFECT = 6
    """A defect of the server or of this command."""
    UNAUTHENTICATED = 7
    """The server does not know who calls: the token is missing, or not valid (any more)."""
    INTERRUPTED = 130
    """Ctrl-C; what was submitted goes on."""
    PIPE_CLOSED = 141
    """Whoever reads the output has stopped reading."""


#: For the help; the same list is in docs/cli.md.
EPILOG: Final = (
    "Exit codes: 0 done; 1 a job failed or was canceled; 2 wrong usage, file or circuit; "
    "3 refused by the server; 4 server unavailable; 5 wait timed out; 6 a defect; "
    "7 token missing or not valid; 130 interrupted, jobs go on."
)


class InputError(errors.QDispatchError):
    """What the user gave to the command is wrong; the message says what to do."""


_CODES: Final[tuple[tuple[type[errors.QDispatchError], Exit], ...]] = (
    (errors.AuthenticationError, Exit.UNAUTHENTICATED),
    (errors.RequestError, Exit.REFUSED),
    (errors.UnavailableError, Exit.UNAVAILABLE),
    (errors.WaitTimeoutError, Exit.TIMED_OUT),
    (errors.JobEndedError, Exit.ENDED),
    (errors.UnimplementedError, Exit.REFUSED),
    (errors.ServerError, Exit.DEFECT),
)


def code_of(error: errors.QDispatchError) -> Exit:
    """The exit code of an error; all that happens before the server is asked is usage."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.USAGE)
