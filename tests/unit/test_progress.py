"""How an engine tells how far its sweep is."""

from __future__ import annotations

import json

import pytest

from tasks import progress
from tasks.progress import Progress


def test_it_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    sent: list[bytes] = []
    told = Progress(sent.append, interval_s=0.2)
    for _ in told.over(range(10)):
        now[0] += 0.0625
    assert [json.loads(each) for each in sent] == [{"progress": 4}, {"progress": 8}]


def test_an_error_is_at_the_point_that_runs() -> None:
    told = Progress(lambda _: None)
    assert told.place() == ""
    places = [told.place() for _ in told.over(range(3))]
    assert places == ["point 0: ", "point 1: ", "point 2: "]
    told.reset()
    assert told.place() == ""


def test_a_slot_that_is_gone_is_not_its_business() -> None:
    def broken(_message: bytes) -> None:
        raise BrokenPipeError

    assert list(Progress(broken, interval_s=0).over(range(3))) == [0, 1, 2]
