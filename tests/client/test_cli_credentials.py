"""The command, where the server wants to know who calls, and where it has no room."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from qdispatch import room
from qdispatch.cli.app import app
from qdispatch.errors import AuthenticationError, Quota, QuotaError
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.answers import PENDING, created, job_id
from tests.client.papers import Papers
from tests.client.scripted import ScriptedServer
from tests.specs import BELL

TOKEN = "qd_abc_sEcReT"


@pytest.fixture
def encrypting(papers: Papers) -> Iterator[ScriptedServer]:
    server = ScriptedServer(papers.serve())
    server.say("ListTargets", pb.ListTargetsResponse())
    yield server
    server.stop()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file, which is to be written, in a folder with a program."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("QDISPATCH_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("bell.qasm").write_text(BELL)
    file = tmp_path / "qdispatch" / "config.toml"
    file.parent.mkdir()
    return file


def run(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    assert TOKEN not in result.output
    return result


def said(result: Result) -> str:
    """What people read, without its line breaks."""
    return " ".join(result.stderr.split())


def test_credentials_of_the_file_and_of_flags(
    encrypting: ScriptedServer, papers: Papers, config: Path
) -> None:
    address = encrypting.address
    config.write_text(
        f'address = "{address}"\ntoken_file = "token"\nca_file = "{papers.ca_file}"\n'
    )
    config.with_name("token").write_text(f"{TOKEN}\n")
    run("targets")
    Path("other").write_text("qd_other")
    run("--token-file", "other", "targets")
    config.unlink()
    run("--ca-file", str(papers.ca_file), "targets", "--address", address)
    given = [each for _, each in encrypting.tokens]
    assert given == [f"Bearer {TOKEN}", "Bearer qd_other", None]
    assert "encrypts, but this client does not" in said(
        run("--address", address, "targets", code=4)
    )


def test_a_connection_that_fails_is_told_by_the_command_alone(papers: Papers, config: Path) -> None:
    secrets, authority = papers.serve_nameless("127.0.0.1")
    server = ScriptedServer(secrets)
    words = ("--address", server.address, "--ca-file", str(authority), "targets")
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_VERBOSITY"}
    done = subprocess.run(
        [sys.executable, "-m", "qdispatch.cli", *words],
        env=environment,
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    server.stop()
    assert (done.returncode, done.stdout) == (4, "")
    # Nothing of gRPC's own.
    assert " ".join(done.stderr.split()).startswith(
        f"qdispatch: no connection to {server.address}: the server's certificate is not made out"
    )
    assert "ssl_" not in done.stderr


def test_who_is_not_let_in(server: ScriptedServer, config: Path) -> None:
    server.say("ListTargets", AuthenticationError("no valid token"))
    text = said(run("--address", server.address, "targets", code=7))
    assert "no valid token; give a token: QDISPATCH_TOKEN" in text
    document = json.loads(run("--address", server.address, "targets", "--json", code=7).stdout)
    assert (document["error"]["type"], document["error"]["exit_code"]) == ("AuthenticationError", 7)
    config.write_text(f'address = "elsewhere:1"\ntoken = "{TOKEN}"\n')
    config.chmod(0o600)
    text = said(run("--address", server.address, "targets", code=7))
    assert "is not shown to this server: it is for the address that stands there" in text
    assert {each for _, each in server.tokens} == {None}


def refused(after_s: float | None) -> QuotaError:
    quota = Quota(name="jobs_in_flight", limit=50, use=50, retry_after_s=after_s)
    return QuotaError("jobs_in_flight: 50 of 50", quota=quota)


@pytest.mark.usefixtures("config")
def test_a_submission_that_waits_says_so(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_SHORTEST_S", 0.01)
    server.say("CreateJob", refused(0.01), created(PENDING))
    words = ("--address", server.address, "submit", "bell.qasm", "--quiet")
    result = run(*words)
    assert result.stdout == f"{job_id()}\n"
    assert said(result) == "over quota jobs_in_flight (50 of 50): waiting 0.0 s"
    server.say("CreateJob", refused(0.01))
    assert "waits for 0 s at the most" in said(run(*words, "--quota-wait", "0", code=3))


@pytest.mark.usefixtures("config")
def test_a_quota_in_json(server: ScriptedServer) -> None:
    server.say("CreateJob", refused(None))
    words = ("--address", server.address, "submit", "bell.qasm", "--json")
    error: Any = json.loads(run(*words, code=3).stdout)["error"]
    assert error["type"] == "QuotaError"
    assert error["quota"] == {
        "name": "jobs_in_flight",
        "limit": 50,
        "use": 50,
        "retry_after_s": None,
    }
