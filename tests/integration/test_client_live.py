"""The client on a real server: what it hears, and how it finds things again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.jobs import EncodedResult
from app.outlooks import OutlookSource
from app.settings import Settings
from app.watching import Watchers
from qdispatch import AsyncClient, Client, CustomCircuit, Job
from qdispatch.errors import BatchNotFoundError, InvalidJobError
from qdispatch.model import JobStatus, Result, ResultType
from qdispatch.results_codec import encode_result
from rpc.server import Server
from tests.integration.servers import running
from tests.services.process import free_port
from tests.world import World, bell, finished, make_settings

SWEPT = CustomCircuit(
    program='OPENQASM 3.0; include "stdgates.inc"; input float[64] a; qubit q; rx(a) q;',
    program_format="openqasm3",
    n_qubits=1,
    depth=1,
    framework="mine",
    parameters=("a",),
)
LIFE = [JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FINISHED]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    # Nobody looks after the jobs but who changes them.
    server = {"address": "127.0.0.1:0", "watch_interval_s": 60}
    return make_settings(tmp_path, database_url=database_url, server=server)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with running(Server(world.service, world.watchers, world.settings.server)) as server:
        yield server


@contextmanager
def another(world: World, port: int) -> Iterator[int]:
    """A server at this port, whose watchers are new, and hear of nothing but by looking."""
    watchers = Watchers(
        store=world.store,
        clock=world.clock,
        outlooks=OutlookSource(world.store),
        interval_s=0.01,
    )
    address = {"address": f"127.0.0.1:{port}"}
    settings = world.settings.server.model_copy(update=address)
    with running(Server(world.service, watchers, settings)) as server:
        yield server.port


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(f"127.0.0.1:{server.port}") as client:
        yield client


def end(world: World, job_id: str, **changes: Any) -> None:
    """Runs a job, as a worker does whose events reach the server."""
    key = UUID(job_id)
    claim = world.claim(key)
    world.watchers.changed([key])
    assert world.work.finish(claim, finished(**changes))
    world.watchers.changed([key])


def test_the_end_is_heard_of_at_once(client: Client, world: World) -> None:
    job = client.job(client.create_job(bell()).id)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(job.wait, 30)
        end(world, job.id)
        assert waiting.result() is JobStatus.FINISHED
    assert [event.status for event in job.info.events] == LIFE


def test_no_event_is_lost_or_told_twice_when_the_server_starts_again(world: World) -> None:
    with ExitStack() as stack:
        with another(world, free_port()) as port:
            client = stack.enter_context(Client(f"127.0.0.1:{port}"))
            job = client.create_job(bell())
            updates = client.watch_job(job.id)
            heard = list(next(updates).events)
        claim = world.claim(UUID(job.id))
        with another(world, port):
            heard += next(update for update in updates if update.events).events
        world.work.finish(claim, finished())
        with another(world, port):
            heard += [event for update in updates for event in update.events]
    assert [event.status for event in heard] == LIFE
    assert [event.number for event in heard] == [1, 2, 3]


def test_a_batch_comes_as_it_ends_and_is_found_again(client: Client, world: World) -> None:
    batch = client.submit_batch([bell(tags=(word,)) for word in "abc"], request_id="mine")
    again = client.submit_batch([bell(tags=(word,)) for word in "abc"], request_id="mine")
    assert (again.id, again.job_ids) == (batch.id, batch.job_ids)
    came = []
    jobs = batch.as_completed(30)
    for index in (1, 2, 0):
        end(world, batch.job_ids[index])
        came.append(next(jobs))
    assert [job.info.batch_index for job in came] == [1, 2, 0]
    assert list(jobs) == []
    found = client.batch(batch.id)
    assert found.wait(0).finished == 3
    assert [result.info.spec.tags for result in found.results()] == [("a",), ("b",), ("c",)]
    assert [job.id for job in client.jobs(batch=batch.id, limit=2)] == [
        batch.job_ids[2],
        batch.job_ids[1],
    ]
    assert {each.verdict for each in found.cancel()} == {"too_late"}


def test_a_batch_is_refused_whole(client: Client) -> None:
    with pytest.raises(InvalidJobError, match="shots") as caught:
        client.submit_batch([bell(), bell(shots=0)])
    assert caught.value.field.startswith("specs[1]")
    assert list(client.jobs()) == []
    with pytest.raises(BatchNotFoundError, match="no batch"):
        client.batch("018f0000-0000-7000-8000-000000000000")


def swept(values: list[float]) -> tuple[EncodedResult, ...]:
    """Results of a sweep, as an engine hands them over."""
    results = (
        Result(type=ResultType.EXPVAL, expval=(value,), standard_errors=(0.0,), point=point)
        for point, value in enumerate(values)
    )
    return tuple(
        EncodedResult(
            result_type="expval",
            point=result.point,
            value=encode_result(result).SerializeToString(),
        )
        for result in results
    )


def test_a_sweep_knows_its_points_however_it_is_found(client: Client, world: World) -> None:
    values = [0.0, 0.5, 1.0]
    spec = client.prepare(
        SWEPT, parameters={"a": values}, result_types=["expval"], observables=["Z"], target="aer"
    )
    job = Job(client, client.create_job(spec))
    assert job.info.spec.parameter_values == ((0.0,), (0.5,), (1.0,))
    batch = client.submit_batch([spec] * 4)
    for each in (job.id, *batch.job_ids):
        end(world, each, results=swept(values))
    for result in (job.result(10), client.job(job.id).result(), *batch.results(10)):
        assert result.parameters == {"a": tuple(values)}
        assert [(point.parameters["a"], point.expval) for point in result] == [
            (value, (value,)) for value in values
        ]


def test_many_wait_in_one_event_loop(server: Server, world: World) -> None:
    async def run() -> list[JobStatus]:
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            batch = await client.submit_batch([bell() for _ in range(30)])
            waiting = [asyncio.create_task(job.wait(30)) for job in await batch.jobs()]
            await asyncio.to_thread(lambda: [end(world, each) for each in batch.job_ids])
            return await asyncio.gather(*waiting)

    assert asyncio.run(run()) == [JobStatus.FINISHED] * 30
