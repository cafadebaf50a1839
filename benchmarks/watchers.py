"""Thousands of watchers on one server: does each hear of its job's end, how soon, at what cost?

A service of its own runs in a folder of its own, with one worker. Its target is
paused while all watchers settle; then it is resumed, and each watcher says how
long after its job's finish_time it heard of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from datetime import UTC, datetime
from statistics import quantiles
from typing import Final

from benchmarks.installation import Installation, Workshop
from benchmarks.programs import bell
from qdispatch import Client
from qdispatch.async_client import AsyncClient

# gRPC shares a connection's 100 streams and more among few of its threads.
_PER_CLIENT: Final = 100


async def watch(client: AsyncClient, job_id: str, settled: asyncio.Semaphore) -> float:
    """Watches one job to its end; returns how late it heard of it, in seconds."""
    first = True
    async for update in client.watch_job(job_id):
        if first:
            settled.release()
            first = False
        if update.job.finish_time is not None:
            return (datetime.now(UTC) - update.job.finish_time).total_seconds()
    raise RuntimeError(f"the end of job {job_id} was not heard of")


async def settle_and_run(job_ids: list[str], installation: Installation) -> list[float]:
    """All watchers at once; returns how late each of them heard."""
    server = installation.processes()["server"]
    settled = asyncio.Semaphore(0)
    clients = [AsyncClient(installation.address) for _ in range(0, len(job_ids), _PER_CLIENT)]
    before = server.memory_info().rss
    tasks = [
        asyncio.create_task(watch(clients[place // _PER_CLIENT], job_id, settled))
        for place, job_id in enumerate(job_ids)
    ]
    started = time.monotonic()
    for _ in job_ids:
        await settled.acquire()
    grown = server.memory_info().rss - before
    print(f"{len(job_ids)} watchers settled in {time.monotonic() - started:.1f} s")
    print(f"server: {before / 2**20:.0f} MiB before, {grown / 2**20:.0f} MiB more with them,")
    print(f"        {server.num_threads()} threads")
    busy = sum(server.cpu_times()[:2])
    await asyncio.to_thread(installation.stack.run, "app", "target", "resume", "aer")
    started = time.monotonic()
    late = await asyncio.gather(*tasks)
    took = time.monotonic() - started
    busy = sum(server.cpu_times()[:2]) - busy
    print(f"all heard of their ends, in {took:.0f} s; server: {busy:.0f} s of CPU")
    for client in clients:
        await client.close()
    return late


def main() -> int:
    """Prints the figures; fails if a watcher was left in the dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=2000)
    options = parser.parse_args()
    shop = Workshop()
    try:
        with shop.installed(None, targets=("aer",)) as installation:
            installation.stack.run("app", "target", "pause", "aer")
            with Client(installation.address) as client:
                batch = client.submit_batch([bell()] * options.watchers, target="aer", shots=100)
                job_ids = list(batch.job_ids)
            late = asyncio.run(settle_and_run(job_ids, installation))
    finally:
        shop.close()
    hundredths = quantiles(late, n=100)
    print(
        f"after the end was stored: half of them within {1e3 * hundredths[49]:.0f} ms,"
        f" 99 in 100 within {1e3 * hundredths[98]:.0f} ms, the last {1e3 * max(late):.0f} ms"
    )
    return 0


if __name__ == "__main__":
    # gRPC's own words about connections are no part of the figures.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    raise SystemExit(main())
