"""A whole installation for the tests: real server, real workers, real sweep."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import sqlalchemy as sa

from app.engines import make_engine
from app.rows import ACTIVE, JOB
from qdispatch import Client
from qdispatch.errors import QDispatchError
from qdispatch.model import JobStatus
from tests.services.process import free_port, wait_until
from tests.services.together import Services

PROJECT: Final = Path(__file__).resolve().parents[2]

# The sweep and the leases are quick here, so that what they mend is mended
# within a test.
SETTINGS: Final = """
data_dir = "{data_dir}"

[server]
address = "127.0.0.1:{port}"
max_program_bytes = 8_000_000
max_shots = 1_000_000
# A worker's word may take long on a busy machine.
cancel_wait_s = 20.0

[jobs]
lease_s = 6.0
sweep_interval_s = 0.5
resend_after_s = 1.0

[machine]
max_simulations = 4

[targets.aer]
simulator = "aer"
concurrency = 2
threads = 1
max_qubits = 200
memory_limit = "2GiB"
time_limit_s = 120.0

[targets.cirq]
simulator = "cirq"
concurrency = 1
threads = 1
max_qubits = 30
memory_limit = "2GiB"

[targets.pennylane]
simulator = "pennylane"
concurrency = 1
threads = 1
max_qubits = 30
memory_limit = "2GiB"
"""

#: Ties a process to this one, and becomes it. No function for Popen to call after
# its fork: with that, it would run what gRPC does in a fork, which may abort.
LIFELINE: Final = """
import os, sys
from app.lifeline import die_with_parent
die_with_parent(int(sys.argv[1]))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""

TARGETS: Final = ("aer", "cirq", "pennylane")
READY_S: Final = 90.0
STOP_S: Final = 30.0


class Stack:
    """An installation under a folder.

    Args:
        folder: For its settings, data and logs.
        services: RabbitMQ, Redis and PostgreSQL, running; None for the
            embedded default.
        settings: The settings file's text, with {data_dir} and {port}.
        targets: Those that the settings name.

    Attributes:
        environment: Of every process.
        environments: What a process has beside it, by the process' name.
    """

    def __init__(
        self,
        folder: Path,
        services: Services | None,
        *,
        settings: str = SETTINGS,
        targets: Sequence[str] = TARGETS,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.services = services
        urls = {} if services is None else _urls(services)
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        file = folder / "settings.toml"
        file.write_text(settings.format(data_dir=self.data_dir, port=port))
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("QDISPATCH_")
        }
        # A process that aborts says where.
        self.environment = {
            **inherited,
            "QDISPATCH_SETTINGS": str(file),
            "PYTHONFAULTHANDLER": "1",
            **urls,
        }
        self.environments: dict[str, dict[str, str]] = {}
        self.targets = tuple(targets)
        embedded_database = f"sqlite:///{self.data_dir / 'qdispatch.db'}"
        self.database_url = urls.get("QDISPATCH_DATABASE_URL", embedded_database)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def programs(self) -> list[str]:
        """Names of the program files that there are."""
        return sorted(path.name for path in (self.data_dir / "programs").iterdir())

    def start(self) -> None:
        """Starts everything and waits until every target has a worker."""
        self.run("app", "migrate")
        for name in ("server", "sweep", *self.targets):
            self.start_part(name)
        self.wait_until_ready()

    def start_part(self, name: str) -> None:
        """Starts the server, the sweep, or the worker of a target."""
        if name == "server":
            self.launch(name, "rpc")
        elif name == "sweep":
            self.launch(name, "tasks.sweep")
        else:
            self.start_worker(name)

    def start_worker(
        self, target: str, *, name: str | None = None, concurrency: int | None = None
    ) -> None:
        """Starts a worker of a target, as an operator would.

        One with a name of its own is started by Celery's own command, which does the same.
        """
        command = ["celery", "-A", "tasks", "worker", "-n", f"{name}@%h"] if name else ["tasks"]
        options = ["-Q", target, "-l", "INFO"]
        if concurrency is not None:
            options += ["-c", str(concurrency)]
        self.launch(name or target, *command, *options)

    def stop_part(self, name: str) -> None:
        """Stops a process, as SIGTERM does."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(STOP_S) == 0, f"{name}: {self.log(name)}"
        finally:
            process.kill()
            process.wait()

    def wait_until_ready(self) -> None:
        """Waits until every target has a worker."""
        with Client(self.address, timeout_s=2) as client:

            def ready() -> bool:
                self.check()
                try:
                    return all(each.workers_online for each in client.targets())
                except QDispatchError:
                    return False

            assert wait_until(ready, READY_S), self.logs()

    def launch(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Starts a process of this project; it never outlives the test run."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", LIFELINE, str(os.getpid()), "-m", *command],
                env=self.environment | self.environments.get(name, {}),
                cwd=PROJECT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._processes[name] = process
        return process

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command of this project to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, code: str, *arguments: str) -> str:
        """Runs Python code in this installation's environment; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=self.environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def celery(self, *command: str, check: bool = True) -> str:
        """Runs `celery -A tasks ...`."""
        return self.run("celery", "-A", "tasks", *command, check=check)

    def ask(self, target: str, *command: str, check: bool = True) -> str:
        """As `celery`, of one worker, which has time to answer however busy the machine is."""
        return self.celery(*command, "-d", self.node(target), "-t", "20", check=check)

    def process(self, name: str) -> psutil.Process:
        """The process of that name."""
        return psutil.Process(self._processes[name].pid)

    def exit_code(self, name: str) -> int | None:
        """How the process of that name ended; None while it runs."""
        return self._processes[name].poll()

    def node(self, target: str) -> str:
        """The node name of a worker."""
        return f"{target}@{socket.gethostname()}"

    def slots(self, target: str) -> set[int]:
        """The pool's processes of a worker: its children but for the fork server."""
        children = self.process(target).children()
        return {child.pid for child in children if not _is_fork_server(child)}

    def active_slots(self, target: str, job_id: str) -> list[int]:
        """The processes that run a job, as Celery has it."""
        active = json.loads(self.ask(target, "inspect", "active", "--json"))[self.node(target)]
        return [task["worker_pid"] for task in active if task["id"] == job_id]

    def rows(self) -> int:
        """How many jobs the database has."""
        engine = make_engine(self.database_url)
        with engine.connect() as connection:
            number: int = connection.execute(
                sa.select(sa.func.count()).select_from(JOB)
            ).scalar_one()
        engine.dispose()
        return number

    def fork_servers(self, target: str) -> list[psutil.Process]:
        """The fork server of a worker, if it is there."""
        return [each for each in self.process(target).children() if _is_fork_server(each)]

    def engines(self, target: str) -> list[psutil.Process]:
        """The engines of a worker."""
        engines = [engine for each in self.fork_servers(target) for engine in each.children()]
        return [engine for engine in engines if _lives(engine)]

    def freeze(self, target: str, number: int) -> None:
        """Has so many engines that compute stand still; others need the processors.

        A slot sees no difference: what computes says nothing.
        """
        busy: list[psutil.Process] = []

        def all_compute() -> bool:
            busy[:] = [each for each in self.engines(target) if each.cpu_percent(0.2) > 0]
            return len(busy) == number

        assert wait_until(all_compute, READY_S), self.logs()
        for engine in busy:
            engine.suspend()

    def cancel_all(self) -> None:
        """Cancels every job that is not final."""
        engine = make_engine(self.database_url)
        with engine.connect() as connection:
            active = connection.execute(sa.select(JOB.c.id).where(sa.text(ACTIVE))).scalars().all()
        engine.dispose()
        with self.client() as client:
            for job_id in active:
                client.cancel_job(str(job_id))

    def check(self) -> None:
        """Fails when a process has ended that should run."""
        for name, process in self._processes.items():
            code = process.poll()
            assert code is None, f"{name} ended with {code}:\n{self.log(name)}"

    def log(self, name: str) -> str:
        """The end of a process' log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-6000:]

    def logs(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"== {name}\n{self.log(name)}" for name in self._processes)

    def kill(self, name: str) -> None:
        """Kills a process with SIGKILL, and waits until its children are gone too."""
        family = self.process(name).children(recursive=True)
        process = self._processes.pop(name)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=STOP_S)
        assert not alive, alive

    def forget(self, name: str) -> None:
        """Takes a process that has ended off the list of those that should run."""
        del self._processes[name]

    def restart(self) -> None:
        """Stops and starts everything, the services included."""
        self.stop()
        if self.services is not None:
            for service in (
                self.services.rabbitmq,
                self.services.redis,
                self.services.postgresql,
            ):
                service.restart()
        self.start()

    def stop(self) -> None:
        """Stops everything, as SIGTERM does."""
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        try:
            for name, process in self._processes.items():
                assert process.wait(STOP_S) == 0, f"{name}: {self.log(name)}"
        finally:
            for process in self._processes.values():
                process.kill()
                process.wait()
            self._processes.clear()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of this installation."""
        with Client(self.address) as client:
            yield client


def _urls(services: Services) -> dict[str, str]:
    return {
        "QDISPATCH_BROKER_URL": services.rabbitmq.create_vhost(),
        "QDISPATCH_RESULT_BACKEND": services.redis.url,
        "QDISPATCH_DATABASE_URL": services.postgresql.create_database(),
    }


def _is_fork_server(process: psutil.Process) -> bool:
    try:
        return "tasks.forkserver" in process.cmdline()
    except (psutil.ZombieProcess, psutil.NoSuchProcess):
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_status(client: Client, job_ids: Sequence[str], status: JobStatus) -> None:
    """Waits until all of these jobs have a status."""

    def reached() -> bool:
        return all(client.get_job(job_id).status is status for job_id in job_ids)

    assert wait_until(reached, 60), [client.get_job(job_id) for job_id in job_ids]
