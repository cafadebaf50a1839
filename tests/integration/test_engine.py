"""Engines as they are: real processes, behind a real fork server.

Their simulator is a third party's, found by the entry point of a distribution
that is put together here and added to the path.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from app.jobs import Failed, Finished
from app.settings import PROJECT, Settings, TargetSettings
from qdispatch.model import ErrorKind, JobSpec, ProgramFormat
from qdispatch.results_codec import decode_result
from qdispatch.v1 import qdispatch_pb2 as pb
from tasks.engine import (
    Engine,
    EngineError,
    Exited,
    ImpatientError,
    OverMemory,
    Progress,
    Signal,
)
from tasks.main_process import MainProcess
from tasks.simulate import SHARED_FROM, Limits
from tasks.slot import SlotPlan
from tasks.supervise import EngineSeam
from tests.services.process import wait_until
from tests.unit.test_fakes import (
    EngineMaker,
    test_a_job_starts_the_engine_after_a_kill,
    test_an_engine_answers,
    test_an_engine_says_why_a_job_failed_and_goes_on,
    test_an_engine_that_died_is_gone_until_it_is_started,
    test_an_engine_that_is_busy_can_be_killed,
)
from tests.world import bell

__all__ = [
    "test_a_job_starts_the_engine_after_a_kill",
    "test_an_engine_answers",
    "test_an_engine_says_why_a_job_failed_and_goes_on",
    "test_an_engine_that_died_is_gone_until_it_is_started",
    "test_an_engine_that_is_busy_can_be_killed",
]

PLUGIN = PROJECT / "tests" / "plugin"
LIMITS = Limits(threads=1, max_qubits=30, memory_limit_bytes=2**30, max_result_bytes=2**26)


def do(action: str, size: int = 0, **changes: object) -> JobSpec:
    return bell(extra=json.dumps({"do": action, "size": size}), **changes)


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed distribution that names a simulator."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(PLUGIN / "stub_simulator.py", folder)
    info = folder / "qdispatch_stub-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: qdispatch-stub\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[qdispatch.simulators]\nstub = stub_simulator:StubSimulator\n"
    )
    return folder


class ForkServerProcess:
    """A fork server in a process of its own."""

    def __init__(
        self, folder: Path, plugin: Path, simulator: str = "stub", limits: Limits = LIMITS
    ) -> None:
        self.address = folder / "fork-server"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tasks.forkserver",
                    str(self.address),
                    simulator,
                    json.dumps(asdict(limits)),
                    json.dumps({"form": "json", "times": True}),
                ],
                stdin=subprocess.PIPE,
                stderr=log,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(plugin)},
                cwd=PROJECT,
            )

    def engines(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def engine(self) -> psutil.Process:
        """The only engine there is."""
        (engine,) = self.engines()
        return engine

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


Serve = Callable[..., ForkServerProcess]


@pytest.fixture(scope="module")
def serve(plugin: Path) -> Iterator[Serve]:
    """Starts a fork server; a Unix socket's path may not be as long as pytest's are."""
    with ExitStack() as stack:

        def start(simulator: str = "stub", limits: Limits = LIMITS) -> ForkServerProcess:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qd-")))
            server = ForkServerProcess(folder, plugin, simulator, limits)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture(scope="module")
def shared(serve: Serve) -> ForkServerProcess:
    """One for the tests that leave it alone."""
    return serve()


@pytest.fixture
def connect() -> Iterator[Callable[[ForkServerProcess], Engine]]:
    """Makes the slot's side."""
    with ExitStack() as stack:

        def make(server: ForkServerProcess) -> Engine:
            wake_read, wake_write = os.pipe2(os.O_NONBLOCK)
            stack.callback(os.close, wake_read)
            stack.callback(os.close, wake_write)
            engine = Engine(server.address, wake_read)
            stack.callback(engine.close)
            return engine

        yield make


Connect = Callable[[ForkServerProcess], Engine]


@pytest.fixture
def engine(shared: ForkServerProcess, connect: Connect) -> Iterator[Engine]:
    """The only engine of the shared fork server."""
    assert wait_until(lambda: not shared.engines(), 10)
    return connect(shared)


@pytest.fixture
def make_engine(engine: Engine) -> EngineMaker:
    """For the suite that the scripted engine passes too."""

    def make(*_actions: str) -> EngineSeam:
        return engine

    return make


def outcome_of(engine: Engine, spec: JobSpec) -> Finished | Failed:
    engine.submit(spec)
    # A sweep on a busy machine has time to tell how far it is.
    while isinstance(outcome := engine.wait(60), Progress):
        pass
    assert isinstance(outcome, Finished | Failed), outcome
    return outcome


def alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


# -- answers


def test_a_plug_in_that_a_wheel_adds_runs_jobs(engine: Engine) -> None:
    outcome = outcome_of(engine, do("count", shots=7))
    assert isinstance(outcome, Finished)
    assert (outcome.method, outcome.simulator_version) == ("stub", "stub 1.0")
    assert outcome.method_reason == "there is no other"
    assert outcome.fingerprint == engine.fingerprint != ""
    assert outcome.parsing_s > 0
    assert outcome.simulating_s > 0
    assert outcome.peak_memory_bytes > 2**20
    (result,) = outcome.results
    assert (result.result_type, result.point) == ("counts", 0)
    assert decode_result(pb.Result.FromString(result.value)).counts == {"00": 7}


@pytest.mark.parametrize("n_bits", [4, 18])
def test_results_of_any_size_arrive_whole(engine: Engine, n_bits: int) -> None:
    outcome = outcome_of(engine, do("quasi", n_bits))
    assert isinstance(outcome, Finished)
    value = outcome.results[0].value
    # Small ones come through the pipe, large ones through shared memory.
    assert (len(value) > SHARED_FROM) == (n_bits == 18)
    quasi = decode_result(pb.Result.FromString(value)).quasi
    assert quasi is not None
    assert len(quasi) == 2**n_bits
    assert set(quasi.values()) == {2.0**-n_bits}


def test_a_large_program_arrives_whole(engine: Engine) -> None:
    program = bell().program + "x q[0];\n" * 1000 + "// " + "y" * 5_000_000
    assert isinstance(outcome_of(engine, do("count", program=program)), Finished)


def test_one_engine_runs_job_after_job(engine: Engine, shared: ForkServerProcess) -> None:
    outcome_of(engine, do("count"))
    pid = shared.engine().pid
    for action in ("refuse", "fail", "no_memory", "count"):
        outcome_of(engine, do(action))
    assert shared.engine().pid == pid


# -- processor time


def test_an_answer_tells_the_processor_time_of_its_job_alone(engine: Engine) -> None:
    # What a hypervisor takes counts as well; what came before would be far more.
    assert outcome_of(engine, do("burn", 1000)).cpu_s >= 1.0
    assert 0.1 <= outcome_of(engine, do("burn", 100)).cpu_s < 0.9
    # The least, too: its processor time has a limit, which makes the kernel's clock coarse.
    brief = [outcome_of(engine, do("count", time_limit_s=60)).cpu_s for _ in range(20)]
    assert 0.0 < min(brief) <= max(brief) < 0.9
    assert engine.cpu_s() == 0.0


def test_the_processor_time_of_a_job_that_is_killed_is_known_before(engine: Engine) -> None:
    outcome_of(engine, do("burn", 100))
    engine.submit(do("burn", 60_000))
    assert wait_until(lambda: engine.wait(0) is Signal.TIMEOUT and engine.cpu_s() >= 0.1, 30)
    engine.kill()
    assert engine.cpu_s() == 0.0


def test_the_processor_time_of_a_crash_is_told_by_the_fork_server(engine: Engine) -> None:
    outcome_of(engine, do("burn", 1000))
    engine.submit(do("burn_and_crash", 80))
    event = engine.wait(60)
    assert isinstance(event, Exited)
    # To the hundredth of a second in which the kernel tells what it took before.
    assert 0.07 <= event.cpu_s < 0.9


# -- sweeps


def sweep(action: str, n_points: int, size: int = 0) -> JobSpec:
    return do(
        action,
        size,
        program="OPENQASM 3.0; input float t; qubit[2] q; U(t, 0, 0) q;",
        program_format=ProgramFormat.OPENQASM3,
        parameters=("t",),
        parameter_values=tuple((float(point),) for point in range(n_points)),
    )


def test_a_sweep_has_a_result_for_each_point_and_tells_how_far_it_is(engine: Engine) -> None:
    engine.submit(sweep("nap", 6, 60))
    told: list[int] = []
    while isinstance(event := engine.wait(60), Progress):
        told.append(event.points_done)
    assert isinstance(event, Finished)
    assert [each.point for each in event.results] == list(range(6))
    # It takes longer than the time from one to the next.
    assert told
    assert told == sorted(set(told))
    assert set(told) <= set(range(1, 7))
    assert engine.wait(0) is Signal.TIMEOUT


def test_an_error_at_a_point_ends_a_sweep_and_names_it(engine: Engine) -> None:
    outcome = outcome_of(engine, sweep("refuse_later", 5, 3))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.message) == (ErrorKind.UNSUPPORTED, "point 3: no such gate")


# -- what goes wrong in a simulation


@pytest.mark.parametrize(
    ("spec", "kind", "says"),
    [
        (do("refuse"), ErrorKind.UNSUPPORTED, "no such gate"),
        (do("no_memory"), ErrorKind.OUT_OF_MEMORY, "1.0 GiB"),
        (do("too_deep"), ErrorKind.PROGRAM_INVALID, "nested"),
        (do("fail"), ErrorKind.INTERNAL, "ZeroDivisionError"),
        (do("count", program="qreg"), ErrorKind.PROGRAM_INVALID, ""),
        (
            do("count", program="x", program_format=ProgramFormat.OPENQASM3),
            ErrorKind.PROGRAM_INVALID,
            "",
        ),
        (
            do("count", program="OPENQASM 2.0; qreg q[31];"),
            ErrorKind.UNSUPPORTED,
            "31 qubits; this target takes at most 30",
        ),
    ],
)
def test_a_job_fails_with_its_kind(
    engine: Engine, spec: JobSpec, kind: ErrorKind, says: str
) -> None:
    outcome = outcome_of(engine, spec)
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind
    assert says in outcome.message
    assert outcome.simulator_version == "stub 1.0"


def test_an_unforeseen_error_is_told_to_the_log_only(
    engine: Engine, shared: ForkServerProcess
) -> None:
    outcome = outcome_of(engine, do("fail"))
    assert isinstance(outcome, Failed)
    assert "nobody's business" not in outcome.message
    assert "Traceback" not in outcome.message
    line = json.loads(shared.log.read_text().splitlines()[-1])
    # Where it happened, and what it is; what it says may quote the program.
    assert "stub_simulator.py" in line["exception"]
    assert line["exception"].endswith("\nZeroDivisionError")


# -- crashes and kills


@pytest.mark.parametrize(
    ("action", "exited", "says"),
    [
        ("crash", Exited(signal=signal.SIGSEGV, code=0), "killed by SIGSEGV"),
        ("exit", Exited(signal=0, code=3), "exit code 3"),
    ],
)
def test_an_engine_that_dies_in_a_job_says_of_what(
    engine: Engine, shared: ForkServerProcess, action: str, exited: Exited, says: str
) -> None:
    engine.start()
    first = shared.engine().pid
    engine.submit(do(action))
    event = engine.wait(60)
    assert event == exited
    assert str(event) == says
    assert isinstance(outcome_of(engine, do("count")), Finished)
    assert shared.engine().pid != first


@pytest.mark.parametrize(("size", "says"), [(0, "KeyError"), (1000, "does not end its answer")])
def test_an_engine_that_answers_nonsense_is_killed(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    size: int,
    says: str,
) -> None:
    monkeypatch.setattr("tasks.engine._ANSWER_S", 1)
    engine.kill()
    engine.submit(do("babble", size))
    assert engine.wait(60) == Exited(signal=signal.SIGKILL, code=0)
    (record,) = caplog.records
    assert says in record.getMessage()
    assert isinstance(outcome_of(engine, do("count")), Finished)


def test_an_engine_that_is_killed_from_outside(engine: Engine, shared: ForkServerProcess) -> None:
    engine.submit(do("sleep"))
    shared.engine().kill()
    assert engine.wait(60) == Exited(signal=signal.SIGKILL, code=0)


def test_an_engine_that_died_while_idle_is_not_noticed_by_the_next_job(
    engine: Engine, shared: ForkServerProcess
) -> None:
    engine.start()
    first = shared.engine()
    first.kill()
    assert wait_until(lambda: not alive(first), 10)
    assert isinstance(outcome_of(engine, do("count")), Finished)


def test_a_kill_ends_native_code_at_once(engine: Engine, shared: ForkServerProcess) -> None:
    engine.submit(do("sleep"))
    first = shared.engine()
    assert wait_until(lambda: first.status() == psutil.STATUS_SLEEPING, 10)
    engine.kill()
    # When this returns it is gone, and its memory is free.
    assert not alive(first)
    assert isinstance(outcome_of(engine, do("count")), Finished)


def test_killing_over_and_over_leaves_one_engine(engine: Engine, shared: ForkServerProcess) -> None:
    for _ in range(20):
        engine.submit(do("sleep"))
        engine.kill()
        engine.start()
    # The last one that was killed may not be reaped yet.
    assert wait_until(lambda: len(shared.engines()) == 1, 10)
    assert isinstance(outcome_of(engine, do("count")), Finished)


def test_a_wake_ends_the_wait_and_not_the_job(shared: ForkServerProcess) -> None:
    assert wait_until(lambda: not shared.engines(), 10)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK)
    engine = Engine(shared.address, wake_read)
    try:
        engine.start()
        process = shared.engine()
        process.suspend()
        engine.submit(do("count"))
        os.write(wake_write, b"!!!")
        assert engine.wait(60) is Signal.WOKEN
        process.resume()
        assert isinstance(engine.wait(60), Finished)
        assert engine.wait(0) is Signal.TIMEOUT
    finally:
        engine.close()
        os.close(wake_read)
        os.close(wake_write)


# -- who dies with whom


def test_an_engine_dies_with_its_slot_and_the_others_live(
    engine: Engine, shared: ForkServerProcess, connect: Connect
) -> None:
    engine.submit(do("sleep"))
    mine = shared.engine()
    other = connect(shared)
    assert isinstance(outcome_of(other, do("count")), Finished)
    engine.close()
    assert wait_until(lambda: not alive(mine), 10)
    assert isinstance(outcome_of(other, do("count")), Finished)


def test_all_engines_die_with_the_worker(serve: Serve, connect: Connect) -> None:
    server = serve()
    busy, idle = connect(server), connect(server)
    busy.submit(do("sleep"))
    idle.start()
    engines = server.engines()
    assert len(engines) == 2
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(10) == 0
    assert wait_until(lambda: not any(map(alive, engines)), 10)
    assert busy.wait(10) == Exited(signal=signal.SIGKILL, code=0, with_all=True)


def test_all_engines_die_with_a_fork_server_that_is_killed(serve: Serve, connect: Connect) -> None:
    server = serve()
    busy = connect(server)
    busy.submit(do("sleep"))
    engines = server.engines()
    server.process.kill()
    assert wait_until(lambda: not any(map(alive, engines)), 10)
    assert busy.wait(10) == Exited(signal=signal.SIGKILL, code=0, with_all=True)


def test_a_simulator_that_nobody_offers_ends_the_fork_server(serve: Serve) -> None:
    server = serve("no-such")
    assert server.process.wait(60) == 1
    log = server.log.read_text()
    assert "no simulator is called 'no-such'" in log
    assert "stub" in log
    assert "Traceback" not in log


def test_without_a_fork_server_there_is_no_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.engine._START_S", 0.0)
    with pytest.raises(EngineError, match="does not answer"):
        Engine(tmp_path / "nobody", 0).start()


# -- memory


@pytest.fixture
def small(shared: ForkServerProcess) -> Iterator[Engine]:
    """An engine whose jobs may take 200 MiB."""
    wake, end = os.pipe()
    engine = Engine(shared.address, wake, memory_limit_bytes=200 * 2**20)
    yield engine
    engine.close()
    os.close(wake)
    os.close(end)


def test_a_run_that_takes_too_much_is_noticed_inside_native_code(small: Engine) -> None:
    small.submit(do("grow", 300))
    event = small.wait(30)
    assert isinstance(event, OverMemory)
    assert 200 * 2**20 < event.taken_bytes <= event.peak_bytes
    assert event.limit_bytes == 200 * 2**20
    small.kill()
    assert isinstance(outcome_of(small, do("count")), Finished)


def test_the_memory_of_a_sweep_that_tells_much_is_looked_at(
    small: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.submit(do("nap", 60_000))
    # Whatever it takes from here on is too much, and it has always something to tell.
    monkeypatch.setattr(small, "_memory_limit_bytes", -1)
    monkeypatch.setattr(small, "_wait", lambda _timeout_s: Progress(points_done=1))
    assert isinstance(small.wait(30), OverMemory)
    small.kill()


def test_what_earlier_jobs_left_is_not_this_ones(small: Engine) -> None:
    for _ in range(3):
        assert isinstance(outcome_of(small, do("take", 150)), Finished)


@pytest.mark.parametrize(("size", "out_of_memory"), [(50, False), (190, True)])
def test_a_crash_close_to_the_limit_is_put_down_to_memory(
    small: Engine, shared: ForkServerProcess, size: int, out_of_memory: bool
) -> None:
    assert wait_until(lambda: not shared.engines(), 10)
    small.submit(do("grow", size))
    process = shared.engine()

    def has_seen_it() -> bool:
        assert small.wait(0) is Signal.TIMEOUT
        return small._peak_bytes - small._before_bytes > (size - 5) * 2**20

    assert wait_until(has_seen_it, 30)
    process.send_signal(signal.SIGSEGV)
    exited = small.wait(30)
    assert isinstance(exited, Exited)
    assert exited.signal == signal.SIGSEGV
    assert exited.out_of_memory is out_of_memory
    assert exited.peak_bytes > size * 2**20


def test_a_kill_by_the_kernel_for_want_of_memory_is_told_from_others(
    engine: Engine, shared: ForkServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = tmp_path / "vmstat"
    monkeypatch.setattr("tasks.memory._COUNTERS", counters)
    for after, out_of_memory in ((3, False), (4, True)):
        counters.write_text("nr_free_pages 1\noom_kill 3\n")
        engine.submit(do("sleep"))
        counters.write_text(f"nr_free_pages 1\noom_kill {after}\n")
        shared.engine().kill()
        exited = engine.wait(30)
        assert isinstance(exited, Exited)
        assert exited.out_of_memory is out_of_memory


# -- a fork server that is stopped


def test_an_engine_can_be_killed_while_its_fork_server_is_stopped(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    engine = connect(server)
    engine.submit(do("sleep"))
    process = server.engine()
    server.process.send_signal(signal.SIGSTOP)
    try:
        engine.kill()
        assert process.status() == psutil.STATUS_ZOMBIE
    finally:
        server.process.send_signal(signal.SIGCONT)
    # What it tells then is of the old one.
    assert isinstance(outcome_of(engine, do("count")), Finished)
    assert wait_until(lambda: not alive(process), 10)


def test_who_waits_for_a_fork_server_is_asked_whether_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.engine._ASK_S", 0.01)
    answers = iter([True, True, False])
    with pytest.raises(ImpatientError):
        Engine(tmp_path / "nobody", 0).start(lambda: next(answers))


def test_who_waits_for_a_fork_server_that_is_stopped_is_asked_too(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.engine._ASK_S", 0.01)
    server = serve()
    engine = connect(server)
    engine.start()
    engine.kill()
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(ImpatientError):
            engine.start(lambda: False)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert isinstance(outcome_of(engine, do("count")), Finished)


# -- what an engine is, and is not, given


def test_the_peak_of_memory_is_of_this_job(engine: Engine) -> None:
    small = outcome_of(engine, do("count")).peak_memory_bytes
    large = outcome_of(engine, do("take", 300)).peak_memory_bytes
    after = outcome_of(engine, do("count")).peak_memory_bytes
    assert large - small > 290 * 2**20
    assert abs(after - small) < 50 * 2**20


def test_an_engine_shares_what_the_fork_server_imported(
    engine: Engine, shared: ForkServerProcess
) -> None:
    outcome_of(engine, do("count"))
    memory = shared.engine().memory_full_info()
    assert memory.uss < memory.rss / 2


def test_an_engine_knows_no_database_and_no_broker(engine: Engine) -> None:
    outcome = outcome_of(engine, do("imported"))
    assert isinstance(outcome, Failed)
    assert outcome.message == ""


def test_an_engine_goes_first_when_memory_runs_out(
    engine: Engine, shared: ForkServerProcess
) -> None:
    outcome_of(engine, do("count"))
    adjusted = Path(f"/proc/{shared.engine().pid}/oom_score_adj").read_text()
    assert adjusted.strip() == "1000"


def test_an_engine_holds_no_file_of_the_fork_server_or_of_other_slots(
    engine: Engine, shared: ForkServerProcess, connect: Connect
) -> None:
    outcome_of(connect(shared), do("count"))
    outcome_of(engine, do("count"))
    for process in shared.engines():
        fds = Path(f"/proc/{process.pid}/fd")
        links = [os.readlink(fd) for fd in fds.iterdir()]  # noqa: PTH115
        # Its own end of the pipe to its slot, and nothing else that is connected.
        assert len([link for link in links if link.startswith("socket:")]) == 1


@contextmanager
def own_log_in(file: Path) -> Iterator[Path]:
    """Has what this process writes to its log go into a file.

    What pytest captures may lose what is written while it is looked at.
    """
    kept = os.dup(2)
    try:
        with file.open("ab") as log:
            os.dup2(log.fileno(), 2)
        yield file
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_a_worker_gives_its_engines_no_secret_and_passes_their_log_on(
    plugin: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    tmp_path: Path,
) -> None:
    secrets = {
        "QDISPATCH_DATABASE_URL": "postgresql+psycopg://me:hidden-1@nowhere/q",
        "QDISPATCH_BROKER_URL": "amqp://me:hidden-2@nowhere/q",
        "AWS_SECRET_ACCESS_KEY": "hidden-3",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(plugin))
    plan = SlotPlan(
        settings=settings,
        worker="stub@here",
        target="stub",
        concurrency=1,
        fork_server=Path(tempfile.mkdtemp(prefix="qd-")) / "fork-server",
        leaving=0,
        overdue=0,
    )
    with ExitStack() as ends:
        own_log = ends.enter_context(own_log_in(tmp_path / "log"))
        running = MainProcess(plan, TargetSettings(simulator="stub", threads=3), 0)
        ends.callback(running.close)
        engine = Engine(plan.fork_server, 0)
        ends.callback(engine.close)
        engine.start()
        server = psutil.Process(running._process.pid)
        known = [each.environ() for each in (server, *server.children())]
        log = [os.readlink(f"/proc/{each.pid}/fd/2") for each in server.children()]  # noqa: PTH115
        engine.submit(do("fail"))
        assert wait_until(lambda: "stub_simulator.py" in own_log.read_text(), 20)
    assert [each.partition(":")[0] for each in log] == ["pipe"]
    # The fork server and the engine.
    assert len(known) == 2
    for environment in known:
        assert "hidden" not in str(environment)
        assert not [name for name in environment if name.startswith("QDISPATCH_")]
        assert environment["OMP_NUM_THREADS"] == "3"
        assert environment["OMP_WAIT_POLICY"] == "passive"
        assert environment["GOMP_SPINCOUNT"] == "1000"
        assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert not plan.fork_server.parent.exists()
