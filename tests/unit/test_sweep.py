"""The sweep: repeats the upkeep, whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from qdispatch.errors import UnavailableError
from tasks.sweep import Sweep


class ScriptedUpkeep:
    """Upkeep whose steps do as they are told, and remember that they were called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.act: Callable[[str], int] = lambda _: 0

    def _step(self, name: str) -> int:
        self.calls.append(name)
        return self.act(name)

    def recover(self) -> int:
        return self._step("recover")

    def resend(self) -> int:
        return self._step("resend")

    def resend_lost(self) -> int:
        return self._step("resend_lost")

    def tidy(self) -> int:
        return self._step("tidy")

    def forget_workers(self) -> int:
        return self._step("forget_workers")

    def forget_usage(self) -> int:
        return self._step("forget_usage")

    def trim(self) -> int:
        return self._step("trim")

    def evict(self) -> int:
        return self._step("evict")


#: What is not done in every round.
SLOW = ["tidy", "forget_workers", "forget_usage", "clean", "evict", "trim"]


@pytest.fixture
def upkeep() -> ScriptedUpkeep:
    return ScriptedUpkeep()


def sweep_until(upkeep: ScriptedUpkeep, rounds: int) -> Sweep:
    """A sweep that is stopped in its n-th round."""
    act = upkeep.act
    sweep = Sweep(
        upkeep,  # type: ignore[arg-type]
        upkeep,  # type: ignore[arg-type]
        upkeep,  # type: ignore[arg-type]
        interval_s=1e-9,
        clean_results=lambda: upkeep.calls.append("clean"),
    )

    def step(name: str) -> int:
        if upkeep.calls.count("resend") == rounds:
            sweep.stop()
        return act(name)

    upkeep.act = step
    return sweep


def test_a_round_recovers_before_it_sends(upkeep: ScriptedUpkeep) -> None:
    sweep_until(upkeep, 1).run()
    looks = ["recover", "resend", "resend_lost"]
    assert upkeep.calls == [*looks, *SLOW]


def test_it_goes_on_and_tidies_less_often(upkeep: ScriptedUpkeep) -> None:
    sweep_until(upkeep, 5).run()
    assert upkeep.calls.count("recover") == upkeep.calls.count("resend") == 5
    for slow in SLOW:
        assert upkeep.calls.count(slow) == 1


def test_it_trims_the_history_until_nothing_is_left_to_delete(upkeep: ScriptedUpkeep) -> None:
    left = iter([5000, 5000, 3, 0])
    upkeep.act = lambda name: next(left) if name == "trim" else 0
    sweep_until(upkeep, 6).run()
    assert upkeep.calls.count("trim") == 4
    assert upkeep.calls.count("tidy") == 1


def test_a_step_that_fails_stops_neither_the_others_nor_the_sweep(
    upkeep: ScriptedUpkeep, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(name: str) -> int:
        raise UnavailableError(f"{name} is away")

    upkeep.act = fail
    sweep_until(upkeep, 3).run()
    assert upkeep.calls.count("recover") == upkeep.calls.count("resend") == 3
    assert upkeep.calls.count("tidy") == 1
    assert "recover is away" in caplog.text


def test_it_says_what_it_did_and_else_nothing(
    upkeep: ScriptedUpkeep, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    upkeep.act = lambda name: 7 if name == "resend" else 0
    sweep_until(upkeep, 1).run()
    assert [record.getMessage() for record in caplog.records] == ["sent late: 7"]


def test_one_that_was_stopped_before_does_nothing(upkeep: ScriptedUpkeep) -> None:
    sweep = sweep_until(upkeep, 1)
    sweep.stop()
    sweep.run()
    assert upkeep.calls == []
