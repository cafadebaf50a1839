"""Processes that are always ended, however a run ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from typing import Any, Final

from tests.e2e.stack import LIFELINE, PROJECT

_STOP_S: Final = 20.0


class ProcessError(RuntimeError):
    """A process of the benchmark's ended, or said that it failed."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process, and where it logs."""

    process: subprocess.Popen[bytes]
    log_file: Path

    def log(self) -> str:
        """The end of what it said."""
        return self.log_file.read_text(errors="replace")[-2000:]

    def check(self) -> None:
        """Fails if it has ended.

        Raises:
            ProcessError: It has.
        """
        code = self.process.poll()
        if code is not None:
            raise ProcessError(f"it ended with code {code}:\n{self.log()}")


@contextmanager
def running(
    module: Sequence[str], log_file: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Runs `python -m MODULE ...`, and ends it.

    Args:
        module: Name of the module, and its arguments.
        log_file: For what it prints.
        environment: Its environment; this process' if not given.
    """
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", LIFELINE, str(os.getpid()), "-m", *module],
            env=dict(os.environ if environment is None else environment),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Running(process=process, log_file=log_file)
    finally:
        _end(process)


class Helper:
    """A process that is asked in lines of JSON, and answers each with one.

    Args:
        process: With pipes for its standard input and output.
        log_file: For what it says beside.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path) -> None:
        self._process = process
        self._log_file = log_file

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, timeout_s: float = 600.0, **question: object) -> Any:
        """Asks, and waits for the answer.

        Args:
            timeout_s: How long.
            question: What to ask.

        Raises:
            ProcessError: It failed, or ended.
            TimeoutError: It does not answer.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ProcessError("this process cannot be asked")
        try:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise ProcessError(f"a helper is gone:\n{self._log()}") from error
        if not select([stdout], [], [], timeout_s)[0]:
            raise TimeoutError(f"a helper does not answer within {timeout_s:g} s")
        line = stdout.readline()
        if not line:
            raise ProcessError(f"a helper ended:\n{self._log()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ProcessError(answer["error"])
        return answer["value"]

    def _log(self) -> str:
        return self._log_file.read_text(errors="replace")[-2000:]


@contextmanager
def helper(
    module: Sequence[str], log_file: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Helper]:
    """Runs `python -m MODULE ...` to be asked, and ends it; see `serve`."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", LIFELINE, str(os.getpid()), "-m", *module],
            env=dict(os.environ if environment is None else environment),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield Helper(process, log_file)
    finally:
        _end(process)


def serve(answer: Any) -> None:
    """The other side of a `Helper`: answers each line of the standard input.

    Args:
        answer: Called with what was asked, as keyword arguments; returns what
            JSON can carry.
    """
    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            said = {"value": answer(**json.loads(line))}
        except Exception as error:  # noqa: BLE001 - it is told to whoever has asked
            said = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
