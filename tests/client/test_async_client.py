"""What is the async client's own."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from qdispatch import AsyncBatch, AsyncClient, AsyncJob, Batch, Client, Job
from qdispatch.errors import QDispatchError
from tests.client.answers import FINISHED, LIFE, PENDING, created, job_id, told
from tests.client.scripted import ScriptedServer, silence
from tests.specs import bell
from tests.waiting import wait_until


@pytest.mark.parametrize(
    ("blocking", "awaiting"),
    [(Client, AsyncClient), (Job, AsyncJob), (Batch, AsyncBatch)],
    ids=["client", "job", "batch"],
)
def test_whatever_blocks_can_be_awaited(blocking: type, awaiting: type) -> None:
    assert signatures(blocking) == signatures(awaiting)


def signatures(kind: type) -> dict[str, list[tuple[str, Any, Any, Any]]]:
    return {
        name: [
            (each.name, each.kind, each.default, each.annotation)
            for each in inspect.signature(method).parameters.values()
            if each.name != "client"
        ]
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") or name == "__init__"
    }


def test_many_wait_in_one_thread(server: ScriptedServer) -> None:
    count = 20
    server.say("CreateJob", *(created(PENDING, index=index) for index in range(count)))
    server.say("WatchJob", lambda request, _: [told(*LIFE, id=request.id, since=1)])

    async def run() -> list[Any]:
        async with AsyncClient(server.address) as client:
            jobs = [AsyncJob(client, await client.create_job(bell())) for _ in range(count)]
            return await asyncio.gather(*(job.wait() for job in jobs))

    assert asyncio.run(run()) == [FINISHED] * count


def test_a_task_that_is_canceled_cancels_its_stream(server: ScriptedServer) -> None:
    server.say("WatchJob", [told(PENDING), silence])

    async def run() -> None:
        async with AsyncClient(server.address) as client:
            seen = asyncio.Event()

            async def watch() -> None:
                async for _ in client.watch_job(job_id()):
                    seen.set()

            task = asyncio.create_task(watch())
            await seen.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(wait_until, lambda: server.ended == ["WatchJob"], 5)

    asyncio.run(run())


def test_who_waits_while_the_client_is_closed_is_told(server: ScriptedServer) -> None:
    server.say("WatchJob", [told(PENDING), silence])

    async def run() -> None:
        client = AsyncClient(server.address)
        updates = client.watch_job(job_id())
        await anext(updates)
        waiting = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(QDispatchError, match="has been closed"):
            await waiting

    asyncio.run(run())
