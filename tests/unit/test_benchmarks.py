"""What the benchmarks make of their samples; nothing is measured here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import table
from benchmarks.clifford import ghz, surface_code
from benchmarks.lines import Line, at_least, at_most, attempt
from benchmarks.measure import Summary, in_turns, percentile, ratio, summary
from benchmarks.results import Results, read, write
from benchmarks.rows import ROWS, chosen
from benchmarks.stages import STAGES, ProbeError, Trip, breakdown


def line(**changes: object) -> Line:
    known: dict[str, object] = {"row": 1, "what": "round trip", "baseline": "bare Celery"}
    return Line(**(known | changes))  # type: ignore[arg-type]


def test_a_ratio_is_of_partners() -> None:
    # The machine got slower for both, from run to run.
    found = ratio([2.0, 4.0, 12.0], [1.0, 2.0, 4.0])
    assert found == Summary(median=2.0, low=2.0, high=3.0, runs=3)


def test_a_ratio_needs_partners() -> None:
    with pytest.raises(ValueError, match="2 samples against 1"):
        ratio([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="nothing"):
        summary([])


def test_the_nearest_rank() -> None:
    samples = [float(value) for value in range(200, 0, -1)]
    assert percentile(samples, 99) == 198.0
    assert percentile(samples, 0) == 1.0
    assert percentile([5.0], 50) == 5.0


def test_sides_take_turns() -> None:
    order: list[str] = []
    sides = {name: (lambda name=name: order.append(name) or len(order)) for name in "ab"}
    assert in_turns(sides, 2, warm_up=1) == {"a": [3, 5], "b": [4, 6]}  # type: ignore[arg-type]
    assert order == ["a", "b"] * 3


def test_goals() -> None:
    assert at_most(2.0).met_by(2.0)
    assert not at_most(2.0).met_by(2.01)
    assert at_least(0.7).met_by(0.7)
    assert not at_least(0.7).met_by(0.69)


def test_lines_fit_the_screen() -> None:
    long = line(
        what="a very long description of what was measured",
        baseline="a baseline with a long name",
        ratio=Summary(median=123.4, low=0.001, high=9876.5, runs=5),
        goal=at_most(1.05),
        absolute="word " * 60,
    )
    rows = f"{table.heading()}\n{table.render(long)}".splitlines()
    assert max(map(len, rows)) <= table.WIDTH
    assert rows[2].split()[-1] == "NO"


def test_what_fails_is_told_and_ends_nothing_else() -> None:
    def fails() -> Line:
        raise ZeroDivisionError("by zero")

    found = attempt(6, "aer: QFT 20", "a direct call", fails)
    assert found.problem == "ZeroDivisionError: by zero"
    assert found.met is None
    assert "by zero" in table.render(found)
    assert "1 lines could not be measured" in table.closing([found])


def test_rows_are_chosen_by_number() -> None:
    assert [row.number for row in ROWS] == list(range(1, 19))
    assert [row.number for row in chosen("10, 2")] == [2, 10]
    assert chosen("") == ROWS
    with pytest.raises(ValueError, match="no row 19"):
        chosen("1,19")


def test_the_list_names_all_rows() -> None:
    command = [sys.executable, "-m", "benchmarks", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [each.split()[0] for each in done.stdout.splitlines()] == [str(n) for n in range(1, 19)]


def test_results_are_kept_row_by_row(tmp_path) -> None:  # type: ignore[no-untyped-def]
    some = Summary(median=1.5, low=1.0, high=2.0, runs=5)
    first = Results().with_rows([line(row=2, ratio=some, goal=at_most(2.0)), line(row=1)])
    write(first, tmp_path)
    again = read(tmp_path)
    assert again.lines == first.lines
    assert [each.row for each in again.lines] == [1, 2]
    anew = again.with_rows([line(row=2, what="anew")])
    assert [each.what for each in anew.lines] == ["round trip", "anew"]


def spans(began: int) -> dict[str, list[tuple[int, int]]]:
    """Every probed function once, 10 ns after the one before."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, stage in enumerate(STAGES):
        if stage.probe and stage.probe not in found:
            found[stage.probe] = [(began + 10 * place, began + 10 * place + 10)]
    return found


def test_stages_follow_each_other() -> None:
    last = 10 * len(STAGES)
    trip = Trip(began=0, prepared=5, ended=last + 10)
    known = breakdown([trip], spans(0))
    assert sum(known.seconds.values()) == pytest.approx(known.trip_s)
    assert known.trip_s == pytest.approx((last + 10) / 1e9)
    assert min(known.seconds.values()) >= 0


def test_a_probe_that_is_never_called_is_named() -> None:
    trip = Trip(began=0, prepared=5, ended=1000)
    known = spans(0)
    del known["app.work:WorkService.claim"]
    with pytest.raises(ProbeError, match=r"WorkService\.claim: not called in 1 of 1"):
        breakdown([trip], known)


def test_circuits_of_the_rows() -> None:
    assert ghz(3).count("cx ") == 2
    # Distance 3: 9 data qubits, 8 stabilizers, each measured twice.
    text = surface_code(3)
    assert "qreg q[17];" in text
    assert text.count("measure") == 2 * 8 + 9
    assert text.count("reset") == 2 * 8
