"""Short runs of chaos; the shortest with every test."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.stack import PROJECT


def chaos(*arguments: str) -> tuple[int, str]:
    """A process of its own: its mounts are in a name space of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr[-6000:]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--seconds", "8"),
        pytest.param(("--seconds", "20", "--embedded"), marks=pytest.mark.slow),
    ],
    ids=["full", "embedded"],
)
def test_every_acknowledged_job_ends_once_and_truly(arguments: tuple[str, ...]) -> None:
    code, output = chaos(*arguments, "--settle-s", "150")
    assert code == 0, output
