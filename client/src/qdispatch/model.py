"""The shared vocabulary: what a job is made of, and what comes back.

Bit order, everywhere: the key of an outcome is all classical bits as a
string of "0" and "1", the bit with the highest index on the left; registers
follow each other as declared, the first one on the right (as Qiskit prints
them, without the spaces). The label of an observable reads the highest qubit
on the left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from qdispatch.arrays import Memory, Probabilities, Statevector


class JobStatus(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    """Accepted, and waiting for a free worker."""
    RUNNING = "running"
    """Claimed by a worker."""
    FINISHED = "finished"
    """Ended with results. Final."""
    CANCELED = "canceled"
    """Ended by a cancellation. Final."""
    FAILED = "failed"
    """Ended by an error. Final."""

    @property
    def is_final(self) -> bool:
        """Whether a job in this status will never change again."""
        return self in (JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED)


class ProgramFormat(StrEnum):
    """The language that a program is written in."""

    OPENQASM2 = "openqasm2"
    """OpenQASM 2.0, arXiv:1707.03429."""
    OPENQASM3 = "openqasm3"
    """OpenQASM 3, arXiv:2104.14722."""


class ResultType(StrEnum):
    """What a job can be asked for."""

    COUNTS = "counts"
    """How often each outcome was sampled; needs shots > 0."""
    QUASI = "quasi"
    """The probability of each outcome: exact at shots = 0, else counts / shots."""
    EXPVAL = "expval"
    """The expectation value of each observable: exact at shots = 0."""
    MEMORY = "memory"
    """The outcome of each shot, in their order; needs shots > 0."""
    STATEVECTOR = "statevector"
    """The state before the final measurements, global phase included; exact
    whatever the shots are."""
    PROBABILITIES = "probabilities"
    """The probability of every basis state of all qubits before the final
    measurements; exact whatever the shots are."""
    VARIANCE = "variance"
    """The variance of each observable: exact at shots = 0."""


class ErrorKind(StrEnum):
    """Why a job failed."""

    PROGRAM_INVALID = "program_invalid"
    """The program cannot be parsed, or breaks a rule of its language."""
    UNSUPPORTED = "unsupported"
    """The program is valid, but this target cannot run it as asked."""
    OUT_OF_MEMORY = "out_of_memory"
    """The simulation needs, or took, more memory than it may have."""
    TIME_LIMIT = "time_limit"
    """The run took longer than its time limit."""
    CRASHED = "crashed"
    """The simulator died in mid-run."""
    WORKER_LOST = "worker_lost"
    """The worker that ran the job was not heard of again."""
    PROGRAM_LOST = "program_lost"
    """The program file was not found when the job was to run."""
    INTERNAL = "internal"
    """A defect of the service; its log, under the job's id, tells more."""


class CancelVerdict(StrEnum):
    """What a cancellation came to."""

    REMOVED_FROM_QUEUE = "removed_from_queue"
    """The job was pending and will never run."""
    STOPPED_RUNNING = "stopped_running"
    """The job was running; its worker confirmed the stop."""
    TOO_LATE = "too_late"
    """The job had ended before."""
    STOPPING = "stopping"
    """The job is canceled, and its worker has been told to stop; the job's
    ``stopped_at`` is set once it has confirmed."""
    NOT_FOUND = "not_found"
    """There is no such job; only when many are canceled in one call."""


class TargetState(StrEnum):
    """What operators have put a target in."""

    ACTIVE = "active"
    """It accepts jobs and runs them."""
    PAUSED = "paused"
    """It accepts jobs and starts none; what runs goes on."""
    DRAINED = "drained"
    """It accepts no job, and runs those that it has."""


@dataclass(frozen=True, kw_only=True)
class PauliTerm:
    """One Pauli string with a real coefficient.

    Attributes:
        paulis: Letters of I, X, Y and Z. Dense when ``qubits`` is None: one
            letter a qubit, the highest qubit on the left. Sparse otherwise:
            letter k acts on ``qubits[k]``.
        qubits: Indices, without repetition, or None for a dense label.
        coefficient: A finite real number.
    """

    paulis: str
    qubits: tuple[int, ...] | None = None
    coefficient: float = 1.0

    def letters(self) -> dict[int, str]:
        """The qubits this term acts on, each with its X, Y or Z."""
        if self.qubits is None:
            pairs: Iterable[tuple[int, str]] = enumerate(reversed(self.paulis))
        else:
            pairs = zip(self.qubits, self.paulis, strict=True)
        return {qubit: letter for qubit, letter in pairs if letter != "I"}


@dataclass(frozen=True, kw_only=True)
class PauliSum:
    """An observable: a real linear combination of Pauli strings."""

    terms: tuple[PauliTerm, ...]
    """One or more strings, each with its coefficient."""


MAX_PRIORITY: Final = 10
"""Priorities go from minus this to this."""


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What is to be run; the part of a job that its user decides."""

    program: str
    """The program text."""
    program_format: ProgramFormat
    """The language of ``program``."""
    framework: str
    """What the circuit was written in, such as "qiskit"."""
    n_qubits: int
    """Number of qubits that the program declares."""
    depth: int
    """Longest path through the circuit, in operations."""
    target: str = ""
    """Name of a target; empty lets the server pick."""
    submission_date: datetime | None = None
    """The client's clock at submission, UTC."""
    result_types: tuple[ResultType, ...] = (ResultType.COUNTS,)
    """What to return; one or more, without repetition."""
    shots: int = 0
    """Samples to take; 0 means exact."""
    seed: int | None = None
    """From 0 to 2**63 - 1; makes sampled results reproducible."""
    observables: tuple[PauliSum, ...] = ()
    """For expval and variance, in the order of their values."""
    extra: str = ""
    """A JSON object as text, kept as given; holds simulator options."""
    time_limit_s: float | None = None
    """Wall time that one run may take, in seconds; None means the target's."""
    tags: tuple[str, ...] = ()
    """Free words to find the job by."""
    parameters: tuple[str, ...] = ()
    """Makes the job a sweep: the program's ``input`` variables, each once."""
    parameter_values: Sequence[tuple[float, ...]] = ()
    """Of each point of the sweep, the value of each parameter; a tuple, or packed
    (`qdispatch.arrays.PackedPoints`)."""
    cache: bool = True
    """Whether results of an equal job of the past will do, and those of this one
    for equal jobs to come."""
    priority: int = 0
    """Orders its owner's jobs on a target among themselves: higher first, -10 to 10."""


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """A change of a job's status."""

    number: int
    """1 for the first event of a job, 2 for the second, ..."""
    status: JobStatus
    """What it became."""
    at: datetime
    """When, UTC."""
    attempt: int = 0
    """How often the job had been claimed by then."""


@dataclass(frozen=True, kw_only=True)
class JobError:
    """Why a job failed."""

    kind: str
    """A stable word to branch on; see `ErrorKind`."""
    message: str
    """What happened and what to do, for a person."""


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Where the time of a job went, in seconds; None until known."""

    queued_s: float | None = None
    """From its acceptance to the start of its last attempt."""
    parsing_s: float | None = None
    """Reading the program."""
    simulating_s: float | None = None
    """Simulating it."""
    saving_s: float | None = None
    """Writing the results to the database."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One result of a job; the attribute named like its type is set."""

    type: ResultType
    """Which of the values below is set."""
    n_bits: int = 0
    """Classical bits an outcome has, for counts, quasi and memory."""
    counts: Mapping[str, int] | None = None
    """Outcome -> number of shots, in ascending order of the outcomes."""
    quasi: Mapping[str, float] | None = None
    """Outcome -> probability; outcomes that are absent have 0."""
    expval: tuple[float, ...] | None = None
    """One value per observable, in their order."""
    standard_errors: tuple[float, ...] | None = None
    """Standard error of each value in ``expval``; 0 where it is exact."""
    memory: Memory | None = None
    """The outcome of each shot, in their order."""
    statevector: Statevector | None = None
    """2**n_qubits amplitudes."""
    probabilities: Probabilities | None = None
    """2**n_qubits probabilities."""
    variance: tuple[float, ...] | None = None
    """One value per observable, in their order."""
    point: int = 0
    """Index of the sweep point."""


@dataclass(frozen=True, kw_only=True)
class JobInfo:
    """A job as the server knows it at one moment."""

    id: str
    """UUIDv7, 36 characters."""
    owner: str
    """Who submitted it."""
    request_id: str
    """The client's id of this submission."""
    status: JobStatus
    """Where the job is in its life."""
    spec: JobSpec
    """As submitted, with an empty ``program``."""
    created_at: datetime
    """When the server accepted it, UTC."""
    started_at: datetime | None = None
    """When a worker last claimed it, UTC."""
    finish_time: datetime | None = None
    """When it reached a final status, UTC."""
    attempt: int = 0
    """How often a worker has claimed it."""
    faults: int = 0
    """How many attempts ended in a crash of the simulator or the loss of the worker."""
    worker: str = ""
    """Node name of the worker that claimed it last."""
    error: JobError | None = None
    """Why it failed."""
    method: str = ""
    """How it was simulated, such as "statevector"."""
    method_reason: str = ""
    """Why by that method, in a few words for a person."""
    simulator_version: str = ""
    """Name and version of the simulator."""
    timings: Timings = field(default_factory=Timings)
    """Where the time went."""
    peak_memory_bytes: int = 0
    """Peak resident memory of the engine during this run, in bytes."""
    stopped_at: datetime | None = None
    """When the worker of a job that was canceled while it ran confirmed that
    its simulation has ended, UTC."""
    batch_id: str = ""
    """The batch that it was submitted in; empty if alone."""
    batch_index: int = 0
    """Its place in the batch, from 0."""
    n_points: int = 0
    """How many points its sweep has; 0 for a job without one."""
    points_done: int = 0
    """How many points of its sweep are done, as last heard of."""
    events: tuple[JobEvent, ...] = ()
    """Every change of its status so far."""
    cpu_s: float = 0.0
    """Processor time that its attempts took, in seconds, as far as known."""
    cached_from: str = ""
    """The equal job whose results it was given, instead of being run; empty if it
    was run. That one may be deleted by now."""
    results: tuple[Result, ...] = ()
    """Only when asked for, and only of a finished job."""


@dataclass(frozen=True, kw_only=True)
class TargetInfo:
    """A simulator that a service offers, and its load."""

    name: str
    """What `target` of a job says."""
    simulator: str
    """The name that its simulator is registered under."""
    program_formats: tuple[ProgramFormat, ...]
    """The languages that it takes."""
    max_qubits: int
    """The most that a program may declare."""
    result_types: tuple[ResultType, ...]
    """What its jobs can be asked for."""
    workers_online: int = 0
    """Workers that reported lately."""
    queue_length: int = 0
    """Jobs that wait."""
    running: int = 0
    """Jobs that run."""
    max_time_limit_s: float = math.inf
    """The most that ``time_limit_s`` may be."""
    default_time_limit_s: float = math.inf
    """What ``time_limit_s`` is when unset."""
    state: TargetState = TargetState.ACTIVE
    """What operators have put it in."""


@dataclass(frozen=True, kw_only=True)
class Cancellation:
    """What canceling one of many jobs came to."""

    id: str
    """As it was given."""
    verdict: CancelVerdict
    """What it came to."""
    status: JobStatus | None = None
    """The job's status now; None if there is no such job."""
