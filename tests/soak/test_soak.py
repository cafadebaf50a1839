"""A short soak: that it runs, and that it can tell."""

from __future__ import annotations

from tests.soak.__main__ import _report
from tests.soak.load import Load


def report(values: list[float], left: list[str] | None = None) -> tuple[str, bool]:
    return _report([{"memory": each} for each in values], Load("nowhere:1", 0), left or [], 60.0)


def test_what_stays_is_fine() -> None:
    text, good = report([100.0 + number % 5 for number in range(100)])
    assert good
    assert "Grown: nothing." in text


def test_what_grows_is_told() -> None:
    text, good = report([100.0 + number for number in range(100)])
    assert not good
    assert "Grown: memory." in text


def test_what_is_left_is_told() -> None:
    assert not report([100.0] * 100, left=["a.qasm"])[1]
