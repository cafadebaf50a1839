"""`python -m app up`, as a newcomer starts it: the embedded default."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from qdispatch import Client
from qdispatch.model import JobStatus
from tests.e2e import circuits
from tests.e2e.listening import Listener, check_fork_servers, listeners
from tests.e2e.stack import PROJECT, SETTINGS, TARGETS, Stack, wait_for_status
from tests.services.process import free_port, wait_until


def only(targets: Sequence[str]) -> str:
    """The settings with these targets."""
    head, *tables = re.split(r"(?=^\[targets\.)", SETTINGS, flags=re.MULTILINE)
    return head + "".join(each for each in tables if each.split("]")[0][9:] in targets)


class Up:
    """A running `app up`."""

    def __init__(self, folder: Path, *options: str, targets: Sequence[str] = TARGETS) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.page = f"127.0.0.1:{free_port()}"
        settings = folder / "settings.toml"
        settings.write_text(only(targets).format(data_dir=folder / "data", port=port))
        self.log = folder / "up.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("QDISPATCH_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "up", *options],
                env={
                    **environment,
                    "QDISPATCH_SETTINGS": str(settings),
                    "QDISPATCH_PAGE__ADDRESS": self.page,
                },
                cwd=PROJECT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        def there() -> bool:
            assert self.process.poll() is None, self.text()
            return text in self.text()

        assert wait_until(there, 90), self.text()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive, [process.cmdline() for process in alive]


def test_it_runs_a_command_once_ready_and_ends_with_its_code(tmp_path: Path) -> None:
    example = f"{sys.executable} examples/three_frameworks.py"
    up = Up(tmp_path, "--run", example, "--exit")
    family: list[psutil.Process] = []
    try:
        up_text = "ready on"
        up.wait_for(up_text)
        family = up.family()
        assert up.process.wait(90) == 0, up.text()
    finally:
        up.end()
    text = up.text()
    for line in ("written in Qiskit", "written in Cirq", "written in PennyLane", "(exact)"):
        assert line in text
    assert "Traceback" not in text
    assert "SIGKILL" not in text
    assert_gone(family)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_everything_when_told_to(tmp_path: Path, number: signal.Signals) -> None:
    up = Up(tmp_path, "--page", targets=["aer"])
    try:
        up.wait_for("Ctrl-C stops")
        assert f"page on http://{up.page}" in up.text()
        with urllib.request.urlopen(f"http://{up.page}/targets", timeout=10) as answer:
            assert "aer" in answer.read().decode()
        family = up.family()
        # What a scan of ports finds: see docs/deployment.md.
        found = listeners([psutil.Process(up.process.pid), *family])
        ports = {each for each in found if each.kind != "unix"}
        assert ports == {Listener(kind="tcp", place=each) for each in (up.address, up.page)}
        check_fork_servers(found - ports, 1)
        up.process.send_signal(number)
        assert up.process.wait(60) == 0, up.text()
    finally:
        up.end()
    assert "SIGKILL" not in up.text()
    assert "Traceback" not in up.text(), up.text()
    assert_gone(family)


def test_it_leaves_no_process_behind_when_killed(tmp_path: Path) -> None:
    up = Up(tmp_path, targets=["aer"])
    try:
        up.wait_for("Ctrl-C stops")
        with Client(up.address) as client:
            job = client.submit(circuits.slow(), target="aer", shots=10)
            wait_for_status(client, [job.id], JobStatus.RUNNING)
        family = up.family()
    finally:
        up.end()
    # Server, sweep, a worker with two slots, its fork server and two engines, and the
    # helpers between.
    assert len(family) > 7
    assert_gone(family)


def test_a_port_that_is_taken_is_a_clear_message(tmp_path: Path, stack: Stack) -> None:
    taken = stack.address
    environment = {**stack.environment, "QDISPATCH_SERVER__ADDRESS": taken}
    done = subprocess.run(
        [sys.executable, "-m", "rpc"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot listen on {taken}" in done.stderr
    assert "Traceback" not in done.stderr


def test_targets_that_break_the_machines_limit_are_refused(stack: Stack) -> None:
    environment = {**stack.environment, "QDISPATCH_MACHINE__MAX_SIMULATIONS": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "app", "up"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "adds up to 4 (aer 2 + cirq 1 + pennylane 1)" in done.stderr
    assert "max_simulations is 3" in done.stderr


def test_an_open_dashboard_for_everybody_is_refused(stack: Stack) -> None:
    environment = {k: v for k, v in stack.environment.items() if k != "FLOWER_BASIC_AUTH"}
    done = subprocess.run(
        [sys.executable, "-m", "app", "up", "--flower", "0.0.0.0:5555"],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "set FLOWER_BASIC_AUTH" in done.stderr


def test_a_second_one_says_so_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "app", "up"],
            env=os.environ
            | {"QDISPATCH_DATA_DIR": str(tmp_path), "QDISPATCH_SERVER__ADDRESS": address},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"{address} is in use" in ended.stderr
    assert "QDISPATCH_SERVER__ADDRESS" in ended.stderr
    assert not list(tmp_path.iterdir())
