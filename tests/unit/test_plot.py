"""Pictures: what is drawn, not how it looks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from qdispatch.errors import QDispatchError
from qdispatch.model import ResultType
from qdispatch.plot import save
from tests import display_samples as samples


def heights(axes: object) -> list[float]:
    return [bar.get_height() for bar in axes.patches]  # type: ignore[attr-defined]


def labels(axes: object) -> list[str]:
    return [each.get_text() for each in axes.get_xticklabels()]  # type: ignore[attr-defined]


def test_counts() -> None:
    axes = samples.everything().plot()
    assert heights(axes) == [494, 506]
    assert labels(axes) == ["00", "11"]
    assert axes.get_ylabel() == "shots"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("quasi", [0.494, 0.506]),
        ("expval", [1.0, 0.1234]),
        ("variance", [0.0, 0.3125]),
        ("memory", [100, 200]),
        ("statevector", [0.5, 0.5]),
        ("probabilities", [0.5, 0.5]),
    ],
)
def test_every_result_type(kind: str, wanted: list[float]) -> None:
    axes = samples.everything()[0].plot(kind=kind)
    assert heights(axes) == pytest.approx(wanted)


def test_of_many_outcomes_32_have_a_bar_and_the_others_one_together() -> None:
    result = samples.many_outcomes(100, 40)
    drawn = heights(result.plot())
    counted = sorted(result.counts.values(), reverse=True)
    assert sorted(drawn[:32], reverse=True) == counted[:32]
    assert drawn[32:] == [sum(counted[32:])]


def test_an_expectation_value_over_a_sweep() -> None:
    result = samples.sweep(n_points=30)
    axes = result.plot()
    curve = axes.lines[0]
    assert list(curve.get_xdata()) == list(result.parameters["theta"])
    assert list(curve.get_ydata()) == [point.expval[0] for point in result]
    (bars,) = axes.collections
    low, high = bars.get_segments()[3][:, 1]
    assert (high - low) / 2 == pytest.approx(result[3].standard_errors[0])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("theta", "expectation value of Z")


def test_counts_over_a_sweep_are_curves_of_probabilities() -> None:
    result = samples.sweep(n_points=30)
    axes = result.plot(kind=ResultType.COUNTS)
    names = [each.get_text() for each in axes.get_legend().get_texts()]
    assert names == ["0", "1"]
    ones = axes.containers[1].lines[0].get_ydata()
    assert list(ones) == [point.counts["1"] / 500 for point in result]


def test_it_is_drawn_where_it_is_told() -> None:
    axes = Figure().add_subplot()
    assert samples.everything().plot(ax=axes) is axes


def test_what_was_not_asked_for_cannot_be_drawn() -> None:
    with pytest.raises(QDispatchError, match="not asked for expval, only for counts"):
        samples.result(samples.BELL).plot(kind="expval")


def test_into_a_file(tmp_path: Path) -> None:
    save(samples.everything(), str(tmp_path / "bell.png"))
    assert (tmp_path / "bell.png").read_bytes().startswith(b"\x89PNG")
    for path in (tmp_path / "bell.bmpx", tmp_path / "no" / "bell.png"):
        with pytest.raises(QDispatchError, match="cannot be written"):
            save(samples.everything(), str(path))


def test_pyplot_is_left_alone_by_a_program_that_does_not_use_it() -> None:
    script = """
import sys
from tests.display_samples import everything
axes = everything().plot()
assert "matplotlib.pyplot" not in sys.modules
import matplotlib.pyplot as plt
before = dict(plt.rcParams), plt.get_backend()
axes = everything().plot()
assert plt.fignum_exists(axes.figure.number), "so that plt.show() shows it"
assert (dict(plt.rcParams), plt.get_backend()) == before
sys.modules["matplotlib.figure"] = None
try:
    everything().plot()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "MPLBACKEND": "agg", "HOME": "/tmp"},
    )
    assert done.stdout.startswith("QDispatchError pictures need matplotlib: pip install")
