"""Whose jobs are sent when: windows of messages, fed from the database."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest

from app import feeding
from app.day_use import DayUse
from app.fairness import MOST_URGENT
from app.feeding import Backlogs, Feeder
from app.identity import ANONYMOUS, Caller
from app.known_quotas import QuotaControl
from app.ports import Chunk, Dispatch, Sent
from app.service import JobService
from app.submission import Order
from qdispatch.errors import RequestError
from qdispatch.model import JobSpec, JobStatus
from tests.core.databases import ON_DATABASES
from tests.core.journal import journal
from tests.specs import bell
from tests.world import World, finished

WINDOW = 16
SLOTS = {"aer": 2, "cirq": 2, "pennylane": 1}
LARGE = {"shots": 200_000}


@dataclass(kw_only=True)
class House:
    """A server, its broker and a slot: a front end for two owners."""

    world: World
    queue: list[tuple[int, int, Sent]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)
    dies: bool = False
    """Whether the server dies before it sends anything more."""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A server that knows nothing of those before it."""
        self.dies = False
        self.feeder = Feeder(
            Backlogs(
                store=self.world.store,
                clock=self.world.clock,
                targets=SLOTS,
                resend_after_s=5.0,
                used_up=self.world.quotas.used_up,
            ),
            self,
        )
        self.service = JobService(
            settings=self.world.settings,
            store=self.world.store,
            programs=self.world.programs,
            dispatcher=self.feeder,
            clock=self.world.clock,
            changed=self.feeder.heard,
        )

    # -- the broker, which has confirmed what it is sent

    def send(self, dispatch: Dispatch) -> None:
        self._put(dispatch)

    def send_chunk(self, chunk: Chunk) -> None:
        self._put(chunk)

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        """Nobody runs anything for long here."""

    def _put(self, message: Sent) -> None:
        if self.dies:
            return
        heapq.heappush(self.queue, (-message.urgency, next(self.numbers), message))
        self.service.mark_sent([message])

    def carried(self) -> Counter[str]:
        return Counter(message.owner for _, _, message in self.queue)

    def sweep(self, later_s: float) -> None:
        """The sweep looks, after a while; what it sends goes where the server's does."""
        self.world.clock.advance(later_s)
        self.world.queues.lengths["aer"] = len(self.queue)
        self.world.upkeep.resend()
        self.world.upkeep.resend_lost()
        dispatcher = self.world.dispatcher
        carried = {each for chunk in dispatcher.chunks for each in chunk.job_ids}
        for chunk in dispatcher.chunks:
            self.send_chunk(chunk)
        for each in dispatcher.sent:
            if each.job_id not in carried:
                self.send(each)
        dispatcher.chunks.clear()
        dispatcher.sent.clear()

    def active(self) -> int:
        with self.world.store.read() as tx:
            return len(tx.history.active())

    # -- users

    def batch(self, owner: str, specs: Sequence[JobSpec]) -> list[UUID]:
        self.world.clock.advance(0.001)
        jobs = self.service.by(Caller(owner=owner)).submit_many(specs, request_id=str(uuid4()))
        return [UUID(each) for each in jobs.job_ids]

    def single(self, owner: str, **changes: Any) -> UUID:
        self.world.clock.advance(0.001)
        order = Order(spec=bell(**changes), request_id=str(uuid4()), owner=owner)
        (answer,) = self.service.submit_each([order])
        assert not isinstance(answer, RequestError)
        return UUID(answer.id)

    # -- a slot

    def take(self) -> list[UUID]:
        """Runs what the next message carries; what that was."""
        message: Sent = heapq.heappop(self.queue)[2]
        job_ids = message.job_ids if isinstance(message, Chunk) else (message.job_id,)
        ran = []
        for each in job_ids:
            claim = self.world.work.claim(each, "aer@host")
            if claim is not None:
                self.world.work.finish(claim, finished())
                ran.append(each)
        self.feeder.heard(ran)
        self.feeder.feed()
        return ran

    def run(self, jobs: int) -> list[UUID]:
        """Runs so many jobs, or all that there are."""
        ran: list[UUID] = []
        while self.queue and len(ran) < jobs:
            ran += self.take()
        return ran


@pytest.fixture
def house(world: World) -> House:
    return House(world=world)


SHAPES = {
    "a batch": lambda house: [house.batch("many", [bell()] * 40) for _ in range(3)],
    "large jobs": lambda house: house.batch("many", [bell(**LARGE)] * 60),
    "one by one": lambda house: [house.single("many") for _ in range(60)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("begun", [0, 5], ids=["at once", "later"])
def test_one_job_does_not_wait_for_anothers_many(house: House, shape: str, begun: int) -> None:
    SHAPES[shape](house)
    for _ in range(begun):
        house.take()
    assert house.carried()["many"] <= WINDOW
    one = house.single("one")
    # What went out while nobody had anything out may be as urgent: two messages.
    assert one in [each for _ in range(3) for each in house.take()]


def test_all_are_run_once_and_in_their_order(house: House) -> None:
    job_ids = [*house.batch("a", [bell(**LARGE)] * 30), *(house.single("a") for _ in range(30))]
    house.feeder.feed()
    ran = house.run(10_000)
    assert ran == job_ids
    assert {house.world.status(each) for each in job_ids} == {JobStatus.FINISHED}
    assert house.queue == []
    assert house.feeder.feed() == 0


def test_what_waits_goes_out_in_chunks(house: House) -> None:
    job_ids = [house.single("many") for _ in range(WINDOW + 80)]
    assert house.carried() == {"many": WINDOW}
    assert len(house.run(WINDOW // 2)) == WINDOW // 2
    chunks = [message for _, _, message in house.queue if isinstance(message, Chunk)]
    assert {len(each.job_ids) for each in chunks} == {10}
    assert house.run(1000)[-80:] == job_ids[-80:]


def test_two_with_much_take_turns(house: House) -> None:
    for owner in ("a", "b"):
        house.batch(owner, [bell(**LARGE)] * 100)
    ran = house.run(80)
    with house.world.store.read() as tx:
        owners = {row.id: row.owner for row in tx.jobs(ran)}
    shares = Counter(owners[each] for each in ran[:80])
    assert abs(shares["a"] - shares["b"]) <= WINDOW


def test_priority_goes_before_ones_own_and_not_before_others(house: House) -> None:
    low = house.batch("a", [bell(**LARGE)] * 60)
    others = house.batch("b", [bell(**LARGE)] * 60)
    high = [house.single("a", **LARGE, priority=9) for _ in range(10)]
    ran = house.run(1000)
    place = {job_id: number for number, job_id in enumerate(ran)}
    # What is in the window has gone out.
    assert max(place[each] for each in high) < min(place[each] for each in low[WINDOW:])
    assert [each for each in ran if each in set(high)] == high
    before = [each for each in others if place[each] < place[high[-1]]]
    assert len(before) >= WINDOW / 2


def test_a_batch_is_cut_by_priority(house: House) -> None:
    job_ids = house.batch("a", [bell(priority=n % 3) for n in range(30)])
    ran = house.run(30)
    with house.world.store.read() as tx:
        priorities = {row.id: row.priority for row in tx.jobs(job_ids)}
    assert [priorities[each] for each in ran] == sorted(priorities.values(), reverse=True)


# -- who has used up the processor time of the day


def use_up(house: House, owner: str) -> list[UUID]:
    """Has an owner hand in 60 jobs and use up the day by the first; what is left of these."""
    house.world.own_quotas[owner] = {"cpu_s_per_day": 3}
    _, *rest = house.batch(owner, [bell(**LARGE)] * 60)
    message = heapq.heappop(house.queue)[2]
    assert isinstance(message, Dispatch)
    house.world.work.finish(house.world.claim(message.job_id), finished(cpu_s=5.0))
    house.world.quotas.look()
    house.feeder.heard([message.job_id])
    house.feeder.feed()
    return rest


def test_what_waits_of_who_has_used_up_the_day_is_not_fed(house: House) -> None:
    rest = use_up(house, "a")
    # What was sent is run.
    assert house.run(1000) == rest[: WINDOW - 1]
    house.world.clock.advance(30)
    assert house.feeder.feed() == house.world.upkeep.resend() == 0
    # Nor is it by a server that starts; and nobody else is kept waiting.
    house.start()
    assert house.feeder.feed() == 0
    others = house.batch("b", [bell(**LARGE)] * 40)
    assert house.run(1000) == others
    assert house.active() == len(rest) - WINDOW + 1


@pytest.mark.parametrize("by", ["midnight", "an operator"])
def test_it_is_fed_when_there_is_more(house: House, by: str) -> None:
    rest = use_up(house, "a")
    house.run(1000)
    if by == "midnight":
        house.world.clock.advance(21 * 3600)
    else:
        house.world.own_quotas["a"] = {"cpu_s_per_day": 6}
    house.feeder.feed()
    house.feeder.feed()
    assert house.carried() == {"a": WINDOW}
    # In its order, with what has come since.
    rest.append(house.single("a", **LARGE))
    assert house.run(1000) == rest[WINDOW - 1 :]


def test_the_sweep_feeds_it_when_there_is_more(house: House) -> None:
    rest = use_up(house, "a")
    house.run(1000)
    house.world.clock.advance(6)
    assert house.world.upkeep.resend() == 0
    house.world.own_quotas["a"] = {"cpu_s_per_day": 6}
    assert house.world.upkeep.resend() == WINDOW
    assert [each.job_id for each in house.world.dispatcher.sent] == rest[WINDOW - 1 :][:WINDOW]


def test_who_waits_for_the_next_day_is_no_measure_for_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others get ahead of them, by the hour, and would all be as urgent: not at all."""
    use_up(house, "a")
    house.run(1000)
    now = [monotonic()]
    monkeypatch.setattr(feeding, "monotonic", lambda: now[0])
    first = house.single("b")
    # It is begun, and an hour later it ends.
    house.feeder.heard([first])
    now[0] += 3600
    house.run(1)
    house.single("b")
    assert [-urgency for urgency, *_ in house.queue] == [MOST_URGENT]


def test_who_waits_for_the_next_day_has_no_chunk_make_room(house: House) -> None:
    use_up(house, "a")
    own = house.single("b")
    assert house.world.work.others_wait(own)
    assert house.run(1000)[-1:] != []
    house.world.clock.advance(60)
    own = house.single("b")
    assert not house.world.work.others_wait(own)
    # One who has just come does, though nothing is noted of it yet.
    house.dies = True
    house.single("c")
    assert house.world.work.others_wait(own)


def test_the_sweep_asks_the_database_who_has_used_up_the_day(world: World) -> None:
    control = QuotaControl(world.store)
    work = DayUse(limit_s=5.0, store=world.store, clock=world.clock)
    world.work.finish(world.running(), finished(cpu_s=5.0))
    owners = {ANONYMOUS, "you"}
    assert set(work(owners)) == {ANONYMOUS}
    control.give(ANONYMOUS, {"cpu_s_per_day": "6"})
    assert set(work(owners)) == set()
    control.give(ANONYMOUS, {"cpu_s_per_day": "4"})
    assert set(work(owners)) == {ANONYMOUS}
    world.clock.advance(24 * 3600)
    assert set(work(owners)) == set()


# -- whatever dies


def test_a_server_that_starts_takes_on_what_waits(house: House) -> None:
    job_ids = house.batch("a", [bell(**LARGE)] * 40)
    assert house.carried() == {"a": WINDOW}
    house.start()
    house.world.clock.advance(6)
    house.feeder.feed()
    # It does not know what is out; a window more is the most.
    assert house.carried()["a"] <= 2 * WINDOW
    assert set(house.run(1000)) == set(job_ids)


def test_what_was_reserved_and_never_sent_is_sent_by_others(house: House) -> None:
    job_ids = house.batch("a", [bell(**LARGE)] * 40)
    house.run(8)
    reserved = house.queue[-1][2]
    house.queue.clear()
    house.start()
    world = house.world
    for _ in range(10):
        world.clock.advance(20)
        world.upkeep.resend()
        world.upkeep.resend_lost()
        for each in world.dispatcher.sent:
            world.upkeep.mark_sent([each])
            claim = world.work.claim(each.job_id, "aer@host")
            if claim is not None:
                world.work.finish(claim, finished())
        world.dispatcher.sent.clear()
    assert isinstance(reserved, Dispatch)
    assert {world.status(each) for each in job_ids} == {JobStatus.FINISHED}


def test_the_sweep_keeps_to_the_windows(house: House) -> None:
    house.batch("a", [bell(**LARGE)] * 40)
    house.batch("b", [bell(**LARGE)] * 3)
    world = house.world
    world.clock.advance(6)
    assert world.upkeep.resend() == 0
    house.run(6)
    world.clock.advance(6)
    # The feeder has had its turn: who has a free half of a window has been sent more.
    assert world.upkeep.resend() <= WINDOW / 2
    assert [each.urgency for each in world.dispatcher.sent] == sorted(
        (each.urgency for each in world.dispatcher.sent), reverse=True
    )


def test_two_servers_never_reserve_the_same(world: World) -> None:
    one, two = House(world=world), House(world=world)
    one.batch("a", [bell(**LARGE)] * 60)
    two.batch("a", [bell(**LARGE)] * 60)
    sent: list[UUID] = []
    for _ in range(200):
        for house in (one, two):
            sent += house.take() if house.queue else []
    assert len(sent) == len(set(sent)) == 120


def test_words_that_were_lost_hold_nobody_up(house: House) -> None:
    job_ids = house.batch("a", [bell(**LARGE)] * 40)
    taken = [house.queue.pop(0)[2] for _ in range(WINDOW)]
    for each in taken:
        assert isinstance(each, Dispatch)
        house.world.work.finish(house.world.claim(each.job_id), finished())
    house.feeder.feed()
    assert house.carried() == {"a": WINDOW}
    house.run(1000)
    assert {house.world.status(each) for each in job_ids} == {JobStatus.FINISHED}


@pytest.mark.parametrize("database_url", ["fake"], indirect=True)
@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_all_are_run(house: House, seed: int) -> None:
    chance = random.Random(seed)
    job_ids: list[UUID] = []
    for _ in range(30):
        owner = chance.choice("ab")
        step = chance.choice(["batch", "large", "single", "take", "take", "die", "lose", "sweep"])
        if step == "batch":
            job_ids += house.batch(owner, [bell()] * chance.randint(1, 30))
        elif step == "large":
            job_ids += house.batch(owner, [bell(**LARGE)] * chance.randint(1, 30))
        elif step == "single":
            job_ids.append(house.single(owner, priority=chance.randint(-1, 1)))
        elif step == "take":
            house.run(chance.randint(1, 10))
        elif step == "die":
            # At once, or with what it has reserved and not sent.
            house.dies = chance.random() < 0.7
            if house.dies:
                job_ids.append(house.single(owner))
                house.feeder.feed()
            house.start()
        elif step == "lose":
            house.queue.clear()
        else:
            house.sweep(chance.choice([1.0, 6.0, 20.0]))
    turns = 0
    while house.active() and turns < 100:
        turns += 1
        house.sweep(20.0)
        house.run(1000)
    assert {house.world.status(each) for each in job_ids} == {JobStatus.FINISHED}


# -- what it costs


@ON_DATABASES
def test_where_nobody_has_such_a_quota_nobody_is_asked_what_they_used(house: House) -> None:
    house.batch("a", [bell(**LARGE)] * 60)
    house.world.clock.advance(30)
    with journal(house.world) as given:
        house.run(20)
    assert "SELECT usage" not in given
    assert "SELECT quota" not in given
    day = DayUse(limit_s=0.0, store=house.world.store, clock=house.world.clock)
    with journal(house.world) as given:
        assert set(day({"a"})) == set()
    assert "SELECT usage" not in given


@ON_DATABASES
def test_a_window_with_room_costs_nothing(house: House) -> None:
    house.single("a")
    house.feeder.feed()
    with journal(house.world) as given:
        house.feeder.feed()
        house.feeder.heard([])
    assert given == []


@ON_DATABASES
def test_others_are_known_to_wait(house: House) -> None:
    own = house.single("a")
    assert not house.world.work.others_wait(own)
    house.single("b", target="cirq")
    assert not house.world.work.others_wait(own)
    other = house.single("b")
    assert house.world.work.others_wait(own)
    assert house.world.work.others_wait(other)
    house.service.by(Caller(owner="b")).cancel(str(other))
    assert not house.world.work.others_wait(own)
