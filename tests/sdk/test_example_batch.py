"""The example of a large batch, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "batch_500.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("address")
def test_a_batch_of_500() -> None:
    done = run()
    assert (done.returncode, "500 finished" in done.stdout) == (0, True), done


def test_without_a_server_it_says_so() -> None:
    done = run("127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("batch_500: no answer from 127.0.0.1:1")
