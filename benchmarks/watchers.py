"""Thousands of watchers on one server: does each hear of its job's end, how soon, at what cost?

A service of its own runs in a folder of its own, with one worker. Its target is
paused while all watchers settle; then it is resumed, and each watcher says how
long after its job's finish_time it heard of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import psutil

from qdispatch import Client, CustomCircuit
from qdispatch.async_client import AsyncClient

_BELL = CustomCircuit(
    program='OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2];'
    " h q[0]; cx q[0], q[1]; measure q -> c;",
    program_format="openqasm2",
    n_qubits=2,
    depth=3,
    framework="benchmark",
)
_PORT = 50951
_ADDRESS = f"127.0.0.1:{_PORT}"
# gRPC shares a connection's 100 streams and more among few of its threads.
_PER_CLIENT = 100


@contextmanager
def installation(folder: Path) -> Iterator[dict[str, psutil.Process]]:
    """A server, a sweep and a worker; yields its processes by name."""
    environment = os.environ | {
        "QDISPATCH_DATA_DIR": str(folder),
        "QDISPATCH_SERVER__ADDRESS": _ADDRESS,
    }
    commands = {
        "migrate": ["-m", "app", "migrate"],
        "pause": ["-m", "app", "target", "pause", "aer"],
        "server": ["-m", "rpc"],
        "sweep": ["-m", "tasks.sweep"],
        "worker": [
            "-m",
            "celery",
            "-A",
            "tasks",
            "-q",
            "worker",
            "-Q",
            "aer",
            "-n",
            "aer@benchmark",
            "--without-mingle",
            "--without-gossip",
        ],
    }
    started: dict[str, subprocess.Popen[bytes]] = {}
    with (folder / "log").open("wb") as log:
        for name, command in commands.items():
            process = subprocess.Popen([sys.executable, *command], env=environment, stderr=log)
            if name in ("migrate", "pause"):
                process.wait()
            else:
                started[name] = process
        try:
            os.environ |= environment
            yield {name: psutil.Process(each.pid) for name, each in started.items()}
        finally:
            for each in started.values():
                each.terminate()
            for each in started.values():
                each.wait()


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


async def settle_and_run(job_ids: list[str], server: psutil.Process) -> list[float]:
    """All watchers at once; returns how late each of them heard."""
    settled = asyncio.Semaphore(0)
    clients = [AsyncClient(_ADDRESS) for _ in range(0, len(job_ids), _PER_CLIENT)]
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
    resume = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "target", "resume", "aer", stdout=subprocess.DEVNULL
    )
    await resume.wait()
    started = time.monotonic()
    late = await asyncio.gather(*tasks)
    took = time.monotonic() - started
    busy = sum(server.cpu_times()[:2]) - busy
    print(f"all heard of their ends, in {took:.0f} s; server: {busy:.0f} s of CPU")
    for client in clients:
        await client.close()
    return late


def wait_until_serving() -> None:
    """Returns when the server answers."""
    with Client(_ADDRESS) as client:
        until = time.monotonic() + 60
        while not client.is_serving():
            if time.monotonic() > until:
                raise SystemExit("the server does not start; see its log")
            time.sleep(0.1)


def main() -> int:
    """Prints the figures; fails if a watcher was left in the dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, installation(Path(name)) as processes:
        wait_until_serving()
        with Client(_ADDRESS) as client:
            batch = client.submit_batch([_BELL] * options.watchers, target="aer", shots=100)
            job_ids = list(batch.job_ids)
        late = asyncio.run(settle_and_run(job_ids, processes["server"]))
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
