"""The command line against a server: what it prints, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from qdispatch.cli.app import app
from qdispatch.client import Client
from tests.sdk.inprocess import Installation
from tests.specs import BELL, bell

GHZ = """OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
bit[3] c;
h q[0];
cx q[0], q[1];
cx q[1], q[2];
c = measure q;
"""
RABI = """OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
qubit q;
bit c;
rx(theta) q;
c = measure q;
"""
COMMAND = [sys.executable, "-m", "qdispatch.cli"]


@pytest.fixture(autouse=True)
def surroundings(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server, 80 columns, and a folder with programs."""
    for name, value in {"COLUMNS": "80", "XDG_CONFIG_HOME": str(tmp_path / "config")}.items():
        monkeypatch.setenv(name, value)
    # The workers are threads here: what one of them silences would be silent for all.
    monkeypatch.setattr("tasks.openqasm3_tree.redirect_stderr", nullcontext)
    monkeypatch.chdir(tmp_path)
    for name, text in {"bell.qasm": BELL, "ghz.qasm": GHZ, "rabi.qasm": RABI}.items():
        Path(name).write_text(text)


@pytest.fixture
def held(installation: Installation, client: Client) -> Iterator[None]:
    """Jobs stay pending, and are canceled at the end."""
    installation.dispatcher.held.set()
    yield
    client.cancel_jobs([each.id for each in client.jobs(status="pending")])
    installation.dispatcher.release()


def run(*words: str, code: int = 0) -> Result:
    """A run whose output fits 80 columns and has no colour."""
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    if "--json" not in words and "--csv" not in words:
        # What typer says about values is one line, however long.
        errors = (line for line in result.stderr.splitlines() if "Invalid value" not in line)
        lines = [*result.stdout.splitlines(), *errors]
        assert max(map(len, lines), default=0) <= 80
    assert "\x1b" not in result.output
    assert "Traceback" not in result.output
    return result


def document(*words: str, code: int = 0) -> Any:
    """The JSON document that a run writes, and nothing else."""
    return json.loads(run(*words, "--json", code=code).stdout)


def submitted(*words: str) -> str:
    """The id of a job that was submitted."""
    return run("submit", *words, "--target", "aer", "--quiet").stdout.strip()


def test_submit_and_wait() -> None:
    text = run("submit", "bell.qasm", "--target", "aer", "--shots", "1000", "--seed", "7", "--wait")
    assert "status     finished" in text.stdout
    assert "circuit    2 qubits, depth 3, openqasm2 (openqasm)" in text.stdout
    assert "counts of 1,000 shots" in text.stdout
    assert all(line == line.rstrip() for line in text.stdout.splitlines())


def test_submit_with_everything() -> None:
    options = "--target aer --shots 200 --seed 3 --result expval --result counts --time-limit 20"
    found = document(
        *("submit", "ghz.qasm", "--wait", *options.split()),
        *("--observable", "ZZI", "--observable", "0.5 X0 X1 X2 - 0.25 Z0"),
        *("--tag", "first", "--tag", "second", "--extra", "{}", "--priority", "-2"),
    )
    job = found["job"]
    assert (job["n_qubits"], job["depth"], job["shots"], job["seed"]) == (3, 4, 200, 3)
    assert (job["tags"], job["time_limit_s"]) == (["first", "second"], 20)
    assert (job["priority"], job["owner"]) == (-2, "anonymous")
    assert job["observables"] == ["ZZI", "0.5 X0 X1 X2 - 0.25 Z0"]
    (point,) = found["points"]
    assert set(point["counts"]) == {"000", "111"}
    assert point["expval"][0] == 1
    # 0.5 XXX is exactly 0.5; <Z0> of 200 shots has a standard error of 0.07 at the most.
    assert point["expval"][1] == pytest.approx(0.5, abs=0.25 * 5 * 0.0708)


def test_submit_and_come_back(client: Client) -> None:
    job_id = submitted("bell.qasm", "--seed", "1")
    assert client.job(job_id).result(60).counts == document("result", job_id)["points"][0]["counts"]
    assert document("status", job_id)["job"]["status"] == "finished"
    assert "finished" in run("watch", job_id).stdout


def test_results_as_csv() -> None:
    job_id = submitted(
        "bell.qasm",
        "--result",
        "expval",
        "--result",
        "memory",
        "--shots",
        "5",
        "--observable",
        "ZZ",
    )
    rows = list(csv.DictReader(StringIO(run("result", job_id, "--csv").stdout)))
    assert [row["result"] for row in rows] == ["expval"] + ["memory"] * 5
    assert (rows[0]["key"], float(rows[0]["value"])) == ("ZZ", 1)
    assert {row["value"] for row in rows[1:]} <= {"00", "11"}


def test_a_sweep() -> None:
    words = ("rabi.qasm", "--param", "theta=0:pi:3", "--result", "expval", "--observable", "Z")
    job_id = submitted(*words)
    found = document("result", job_id)
    assert [point["expval"][0] for point in found["points"]] == pytest.approx([1, 0, -1], abs=1e-9)
    assert found["points"][2]["parameters"]["theta"] == pytest.approx(3.141592653589793)
    assert "sweep of 3 points" in run("result", job_id).stdout
    rows = list(csv.DictReader(StringIO(run("result", job_id, "--csv").stdout)))
    angles = [point["parameters"]["theta"] for point in found["points"]]
    assert [float(row["theta"]) for row in rows] == angles


def test_a_picture(tmp_path: Path) -> None:
    job_id = submitted("bell.qasm")
    run("result", job_id, "--plot", "bell.png")
    assert (tmp_path / "bell.png").read_bytes().startswith(b"\x89PNG")
    run("result", job_id, "--plot", "bell.png", "--result", "quasi", code=2)
    run("result", job_id, "--plot", "bell.png", "--csv", code=2)


def test_a_batch_of_a_folder() -> None:
    Path("notes.py").write_text("x = 1\n")
    Path("rabi.qasm").unlink()
    words = ("batch", ".", "--target", "aer", "--seed", "2", "--shots", "100")
    text = run(*words).stdout
    assert text.splitlines()[0].split() == ["FILE", "STATUS", "TOOK", "RESULT"]
    assert "2 finished" in text
    found = document(*words)
    assert [each["file"] for each in found["jobs"]] == ["bell.qasm", "ghz.qasm"]
    assert found["batch"]["finished"] == found["batch"]["size"] == 2
    assert set(found["jobs"][1]["points"][0]["counts"]) == {"000", "111"}


def test_a_batch_with_a_job_that_fails() -> None:
    Path("bad.qasm").write_text("OPENQASM 2.0;\nqreg q[1];\nnonsense q[0];\n")
    found = document("batch", "bell.qasm", "bad.qasm", "--target", "aer", code=1)
    assert [each["job"]["status"] for each in found["jobs"]] == ["finished", "failed"]
    assert found["jobs"][1]["points"] == []


def test_a_batch_that_is_refused_as_a_whole(client: Client) -> None:
    Path("wide.qasm").write_text("OPENQASM 2.0;\nqreg q[5000];\n")
    result = run("batch", "bell.qasm", "wide.qasm", "--tag", "refused", code=3)
    assert "wide.qasm" in result.stderr
    assert list(client.jobs(tag="refused")) == []


def test_lists_of_jobs() -> None:
    ids = [submitted("bell.qasm", "--tag", "listed") for _ in range(3)]
    found = document("jobs", "--tag", "listed", "--limit", "2", "--since", "1h")
    assert [each["id"] for each in found["jobs"]] == ids[:0:-1]
    assert found["more"] is True
    assert "--limit" in run("jobs", "--tag", "listed", "--limit", "2").stderr
    assert document("jobs", "--tag", "listed", "--until", "1h")["jobs"] == []
    assert document("jobs", "--tag", "listed", "--target", "cirq")["jobs"] == []
    assert len(document("jobs", "--tag", "listed", "--owner", "anonymous")["jobs"]) == 3
    assert document("jobs", "--tag", "listed", "--owner", "somebody")["jobs"] == []
    assert "No jobs." in run("jobs", "--tag", "none such").stderr
    run("jobs", "--since", "yesterday", code=2)


def test_targets(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [each["name"] for each in document("targets")["targets"]]
    assert names == ["aer", "cirq", "pennylane"]
    monkeypatch.setenv("QDISPATCH_ADDRESS", "127.0.0.1:1")
    assert (
        run("--address", address, "targets").stdout == run("targets", "--address", address).stdout
    )
    assert run("targets", "--address", address).stdout.split()[:2] == ["TARGET", "STATE"]


@pytest.mark.usefixtures("held")
def test_canceling() -> None:
    first, second = submitted("bell.qasm"), submitted("bell.qasm")
    assert document("cancel", first, second)["cancellations"][1] == {
        "id": second,
        "verdict": "removed_from_queue",
        "status": "canceled",
    }
    assert "too late" in run("cancel", first, code=1).stdout
    assert "not found" in run("cancel", "nonsense", code=3).stdout
    assert document("result", first, code=1)["job"]["status"] == "canceled"
    assert "canceled" in run("watch", second, code=1).stdout
    assert "canceled" in run("result", first, "--csv", code=1).stderr


@pytest.mark.usefixtures("held")
def test_a_batch_that_goes_on(client: Client) -> None:
    found = document("batch", "bell.qasm", "ghz.qasm", "--target", "aer", "--no-wait")
    batch_id = found["batch"]["id"]
    assert found["batch"]["pending"] == 2
    listed = document("jobs", "--batch", batch_id, "--status", "pending")
    assert [each["id"] for each in listed["jobs"]] == [each["id"] for each in found["jobs"]][::-1]
    assert document("status", found["jobs"][0]["id"])["outlook"]["queue_position"] >= 1
    verdicts = {
        each["verdict"] for each in document("cancel", "--batch", batch_id)["cancellations"]
    }
    assert verdicts == {"removed_from_queue"}
    assert document("watch", "--batch", batch_id, code=1)["batch"]["canceled"] == 2
    assert client.batch(batch_id).info.is_final


@pytest.mark.usefixtures("held")
def test_a_wait_that_times_out() -> None:
    result = run("submit", "bell.qasm", "--wait", "--timeout", "0", code=5)
    assert "pick it up with: qdispatch watch" in " ".join(result.stderr.split())
    found = document("submit", "bell.qasm", "--wait", "--timeout", "0", code=5)
    assert (found["error"]["type"], found["error"]["exit_code"]) == ("WaitTimeoutError", 5)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("submit none.qasm", 2, "none.qasm cannot be read"),
        ("submit rabi.qasm", 2, "theta needs a value, such as --param theta=0:2pi:50"),
        ("submit rabi.qasm --param theta=1 --param phi=1", 2, "no parameter phi"),
        ("submit bell.qasm --observable Q", 2, "--observable"),
        ("submit bell.qasm --result state", 2, "--result"),
        ("submit bell.qasm --time-limit 0", 2, "--time-limit"),
        ("submit bell.qasm --priority 11", 2, "--priority"),
        ("targets --address localhost", 2, "is not HOST:PORT"),
        ("--ca-file none.pem targets", 2, "none.pem cannot be read"),
        ("submit bell.qasm --target ibm", 3, "there is no target 'ibm'"),
        ("submit bell.qasm --shots 0 --result counts", 3, "spec.shots"),
        ("status nonsense", 3, "is not the id of a job"),
        ("watch nonsense", 3, "qdispatch watch --batch ID"),
        ("watch", 2, "--batch ID"),
        ("watch 1 --batch 2", 2, "--batch ID"),
        ("cancel", 2, "--batch ID"),
        ("watch --batch nonsense", 3, "batch"),
        ("targets --address 127.0.0.1:1", 4, "no answer from 127.0.0.1:1"),
        ("nonsense", 2, "nonsense"),
    ],
    ids=lambda each: each if isinstance(each, str) and " " not in each[-8:] else "",
)
def test_what_is_wrong_is_said(
    words: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody is expected to start a server meanwhile.
    monkeypatch.setattr("qdispatch.calls._FIRST_CONTACT_S", 0.2)
    result = run(*words.split(), code=code)
    assert said in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_an_error_in_json() -> None:
    error = document("submit", "bell.qasm", "--target", "ibm", code=3)["error"]
    assert error["type"] == "UnknownTargetError"
    assert (error["field"], error["exit_code"]) == ("spec.target", 3)


def test_the_address_in_the_configuration(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QDISPATCH_ADDRESS")
    folder = tmp_path / "config" / "qdispatch"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'address = "{address}"\n')
    assert document("targets")["targets"]
    (folder / "config.toml").write_text("address = 1\n")
    assert "must be a text" in run("targets", code=2).stderr


@pytest.mark.usefixtures("held")
def test_an_interrupted_watch_says_how_to_go_on(client: Client) -> None:
    job_id = submitted("bell.qasm")
    with subprocess.Popen(
        [*COMMAND, "watch", job_id], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "pending" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = " ".join(process.stderr.read().split())
    assert process.returncode == 130
    assert f"qdispatch watch {job_id}" in said
    assert "Traceback" not in said
    assert not client.job(job_id).status().is_final


def test_a_reader_that_leaves(client: Client) -> None:
    client.create_job(bell())
    with subprocess.Popen(
        [*COMMAND, "jobs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_completion_of_targets_and_statuses() -> None:
    def completed(line: str) -> list[str]:
        asked = {"_QDISPATCH_COMPLETE": "complete_bash", "COMP_WORDS": line}
        count = {"COMP_CWORD": str(len(line.split(" ")) - 1)}
        done = subprocess.run(
            COMMAND,
            env={**os.environ, **asked, **count},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.split()

    assert completed("qdispatch submit --target ") == ["aer", "cirq", "pennylane"]
    assert completed("qdispatch jobs --status f") == ["finished", "failed"]
