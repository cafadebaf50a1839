"""What all commands share: the connection, the two ways to show things, and the ends."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NoReturn

import typer
from rich.console import Console, RenderableType

from qdispatch.cli.config import Connection, Flags, find_connection
from qdispatch.cli.documents import Document
from qdispatch.cli.exits import Exit, code_of
from qdispatch.errors import (
    AuthenticationError,
    HandshakeError,
    JobNotFoundError,
    QDispatchError,
    QuotaError,
)

if TYPE_CHECKING:
    from qdispatch.client import Client

_NO_FLAGS: Final = Flags()
#: The flags that stand before the command, and hold for all of them.
before_the_command: Final[ContextVar[Flags]] = ContextVar("flags", default=_NO_FLAGS)


class _Console(Console):
    """A console that ends quietly when nobody reads any more, as in ``qdispatch jobs | head``."""

    def on_broken_pipe(self) -> None:
        leave_pipe()


def leave_pipe() -> NoReturn:
    """Ends the command because its output has been closed."""
    # Python would complain at its end that it cannot flush.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(Exit.PIPE_CLOSED)


class _Notes(logging.Handler):
    """Has what the client tells on the way said by the command."""

    def __init__(self, opened: Session) -> None:
        super().__init__()
        self._opened = opened

    def emit(self, record: logging.LogRecord) -> None:
        self._opened.note(record.getMessage())


class Session:
    """One run of a command.

    Args:
        address: What ``--address`` says.
        as_json: Whether standard output gets one JSON document and nothing else.

    Attributes:
        out: Standard output.
        err: Standard error: notes, errors and progress.
        pick_up: The command that picks up what goes on after an interruption.
    """

    def __init__(self, address: str | None, *, as_json: bool = False) -> None:
        self._address = address
        self.as_json = as_json
        self.out = _Console(highlight=False, markup=False, emoji=False)
        self.err = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.pick_up = ""
        self.code = Exit.OK
        self._notes = _Notes(self)

    @cached_property
    def connection(self) -> Connection:
        """Where the server is, and what it is shown."""
        return find_connection(replace(before_the_command.get(), address=self._address))

    @cached_property
    def client(self) -> Client:
        """The connection, made when it is first needed."""
        from qdispatch.client import Client
        from qdispatch.room import log

        client = Client(self.connection.address, **self.connection.options)
        log.addHandler(self._notes)
        log.propagate = False
        return client

    @property
    def is_live(self) -> bool:
        """Whether a person watches, so that lines may be drawn over."""
        return self.err.is_terminal and not self.as_json

    def show(self, view: RenderableType, document: Document) -> None:
        """Shows the one thing that the command is for."""
        if self.as_json:
            self.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        elif self.out.is_terminal:
            self.out.print(view)
        else:
            # Tables are filled up with spaces, which are of no use in a file.
            with self.out.capture() as captured:
                self.out.print(view)
            lines = captured.get().splitlines()
            self.write("".join(f"{line.rstrip()}\n" for line in lines))

    def write(self, text: str) -> None:
        """Writes text as it is."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            leave_pipe()

    def note(self, text: str) -> None:
        """Says something on the side."""
        self.err.print(text, style="dim")

    def complain(self, message: str, document: Document) -> None:
        """Says why the command did not do what it is for."""
        if self.as_json:
            self.write(json.dumps({"error": document}, indent=2, ensure_ascii=False) + "\n")
        self.err.print(f"qdispatch: {message}", style="red")

    def close(self) -> None:
        """Ends the connection."""
        if "client" in vars(self):
            from qdispatch.room import log

            log.removeHandler(self._notes)
            log.propagate = True
            self.client.close()


@contextmanager
def session(address: str | None, *, as_json: bool = False) -> Iterator[Session]:
    """A session whose errors become messages and exit codes.

    Raises:
        typer.Exit: With the code, unless it is 0.
    """
    opened = Session(address, as_json=as_json)
    try:
        yield opened
    except QDispatchError as error:
        code = code_of(error)
        message = _with_advice(error, code, opened)
        document: Document = {
            "type": type(error).__name__,
            "message": str(error),
            "field": getattr(error, "field", "") or None,
            "exit_code": int(code),
        }
        if isinstance(error, QuotaError) and error.quota is not None:
            document["quota"] = asdict(error.quota)
        opened.complain(message, document)
        raise typer.Exit(code) from error
    except KeyboardInterrupt as error:
        opened.err.print()
        opened.note(
            f"Interrupted. It goes on; pick it up with: qdispatch {opened.pick_up}"
            if opened.pick_up
            else "Interrupted."
        )
        raise typer.Exit(Exit.INTERRUPTED) from error
    finally:
        opened.close()
    if opened.code is not Exit.OK:
        raise typer.Exit(opened.code)


def _with_advice(error: QDispatchError, code: Exit, opened: Session) -> str:
    message = str(error)
    if isinstance(error, JobNotFoundError):
        return f"{message}. A batch is looked at with: qdispatch watch --batch ID"
    pick_up = f"; pick it up with: qdispatch {opened.pick_up}" if opened.pick_up else ""
    if code is Exit.TIMED_OUT:
        return message + pick_up
    if isinstance(error, AuthenticationError) and opened.connection.left_out:
        return (
            f"{message}. What is in {opened.connection.left_out} is not shown to this server: it"
            " is for the address that stands there"
        )
    if code is Exit.UNAVAILABLE and not isinstance(error, HandshakeError):
        advice = "Is it running? Another one: --address HOST:PORT, or QDISPATCH_ADDRESS"
        return f"{message}. {advice}{pick_up}"
    return message
