"""The clients: they submit, cancel and look, whatever is down meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from queue import Empty, PriorityQueue
from threading import Condition, Event, Thread
from typing import Final, TypeVar

from qdispatch import Client
from qdispatch.codec import decode_job, decode_verdict
from qdispatch.errors import (
    JobNotFoundError,
    QDispatchError,
    RequestError,
    UnavailableError,
)
from qdispatch.model import CancelVerdict, JobInfo
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.mixture import Kind, Order, extra

T = TypeVar("T")

_SUBMITTERS: Final = 3
# Jobs of one batch.
_BATCH: Final = 24
_CANCELERS: Final = 3
_OBSERVERS: Final = 2
_TIMEOUT_S: Final = 6.0
_RETRY_S: Final = 0.1
_LOOK_S: Final = 0.1


class Load:
    """Threads of clients.

    Args:
        address: The server's.
        orders: What to submit.
        ledger: Where they note what they know.
        backlog: How many jobs are active now.
        most: How many active jobs are enough.
    """

    def __init__(
        self,
        address: str,
        orders: Iterator[Order],
        ledger: Ledger,
        *,
        backlog: Callable[[], int],
        most: int = 40,
    ) -> None:
        self._address = address
        self._orders = orders
        self._ledger = ledger
        self._backlog = backlog
        self._most = most
        self._due: PriorityQueue[tuple[float, int, Entry]] = PriorityQueue()
        self._numbers = count()
        self._given = 0
        self._extra: list[Order] = []
        self._allowed = 0
        self._changed = Condition()
        self._no_more = Event()
        self._submitted = Event()
        self._stop = Event()
        self._submitters = [
            *self._threads("submitter", self._submit_all, _SUBMITTERS),
            *self._threads("batch submitter", self._submit_batches, 1),
        ]
        self._cancelers = self._threads("canceler", self._cancel_all, _CANCELERS)
        self._observers = self._threads("observer", self._observe, _OBSERVERS)

    @property
    def given(self) -> int:
        """How many orders were begun."""
        return self._given

    def start(self) -> None:
        """Starts all threads; they submit as many as they are allowed."""
        for thread in (*self._submitters, *self._cancelers, *self._observers):
            thread.start()

    def allow(self, number: int) -> None:
        """Lets them submit so many in all."""
        with self._changed:
            self._allowed = max(self._allowed, number)
            self._changed.notify_all()

    def add(self, target: str) -> None:
        """Submits a slow job beside, unless one is on its way."""
        with self._changed:
            if not self._extra:
                self._extra.append(extra(next(self._numbers), target))
                self._changed.notify_all()

    def finish(self, number: int, timeout_s: float) -> bool:
        """Submits no more than so many in all; whether all is settled in time."""
        self._no_more.set()
        with self._changed:
            self._allowed = number
            self._changed.notify_all()
        until = time.monotonic() + timeout_s
        settled = _join(self._submitters, until)
        self._submitted.set()
        return _join(self._cancelers, until) and settled

    def stop(self) -> None:
        """Ends all threads, whatever they do."""
        self._no_more.set()
        self._submitted.set()
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        _join((*self._submitters, *self._cancelers, *self._observers), time.monotonic() + 30)

    def _threads(self, name: str, work: Callable[[Client], None], number: int) -> list[Thread]:
        def run() -> None:
            with ExitStack() as stack:
                work(stack.enter_context(Client(self._address, timeout_s=_TIMEOUT_S)))

        return [Thread(target=run, name=f"{name} {n}", daemon=True) for n in range(number)]

    # -- submitting

    def _submit_all(self, client: Client) -> None:
        while (order := self._next()) is not None:
            if self._stop.wait(order.pause_s):
                return
            self._submit(client, self._ledger.open(order))

    def _next(self, *, wait: bool = True) -> Order | None:
        with self._changed:
            # The backlog changes without a word; so this looks now and then.
            while (
                wait
                and not (self._no_more.is_set() or self._extra)
                and (self._given >= self._allowed or self._backlog() >= self._most)
            ):
                self._changed.wait(0.2)
            over = self._given >= self._allowed and (self._no_more.is_set() or not wait)
            if self._stop.is_set() or over:
                return None
            if self._extra:
                return self._extra.pop()
            self._given += 1
            return next(self._orders)

    def _submit(self, client: Client, entry: Entry) -> None:
        order = entry.order
        for _ in range(2 if order.repeated else 1):
            try:
                info = self._until_answered(
                    entry, lambda: client.create_job(order.spec, request_id=order.request_id)
                )
            except RequestError as error:
                entry.refusal = f"{type(error).__name__}: {error}"
                return
            if info is None:
                return
            entry.acknowledge(info.id)
        self._cancel_later(entry)

    def _submit_batches(self, client: Client) -> None:
        while (first := self._next()) is not None:
            orders = [first]
            while len(orders) < _BATCH and (order := self._next(wait=False)) is not None:
                orders.append(order)
            alone = [order for order in orders if order.repeated or order.kind is Kind.REFUSED]
            for order in alone:
                self._submit(client, self._ledger.open(order))
            together = [order for order in orders if order not in alone]
            if together:
                self._submit_batch(client, [self._ledger.open(order) for order in together])

    def _submit_batch(self, client: Client, entries: Sequence[Entry]) -> None:
        specs = [entry.order.spec for entry in entries]
        request_id = f"batch-{entries[0].order.request_id}"
        kept = self._until_answered(
            entries[0], lambda: client.create_jobs(specs, request_id=request_id)
        )
        if kept is None:
            return
        batch, job_ids = kept
        for index, (entry, job_id) in enumerate(zip(entries, job_ids, strict=True)):
            entry.in_batch = f"{batch.id}/{index}"
            entry.acknowledge(job_id)
            self._cancel_later(entry)

    def _cancel_later(self, entry: Entry) -> None:
        if entry.order.cancel_after_s is not None:
            due = time.monotonic() + entry.order.cancel_after_s
            self._due.put((due, next(self._numbers), entry))

    # -- canceling

    def _cancel_all(self, client: Client) -> None:
        while not self._stop.is_set():
            try:
                due, _, entry = self._due.get(timeout=0.1)
            except Empty:
                if self._submitted.is_set():
                    return
                continue
            self._stop.wait(max(0.0, due - time.monotonic()))
            self._cancel(client, entry)

    def _cancel(self, client: Client, entry: Entry) -> None:
        try:
            answer = self._until_answered(entry, lambda: _cancel(client, entry.job_ids[0]))
        except RequestError as error:
            entry.problems.append(f"cancel: {type(error).__name__}: {error}")
            return
        if answer is not None:
            entry.verdict, info = answer
            if info.status.is_final:
                entry.see(info)
            else:
                entry.problems.append(f"the verdict {entry.verdict} came with {info.status}")

    # -- looking

    def _observe(self, client: Client) -> None:
        while not self._stop.wait(_LOOK_S):
            entry = self._ledger.some()
            if entry is None:
                continue
            had = len(entry.sightings)
            try:
                info = client.get_job(entry.job_ids[0])
            except JobNotFoundError:
                entry.problems.append("was acknowledged, and not found")
            except UnavailableError:
                continue
            except QDispatchError as error:
                entry.problems.append(f"get: {error}")
            else:
                # Another client may have seen its end while this answer was on its way.
                if info.status.is_final or had:
                    entry.see(info)

    def _until_answered(self, entry: Entry, call: Callable[[], T]) -> T | None:
        """Repeats a call until it is answered; None if everything is stopped before.

        Raises:
            RequestError: It was refused.
        """
        while not self._stop.is_set():
            try:
                return call()
            except UnavailableError:
                self._stop.wait(_RETRY_S)
            except RequestError:
                raise
            except QDispatchError as error:
                # A defect, to be reported; what became of the call is open.
                entry.problems.append(f"{type(error).__name__}: {error}")
                self._stop.wait(1.0)
        return None


def _cancel(client: Client, job_id: str) -> tuple[CancelVerdict, JobInfo]:
    """Cancels a job; the job as it was at that moment comes along, as `Client` does not tell."""
    flow = client._calls.unary("CancelJob", pb.CancelJobRequest(id=job_id))
    answer = client._driver.run(flow)
    return decode_verdict(answer.verdict), decode_job(answer.job)


def _join(threads: list[Thread] | tuple[Thread, ...], until: float) -> bool:
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
