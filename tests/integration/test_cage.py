"""What an engine may have and reach, even if a program has made it its own.

The code that is run here stands for what a hole in native code would let a program do.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from app.jobs import Failed, Finished
from app.settings import PROJECT
from qdispatch.model import ErrorKind, JobSpec
from tasks import landlock, seccomp
from tasks.engine import Engine, Exited
from tasks.pipe import SPAWN
from tests.integration.test_engine import (
    LIMITS,
    Connect,
    ForkServerProcess,
    Serve,
    alive,
    connect,
    do,
    engine,
    outcome_of,
    plugin,
    serve,
    shared,
)
from tests.services.process import wait_until
from tests.world import bell

__all__ = ["connect", "engine", "plugin", "serve", "shared"]

MIB = 2**20

walled = pytest.mark.skipif(not landlock.version(), reason="the kernel has no Landlock")
filtered = pytest.mark.skipif(not seccomp.available(), reason="the kernel has no such filters")


def captured(code: str) -> JobSpec:
    return bell(extra=json.dumps({"do": "captured", "code": code}))


def said(engine: Engine, code: str) -> str:
    """What code says in the engine; the name of the exception, if it ends with one."""
    outcome = outcome_of(engine, captured(code))
    assert isinstance(outcome, Failed)
    return outcome.message


# -- what it cannot reach


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of somebody who listens on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@walled
@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        f"open({str(PROJECT / 'settings.toml')!r}).read()",
        f"__import__('os').listdir({str(PROJECT)!r})",
        f"open({str(PROJECT / 'tasks' / 'cage.py')!r}, 'a')",
        "__import__('os').listdir('..')",
        "open('/proc/self/oom_score_adj', 'w')",
        f"open('/proc/{os.getpid()}/environ').read(1)",
        f"__import__('os').kill({os.getpid()}, 0)",
        "__import__('os').execv('/bin/true', ['true'])",
        "__import__('os').symlink('/etc/passwd', 'link')",
        "__import__('os').mkfifo('pipe')",
        "open('/proc/self/net/unix')",
    ],
    ids=[
        "system", "settings", "project", "code", "neighbours", "score", "environment", "signal",
        "execute", "link", "fifo", "connections",
    ],
)  # fmt: skip
def test_what_is_beyond_its_reach(engine: Engine, code: str) -> None:
    assert "PermissionError" in said(engine, code)


@filtered
@pytest.mark.parametrize(
    "code",
    [
        "s.socket(s.AF_UNIX, s.SOCK_SEQPACKET).connect('../fork-server')",
        "s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
        "s.socketpair()",
        "o.fork() or o._exit(0)",
        "o.posix_spawn('/bin/true', ['true'], {})",
        "__import__('resource').prlimit(o.getppid(), 0, (1, 1))",
        "__import__('resource').prlimit(o.getppid(), 0)",
        "o.setpriority(o.PRIO_PROCESS, o.getppid(), 19)",
        "o.sched_setaffinity(o.getppid(), {0})",
        "o.kill(0, 0)",
        "__import__('fcntl').fcntl(0, 8, o.getppid())",
        "o.chmod('..', 0o777)",
        "o.fchmod(o.open('.', 0), 0o777)",
        "o.setxattr('..', 'user.mine', b'yes')",
        "o.utime('..')",
        "o.truncate('../fork-server', 0)",
    ],
    ids=[
        "fork-server", "datagram", "pair", "fork", "spawn", "limits", "look-at-limits", "priority",
        "processors", "group", "owner", "mode", "mode-of-open", "attribute", "times", "truncate",
    ],
)  # fmt: skip
def test_calls_that_no_simulation_needs_are_refused(engine: Engine, code: str) -> None:
    modules = "*map(__import__, ('os', 'socket'))"
    assert "PermissionError" in said(engine, f"(lambda o, s: {code})({modules})")


@filtered
def test_a_simulator_is_given_calls_by_name(serve: Serve, connect: Connect) -> None:
    server = serve(limits=replace(LIMITS, calls=("clone",)))
    engine = connect(server)
    child = said(engine, "__import__('os').fork() or __import__('time').sleep(600)")
    process = psutil.Process(int(child))
    # What it has started with them goes with it.
    engine.kill()
    assert wait_until(lambda: not alive(process), 10)


def test_calls_of_an_unknown_name_end_the_start(serve: Serve) -> None:
    server = serve(limits=replace(LIMITS, calls=("clone", "fly")))
    assert server.process.wait(60) == 1
    assert "no such calls are refused: fly" in server.log.read_text()


@pytest.mark.parametrize(
    ("message", "descriptors", "logged"),
    [
        (SPAWN, 0, True), (SPAWN, 2, True), (b"spawn!", 1, True), (SPAWN + bytes(5000), 1, True),
        (b"", 0, False),
    ],
    ids=["none", "two", "other", "long", "empty"],
)  # fmt: skip
def test_what_is_no_request_ends_its_connection_only(
    engine: Engine, shared: ForkServerProcess, message: bytes, descriptors: int, logged: bool
) -> None:
    engine.start()
    neighbour = shared.engine().pid
    before = shared.log.stat().st_size
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.settimeout(30)
        control.connect(str(shared.address))
        socket.send_fds(control, [message], [0] * descriptors)
        assert control.recv(1) == b""
    assert ("what came by it is no request" in shared.log.read_text()[before:]) == logged
    assert isinstance(outcome_of(engine, do("count")), Finished)
    assert shared.engine().pid == neighbour


def test_a_connection_has_one_engine(shared: ForkServerProcess, engine: Engine) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.settimeout(30)
        control.connect(str(shared.address))
        told = []
        for _ in range(2):
            socket.send_fds(control, [SPAWN], [theirs.fileno()])
            told.append(json.loads(control.recv(4096))["spawned"])
        assert wait_until(lambda: [each.pid for each in shared.engines()] == told[1:], 10)


def test_a_process_of_another_session_is_not_served(
    engine: Engine, shared: ForkServerProcess
) -> None:
    """As an engine is one, should the kernel let it connect."""
    engine.start()
    pid = shared.engine().pid
    # It is told of before it has done so, and before it reads anything.
    assert wait_until(lambda: os.getsid(pid) == pid, 30)
    code = (
        "import socket, sys;"
        "control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
        "control.connect(sys.argv[1]);"
        "sys.exit(len(control.recv(1)))"
    )
    command = [sys.executable, "-S", "-c", code, str(shared.address)]
    subprocess.run(command, check=True, start_new_session=True, timeout=60)
    assert wait_until(lambda: "it is not served" in shared.log.read_text(), 30)


@walled
def test_the_network_is_beyond_its_reach(engine: Engine, listener: int) -> None:
    code = f"__import__('socket').create_connection(('127.0.0.1', {listener}))"
    assert "PermissionError" in said(engine, code)


def test_what_it_runs_with(engine: Engine, shared: ForkServerProcess) -> None:
    outcome_of(engine, do("count"))
    process = shared.engine()
    folder = Path(f"/proc/{process.pid}")
    private = Path(process.cwd())
    assert private.parent == shared.address.parent
    assert private.stat().st_mode & 0o777 == 0o700
    open_files = {int(each.name): os.readlink(each) for each in (folder / "fd").iterdir()}  # noqa: PTH115
    assert open_files.pop(0) == "/dev/null"
    # The log, twice; the end of its pipe; and what it measures its memory by.
    assert {open_files.pop(1), open_files.pop(2)} <= {
        str(shared.log),
        os.readlink(f"/proc/{shared.process.pid}/fd/1"),  # noqa: PTH115
    }
    assert sorted(each.partition(":")[0] for each in open_files.values()) == [
        f"/proc/{process.pid}/clear_refs",
        f"/proc/{process.pid}/statm",
        f"/proc/{process.pid}/statm",
        f"/proc/{process.pid}/status",
        "socket",
    ]
    assert "NoNewPrivs:\t1" in (folder / "status").read_text()
    if seccomp.available():
        assert "Seccomp:\t2" in (folder / "status").read_text()
    assert said(engine, "__import__('os').umask(0o077)") == "63"
    # One byte: no dump, and nobody is started to take one.
    assert process.rlimit(resource.RLIMIT_CORE) == (1, 1)
    assert process.rlimit(resource.RLIMIT_FSIZE) == (LIMITS.max_result_bytes + MIB,) * 2
    assert process.rlimit(resource.RLIMIT_NOFILE) == (64, 64)


@pytest.mark.parametrize("end", ["idle", "crash", "kill"])
def test_its_folder_goes_with_it(engine: Engine, shared: ForkServerProcess, end: str) -> None:
    assert isinstance(outcome_of(engine, do("write", 1)), Finished)
    folder = Path(shared.engine().cwd())
    assert (folder / "left").stat().st_mode & 0o777 == 0o600
    if end == "crash":
        engine.submit(do("crash"))
        assert isinstance(engine.wait(60), Exited)
    elif end == "kill":
        engine.kill()
    engine.close()
    assert wait_until(lambda: not folder.exists(), 10)


# -- what it may have


@pytest.mark.parametrize("action", ["map", "ask"])
def test_memory_that_it_may_not_have_is_not_given(
    engine: Engine, shared: ForkServerProcess, action: str
) -> None:
    engine.start()
    first = shared.engine().pid
    # More than this machine has; what is never touched is counted as well.
    outcome = outcome_of(engine, do(action, 2**20))
    assert isinstance(outcome, Failed)
    assert outcome.kind is ErrorKind.OUT_OF_MEMORY
    assert "1.0 GiB" in outcome.message
    assert isinstance(outcome_of(engine, do("take", 900)), Finished)
    assert shared.engine().pid == first


def test_processor_time_beyond_its_limit_ends_it(engine: Engine, shared: ForkServerProcess) -> None:
    # What it has used before is not this job's.
    assert isinstance(outcome_of(engine, do("count", time_limit_s=0.01)), Finished)
    soft, hard = shared.engine().rlimit(resource.RLIMIT_CPU)
    assert 1 < soft <= 10
    assert hard == resource.RLIM_INFINITY
    engine.submit(do("spin", time_limit_s=0.01))
    exited = engine.wait(60)
    assert isinstance(exited, Exited)
    assert exited.signal == signal.SIGXCPU
    assert isinstance(outcome_of(engine, do("count")), Finished)


def test_a_file_beyond_its_limit_ends_it(engine: Engine) -> None:
    assert isinstance(outcome_of(engine, do("write", 60)), Finished)
    engine.submit(do("write", 66))
    exited = engine.wait(60)
    assert isinstance(exited, Exited)
    assert exited.signal == signal.SIGXFSZ


def test_files_beyond_its_number_fail_the_job(engine: Engine) -> None:
    code = "[open('/dev/null') for _ in range(100)]"
    assert "OSError" in said(engine, code)
    assert isinstance(outcome_of(engine, do("count")), Finished)


@pytest.mark.parametrize("simulator", ["aer", "cirq", "pennylane"])
def test_memory_that_is_not_there_fails_the_job(
    serve: Serve, connect: Connect, simulator: str
) -> None:
    """Whatever an SDK makes of it: one raises, one returns a status, one would die."""
    server = serve(simulator)
    engine = connect(server)
    n_qubits = 23
    lines = "".join(f"ry(0.3) q[{a}];cx q[{a}],q[{(a + 7) % n_qubits}];" for a in range(n_qubits))
    wide = bell(
        program=f'OPENQASM 2.0;include "qelib1.inc";qreg q[{n_qubits}];creg c[1];'
        + lines
        + "measure q[0]->c[0];",
        n_qubits=n_qubits,
        extra=json.dumps({"method": "statevector"}),
    )
    assert isinstance(outcome_of(engine, bell()), Finished)
    process = server.engine()
    mapped = psutil.Process(process.pid).memory_info().vms
    # Its estimate, 64 or 128 MiB, is far below the target's limit.
    process.rlimit(resource.RLIMIT_AS, (mapped + 32 * MIB,) * 2)
    outcome = outcome_of(engine, wide)
    assert isinstance(outcome, Failed)
    assert outcome.kind is ErrorKind.OUT_OF_MEMORY
    assert "MiB" in outcome.message
    assert isinstance(outcome_of(engine, bell()), Finished)
    assert server.engine().pid == process.pid
