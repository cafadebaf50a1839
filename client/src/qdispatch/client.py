"""The client: submits circuits and finds jobs again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from random import uniform
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Final, Self, TypeGuard, TypeVar
from uuid import uuid4

import grpc

from qdispatch import errors
from qdispatch.circuits import CircuitForm, describe
from qdispatch.codec import (
    ERROR_DETAIL_KEY,
    decode_cancellation,
    decode_job,
    decode_target,
    decode_verdict,
    encode_spec,
)
from qdispatch.job import Job
from qdispatch.model import (
    Cancellation,
    CancelVerdict,
    JobInfo,
    JobSpec,
    PauliSum,
    ResultType,
    TargetInfo,
)
from qdispatch.observables import to_pauli_sum
from qdispatch.results_codec import decode_whole_job
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc

#: Where a client connects to when it is not told.
ADDRESS_VARIABLE: Final = "QDISPATCH_ADDRESS"
DEFAULT_ADDRESS: Final = "127.0.0.1:50051"

# Every call may be repeated: a submission carries its request_id. gRPC's own
# retries end after five, in less time than a server takes to start again.
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
# A server that never answered may not be there at all: its address may be wrong.
_FIRST_CONTACT_S: Final = 5.0

_CHANNEL: Final = (
    # As soon as it is back, and not up to two minutes later.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A server that is frozen, or cut off in silence, is given up in between.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Client:
    """A connection to a qdispatch server.

    Args:
        address: Host and port of the server; the environment variable
            QDISPATCH_ADDRESS, or else 127.0.0.1:50051, if not given.
        timeout_s: How long one call may take, in seconds. It is repeated for
            so long while the server, or a part that it needs, is away; for 5 s
            at the most if the server has never answered.
        max_message_bytes: The most that one answer may take, in bytes.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout_s: float = 30.0,
        max_message_bytes: int = 256 * 2**20,
    ) -> None:
        self.address = address or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
        self._timeout_s = timeout_s
        self._channel = grpc.insecure_channel(
            self.address,
            options=(
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", max_message_bytes),
                *_CHANNEL,
            ),
        )
        self._reached = False
        self._stub = pb_grpc.QDispatchStub(self._channel)

    def submit(
        self,
        circuit: object,
        *,
        target: str = "",
        shots: int | None = None,
        seed: int | None = None,
        result_types: Iterable[ResultType | str] | None = None,
        observables: object | None = None,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | str = "",
        time_limit_s: float | None = None,
        tags: Iterable[str] = (),
        request_id: str | None = None,
    ) -> Job:
        """Submits a circuit and returns at once.

        Args:
            circuit: A Qiskit ``QuantumCircuit``, a Cirq ``Circuit``, a
                PennyLane tape or ``QNode``, or a `CustomCircuit`.
            target: Name of a target; empty lets the server pick the least
                loaded one that fits.
            shots: Samples to take; 0 means exact, where the result type
                allows it. If not given: what the circuit itself says, else
                1024 for counts and 0 without.
            seed: From 0 to 2**63 - 1; makes sampled results reproducible on
                the same target and version.
            result_types: One or more of "counts", "quasi" and "expval". If
                not given: what the circuit itself asks for, else expval if
                there are observables, else counts.
            observables: For expval: a list of observables, or just one. Each
                is a label such as "XIZ" (the highest qubit on the left), a
                mapping of labels to real coefficients, a list of (label,
                coefficient) or, sparse, (letters, qubits, coefficient), a
                `PauliSum`, or a Pauli observable of Qiskit, Cirq or
                PennyLane. If not given: those of the circuit.
            args: Positional arguments of a QNode.
            kwargs: Keyword arguments of a QNode.
            extra: Options of the simulator: an object that JSON can carry, or
                its JSON text.
            time_limit_s: Wall time that the run may take, in seconds.
            tags: Free words to find the job by.
            request_id: Names this submission: repeating it returns the same
                job. Made anew if not given.

        Returns:
            The job.

        Raises:
            CircuitError: The circuit cannot be carried; nothing was sent.
            RequestError: The server refuses the job; the message says why.
            UnavailableError: The server does not answer. Whether it has the
                job is open: submitting again with the same request_id settles it.
        """
        form = describe(circuit, args, kwargs)
        sums = _observables(observables, form)
        kinds = _result_types(result_types, form, has_observables=bool(sums))
        spec = JobSpec(
            program=form.program,
            program_format=form.program_format,
            framework=form.framework,
            n_qubits=form.n_qubits,
            depth=form.depth,
            target=target,
            submission_date=datetime.now(UTC),
            result_types=kinds,
            shots=_shots(shots, form, kinds),
            seed=seed,
            # Those that the circuit brings along are of no use to other results.
            observables=sums if ResultType.EXPVAL in kinds or observables is not None else (),
            extra=extra if isinstance(extra, str) else json.dumps(extra),
            time_limit_s=time_limit_s,
            tags=tuple(tags),
        )
        return Job(self, self.create_job(spec, request_id=request_id))

    def create_job(self, spec: JobSpec, *, request_id: str | None = None) -> JobInfo:
        """Submits a spec as it is; see `submit` for what it raises."""
        try:
            message = encode_spec(spec)
        except (ValueError, TypeError) as error:
            # Protobuf's integers are bounded, and its text is real text.
            raise errors.InvalidJobError(f"the job cannot be sent: {error}") from error
        request = pb.CreateJobRequest(request_id=request_id or uuid4().hex, spec=message)
        return decode_job(self._call(self._stub.CreateJob, request).job)

    def job(self, job_id: str) -> Job:
        """Finds a job again, also one of an earlier process.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        return Job(self, self.get_job(job_id))

    def get_job(self, job_id: str, *, include_results: bool = False) -> JobInfo:
        """Reads a job as it is now."""
        request = pb.GetJobRequest(id=job_id, include_results=include_results)
        return decode_whole_job(self._call(self._stub.GetJob, request).job)

    def cancel_job(self, job_id: str) -> CancelVerdict:
        """Cancels a job; the verdict says what that came to."""
        response = self._call(self._stub.CancelJob, pb.CancelJobRequest(id=job_id))
        return decode_verdict(response.verdict)

    def cancel_jobs(self, job_ids: Iterable[str]) -> list[Cancellation]:
        """Cancels many jobs in one call, at most 10,000.

        Returns:
            One verdict per id, in their order; ``not_found`` where there is no
            such job.
        """
        request = pb.CancelJobsRequest(ids=list(job_ids))
        response = self._call(self._stub.CancelJobs, request)
        return [decode_cancellation(each) for each in response.cancellations]

    def delete_job(self, job_id: str) -> None:
        """Deletes a final job with its results, for good; its request_id is free again.

        Raises:
            JobActiveError: It is not final: cancel it first, or wait.
            JobNotFoundError: There is none of that id. After a call that got
                no answer this may mean that it did its work.
        """
        self._call(self._stub.DeleteJob, pb.DeleteJobRequest(id=job_id))

    def targets(self) -> list[TargetInfo]:
        """The simulators that the server offers, with their load."""
        response = self._call(self._stub.ListTargets, pb.ListTargetsRequest())
        return [decode_target(each) for each in response.targets]

    def is_serving(self) -> bool:
        """Whether the server says that it is serving, by gRPC's health protocol."""
        # An empty request asks for the server as a whole; the answer is field
        # 1, status, with 1 for SERVING. So little needs no generated code.
        check: Any = self._channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer: bytes = check(b"", timeout=self._timeout_s)
        except grpc.RpcError:
            return False
        return answer == b"\x08\x01"

    def close(self) -> None:
        """Closes the connection; jobs go on."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., _Response], request: _Request) -> _Response:
        """Calls, again and again while the server or a part of it is away."""
        patience = self._timeout_s if self._reached else min(self._timeout_s, _FIRST_CONTACT_S)
        started = monotonic()
        pause = _FIRST_PAUSE_S
        while True:
            try:
                answer = method(request, timeout=started + self._timeout_s - monotonic())
            except grpc.RpcError as error:
                self._reached |= _is_the_servers(error)
                patience = self._timeout_s if self._reached else patience
                # Many clients that wait for one server must not come all at once.
                nap = uniform(pause / 2, pause)  # noqa: S311
                away = error.code() is grpc.StatusCode.UNAVAILABLE
                if not away or monotonic() + nap > started + patience:
                    raise _translated(error, self.address) from error
            else:
                self._reached = True
                return answer
            sleep(nap)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _observables(given: object | None, form: CircuitForm) -> tuple[PauliSum, ...]:
    if given is None:
        return form.observables
    each_of = list(given) if isinstance(given, list) or _is_several(given) else [given]
    return tuple(to_pauli_sum(each, form, index=index) for index, each in enumerate(each_of))


def _is_several(given: object) -> TypeGuard[tuple[object, ...]]:
    """Whether a tuple is several observables, not one (label, coefficient)."""
    return isinstance(given, tuple) and not any(isinstance(part, int | float) for part in given)


def _result_types(
    given: Iterable[ResultType | str] | None, form: CircuitForm, *, has_observables: bool
) -> tuple[ResultType, ...]:
    if given is None:
        if form.result_types:
            return form.result_types
        return (ResultType.EXPVAL,) if has_observables else (ResultType.COUNTS,)
    names = (given,) if isinstance(given, str) else tuple(given)
    kinds = []
    for index, name in enumerate(names):
        try:
            kinds.append(ResultType(name))
        except ValueError as error:
            raise errors.InvalidJobError(
                f"{name!r} is none; there are {', '.join(ResultType)}",
                field=f"result_types[{index}]",
            ) from error
    return tuple(kinds)


def _shots(given: int | None, form: CircuitForm, kinds: tuple[ResultType, ...]) -> int:
    if given is not None:
        return given
    if form.shots is not None:
        return form.shots
    return 1024 if ResultType.COUNTS in kinds else 0


def _is_the_servers(error: grpc.RpcError) -> bool:
    """Whether a server has answered, if only that a part of it is away."""
    metadata: Any = error.trailing_metadata() or ()
    return any(key == ERROR_DETAIL_KEY for key, _ in metadata)


def _translated(error: grpc.RpcError, address: str) -> errors.QDispatchError:
    code, text = error.code(), error.details() or ""
    field = ""
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == ERROR_DETAIL_KEY:
            field = pb.ErrorDetail.FromString(value).field
    text = text.removeprefix(f"{field}: ")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return errors.InvalidJobError(text, field=field)
    if code is grpc.StatusCode.NOT_FOUND:
        if field.endswith("target"):
            return errors.UnknownTargetError(text, field=field)
        return errors.JobNotFoundError(text, field=field)
    if code is grpc.StatusCode.ALREADY_EXISTS:
        return errors.RequestConflictError(text, field=field)
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        if field.endswith("target"):
            return errors.TargetDrainedError(text, field=field)
        return errors.JobActiveError(text, field=field)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return errors.TooLargeError(text, field=field)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return errors.UnavailableError(f"no answer from {address}: {text}")
    return errors.ServerError(f"{code.name}: {text}")
