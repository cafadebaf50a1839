"""Geometry of charts, and how values are written."""

from __future__ import annotations

import math

import pytest

from page.charts import HEIGHT, LEFT, RIGHT, WIDTH, chart, histogram, slices
from page.formats import amplitude, observable, seconds, shortened, size
from qdispatch.model import PauliSum, PauliTerm


def test_bars_are_relative_to_the_longest_and_sorted_by_outcome() -> None:
    made = histogram([("10", 1.0), ("00", 4.0), ("01", 2.0)])
    assert [(bar.label, bar.width) for bar in made.bars] == [("00", 100), ("01", 50), ("10", 25)]
    assert (made.n_left_out, made.sum_left_out) == (0, 0)


def test_bars_of_nothing_and_of_less_than_nothing() -> None:
    assert histogram([]).bars == ()
    assert [bar.width for bar in histogram([("0", 0.0)]).bars] == [0]
    assert [bar.width for bar in histogram([("0", -0.1), ("1", 1.1)]).bars] == [0, 100]


def test_a_chart_fills_its_frame() -> None:
    made = chart("x", [0, 1, 2], [("f", [0.0, 5.0, 10.0])])
    assert made is not None
    xs, ys = zip(*made.lines[0].marks, strict=True)
    assert xs == (LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT)
    assert 0 < ys[2] < ys[1] < ys[0] < HEIGHT
    assert [tick.label for tick in made.y_ticks] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.label for tick in made.x_ticks][::5] == ["0", "1", "2"]


def test_points_are_drawn_from_left_to_right() -> None:
    made = chart("x", [2.0, 0.0, 1.0], [("f", [0.2, 0.0, 0.1])])
    assert made is not None
    assert [x for x, _ in made.lines[0].marks] == sorted(x for x, _ in made.lines[0].marks)


def test_a_constant_is_in_the_middle() -> None:
    made = chart("x", [0, 1], [("f", [3.0, 3.0])])
    assert made is not None
    assert {y for _, y in made.lines[0].marks} == {(12 + HEIGHT - 40) / 2}


@pytest.mark.parametrize(
    ("xs", "ys"),
    [([1.0], [1.0]), ([], []), ([0.0, 1.0], [0.0, math.nan]), ([0.0, math.inf], [0, 1])],
)
def test_what_cannot_be_drawn_is_not(xs: list[float], ys: list[float]) -> None:
    assert chart("x", xs, [("f", ys)]) is None


def test_slices_add_up() -> None:
    parts = slices([("a", 1), ("b", 0), ("c", 3)], whole=8)
    assert [(each.name, each.begin, each.width) for each in parts] == [
        ("a", 0, 12.5),
        ("c", 12.5, 37.5),
    ]
    assert slices([("a", 0)]) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0 ms"),
        (0.00123, "1.23 ms"),
        (0.25, "250 ms"),
        (1.0, "1.00 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3725.0, "1 h 02 min"),
    ],
)
def test_durations(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 bytes"), (1024, "1 KiB"), (1048575, "1 MiB"), (5 * 2**40, "5 TiB")]
)
def test_sizes(value: int, text: str) -> None:
    assert size(value) == text


def test_observables_and_amplitudes() -> None:
    terms = (
        PauliTerm(paulis="XZ", coefficient=-1),
        PauliTerm(paulis="YZ", qubits=(3, 10), coefficient=0.5),
        PauliTerm(paulis="", qubits=(), coefficient=-2),
    )
    assert observable(PauliSum(terms=terms)) == "-XZ + 0.5 Y3 Z10 - 2 1"
    assert amplitude(0.5 - 0.25j) == "0.5000 - 0.2500i"


def test_long_words_lose_their_middle() -> None:
    assert shortened("0" * 48) == "0" * 48
    assert shortened("0" * 50 + "1" * 50) == "0" * 23 + "…" + "1" * 23
