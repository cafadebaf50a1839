"""The operators' commands: what they print, and how they end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from app.__main__ import main
from app.operating import _table
from app.settings import PROJECT, SETTINGS_VARIABLE
from app.targets import Standing
from qdispatch.model import JobStatus, TargetState
from tests.world import World

Run = Callable[..., tuple[int, str, str]]

SETTINGS = """
data_dir = "{data_dir}"

[targets.aer]
simulator = "aer"

[targets.cirq]
simulator = "cirq"
"""


@pytest.fixture
def environment(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the commands find the installation of `world`."""
    for name in list(os.environ):
        if name.startswith("QDISPATCH_"):
            monkeypatch.delenv(name)
    path = tmp_path / "my.toml"
    path.write_text(SETTINGS.format(data_dir=world.settings.data_dir))
    monkeypatch.setenv(SETTINGS_VARIABLE, str(path))
    return {SETTINGS_VARIABLE: str(path)}


@pytest.fixture
def run(environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; gives its exit code, what it printed, and what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def states(world: World) -> list[str]:
    return [each.state for each in world.targets.states()]


def test_targets_are_paused_drained_and_resumed(run: Run, world: World) -> None:
    assert run("target", "pause", "cirq") == (
        0,
        "cirq is paused: it accepts jobs and starts none; those that run go on\n",
        "",
    )
    assert states(world) == ["active", "paused", "active"]
    assert run("target", "drain", "cirq") == (
        0,
        "cirq is drained: it accepts no jobs, and runs those that it has\n",
        "",
    )
    assert states(world) == ["active", "drained", "active"]
    assert run("target", "resume", "cirq") == (
        0,
        "cirq is active: it accepts jobs and runs them\n",
        "",
    )
    assert states(world) == ["active", "active", "active"]


def test_a_target_that_is_not_there_is_one_clear_line(run: Run) -> None:
    expected = "qdispatch: there is no target 'ibm'; there are: aer, cirq\n"
    for arguments in (("target", "pause", "ibm"), ("requeue", "ibm")):
        assert run(*arguments) == (1, "", expected)


def test_the_list_of_targets(run: Run, world: World) -> None:
    world.targets.set_state("cirq", TargetState.PAUSED)
    world.submit(target="cirq")
    world.running(target="aer")
    code, printed, _ = run("target", "list")
    assert code == 0
    assert printed == (
        "TARGET  STATE    SINCE (UTC)       WORKERS  RUNNING  WAITING\n"
        "aer     active                           0        1        0\n"
        "cirq    paused   2026-01-02 03:04        0        0        1\n"
    )


def test_the_list_fits_80_columns(world: World) -> None:
    row = Standing(
        name="a-name-of-22-characters",
        state=TargetState.DRAINED,
        changed_at=world.clock(),
        workers=12,
        running=1234,
        waiting=1234567,
    )
    lines = list(_table([row]))
    assert all(len(line) <= 81 for line in lines)
    assert len({len(line) for line in lines}) == 1


def test_jobs_are_deleted(run: Run, world: World) -> None:
    first, second = world.job_in(JobStatus.FINISHED), world.job_in(JobStatus.FAILED)
    world.programs.write({first: "left behind"})
    assert run("job", "delete", str(first), str(second)) == (
        0,
        f"deleted {first}\ndeleted {second}\n",
        "",
    )
    with world.store.read() as tx:
        assert tx.history.count() == 0
    assert world.files() == set()


def test_what_cannot_be_deleted_does_not_keep_the_others(run: Run, world: World) -> None:
    pending, final, unknown = world.submit(), world.job_in(JobStatus.CANCELED), uuid4()
    code, printed, complaints = run("job", "delete", str(pending), "x", str(unknown), str(final))
    assert code == 1
    assert printed == f"deleted {final}\n"
    assert complaints.splitlines() == [
        f"qdispatch: job {pending} is pending: cancel it first, or wait for its end",
        "qdispatch: 'x' is not the id of a job; ids are UUIDs",
        f"qdispatch: there is no job {unknown}",
    ]
    assert world.status(pending) is JobStatus.PENDING


def test_requeue(run: Run, world: World) -> None:
    for target in ("aer", "cirq", "cirq"):
        world.submit(target=target)
    assert run("requeue", "aer") == (0, "1 job will be sent again by the sweep\n", "")
    assert run("requeue") == (0, "3 jobs will be sent again by the sweep\n", "")


def test_backup_and_restore(
    run: Run, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lost = world.submit(), world.submit()
    world.job_in(JobStatus.FINISHED)
    world.programs.delete(lost)
    folder = str(tmp_path / "backup")
    described = "3 jobs, 2 of them not final (1 of these without a program: to fail)"
    assert run("backup", folder) == (0, f"backed up to {folder}: {described}\n", "")
    code, printed, complaint = run("backup", folder)
    assert (code, printed) == (1, "")
    assert complaint == f"qdispatch: {folder} is not empty; name a new folder\n"
    code, _, complaint = run("restore", folder)
    assert code == 1
    assert complaint.startswith(f"qdispatch: {world.settings.data_dir / 'qdispatch.db'} is in use")
    monkeypatch.setenv("QDISPATCH_DATA_DIR", str(tmp_path / "elsewhere"))
    assert run("restore", folder) == (
        0,
        f"restored {described}; they run once the service is up\n",
        "",
    )
    assert (tmp_path / "elsewhere" / "programs" / f"{kept}.qasm").exists()


def test_a_database_that_was_never_migrated_is_one_clear_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDISPATCH_DATA_DIR", str(tmp_path / "new"))
    for command in (["target", "list"], ["job", "delete", str(uuid4())], ["requeue"]):
        code, printed, complaint = run(*command)
        assert (code, printed) == (1, "")
        assert complaint.count("\n") == 1
        assert "python -m app migrate" in complaint


@pytest.mark.parametrize("arguments", [["target"], ["target", "pause"], ["job"], ["backup"]])
def test_what_is_incomplete_is_explained(run: Run, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


def test_as_a_process(environment: dict[str, str], world: World) -> None:
    command = [sys.executable, "-m", "app", "target", "drain"]
    for name, code, said in (("cirq", 0, "cirq is drained"), ("x", 1, "no target 'x'")):
        done = subprocess.run(
            [*command, name],
            env=os.environ | environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code
        assert said in done.stdout + done.stderr
    assert states(world) == ["active", "drained", "active"]
