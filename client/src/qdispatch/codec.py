"""Between the vocabulary and the wire: the only code that knows both.

Decoding checks what it needs to be able to decode, and nothing else; whether
a job makes sense is the server's to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from qdispatch.arrays import PackedPoints, pack_points
from qdispatch.errors import InvalidJobError, Quota
from qdispatch.model import (
    Cancellation,
    CancelVerdict,
    JobError,
    JobEvent,
    JobInfo,
    JobSpec,
    JobStatus,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    ResultType,
    TargetInfo,
    TargetState,
    Timings,
)
from qdispatch.v1 import qdispatch_pb2 as pb

#: Key of the trailing metadata that holds a serialized qdispatch.v1.ErrorDetail.
ERROR_DETAIL_KEY: Final = "qdispatch-error-bin"

# Of JobSpec.parameter_values: field 16, length-delimited.
_VALUES_KEY: Final = b"\x82\x01"
_DOUBLE_BYTES: Final = 8

E = TypeVar("E", bound=StrEnum)


def _numbers(members: type[E], prefix: str, wire: Mapping[str, int]) -> dict[E, int]:
    return {member: wire[f"{prefix}_{member.name}"] for member in members}


STATUS = _numbers(JobStatus, "JOB_STATUS", dict(pb.JobStatus.items()))
PROGRAM_FORMAT = _numbers(ProgramFormat, "PROGRAM_FORMAT", dict(pb.ProgramFormat.items()))
RESULT_TYPE = _numbers(ResultType, "RESULT_TYPE", dict(pb.ResultType.items()))
VERDICT = _numbers(CancelVerdict, "CANCEL_VERDICT", dict(pb.CancelVerdict.items()))
TARGET_STATE = _numbers(TargetState, "TARGET_STATE", dict(pb.TargetState.items()))


def member(table: Mapping[E, int], number: int, field: str) -> E:
    """The enum member with a wire number.

    Raises:
        InvalidJobError: There is none.
    """
    for member, value in table.items():
        if value == number:
            return member
    allowed = ", ".join(f"{member.value} ({value})" for member, value in table.items())
    raise InvalidJobError(f"{number} is not known here; allowed are {allowed}", field=field)


def encode_time(moment: datetime) -> Timestamp:
    """A UTC-aware moment as a protobuf timestamp."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def decode_time(stamp: Timestamp, field: str = "") -> datetime:
    """A protobuf timestamp as a UTC-aware moment.

    Raises:
        InvalidJobError: It lies outside the years 1 to 9999.
    """
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidJobError("a moment in the years 1 to 9999 is needed", field=field) from error


def encode_spec(spec: JobSpec) -> pb.JobSpec:
    """The wire form of a spec."""
    message = pb.JobSpec(
        program=spec.program.encode(),
        program_format=PROGRAM_FORMAT[spec.program_format],  # type: ignore[arg-type]
        target=spec.target,
        framework=spec.framework,
        n_qubits=spec.n_qubits,
        depth=spec.depth,
        result_types=[RESULT_TYPE[kind] for kind in spec.result_types],  # type: ignore[misc]
        shots=spec.shots,
        seed=spec.seed,
        observables=[_encode_observable(each) for each in spec.observables],
        extra=spec.extra,
        time_limit_s=spec.time_limit_s,
        tags=spec.tags,
        parameters=spec.parameters,
        no_cache=not spec.cache,
        priority=spec.priority,
    )
    if spec.submission_date is not None:
        message.submission_date.CopyFrom(encode_time(spec.submission_date))
    if spec.parameter_values:
        packed = pack_points(spec.parameter_values)
        # They are on the wire as they are packed: no number need become an object for it.
        message.MergeFromString(_VALUES_KEY + varint(len(packed)) + packed)
    return message


def varint(number: int) -> bytes:
    """A number as the wire has it: seven bits a byte, the lowest first."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def decode_spec(message: pb.JobSpec) -> JobSpec:
    """The spec in a wire message.

    Raises:
        InvalidJobError: The program is not UTF-8, or an enum value or a date
            is unknown; ``field`` names it.
    """
    try:
        program = message.program.decode()
    except UnicodeDecodeError as error:
        raise InvalidJobError(
            f"must be text in UTF-8; byte {error.start} is not", field="spec.program"
        ) from error
    return JobSpec(
        program=program,
        program_format=member(PROGRAM_FORMAT, message.program_format, "spec.program_format"),
        target=message.target,
        framework=message.framework,
        n_qubits=message.n_qubits,
        depth=message.depth,
        submission_date=decode_time(message.submission_date, "spec.submission_date")
        if message.HasField("submission_date")
        else None,
        result_types=tuple(
            member(RESULT_TYPE, number, f"spec.result_types[{index}]")
            for index, number in enumerate(message.result_types)
        ),
        shots=message.shots,
        seed=message.seed if message.HasField("seed") else None,
        observables=tuple(_decode_observable(each) for each in message.observables),
        extra=message.extra,
        time_limit_s=message.time_limit_s if message.HasField("time_limit_s") else None,
        tags=tuple(message.tags),
        parameters=tuple(message.parameters),
        parameter_values=_decode_points(message),
        cache=not message.no_cache,
        priority=message.priority,
    )


def _decode_points(message: pb.JobSpec) -> Sequence[tuple[float, ...]]:
    width, values = len(message.parameters), message.parameter_values
    if not values:
        return ()
    if not width or len(values) % width:
        raise InvalidJobError(
            f"{len(values)} values for {width} parameters; each point needs one of each",
            field="spec.parameter_values",
        )
    # A message of nothing but these ends with them, packed.
    packed = pb.JobSpec(parameter_values=values).SerializeToString()
    return PackedPoints(packed[-_DOUBLE_BYTES * len(values) :], width)


def _encode_observable(observable: PauliSum) -> pb.PauliSum:
    return pb.PauliSum(
        terms=[
            pb.PauliTerm(paulis=term.paulis, qubits=term.qubits, coefficient=term.coefficient)
            for term in observable.terms
        ]
    )


def _decode_observable(message: pb.PauliSum) -> PauliSum:
    return PauliSum(
        terms=tuple(
            PauliTerm(
                paulis=term.paulis,
                # A term on no qubit at all is the empty label, either way.
                qubits=tuple(term.qubits) or None,
                coefficient=term.coefficient,
            )
            for term in message.terms
        )
    )


def encode_job(info: JobInfo) -> pb.Job:
    """The wire form of a job, without its results."""
    message = pb.Job(
        id=info.id,
        owner=info.owner,
        request_id=info.request_id,
        status=STATUS[info.status],  # type: ignore[arg-type]
        spec=encode_spec(info.spec),
        created_at=encode_time(info.created_at),
        attempt=info.attempt,
        worker=info.worker,
        method=info.method,
        method_reason=info.method_reason,
        simulator_version=info.simulator_version,
        timings=pb.Timings(
            queued_s=info.timings.queued_s,
            parsing_s=info.timings.parsing_s,
            simulating_s=info.timings.simulating_s,
            saving_s=info.timings.saving_s,
        ),
        peak_memory_bytes=info.peak_memory_bytes,
        faults=info.faults,
        cpu_s=info.cpu_s,
        batch_id=info.batch_id,
        batch_index=info.batch_index,
        n_points=info.n_points,
        points_done=info.points_done,
        events=[encode_event(each) for each in info.events],
        cached_from=info.cached_from,
    )
    if info.started_at is not None:
        message.started_at.CopyFrom(encode_time(info.started_at))
    if info.finish_time is not None:
        message.finish_time.CopyFrom(encode_time(info.finish_time))
    if info.stopped_at is not None:
        message.stopped_at.CopyFrom(encode_time(info.stopped_at))
    if info.error is not None:
        message.error.kind, message.error.message = info.error.kind, info.error.message
    return message


def decode_job(message: pb.Job) -> JobInfo:
    """The job in a wire message, without its results."""

    def seconds(name: str) -> float | None:
        timings = message.timings
        return float(getattr(timings, name)) if timings.HasField(name) else None

    return JobInfo(
        id=message.id,
        owner=message.owner,
        request_id=message.request_id,
        status=member(STATUS, message.status, "status"),
        spec=decode_spec(message.spec),
        created_at=decode_time(message.created_at),
        started_at=decode_time(message.started_at) if message.HasField("started_at") else None,
        finish_time=decode_time(message.finish_time) if message.HasField("finish_time") else None,
        stopped_at=decode_time(message.stopped_at) if message.HasField("stopped_at") else None,
        attempt=message.attempt,
        faults=message.faults,
        cpu_s=message.cpu_s,
        worker=message.worker,
        error=JobError(kind=message.error.kind, message=message.error.message)
        if message.HasField("error")
        else None,
        method=message.method,
        method_reason=message.method_reason,
        simulator_version=message.simulator_version,
        timings=Timings(
            queued_s=seconds("queued_s"),
            parsing_s=seconds("parsing_s"),
            simulating_s=seconds("simulating_s"),
            saving_s=seconds("saving_s"),
        ),
        peak_memory_bytes=message.peak_memory_bytes,
        batch_id=message.batch_id,
        batch_index=message.batch_index,
        n_points=message.n_points,
        points_done=message.points_done,
        events=tuple(decode_event(each) for each in message.events),
        cached_from=message.cached_from,
    )


def encode_event(event: JobEvent) -> pb.JobEvent:
    """The wire form of a change of a job's status."""
    return pb.JobEvent(
        number=event.number,
        status=STATUS[event.status],  # type: ignore[arg-type]
        at=encode_time(event.at),
        attempt=event.attempt,
    )


def decode_event(message: pb.JobEvent) -> JobEvent:
    """A change of a job's status in a wire message."""
    return JobEvent(
        number=message.number,
        status=member(STATUS, message.status, "event.status"),
        at=decode_time(message.at),
        attempt=message.attempt,
    )


def decode_verdict(number: int) -> CancelVerdict:
    """The verdict with that wire number."""
    return member(VERDICT, number, "verdict")


def encode_cancellation(cancellation: Cancellation) -> pb.Cancellation:
    """The wire form of one of many cancellations."""
    status = cancellation.status
    return pb.Cancellation(
        id=cancellation.id,
        verdict=VERDICT[cancellation.verdict],  # type: ignore[arg-type]
        status=pb.JOB_STATUS_UNSPECIFIED if status is None else STATUS[status],  # type: ignore[arg-type]
    )


def decode_cancellation(message: pb.Cancellation) -> Cancellation:
    """One of many cancellations in a wire message."""
    known = message.status != pb.JOB_STATUS_UNSPECIFIED
    return Cancellation(
        id=message.id,
        verdict=decode_verdict(message.verdict),
        status=member(STATUS, message.status, "status") if known else None,
    )


def encode_target(target: TargetInfo) -> pb.Target:
    """The wire form of a target."""
    return pb.Target(
        name=target.name,
        simulator=target.simulator,
        program_formats=[PROGRAM_FORMAT[each] for each in target.program_formats],  # type: ignore[misc]
        max_qubits=target.max_qubits,
        result_types=[RESULT_TYPE[each] for each in target.result_types],  # type: ignore[misc]
        workers_online=target.workers_online,
        queue_length=target.queue_length,
        running=target.running,
        max_time_limit_s=target.max_time_limit_s,
        default_time_limit_s=target.default_time_limit_s,
        state=TARGET_STATE[target.state],  # type: ignore[arg-type]
    )


def decode_target(message: pb.Target) -> TargetInfo:
    """The target in a wire message."""
    return TargetInfo(
        name=message.name,
        simulator=message.simulator,
        program_formats=tuple(
            member(PROGRAM_FORMAT, each, "program_formats") for each in message.program_formats
        ),
        max_qubits=message.max_qubits,
        result_types=tuple(
            member(RESULT_TYPE, each, "result_types") for each in message.result_types
        ),
        workers_online=message.workers_online,
        queue_length=message.queue_length,
        running=message.running,
        max_time_limit_s=message.max_time_limit_s,
        default_time_limit_s=message.default_time_limit_s,
        # A server of the version before has no states.
        state=member(TARGET_STATE, message.state or pb.TARGET_STATE_ACTIVE, "state"),
    )


def encode_quota(quota: Quota) -> pb.Quota:
    """The wire form of a limit that was met."""
    return pb.Quota(
        name=quota.name, limit=quota.limit, use=quota.use, retry_after_s=quota.retry_after_s
    )


def decode_quota(message: pb.Quota) -> Quota:
    """The limit in a wire message."""
    return Quota(
        name=message.name,
        limit=message.limit,
        use=message.use,
        retry_after_s=message.retry_after_s if message.HasField("retry_after_s") else None,
    )
