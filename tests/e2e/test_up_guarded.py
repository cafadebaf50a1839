"""`python -m app up` with tokens and TLS, on every address: as a group shares a machine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from qdispatch import Client
from qdispatch.errors import AuthenticationError, HandshakeError
from tests.e2e.stack import PROJECT
from tests.e2e.test_up import Up, assert_gone
from tests.services.authority import Authority
from tests.services.process import free_port
from tests.specs import BELL

SETTINGS: Final = """
log_format = "json"

[server]
address = "0.0.0.0:{port}"

[auth]
mode = "token"

[tls]
certificate = "{certificate}"
key = "{key}"

[targets.aer]
simulator = "aer"
concurrency = 1
threads = 1
"""

SUBMISSION: Final = "-m qdispatch.cli submit {file} --target aer --shots 10 --seed 1 --wait"


class Guarded(Up):
    """A running `app up` of these settings.

    Args:
        folder: Where the settings are.
        environment: Of its processes, and of the command that it runs.
        options: Of the command line.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *options: str) -> None:
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "up", *options],
                env=environment,
                cwd=PROJECT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self, name: str) -> list[str]:
        """What one of its processes has written."""
        begun = re.compile(rf"[0-9:]+ {name} *\| ?")
        found = ((line, begun.match(line)) for line in self.text().splitlines())
        return [line[match.end() :] for line, match in found if match]


def operate(environment: Mapping[str, str], *words: str) -> str:
    """What one of the operator's commands writes."""
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def be_hung_up_on(port: int) -> None:
    """Speaks no TLS, until the server has had enough."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            while stranger.recv(1024):
                pass
        except ConnectionResetError:
            pass


def test_it_serves_who_has_a_token_and_nobody_else(tmp_path: Path) -> None:
    port, flower = free_port(), f"127.0.0.1:{free_port()}"
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server", "127.0.0.1")
    settings = tmp_path / "settings.toml"
    settings.write_text(SETTINGS.format(port=port, certificate=certificate, key=key))
    (tmp_path / "bell.qasm").write_text(BELL)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QDISPATCH_", "GRPC_", "FLOWER_"))
    } | {"QDISPATCH_SETTINGS": str(settings), "XDG_CONFIG_HOME": str(tmp_path)}
    operate(environment, "migrate")
    token = tmp_path / "token"
    token.write_text(operate(environment, "token", "create", "--owner", "me"))
    known = {"QDISPATCH_TOKEN_FILE": str(token), "QDISPATCH_CA_FILE": str(authority.file)}
    run = f"{sys.executable} {SUBMISSION.format(file=tmp_path / 'bell.qasm')}"
    up = Guarded(tmp_path, environment | known, "--flower", flower, "--run", run)
    try:
        up.wait_for("Ctrl-C stops")
        address = f"127.0.0.1:{port}"
        said = up.lines("jobs")
        assert f"ready on {address}: aer" in said[0]
        assert "counts of 10 shots" in said
        assert not any("ended with exit code" in each for each in said)
        with Client(address, ca_file=authority.file, token="") as client:
            with pytest.raises(AuthenticationError, match="asks for a token"):
                client.targets()
        with Client(address, ca_file=authority.file, token=token.read_text()) as client:
            (job,) = client.jobs()
            assert job.owner == "me"
        with Client(address, token="", tls=False) as client, pytest.raises(HandshakeError):
            client.targets()
        be_hung_up_on(port)
        # Nor who forgot the token for the command; they are told so in a line.
        command = subprocess.run(
            [sys.executable, "-m", "qdispatch.cli", "--address", address, "targets"],
            env=environment | {"QDISPATCH_CA_FILE": str(authority.file)},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert (command.returncode, command.stdout) == (7, "")
        assert "QDISPATCH_TOKEN_FILE" in command.stderr
        assert "Traceback" not in command.stderr
        up.wait_for("Flower asks nobody for a password")
        family = up.family()
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0, up.text()
    finally:
        up.end()
    assert_gone(family)
    # Nothing of gRPC's own, whoever connects.
    server = up.lines("server")
    assert server
    kinds = {json.loads(each)["level"] for each in server}
    assert "info" in kinds
    assert "Traceback" not in up.text(), up.text()
