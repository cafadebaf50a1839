"""The examples for Cirq, as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from qdispatch.client import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, address: str, *arguments: str) -> str:
    """Runs an example; returns what it prints."""
    environment = os.environ | {"QDISPATCH_ADDRESS": address, "MPLBACKEND": "Agg"}
    ran = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_vqe(address: str) -> None:
    assert "ground energy  -1.8573" in run("vqe_cirq.py", address)


def test_rabi_sweep_is_one_job_and_one_picture(
    client: Client, address: str, tmp_path: Path
) -> None:
    picture = tmp_path / "rabi.png"
    assert "200 points" in run("rabi_sweep.py", address, "--plot", str(picture))
    assert picture.stat().st_size > 5_000
    (job,) = client.jobs(tag="rabi")
    assert (job.n_points, job.status.value) == (200, "finished")
