"""The operators' commands: what they print, and how they end."""

from __future__ import annotations

import os
import re
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
from tests.specs import bell
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


def test_tokens_are_created_listed_and_revoked(run: Run, world: World) -> None:
    code, token, said = run("token", "create", "--owner", "me", "--admin", "--expires", "30d")
    assert code == 0
    # By itself, for scripts; the rest is for people.
    assert re.fullmatch(r"qd_[A-Z2-7]{10}_[A-Za-z0-9_-]{43}\n", token)
    assert token.strip() not in said
    assert f"admin's token {token[3:13]} of me; it expires " in said
    assert 'set auth.mode = "token"' in said
    _, other, _ = run("token", "create", "--owner", "you")
    code, listed, _ = run("token", "list")
    assert code == 0
    assert [line.split()[:2] for line in listed.splitlines()] == [
        ["ID", "STATE"],
        [token[3:13], "valid"],
        [other[3:13], "valid"],
    ]
    assert token[14:].strip() not in listed
    assert run("token", "revoke", token[3:13], "AAAAAAAAAA") == (
        1,
        f"revoked {token[3:13]}\n",
        "qdispatch: there is no token AAAAAAAAAA\n",
    )
    # One that has leaked may be given as a whole.
    assert run("token", "revoke", other.strip()) == (0, f"revoked {other[3:13]}\n", "")
    assert run("token", "revoke", other[3:13])[1] == f"was revoked before: {other[3:13]}\n"
    assert run("token", "revoke", "--owner", "you")[1] == "you has no valid token\n"
    states = [line.split()[1] for line in run("token", "list", "--owner", "you")[1].splitlines()]
    assert states == ["STATE", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "--owner", "a b"], "is no name of an owner"),
        (["create", "--owner", "me", "--expires", "2001-02-03"], "is past"),
        (["create", "--owner", "me", "--expires", "soon"], "write 30d, 12h, or a day"),
        (["revoke"], "or one owner with --owner"),
        (["revoke", "no-id"], "an id has ten characters"),
        (["revoke", "NOSUCHTOK1"], "of A to Z and 2 to 7"),
    ],
    ids=["name", "past", "no-time", "nothing", "no-id", "no-letters"],
)
def test_a_token_command_that_is_wrong_is_one_clear_line(
    run: Run, arguments: list[str], says: str
) -> None:
    code, printed, complaint = run("token", *arguments)
    assert (code, printed) == (1, "")
    assert says in complaint
    assert complaint.count("\n") == 1


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


def words(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_quotas_are_set_listed_and_unset(run: Run, world: World) -> None:
    owner = "x" * 64
    assert run("quota", "set", "--owner", owner, "program_bytes=1MiB", "jobs_in_flight=0") == (
        0,
        f"program_bytes of {owner}: 1,048,576\njobs_in_flight of {owner}: no limit\n",
        "",
    )
    assert run("quota", "set", "--owner", "me", "cpu_s_per_day=9007199254740991.5")[0] == 0
    code, listed, _ = run("quota", "list")
    assert (code, [line.split()[0] for line in listed.splitlines()]) == (
        0,
        ["QUOTA", "cpu_s_per_day", "jobs_in_flight", "program_bytes"],
    )
    world.jobs.submit(bell(), request_id="r")
    code, mine, _ = run("quota", "list", "--owner", "anonymous")
    assert code == 0
    assert ["jobs_in_flight", "50,000", "1", "settings"] in words(mine)
    code, theirs, _ = run("quota", "list", "--owner", owner)
    assert ["program_bytes", "1,048,576", "owner"] in words(theirs)
    assert all(len(line) <= 80 for line in (listed + mine + theirs).splitlines())
    assert run("quota", "unset", "--owner", "me", "shots", "cpu_s_per_day")[1] == (
        "shots of me: was as in the settings\ncpu_s_per_day of me: as in the settings again\n"
    )
    assert run("quota", "unset", "--owner", "me")[1] == "me has no quotas of their own\n"
    assert run("quota", "unset", "--owner", owner)[0] == 0
    assert len(run("quota", "list")[1].splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["set", "--owner", "me", "jobs=5"], "there is no quota 'jobs'; there are: jobs_in_flight"),
        (["set", "--owner", "me", "shots"], "'shots' is not KEY=VALUE"),
        (["set", "--owner", "me", "shots=many"], "shots cannot be 'many'"),
        (["set", "--owner", "a b", "shots=5"], "no name of an owner"),
        (["unset", "--owner", "me", "jobs"], "there is no quota 'jobs'"),
        (["list", "--owner", "a b"], "no name of an owner"),
    ],
    ids=["unknown", "no-value", "no-number", "set-owner", "unset-unknown", "list-owner"],
)
def test_what_is_no_quota_is_refused(run: Run, arguments: list[str], says: str) -> None:
    code, printed, complaint = run("quota", *arguments)
    assert (code, printed) == (1, "")
    assert says in complaint
