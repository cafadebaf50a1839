"""Sends requests to a fuzzed server in a process of its own, many at once."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

from tests.fuzz.calling import PATIENCE_S, Caller
from tests.fuzz.known import Known
from tests.fuzz.places import scratch
from tests.fuzz.report import Report
from tests.fuzz.requests import Request, Requests
from tests.fuzz.verdict import Judge
from tests.services.together import Services

_AT_ONCE: Final = 48
_SLOW_S: Final = 20.0
_LOOKS: Final = 16
#: What a server may have grown by over a run, in bytes, once it has seen everything.
MOST_GROWTH: Final = 100 * 2**20

_ROOT: Final = Path(__file__).resolve().parents[2]


class Fuzzed:
    """The process that is fuzzed.

    Args:
        process: Of `tests.fuzz.service`.
        log: What it says besides.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        ready = self._hear()
        self.ports: tuple[int, int] = (ready["guarded"], ready["open"])
        self.tokens: Mapping[str, str] = ready["tokens"]

    def memory(self) -> int:
        """What it has, in bytes."""
        self._tell("look")
        return int(self._hear()["memory"])

    def end(self) -> Mapping[str, Any]:
        """Stops it; gives what it says of itself."""
        self._tell("end")
        said = self._hear() | self._hear()
        self._process.wait(PATIENCE_S)
        return said | {"exit": self._process.returncode}

    def _tell(self, word: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            code = self._process.wait(PATIENCE_S)
            raise RuntimeError(
                f"the server ended, exit code {code}: {self._log.read_text()[-4000:]}"
            )
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def fuzzed_server(
    folder: Path, *, coverage: Path | None = None, database_url: str = ""
) -> Iterator[Fuzzed]:
    """A server to be fuzzed.

    Args:
        folder: For its files; best where nothing waits for a disk.
        database_url: An empty database; none for a file in that folder.
        coverage: Where to keep which of its branches were taken; None not to note them.
    """
    noting = []
    if coverage is not None:
        noting = ["-m", "coverage", "run", "--branch", "--source=rpc,app"]
        noting += [f"--data-file={coverage}"]
    command = [sys.executable, *noting, "-m", "tests.fuzz.service", str(folder), database_url]
    path = folder / "server.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield Fuzzed(process, path)
        finally:
            process.kill()
            process.communicate()


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database of PostgreSQL."""
    services = Services()
    try:
        services.started("postgresql")
        yield services.postgresql.create_database()
    finally:
        services.stop()


def fuzz(
    count: int,
    seed: int,
    findings: Path,
    *,
    coverage: Path | None = None,
    on_postgresql: bool = False,
    tell: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Sends so many requests; says what came of it.

    Args:
        count: How many.
        seed: The same one sends the same, but for ids that the server has made.
        findings: Where to keep inputs that found something.
        coverage: See `fuzzed_server`.
        on_postgresql: Whether the jobs are in PostgreSQL.
        tell: Told now and then of how it goes.
    """
    report = Report(folder=findings)
    with ExitStack() as ends:
        folder = Path(
            ends.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-", dir=scratch()))
        )
        url = ends.enter_context(postgresql()) if on_postgresql else ""
        with fuzzed_server(folder, coverage=coverage, database_url=url) as server:
            asyncio.run(_send(server, count, seed, report, tell))
            said = server.end()
        report.end(_of_server(said, report))
    return report


def replay(request: Request) -> Report:
    """Sends one request that was saved."""
    report = Report(folder=Path())

    async def send(server: Fuzzed) -> None:
        async with Caller(server.ports) as caller:
            known = dict(request.metadata)
            if request.caller in server.tokens:
                known["authorization"] = f"Bearer {server.tokens[request.caller]}"
            sent = Request(
                method=request.method,
                source=request.source,
                caller=request.caller,
                messages=request.messages,
                metadata=tuple(known.items()),
            )
            ended = await caller.call(sent)
            report.add(sent, ended)
            report.end(Judge(Known(random.Random(0)), _SLOW_S).problems(sent, ended))

    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=scratch()) as folder:
        with fuzzed_server(Path(folder)) as server:
            asyncio.run(send(server))
            report.end(_of_server(server.end(), report))
    return report


async def _send(
    server: Fuzzed, count: int, seed: int, report: Report, tell: Callable[[Report], None]
) -> None:
    known = Known(random.Random(seed + 1))
    requests = Requests(random.Random(seed), known, server.tokens)
    judge = Judge(known, _SLOW_S)
    began = monotonic()
    looks = iter(range(1, _LOOKS + 1))
    look_at = next(looks) * count // _LOOKS

    async def work(caller: Caller) -> None:
        nonlocal look_at
        while report.count + under_way[0] < count:
            under_way[0] += 1
            request = requests.draw()
            try:
                ended = await caller.call(request)
            finally:
                under_way[0] -= 1
            report.add(request, ended)
            for problem in judge.problems(request, ended):
                report.find(request, problem)
            if report.count >= look_at:
                look_at = next(looks, 2 * _LOOKS) * count // _LOOKS
                report.memory.append(await asyncio.to_thread(server.memory))
                report.took_s = monotonic() - began
                tell(report)

    under_way = [0]
    async with Caller(server.ports) as caller, asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work(caller))
    report.took_s = monotonic() - began


def _of_server(said: Mapping[str, Any], report: Report) -> Iterator[str]:
    yield from said["problems"]
    yield from (f"logged as an error: {text}" for text in said["texts"])
    if said["threads"]:
        yield f"threads are left: {said['threads']}"
    if said["exit"]:
        yield f"the server ended with exit code {said['exit']}"
    report.memory.append(said["memory"])
    # What is imported and cached early does not count.
    warm = report.memory[len(report.memory) // 4]
    if report.memory[-1] > warm + MOST_GROWTH:
        yield f"the server grew from {warm >> 20} to {report.memory[-1] >> 20} MiB"
