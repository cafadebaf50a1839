"""What a fake and what it stands for have in common; the integration tests run it on the real.

The fake store has the core's suites in common with the real one, beyond what is here.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Protocol
from uuid import UUID, uuid4

import pytest

from app.jobs import Failed, Finished
from app.ports import Clock, Dispatch, Dispatcher, utc_now
from app.store import Store, Transaction
from app.store_history import HistoryStatements
from app.store_lists import ListStatements
from app.store_targets import TargetStatements
from app.store_usage import UsageStatements
from qdispatch.model import ErrorKind, JobSpec
from tasks.engine import EngineError, Exited, Signal
from tasks.supervise import EngineSeam
from tests.fake_lists import FakeListStatements
from tests.fake_store import FakeStore, FakeTransaction
from tests.fake_tables import FakeHistoryStatements, FakeTargetStatements, FakeUsageStatements
from tests.fakes import Event, ManualClock, RecordingDispatcher, ScriptedEngine
from tests.world import bell, counts, failed, finished

# How a stub simulator is told what to do; see tests/plugin/stub_simulator.py.
ENDINGS: dict[str, Event] = {
    "count": finished(results=(counts({"00": 100}),)),
    "refuse": failed(ErrorKind.UNSUPPORTED, "no such gate"),
    "crash": Exited(signal=11, code=0),
    "exit": Exited(signal=0, code=3),
}


def told(action: str) -> JobSpec:
    return bell(extra=f'{{"do": "{action}"}}')


class EngineMaker(Protocol):
    """Makes an engine that will be given jobs with these actions, in this order."""

    def __call__(self, *actions: str) -> EngineSeam: ...


@pytest.fixture
def make_engine() -> EngineMaker:
    def make(*actions: str) -> EngineSeam:
        return ScriptedEngine(deque(ENDINGS[each] for each in actions if each in ENDINGS))

    return make


def test_an_engine_answers(make_engine: EngineMaker) -> None:
    engine = make_engine("count")
    engine.submit(told("count"))
    outcome = engine.wait(30)
    assert isinstance(outcome, Finished)
    assert outcome.results == (counts({"00": 100}),)


def test_an_engine_says_why_a_job_failed_and_goes_on(make_engine: EngineMaker) -> None:
    engine = make_engine("refuse", "count")
    engine.submit(told("refuse"))
    outcome = engine.wait(30)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.message) == (ErrorKind.UNSUPPORTED, "no such gate")
    engine.submit(told("count"))
    assert isinstance(engine.wait(30), Finished)


@pytest.mark.parametrize("action", ["crash", "exit"])
def test_an_engine_that_died_is_gone_until_it_is_started(
    make_engine: EngineMaker, action: str
) -> None:
    engine = make_engine(action, "count")
    engine.submit(told(action))
    assert engine.wait(30) == ENDINGS[action]
    with pytest.raises(EngineError):
        engine.wait(0)
    engine.start()
    engine.submit(told("count"))
    assert isinstance(engine.wait(30), Finished)


def test_an_engine_that_is_busy_can_be_killed(make_engine: EngineMaker) -> None:
    engine = make_engine("sleep")
    engine.submit(told("sleep"))
    assert engine.wait(0.01) is Signal.TIMEOUT
    engine.kill()
    with pytest.raises(EngineError):
        engine.wait(0)


def test_a_job_starts_the_engine_after_a_kill(make_engine: EngineMaker) -> None:
    engine = make_engine("count")
    engine.start()
    engine.kill()
    engine.kill()
    engine.submit(told("count"))
    assert isinstance(engine.wait(30), Finished)


class Told(Protocol):
    """What arrived beyond a dispatcher."""

    def sent(self) -> list[tuple[UUID, str]]: ...

    def revoked(self) -> list[tuple[UUID, bool]]: ...


class _Recorded:
    def __init__(self, dispatcher: RecordingDispatcher) -> None:
        self._dispatcher = dispatcher

    def sent(self) -> list[tuple[UUID, str]]:
        return [(each.job_id, each.target) for each in self._dispatcher.sent]

    def revoked(self) -> list[tuple[UUID, bool]]:
        return self._dispatcher.revoked


@pytest.fixture
def dispatching() -> tuple[Dispatcher, Told]:
    dispatcher = RecordingDispatcher()
    return dispatcher, _Recorded(dispatcher)


def test_a_dispatcher_sends_to_the_targets_in_order(
    dispatching: tuple[Dispatcher, Told],
) -> None:
    dispatcher, told_ = dispatching
    jobs = [(uuid4(), target) for target in ("aer", "aer", "cirq", "aer")]
    for job_id, target in jobs:
        dispatcher.send(Dispatch(job_id=job_id, target=target, label="a label"))
    aer = [job for job in jobs if job[1] == "aer"]
    assert [job for job in told_.sent() if job[1] == "aer"] == aer


def test_a_dispatcher_revokes(dispatching: tuple[Dispatcher, Told]) -> None:
    dispatcher, told_ = dispatching
    pending, running = uuid4(), uuid4()
    dispatcher.revoke([pending], running=False)
    dispatcher.revoke([running], running=True)
    assert told_.revoked() == [(pending, False), (running, True)]


@pytest.mark.parametrize("clock", [utc_now, ManualClock()])
def test_a_clock_tells_a_moment_in_utc_that_never_goes_back(clock: Clock) -> None:
    first, second = clock(), clock()
    assert first.tzinfo is UTC
    assert timedelta(0) <= second - first


STORES = {
    Store: FakeStore,
    Transaction: FakeTransaction,
    TargetStatements: FakeTargetStatements,
    HistoryStatements: FakeHistoryStatements,
    ListStatements: FakeListStatements,
    UsageStatements: FakeUsageStatements,
}


@pytest.mark.parametrize(
    ("real", "name"),
    [
        (real, name)
        for real in STORES
        for name, _ in inspect.getmembers(real, inspect.isfunction)
        if not name.startswith("_")
    ],
)
def test_the_fake_store_is_called_as_the_real_one_is(real: type, name: str) -> None:
    fake = getattr(STORES[real], name, None)
    assert fake is not None, f"{STORES[real].__name__} lacks {name}, which {real.__name__} has"
    assert _parameters(fake) == _parameters(getattr(real, name))


def _parameters(function: Callable[..., object]) -> list[tuple[str, object, object]]:
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]
