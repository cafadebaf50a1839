"""The example that a newcomer runs first."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.stack import PROJECT
from tests.services.process import free_port


@pytest.mark.slow
def test_it_says_in_a_line_what_went_wrong() -> None:
    run = subprocess.run(
        [sys.executable, "examples/three_frameworks.py", f"127.0.0.1:{free_port()}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("qdispatch: ")
