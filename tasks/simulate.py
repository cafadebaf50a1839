"""What an engine does: one job after the other, from its pipe and back to it.

The pipe carries bytes and JSON, never pickles: nothing that a program could
make of its engine may run in the slot that reads its answer.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from time import perf_counter
from typing import Any, Final

from qdispatch.codec import decode_spec
from qdispatch.model import ErrorKind, JobSpec
from qdispatch.results_codec import encode_result
from qdispatch.v1 import qdispatch_pb2 as pb
from tasks.circuit import Circuit
from tasks.cpu import own_cpu_s
from tasks.parsed import ParsedPrograms
from tasks.peak import PeakMemory
from tasks.pipe import Limits
from tasks.points import simulate_points
from tasks.progress import Progress
from tasks.simulators import Request, Simulation, SimulationError, Simulator

_log = logging.getLogger(__name__)

#: Results larger than this go through shared memory, in bytes.
SHARED_FROM: Final = 2**20


def serve(connection: Connection, simulator: Simulator, limits: Limits) -> None:
    """Answers jobs until the pipe is closed.

    Args:
        connection: To the slot.
        simulator: The target's, with its SDK imported.
        limits: Of one simulation.
    """
    serve_with(connection, Answers(simulator, limits))


def serve_with(connection: Connection, answers: Answers) -> None:
    """Answers jobs until the pipe is closed; see `serve`."""
    progress = Progress(connection.send_bytes)
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        _send(connection, *answers.answer(message, progress))
        answers.rest()


class Answers:
    """Answers one job after the other; what is the same for all of them is made once.

    Args:
        simulator: The target's.
        limits: Of one simulation.
        begin: Told of each job's time limit before it runs.
    """

    def __init__(
        self,
        simulator: Simulator,
        limits: Limits,
        begin: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        self._simulator = simulator
        self._limits = limits
        self._begin = begin
        self._memory = PeakMemory()
        self._parsed = ParsedPrograms(limits.max_qubits)

    @cached_property
    def _version(self) -> str:
        # It may be read from the metadata of packages, which takes as long as a small job.
        return self._simulator.version

    def answer(self, message: bytes, progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
        """Runs a job.

        Args:
            message: Its spec, encoded.
            progress: Told of the points of a sweep.

        Returns:
            The header of the answer, which says how it went, and the encoded
            results.
        """
        self._memory.begin()
        began_s = own_cpu_s()
        progress.reset()
        header, results = self._answer(message, progress)
        header["cpu_s"] = own_cpu_s() - began_s
        header["peak_memory_bytes"] = self._memory.peak()
        header["simulator_version"] = self._version
        return header, results

    def rest(self) -> None:
        """After an answer is on its way."""
        self._memory.give_back()

    def _answer(self, message: bytes, progress: Progress) -> tuple[dict[str, Any], list[bytes]]:
        header: dict[str, Any] = {}
        limits = self._limits
        try:
            spec = decode_spec(pb.JobSpec.FromString(message))
            self._begin(spec.time_limit_s)
            with _timed(header, "parsing_s"):
                circuit = self._parsed.circuit(spec.program, spec.program_format)
            _check_qubits(circuit, spec)
            with _timed(header, "simulating_s"):
                request = _request(spec, limits)
                simulations = simulate_points(self._simulator, circuit, spec, request)
                if spec.parameters:
                    simulations = progress.over(simulations)
                results = _results(header, simulations, limits)
        except SimulationError as error:
            return header | _failed(error.kind, progress.place() + str(error)), []
        except MemoryError:
            return header | self._no_memory(progress), []
        except RecursionError:
            text = "the program is nested too deeply"
            return header | _failed(ErrorKind.PROGRAM_INVALID, progress.place() + text), []
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises ends this job only
            if isinstance(error, OSError) and error.errno == errno.ENOMEM:
                return header | self._no_memory(progress), []
            _log.exception("a simulation failed in an unforeseen way")
            name = type(error).__name__
            text = f"the simulator failed with {name}; the worker's log has the details"
            return header | _failed(ErrorKind.INTERNAL, progress.place() + text), []
        return header, results

    def _no_memory(self, progress: Progress) -> dict[str, Any]:
        limit = self._limits.memory_limit_bytes / 2**30
        text = (
            "the simulation needs more memory than there is; the limit of this target is"
            f" {limit:.1f} GiB. Use fewer qubits"
        )
        return _failed(ErrorKind.OUT_OF_MEMORY, progress.place() + text)


def _failed(kind: ErrorKind, message: str) -> dict[str, Any]:
    return {"kind": kind.value, "message": message}


def _results(
    header: dict[str, Any], simulations: Iterable[Simulation], limits: Limits
) -> list[bytes]:
    """The encoded results of all points; the header says what they are."""
    results: list[bytes] = []
    types: list[str] = []
    points: list[int] = []
    methods: dict[str, str] = {}
    size = 0
    for point, simulation in enumerate(simulations):
        # One reason for each, so that those of many points stay a few words.
        methods.setdefault(simulation.method, simulation.method_reason)
        for each in simulation.results:
            value = encode_result(each, point).SerializeToString()
            size += len(value)
            # While a sweep goes on: all its results might not fit into memory.
            _check_size(size, limits)
            results.append(value)
            types.append(each.type.value)
            points.append(point)
    header["method"] = ", ".join(methods)
    header["method_reason"] = "; ".join(filter(None, methods.values()))
    # Column by column, since they may be many.
    header["results"] = {"types": types, "points": points, "sizes": list(map(len, results))}
    return results


def _check_qubits(circuit: Circuit, spec: JobSpec) -> None:
    """Refuses a wrong number: dense observables and the picking of jobs trust it."""
    if circuit.n_qubits != spec.n_qubits:
        raise SimulationError(
            ErrorKind.PROGRAM_INVALID,
            f"the program declares {circuit.n_qubits} qubits, but the job says"
            f" n_qubits = {spec.n_qubits}",
        )


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_result_bytes:
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f"the results take {size:,} bytes or more; at most {limits.max_result_bytes:,} are"
            " kept. Measure fewer bits, or use fewer shots or points; whoever runs the service can"
            " raise jobs.max_result_bytes",
        )


def _request(spec: JobSpec, limits: Limits) -> Request:
    return Request(
        result_types=spec.result_types,
        shots=spec.shots,
        seed=spec.seed,
        observables=spec.observables,
        options=json.loads(spec.extra) if spec.extra else {},
        threads=limits.threads,
        memory_limit_bytes=limits.memory_limit_bytes,
        max_result_bytes=limits.max_result_bytes,
    )


@contextmanager
def _timed(header: dict[str, Any], key: str) -> Iterator[None]:
    started = perf_counter()
    try:
        yield
    finally:
        header[key] = perf_counter() - started


def _send(connection: Connection, header: dict[str, Any], results: list[bytes]) -> None:
    size = sum(len(each) for each in results)
    header["shared"] = size > SHARED_FROM
    connection.send_bytes(json.dumps(header).encode())
    if header["shared"]:
        memory = os.memfd_create("results", os.MFD_CLOEXEC)
        try:
            with os.fdopen(memory, "wb", closefd=False) as file:
                file.writelines(results)
            send_handle(connection, memory, None)
        finally:
            os.close(memory)
    elif results:
        connection.send_bytes(b"".join(results))
