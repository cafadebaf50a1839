"""The example for users of PennyLane."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "vqe_pennylane.py"


def test_the_ground_energy_is_found(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert end.value.code == 0
    *_, last, goal = capsys.readouterr().out.splitlines()
    assert last.split()[-1].startswith("-1.85727")
    assert goal == "the ground state's is -1.8572750"
