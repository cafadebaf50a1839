"""PennyLane's own tests of devices pass, and skip only what is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pennylane.devices.tests import get_device_tests

SKIPPED = Path(__file__).with_name("pennylane_skipped.txt")


def known_to_be_skipped(shots: str) -> set[str]:
    lines = SKIPPED.read_text().splitlines()
    columns = [line.split() for line in lines if line and not line.startswith("#")]
    return {name for mode, name in columns if mode.rstrip("!") in ("both", shots)}


def outcomes(report: Path) -> dict[str, list[str]]:
    """The names of the tests by what they came to; a name is a class and a test."""
    found: dict[str, list[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        problem = next((each for each in case if each.tag in ("failure", "error", "skipped")), None)
        kind = "passed" if problem is None else problem.get("type", problem.tag)
        name = f"{case.get('classname')}::{case.get('name')}".lstrip(":")
        found.setdefault(kind, []).append(name)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shots", ["None", "40000"])
def test_the_device_suite_passes(address: str, shots: str, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    command = [
        sys.executable, "-m", "pytest", get_device_tests(), "--device=qdispatch",
        f"--shots={shots}", "--device-kwargs", f"address={address}", "target=aer",
        "seed=7", "--tb=short", "--assert=plain", "-q", "-p", "no:cacheprovider",
        "--no-flaky-report", "--disable-warnings", f"--junitxml={report}",
    ]  # fmt: skip
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False
    )
    assert run.returncode == 0, run.stdout[-6000:]
    found = outcomes(report)
    # Whole files are skipped where jax or torch is not installed.
    assert set(found) <= {"passed", "pytest.skip", "pytest.xfail", "skipped"}
    assert set(found["pytest.skip"]) == known_to_be_skipped(shots)
    assert len(found["passed"]) >= 365
