"""The examples for users of Qiskit."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["sampler_before", "sampler_after", "vqe_qiskit"])
def test_examples_find_what_they_look_for(
    address: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1].startswith(("S = 2.", "energy -1.857275"))


def test_one_line_is_changed() -> None:
    before, after = (
        (EXAMPLES / f"sampler_{each}.py").read_text().splitlines() for each in ("before", "after")
    )
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [
        (
            "from qiskit.primitives import StatevectorSampler as Sampler",
            "from qdispatch.qiskit import SamplerV2 as Sampler",
        )
    ]
