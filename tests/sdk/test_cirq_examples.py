"""The examples for Cirq, as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qdispatch.client import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, address: str, *arguments: str) -> str:
    """Runs an example; returns what it prints."""
    environment = os.environ | {"QDISPATCH_ADDRESS": address, "MPLBACKEND": "Agg"}
    ran = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_vqe(address: str) -> None:
    assert "ground energy  -1.8573" in run("vqe_cirq.py", address)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_rabi_sweep_is_one_job_and_one_picture(
    client: Client, address: str, tmp_path: Path, kind: str
) -> None:
    picture = tmp_path / f"rabi.{kind}"
    before = {each.id for each in client.jobs(tag="rabi")}
    assert "200 points" in run("rabi_sweep.py", address, "--plot", str(picture))
    assert picture.stat().st_size > 5_000
    (job,) = [each for each in client.jobs(tag="rabi") if each.id not in before]
    assert (job.n_points, job.status.value) == (200, "finished")


def test_without_a_screen_the_picture_is_left_out(address: str) -> None:
    assert "use --plot FILE" in run("rabi_sweep.py", address)
