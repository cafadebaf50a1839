from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JobStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATUS_UNSPECIFIED: _ClassVar[JobStatus]
    JOB_STATUS_PENDING: _ClassVar[JobStatus]
    JOB_STATUS_RUNNING: _ClassVar[JobStatus]
    JOB_STATUS_FINISHED: _ClassVar[JobStatus]
    JOB_STATUS_CANCELED: _ClassVar[JobStatus]
    JOB_STATUS_FAILED: _ClassVar[JobStatus]

class ProgramFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROGRAM_FORMAT_UNSPECIFIED: _ClassVar[ProgramFormat]
    PROGRAM_FORMAT_OPENQASM2: _ClassVar[ProgramFormat]
    PROGRAM_FORMAT_OPENQASM3: _ClassVar[ProgramFormat]

class ResultType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESULT_TYPE_UNSPECIFIED: _ClassVar[ResultType]
    RESULT_TYPE_COUNTS: _ClassVar[ResultType]
    RESULT_TYPE_QUASI: _ClassVar[ResultType]
    RESULT_TYPE_EXPVAL: _ClassVar[ResultType]
    RESULT_TYPE_MEMORY: _ClassVar[ResultType]
    RESULT_TYPE_STATEVECTOR: _ClassVar[ResultType]
    RESULT_TYPE_PROBABILITIES: _ClassVar[ResultType]
    RESULT_TYPE_VARIANCE: _ClassVar[ResultType]

class CancelVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CANCEL_VERDICT_UNSPECIFIED: _ClassVar[CancelVerdict]
    CANCEL_VERDICT_REMOVED_FROM_QUEUE: _ClassVar[CancelVerdict]
    CANCEL_VERDICT_STOPPED_RUNNING: _ClassVar[CancelVerdict]
    CANCEL_VERDICT_TOO_LATE: _ClassVar[CancelVerdict]
    CANCEL_VERDICT_STOPPING: _ClassVar[CancelVerdict]
    CANCEL_VERDICT_NOT_FOUND: _ClassVar[CancelVerdict]

class TargetState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TARGET_STATE_UNSPECIFIED: _ClassVar[TargetState]
    TARGET_STATE_ACTIVE: _ClassVar[TargetState]
    TARGET_STATE_PAUSED: _ClassVar[TargetState]
    TARGET_STATE_DRAINED: _ClassVar[TargetState]
JOB_STATUS_UNSPECIFIED: JobStatus
JOB_STATUS_PENDING: JobStatus
JOB_STATUS_RUNNING: JobStatus
JOB_STATUS_FINISHED: JobStatus
JOB_STATUS_CANCELED: JobStatus
JOB_STATUS_FAILED: JobStatus
PROGRAM_FORMAT_UNSPECIFIED: ProgramFormat
PROGRAM_FORMAT_OPENQASM2: ProgramFormat
PROGRAM_FORMAT_OPENQASM3: ProgramFormat
RESULT_TYPE_UNSPECIFIED: ResultType
RESULT_TYPE_COUNTS: ResultType
RESULT_TYPE_QUASI: ResultType
RESULT_TYPE_EXPVAL: ResultType
RESULT_TYPE_MEMORY: ResultType
RESULT_TYPE_STATEVECTOR: ResultType
RESULT_TYPE_PROBABILITIES: ResultType
RESULT_TYPE_VARIANCE: ResultType
CANCEL_VERDICT_UNSPECIFIED: CancelVerdict
CANCEL_VERDICT_REMOVED_FROM_QUEUE: CancelVerdict
CANCEL_VERDICT_STOPPED_RUNNING: CancelVerdict
CANCEL_VERDICT_TOO_LATE: CancelVerdict
CANCEL_VERDICT_STOPPING: CancelVerdict
CANCEL_VERDICT_NOT_FOUND: CancelVerdict
TARGET_STATE_UNSPECIFIED: TargetState
TARGET_STATE_ACTIVE: TargetState
TARGET_STATE_PAUSED: TargetState
TARGET_STATE_DRAINED: TargetState

class JobSpec(_message.Message):
    __slots__ = ("program", "program_format", "target", "framework", "n_qubits", "depth", "submission_date", "result_types", "shots", "seed", "observables", "extra", "time_limit_s", "tags", "parameters", "parameter_values", "no_cache", "priority")
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FORMAT_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    N_QUBITS_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    SUBMISSION_DATE_FIELD_NUMBER: _ClassVar[int]
    RESULT_TYPES_FIELD_NUMBER: _ClassVar[int]
    SHOTS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    OBSERVABLES_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_VALUES_FIELD_NUMBER: _ClassVar[int]
    NO_CACHE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    program: bytes
    program_format: ProgramFormat
    target: str
    framework: str
    n_qubits: int
    depth: int
    submission_date: _timestamp_pb2.Timestamp
    result_types: _containers.RepeatedScalarFieldContainer[ResultType]
    shots: int
    seed: int
    observables: _containers.RepeatedCompositeFieldContainer[PauliSum]
    extra: str
    time_limit_s: float
    tags: _containers.RepeatedScalarFieldContainer[str]
    parameters: _containers.RepeatedScalarFieldContainer[str]
    parameter_values: _containers.RepeatedScalarFieldContainer[float]
    no_cache: bool
    priority: int
    def __init__(self, program: _Optional[bytes] = ..., program_format: _Optional[_Union[ProgramFormat, str]] = ..., target: _Optional[str] = ..., framework: _Optional[str] = ..., n_qubits: _Optional[int] = ..., depth: _Optional[int] = ..., submission_date: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., result_types: _Optional[_Iterable[_Union[ResultType, str]]] = ..., shots: _Optional[int] = ..., seed: _Optional[int] = ..., observables: _Optional[_Iterable[_Union[PauliSum, _Mapping]]] = ..., extra: _Optional[str] = ..., time_limit_s: _Optional[float] = ..., tags: _Optional[_Iterable[str]] = ..., parameters: _Optional[_Iterable[str]] = ..., parameter_values: _Optional[_Iterable[float]] = ..., no_cache: bool = ..., priority: _Optional[int] = ...) -> None: ...

class PauliSum(_message.Message):
    __slots__ = ("terms",)
    TERMS_FIELD_NUMBER: _ClassVar[int]
    terms: _containers.RepeatedCompositeFieldContainer[PauliTerm]
    def __init__(self, terms: _Optional[_Iterable[_Union[PauliTerm, _Mapping]]] = ...) -> None: ...

class PauliTerm(_message.Message):
    __slots__ = ("paulis", "qubits", "coefficient")
    PAULIS_FIELD_NUMBER: _ClassVar[int]
    QUBITS_FIELD_NUMBER: _ClassVar[int]
    COEFFICIENT_FIELD_NUMBER: _ClassVar[int]
    paulis: str
    qubits: _containers.RepeatedScalarFieldContainer[int]
    coefficient: float
    def __init__(self, paulis: _Optional[str] = ..., qubits: _Optional[_Iterable[int]] = ..., coefficient: _Optional[float] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "owner", "request_id", "status", "spec", "created_at", "started_at", "finish_time", "attempt", "worker", "error", "method", "simulator_version", "timings", "peak_memory_bytes", "results", "batch_id", "batch_index", "points_done", "events", "n_points", "method_reason", "cached_from", "stopped_at", "faults", "cpu_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SIMULATOR_VERSION_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    POINTS_DONE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    N_POINTS_FIELD_NUMBER: _ClassVar[int]
    METHOD_REASON_FIELD_NUMBER: _ClassVar[int]
    CACHED_FROM_FIELD_NUMBER: _ClassVar[int]
    STOPPED_AT_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    owner: str
    request_id: str
    status: JobStatus
    spec: JobSpec
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    attempt: int
    worker: str
    error: JobError
    method: str
    simulator_version: str
    timings: Timings
    peak_memory_bytes: int
    results: _containers.RepeatedCompositeFieldContainer[Result]
    batch_id: str
    batch_index: int
    points_done: int
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    n_points: int
    method_reason: str
    cached_from: str
    stopped_at: _timestamp_pb2.Timestamp
    faults: int
    cpu_s: float
    def __init__(self, id: _Optional[str] = ..., owner: _Optional[str] = ..., request_id: _Optional[str] = ..., status: _Optional[_Union[JobStatus, str]] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., error: _Optional[_Union[JobError, _Mapping]] = ..., method: _Optional[str] = ..., simulator_version: _Optional[str] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., peak_memory_bytes: _Optional[int] = ..., results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ..., batch_id: _Optional[str] = ..., batch_index: _Optional[int] = ..., points_done: _Optional[int] = ..., events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ..., n_points: _Optional[int] = ..., method_reason: _Optional[str] = ..., cached_from: _Optional[str] = ..., stopped_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., faults: _Optional[int] = ..., cpu_s: _Optional[float] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("number", "status", "at", "attempt")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    number: int
    status: JobStatus
    at: _timestamp_pb2.Timestamp
    attempt: int
    def __init__(self, number: _Optional[int] = ..., status: _Optional[_Union[JobStatus, str]] = ..., at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[int] = ...) -> None: ...

class JobError(_message.Message):
    __slots__ = ("kind", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queued_s", "parsing_s", "simulating_s", "saving_s")
    QUEUED_S_FIELD_NUMBER: _ClassVar[int]
    PARSING_S_FIELD_NUMBER: _ClassVar[int]
    SIMULATING_S_FIELD_NUMBER: _ClassVar[int]
    SAVING_S_FIELD_NUMBER: _ClassVar[int]
    queued_s: float
    parsing_s: float
    simulating_s: float
    saving_s: float
    def __init__(self, queued_s: _Optional[float] = ..., parsing_s: _Optional[float] = ..., simulating_s: _Optional[float] = ..., saving_s: _Optional[float] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("type", "point", "counts", "quasi", "expval", "memory", "statevector", "probabilities", "variance")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    QUASI_FIELD_NUMBER: _ClassVar[int]
    EXPVAL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    STATEVECTOR_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    type: ResultType
    point: int
    counts: Counts
    quasi: Quasi
    expval: Expval
    memory: Memory
    statevector: Statevector
    probabilities: Probabilities
    variance: Variance
    def __init__(self, type: _Optional[_Union[ResultType, str]] = ..., point: _Optional[int] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., quasi: _Optional[_Union[Quasi, _Mapping]] = ..., expval: _Optional[_Union[Expval, _Mapping]] = ..., memory: _Optional[_Union[Memory, _Mapping]] = ..., statevector: _Optional[_Union[Statevector, _Mapping]] = ..., probabilities: _Optional[_Union[Probabilities, _Mapping]] = ..., variance: _Optional[_Union[Variance, _Mapping]] = ...) -> None: ...

class ResultSet(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class Outcomes(_message.Message):
    __slots__ = ("n_bits", "packed")
    N_BITS_FIELD_NUMBER: _ClassVar[int]
    PACKED_FIELD_NUMBER: _ClassVar[int]
    n_bits: int
    packed: bytes
    def __init__(self, n_bits: _Optional[int] = ..., packed: _Optional[bytes] = ...) -> None: ...

class Counts(_message.Message):
    __slots__ = ("outcomes", "counts")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    outcomes: Outcomes
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, outcomes: _Optional[_Union[Outcomes, _Mapping]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Quasi(_message.Message):
    __slots__ = ("outcomes", "probabilities")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    outcomes: Outcomes
    probabilities: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, outcomes: _Optional[_Union[Outcomes, _Mapping]] = ..., probabilities: _Optional[_Iterable[float]] = ...) -> None: ...

class Expval(_message.Message):
    __slots__ = ("values", "standard_errors")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    STANDARD_ERRORS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    standard_errors: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ..., standard_errors: _Optional[_Iterable[float]] = ...) -> None: ...

class Memory(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: Outcomes
    def __init__(self, outcomes: _Optional[_Union[Outcomes, _Mapping]] = ...) -> None: ...

class Statevector(_message.Message):
    __slots__ = ("n_qubits", "amplitudes")
    N_QUBITS_FIELD_NUMBER: _ClassVar[int]
    AMPLITUDES_FIELD_NUMBER: _ClassVar[int]
    n_qubits: int
    amplitudes: bytes
    def __init__(self, n_qubits: _Optional[int] = ..., amplitudes: _Optional[bytes] = ...) -> None: ...

class Probabilities(_message.Message):
    __slots__ = ("n_qubits", "values")
    N_QUBITS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    n_qubits: int
    values: bytes
    def __init__(self, n_qubits: _Optional[int] = ..., values: _Optional[bytes] = ...) -> None: ...

class Variance(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("id", "owner", "request_id", "created_at", "size", "pending", "running", "finished", "canceled", "failed")
    ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    CANCELED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    id: str
    owner: str
    request_id: str
    created_at: _timestamp_pb2.Timestamp
    size: int
    pending: int
    running: int
    finished: int
    canceled: int
    failed: int
    def __init__(self, id: _Optional[str] = ..., owner: _Optional[str] = ..., request_id: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., size: _Optional[int] = ..., pending: _Optional[int] = ..., running: _Optional[int] = ..., finished: _Optional[int] = ..., canceled: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class Outlook(_message.Message):
    __slots__ = ("queue_position", "start", "finish")
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    queue_position: int
    start: Estimate
    finish: Estimate
    def __init__(self, queue_position: _Optional[int] = ..., start: _Optional[_Union[Estimate, _Mapping]] = ..., finish: _Optional[_Union[Estimate, _Mapping]] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("lower", "expected", "upper")
    LOWER_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    lower: _timestamp_pb2.Timestamp
    expected: _timestamp_pb2.Timestamp
    upper: _timestamp_pb2.Timestamp
    def __init__(self, lower: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expected: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., upper: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateJobRequest(_message.Message):
    __slots__ = ("request_id", "spec")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spec: JobSpec
    def __init__(self, request_id: _Optional[str] = ..., spec: _Optional[_Union[JobSpec, _Mapping]] = ...) -> None: ...

class CreateJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id", "include_results")
    ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    include_results: bool
    def __init__(self, id: _Optional[str] = ..., include_results: bool = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class GetResultRequest(_message.Message):
    __slots__ = ("id", "offset")
    ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    id: str
    offset: int
    def __init__(self, id: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class GetResultResponse(_message.Message):
    __slots__ = ("data", "size")
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    size: int
    def __init__(self, data: _Optional[bytes] = ..., size: _Optional[int] = ...) -> None: ...

class ListJobsRequest(_message.Message):
    __slots__ = ("statuses", "target", "tag", "batch_id", "created_after", "created_before", "page_size", "page_token", "owner")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    BATCH_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[JobStatus]
    target: str
    tag: str
    batch_id: str
    created_after: _timestamp_pb2.Timestamp
    created_before: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    owner: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[JobStatus, str]]] = ..., target: _Optional[str] = ..., tag: _Optional[str] = ..., batch_id: _Optional[str] = ..., created_after: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class ListJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("id", "after", "with_results")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    WITH_RESULTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    after: int
    with_results: bool
    def __init__(self, id: _Optional[str] = ..., after: _Optional[int] = ..., with_results: bool = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("job", "events", "outlook", "results")
    JOB_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    OUTLOOK_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    job: Job
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    outlook: Outlook
    results: ResultSet
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ..., outlook: _Optional[_Union[Outlook, _Mapping]] = ..., results: _Optional[_Union[ResultSet, _Mapping]] = ...) -> None: ...

class CreateJobsRequest(_message.Message):
    __slots__ = ("request_id", "specs")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    specs: _containers.RepeatedCompositeFieldContainer[JobSpec]
    def __init__(self, request_id: _Optional[str] = ..., specs: _Optional[_Iterable[_Union[JobSpec, _Mapping]]] = ...) -> None: ...

class CreateJobsResponse(_message.Message):
    __slots__ = ("batch", "job_ids")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    batch: Batch
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, batch: _Optional[_Union[Batch, _Mapping]] = ..., job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetBatchRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetBatchResponse(_message.Message):
    __slots__ = ("batch", "job_ids")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    batch: Batch
    job_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, batch: _Optional[_Union[Batch, _Mapping]] = ..., job_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelBatchRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelBatchResponse(_message.Message):
    __slots__ = ("cancellations",)
    CANCELLATIONS_FIELD_NUMBER: _ClassVar[int]
    cancellations: _containers.RepeatedCompositeFieldContainer[Cancellation]
    def __init__(self, cancellations: _Optional[_Iterable[_Union[Cancellation, _Mapping]]] = ...) -> None: ...

class WatchBatchRequest(_message.Message):
    __slots__ = ("id", "after")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    id: str
    after: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[str] = ..., after: _Optional[_Iterable[int]] = ...) -> None: ...

class WatchBatchResponse(_message.Message):
    __slots__ = ("batch", "events", "outlook")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    OUTLOOK_FIELD_NUMBER: _ClassVar[int]
    batch: Batch
    events: _containers.RepeatedCompositeFieldContainer[BatchEvent]
    outlook: Outlook
    def __init__(self, batch: _Optional[_Union[Batch, _Mapping]] = ..., events: _Optional[_Iterable[_Union[BatchEvent, _Mapping]]] = ..., outlook: _Optional[_Union[Outlook, _Mapping]] = ...) -> None: ...

class BatchEvent(_message.Message):
    __slots__ = ("job_id", "batch_index", "event")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    BATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    batch_index: int
    event: JobEvent
    def __init__(self, job_id: _Optional[str] = ..., batch_index: _Optional[int] = ..., event: _Optional[_Union[JobEvent, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("verdict", "job")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    verdict: CancelVerdict
    job: Job
    def __init__(self, verdict: _Optional[_Union[CancelVerdict, str]] = ..., job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class CancelJobsRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CancelJobsResponse(_message.Message):
    __slots__ = ("cancellations",)
    CANCELLATIONS_FIELD_NUMBER: _ClassVar[int]
    cancellations: _containers.RepeatedCompositeFieldContainer[Cancellation]
    def __init__(self, cancellations: _Optional[_Iterable[_Union[Cancellation, _Mapping]]] = ...) -> None: ...

class Cancellation(_message.Message):
    __slots__ = ("id", "verdict", "status")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    id: str
    verdict: CancelVerdict
    status: JobStatus
    def __init__(self, id: _Optional[str] = ..., verdict: _Optional[_Union[CancelVerdict, str]] = ..., status: _Optional[_Union[JobStatus, str]] = ...) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Target(_message.Message):
    __slots__ = ("name", "simulator", "program_formats", "max_qubits", "result_types", "workers_online", "queue_length", "running", "max_time_limit_s", "default_time_limit_s", "state")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIMULATOR_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FORMATS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUBITS_FIELD_NUMBER: _ClassVar[int]
    RESULT_TYPES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_ONLINE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    MAX_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TIME_LIMIT_S_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    simulator: str
    program_formats: _containers.RepeatedScalarFieldContainer[ProgramFormat]
    max_qubits: int
    result_types: _containers.RepeatedScalarFieldContainer[ResultType]
    workers_online: int
    queue_length: int
    running: int
    max_time_limit_s: float
    default_time_limit_s: float
    state: TargetState
    def __init__(self, name: _Optional[str] = ..., simulator: _Optional[str] = ..., program_formats: _Optional[_Iterable[_Union[ProgramFormat, str]]] = ..., max_qubits: _Optional[int] = ..., result_types: _Optional[_Iterable[_Union[ResultType, str]]] = ..., workers_online: _Optional[int] = ..., queue_length: _Optional[int] = ..., running: _Optional[int] = ..., max_time_limit_s: _Optional[float] = ..., default_time_limit_s: _Optional[float] = ..., state: _Optional[_Union[TargetState, str]] = ...) -> None: ...

class ListTargetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTargetsResponse(_message.Message):
    __slots__ = ("targets",)
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    def __init__(self, targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ...) -> None: ...

class ErrorDetail(_message.Message):
    __slots__ = ("field", "quota")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    field: str
    quota: Quota
    def __init__(self, field: _Optional[str] = ..., quota: _Optional[_Union[Quota, _Mapping]] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("name", "limit", "use", "retry_after_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    limit: float
    use: float
    retry_after_s: float
    def __init__(self, name: _Optional[str] = ..., limit: _Optional[float] = ..., use: _Optional[float] = ..., retry_after_s: _Optional[float] = ...) -> None: ...
