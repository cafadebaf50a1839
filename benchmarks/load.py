"""Concurrent clients: `python -m benchmarks.load KIND CLIENTS`, to be asked in JSON.

Each client is a process of its own. They are forked from one that has imported
what they need, and made no connection yet.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias
from uuid import uuid4

from benchmarks.process import Helper, helper, serve
from benchmarks.programs import BELL, SHOTS, bell

_METHOD: Final = "/qdispatch.v1.QDispatch/"


#: What a client does when it is asked: how much it did, or how long that took.
Work: TypeAlias = Callable[..., float]


def celery_client() -> Work:
    """Sends tasks of the bare application, one after the other."""
    from benchmarks.baselines.bell import (
        BACKEND_VARIABLE,
        BELL_TASK,
        BROKER_VARIABLE,
        make_app,
    )

    app = make_app(os.environ[BROKER_VARIABLE], os.environ[BACKEND_VARIABLE])
    task = app.tasks[BELL_TASK]

    def work(*, each: int, **_: object) -> float:
        started = perf_counter()
        for _number in range(each):
            task.apply_async((BELL, SHOTS))
        return perf_counter() - started

    return work


def single_client() -> Work:
    """Submits jobs, one after the other."""
    from qdispatch import Client

    client = Client()

    def work(*, each: int, target: str, **_: object) -> float:
        started = perf_counter()
        for _number in range(each):
            client.submit(bell(), target=target, shots=SHOTS)
        return perf_counter() - started

    return work


def batch_client() -> Work:
    """Submits a batch."""
    from qdispatch import Client

    client = Client()

    def work(*, each: int, target: str, **_: object) -> float:
        circuits = [bell() for _number in range(each)]
        started = perf_counter()
        client.submit_batch(circuits, target=target, shots=SHOTS)
        return perf_counter() - started

    return work


def calling_client() -> Work:
    """Makes one kind of call for a while, several at once, and counts them.

    Requests are made as the client makes them; answers are not decoded.
    """
    import grpc

    from qdispatch.channel import address_or_default

    channel = grpc.insecure_channel(address_or_default(None))

    def work(
        *, method: str, threads: int, seconds: float, ids: Sequence[str] = (), **_: object
    ) -> float:
        call: Callable[..., bytes] = channel.unary_unary(
            method if method.startswith("/") else _METHOD + method,
            request_serializer=None,
            response_deserializer=None,
        )
        until = perf_counter() + seconds

        def caller(number: int) -> int:
            requests = _requests(method, ids, number)
            done = 0
            while perf_counter() < until:
                call(next(requests), timeout=30.0)
                done += 1
            return done

        with ThreadPoolExecutor(threads) as pool:
            return float(sum(pool.map(caller, range(threads))))

    return work


def _requests(method: str, ids: Sequence[str], number: int) -> Iterator[bytes]:
    from qdispatch import preparation
    from qdispatch.codec import encode_spec
    from qdispatch.v1 import qdispatch_pb2 as pb

    spec = encode_spec(preparation.prepare(bell(), target="aer", shots=SHOTS))
    at = number * 7
    while True:
        at += 1
        if method == "GetJob":
            yield pb.GetJobRequest(id=ids[at % len(ids)]).SerializeToString()
        elif method == "CreateJob":
            request = pb.CreateJobRequest(request_id=str(uuid4()), spec=spec)
            yield request.SerializeToString()
        else:
            yield b""


KINDS: Final[Mapping[str, Callable[[], Work]]] = {
    "celery": celery_client,
    "single": single_client,
    "batch": batch_client,
    "calls": calling_client,
}


@contextmanager
def clients(
    kind: str, number: int, log_file: Path, environment: Mapping[str, str]
) -> Iterator[Helper]:
    """Processes that load a service; each question is for all of them.

    Args:
        kind: One of `KINDS`.
        number: How many clients.
        log_file: For what they say.
        environment: Where to find the service: QDISPATCH_ADDRESS, or what
            the bare application needs.
    """
    with helper(["benchmarks.load", kind, str(number)], log_file, environment) as load:
        load.ask(timeout_s=60.0, ready=True)
        yield load


def _client(pipe: Connection, kind: str) -> None:
    work = KINDS[kind]()
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            answer: object = work(**question)
        except Exception as error:  # noqa: BLE001 - it is told to whoever has asked
            answer = f"{type(error).__name__}: {error}"
        pipe.send(answer)


def _fork(kind: str, number: int) -> list[Connection]:
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    for _ in range(number):
        ours, theirs = context.Pipe()
        process = context.Process(target=_client_of, args=(theirs, [*pipes, ours], kind))
        process.daemon = True
        process.start()
        theirs.close()
        pipes.append(ours)
    return pipes


def _client_of(pipe: Connection, others: Sequence[Connection], kind: str) -> None:
    for other in others:
        other.close()
    _client(pipe, kind)


def main() -> int:
    """Forks the clients, and passes on what they are asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("clients", type=int)
    options = parser.parse_args()
    _import_all()
    pipes = _fork(options.kind, options.clients)

    def answer(*, ready: bool = False, **question: object) -> list[float]:
        if ready:
            return []
        for pipe in pipes:
            pipe.send(question)
        answers = [pipe.recv() for pipe in pipes]
        problems = [each for each in answers if isinstance(each, str)]
        if problems:
            raise RuntimeError("; ".join(problems[:3]))
        return answers

    serve(answer)
    return 0


def _import_all() -> None:
    """What the clients need, once for all of them."""
    import celery  # noqa: F401
    import grpc  # noqa: F401
    import redis  # noqa: F401

    import qdispatch  # noqa: F401


if __name__ == "__main__":
    raise SystemExit(main())
