"""Full load: more jobs wait than can run, at any time."""

from __future__ import annotations

import random
from collections import Counter
from threading import Event, Lock, Thread
from typing import Any, Final

from qdispatch import Client, Job
from qdispatch.model import CancelVerdict, JobStatus
from tests.e2e import circuits

TARGETS: Final = ("aer", "cirq", "pennylane")

# Each client has so many jobs under way.
_UNDER_WAY: Final = 6
_WAIT_S: Final = 120.0


class Load:
    """Clients in threads that submit, cancel and fetch.

    Args:
        address: Of the server.
        clients: How many.
    """

    def __init__(self, address: str, clients: int) -> None:
        self._address = address
        self._stop = Event()
        self._lock = Lock()
        self.endings: Counter[str] = Counter()
        self.errors: list[str] = []
        self._threads = [
            Thread(target=self._work, args=(number,), name=f"client {number}")
            for number in range(clients)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Submits no more, and waits until all that was submitted has ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        try:
            with Client(self._address) as client:
                while not self._stop.is_set():
                    jobs = [self._submit(client, chance) for _ in range(_UNDER_WAY)]
                    for job in jobs:
                        self._end(job, chance)
        except Exception as error:  # noqa: BLE001 - it is told at the end of the run
            self.errors.append(f"client {number}: {type(error).__name__}: {error}")

    def _submit(self, client: Client, chance: random.Random) -> Job:
        make = chance.choice(
            (
                circuits.qiskit_circuit,
                circuits.cirq_circuit,
                circuits.pennylane_circuit,
                lambda: circuits.wide(16),
                lambda: circuits.custom("OPENQASM 2.0; nonsense"),
            )
        )
        options: dict[str, Any] = {"target": chance.choice(TARGETS), "shots": 100}
        return client.submit(make(), seed=chance.randrange(1000), **options)

    def _end(self, job: Job, chance: random.Random) -> None:
        if chance.random() < 0.1 and job.cancel() is not CancelVerdict.TOO_LATE:
            self._count("canceled")
            return
        status = job.wait(_WAIT_S)
        if status is JobStatus.FINISHED:
            job.result()
        self._count(status.value)

    def _count(self, ending: str) -> None:
        with self._lock:
            self.endings[ending] += 1
