"""Jobs of a batch that share a message: cut, sent, claimed, given back and ended together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from app.chunks import cut_into_chunks
from app.identity import ANONYMOUS
from app.jobs import Claim
from app.ports import Chunk, Dispatch
from app.submission import Order
from qdispatch.model import JobSpec, JobStatus, ProgramFormat, TargetState
from tests.specs import bell
from tests.world import WORKER, World, failed, finished

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING


def submitted(world: World, specs: Sequence[JobSpec]) -> tuple[UUID, ...]:
    return tuple(map(UUID, world.jobs.submit_many(specs, request_id=str(uuid4())).job_ids))


@pytest.fixture
def chunk(world: World) -> Chunk:
    """A chunk of six jobs, which was sent."""
    submitted(world, [bell(target="aer") for _ in range(24)])
    return world.dispatcher.chunks[0]


def claimed(world: World, chunk: Chunk) -> list[Claim]:
    return world.work.claim_many(chunk.job_ids, WORKER)


def statuses(world: World, job_ids: Sequence[UUID]) -> list[JobStatus]:
    return [world.status(each) for each in job_ids]


# -- cutting


def test_small_jobs_share_messages_and_others_have_their_own(world: World) -> None:
    sweep = bell(
        program="OPENQASM 3.0; input float[64] t; qubit[1] q; rx(t) q[0]; bit c = measure q[0];",
        program_format=ProgramFormat.OPENQASM3,
        n_qubits=1,
        parameters=("t",),
        parameter_values=((0.1,), (0.2,)),
    )
    large = [sweep, bell(shots=1_000_000)]
    job_ids = submitted(world, [*(bell() for _ in range(12)), *large])
    carried = [each for chunk in world.dispatcher.chunks for each in chunk.job_ids]
    assert set(carried) == set(job_ids[:12])
    single = {each.job_id for each in world.dispatcher.sent} - set(carried)
    assert single == set(job_ids[12:])


def test_chunks_keep_to_their_targets_and_give_every_slot_work(world: World) -> None:
    world.work.report("cirq@one", "cirq", 4)
    submitted(world, [bell(target=("aer", "cirq")[n % 2]) for n in range(160)])
    chunks = world.dispatcher.chunks
    assert Counter(each.target for each in chunks) == {"aer": 4, "cirq": 16}
    assert {len(each.job_ids) for each in chunks if each.target == "cirq"} == {5}
    targets = {world.info(key).spec.target for key in chunks[-1].job_ids}
    assert targets == {chunks[-1].target}


def test_one_job_alone_has_a_message_of_its_own(world: World) -> None:
    (job_id,) = submitted(world, [bell()])
    assert world.dispatcher.chunks == []
    assert [each.job_id for each in world.dispatcher.sent] == [job_id]


def test_nothing_is_cut_from_nothing() -> None:
    assert cut_into_chunks([], {}) == []


# -- sending


def test_a_chunk_counts_as_one_message_until_its_jobs_have_their_own(
    world: World, chunk: Chunk
) -> None:
    world.service.mark_sent([chunk])
    with world.store.read() as tx:
        assert tx.sent() == {"aer": 1}
    world.queues.lengths["aer"] = 1
    world.clock.advance(60)
    assert world.upkeep.resend_lost() == 0
    world.work.release(chunk.job_ids[:2])
    world.dispatcher.sent.clear()
    world.upkeep.resend()
    again = [each for each in world.dispatcher.sent if each.job_id in chunk.job_ids]
    assert {each.job_id for each in again} == set(chunk.job_ids[:2])
    world.upkeep.mark_sent(again)
    with world.store.read() as tx:
        assert tx.sent() == {"aer": 3}


def test_a_chunk_that_was_lost_is_sent_whole_and_no_other(world: World, chunk: Chunk) -> None:
    world.service.mark_sent(world.dispatcher.chunks)
    world.dispatcher.sent.clear()
    world.queues.lengths["aer"] = len(world.dispatcher.chunks) - 1
    world.clock.advance(60)
    assert world.upkeep.resend_lost() == len(chunk.job_ids)
    assert {each.job_id for each in world.dispatcher.sent} == set(chunk.job_ids)


def test_a_chunk_that_a_slot_has_taken_is_not_lost(world: World, chunk: Chunk) -> None:
    world.service.mark_sent(world.dispatcher.chunks)
    world.dispatcher.sent.clear()
    world.queues.lengths["aer"] = len(world.dispatcher.chunks) - 1
    world.clock.advance(60)
    world.work.claim_many(chunk.job_ids[:1], WORKER)
    assert world.upkeep.resend_lost() == 0


def test_jobs_and_chunks_are_noted_as_sent_together(world: World, chunk: Chunk) -> None:
    (single,) = submitted(world, [bell(target="aer")])
    world.service.mark_sent([chunk, Dispatch(job_id=single, target="aer", label="")])
    with world.store.read() as tx:
        assert None not in {row.sent_at for row in tx.jobs([single, *chunk.job_ids])}


def test_a_chunk_that_nobody_sent_is_sent_job_by_job(world: World, chunk: Chunk) -> None:
    world.dispatcher.sent.clear()
    world.clock.advance(60)
    world.upkeep.resend()
    assert set(chunk.job_ids) <= {each.job_id for each in world.dispatcher.sent}


def test_a_note_leaves_alone_what_was_given_back(world: World, chunk: Chunk) -> None:
    world.work.release(chunk.job_ids[:1])
    world.service.mark_sent([chunk])
    with world.store.read() as tx:
        sent = {row.id: row.sent_at for row in tx.jobs(chunk.job_ids)}
    assert sent.pop(chunk.job_ids[0]) is None
    assert None not in sent.values()


def test_a_paused_target_gets_no_chunks(world: World) -> None:
    world.targets.set_state("aer", TargetState.PAUSED)
    job_ids = submitted(world, [bell(target="aer") for _ in range(4)])
    assert world.dispatcher.chunks == []
    world.targets.set_state("aer", TargetState.ACTIVE)
    world.clock.advance(60)
    world.upkeep.resend()
    assert {each.job_id for each in world.dispatcher.sent} == set(job_ids)


# -- claiming


def test_those_that_wait_are_claimed_in_their_order(world: World, chunk: Chunk) -> None:
    canceled, taken, *others = chunk.job_ids
    world.jobs.cancel(str(canceled))
    world.claim(taken, "another@host")
    claims = claimed(world, chunk)
    assert [each.job_id for each in claims] == others
    assert {(each.attempt, each.faults) for each in claims} == {(1, 0)}
    assert claimed(world, chunk) == []
    info = world.info(others[0])
    assert (info.worker, [event.status for event in info.events]) == (WORKER, [PENDING, RUNNING])


def test_a_target_that_is_paused_meanwhile_keeps_its_jobs(world: World, chunk: Chunk) -> None:
    world.service.mark_sent([chunk])
    world.targets.set_state("aer", TargetState.PAUSED)
    assert claimed(world, chunk) == []
    with world.store.read() as tx:
        assert {row.sent_at for row in tx.jobs(chunk.job_ids)} == {None}


def test_claims_are_looked_after_together(world: World, chunk: Chunk) -> None:
    claims = claimed(world, chunk)
    world.jobs.cancel(str(chunk.job_ids[2]))
    held = set(chunk.job_ids) - {chunk.job_ids[2]}
    assert world.work.held_among(claims) == held
    world.clock.advance(20)
    assert world.work.renew_many(claims) == held
    with world.store.read() as tx:
        leases = {row.lease_until for row in tx.jobs(held)}
    assert leases == {world.clock() + timedelta(seconds=world.work.lease_s)}


# -- ending


def test_jobs_end_together_each_with_its_own(world: World, chunk: Chunk) -> None:
    claims = claimed(world, chunk)
    ended = [(each, finished() if n % 2 else failed()) for n, each in enumerate(claims)]
    assert world.work.end_many(ended) == set(chunk.job_ids)
    expected = [JobStatus.FINISHED if n % 2 else JobStatus.FAILED for n in range(len(claims))]
    assert statuses(world, chunk.job_ids) == expected
    assert not world.files() & set(chunk.job_ids)
    good, bad = world.info(chunk.job_ids[1]), world.info(chunk.job_ids[0])
    assert good.error is None
    assert bad.error is not None
    assert bad.error.message == failed().message
    assert len(world.jobs.results(str(chunk.job_ids[1]))) == 1
    assert world.jobs.results(str(chunk.job_ids[0])) == []
    assert [event.status for event in good.events] == [PENDING, RUNNING, JobStatus.FINISHED]


def test_it_is_the_same_end_as_that_of_a_job_alone(world: World, chunk: Chunk) -> None:
    alone, together = claimed(world, chunk)[:2]
    world.work.finish(alone, finished())
    world.work.end_many([(together, finished())])
    with world.store.read() as tx:
        one, other = (tx.job(each.job_id) for each in (alone, together))
    assert one is not None
    assert other is not None
    differ = {"id", "request_id", "batch_index", "saving_s", "digest"}
    assert one.model_dump(exclude=differ) == other.model_dump(exclude=differ)


def test_one_that_was_given_away_keeps_no_other_from_its_end(world: World, chunk: Chunk) -> None:
    claims = claimed(world, chunk)
    world.jobs.cancel(str(chunk.job_ids[1]))
    held = world.work.end_many([(each, finished()) for each in claims])
    assert held == set(chunk.job_ids) - {chunk.job_ids[1]}
    assert world.status(chunk.job_ids[1]) is JobStatus.CANCELED
    assert world.jobs.results(str(chunk.job_ids[1])) == []
    assert Counter(statuses(world, chunk.job_ids))[JobStatus.FINISHED] == len(held)


def test_an_operator_cancels_a_chunk_by_its_task(world: World, chunk: Chunk) -> None:
    other = world.dispatcher.chunks[1]
    first = world.claim(chunk.job_ids[0])
    world.work.finish(first, finished())
    assert world.work.cancel_all([chunk.chunk_id]) == len(chunk.job_ids) - 1
    assert statuses(world, chunk.job_ids[1:]) == [JobStatus.CANCELED] * (len(chunk.job_ids) - 1)
    assert statuses(world, other.job_ids) == [PENDING] * len(other.job_ids)


def test_a_lost_worker_leaves_jobs_that_have_their_own_messages(world: World, chunk: Chunk) -> None:
    claimed(world, chunk)
    world.upkeep.recover()
    world.clock.advance(120)
    world.upkeep.recover()
    assert statuses(world, chunk.job_ids) == [PENDING] * len(chunk.job_ids)
    with world.store.read() as tx:
        assert {(row.chunk_id, row.faults) for row in tx.jobs(chunk.job_ids)} == {(None, 1)}


# -- those that came together


def test_jobs_that_come_together_share_messages_if_there_are_more_than_slots(world: World) -> None:
    orders = [Order(spec=bell(target="aer"), request_id=f"r{n}", owner=ANONYMOUS) for n in range(9)]
    jobs = world.service.submit_each(orders)
    slots = world.settings.targets["aer"].concurrency
    assert slots == 2
    assert sorted(len(each.job_ids) for each in world.dispatcher.chunks) == [4, 5]
    assert {each.job_id for each in world.dispatcher.sent} == {UUID(job.id) for job in jobs}
    world.dispatcher.chunks.clear()
    world.service.submit_each(
        [Order(spec=bell(target="aer"), request_id=f"s{n}", owner=ANONYMOUS) for n in range(2)]
    )
    assert world.dispatcher.chunks == []


def test_what_is_refused_is_in_no_chunk(world: World) -> None:
    orders = [Order(spec=bell(target="aer"), request_id=f"r{n}", owner=ANONYMOUS) for n in range(8)]
    (first,) = world.service.submit_each(orders[:1])
    world.dispatcher.sent.clear()
    jobs = world.service.submit_each(orders)
    assert jobs[0].id == first.id
    assert {each.job_id for each in world.dispatcher.sent} == {UUID(job.id) for job in jobs[1:]}
