"""Whether what concurrent callers were told could have happened one after the other.

A search for one order of the calls in which each answer is right, and in which
no call comes before one that had ended when it began: Wing and Gong, "Testing
and Verifying Concurrent Objects", 1993, with the memory of Lowe, "Testing for
linearizability", 2017. Calls on different jobs are independent, so that each
job's history is searched by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from qdispatch.model import CancelVerdict, JobStatus

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
FINISHED, CANCELED, FAILED = JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED


@dataclass(frozen=True, kw_only=True)
class State:
    """One job, as the callers can tell."""

    status: JobStatus = PENDING
    attempt: int = 0
    faults: int = 0
    unconfirmed: bool = False
    """Canceled while it ran, and still leased."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call, its answer, and when it was under way."""

    name: str
    began: int
    ended: int
    answer: object = None
    attempt: int = 0
    """The one that it spoke for."""


Step: TypeAlias = Callable[[State, Call], Iterable[State]]


def in_some_order(calls: Sequence[Call], max_faults: int) -> bool:
    """Whether there is an order of these calls on one job that explains all answers."""
    everything = (1 << len(calls)) - 1
    tried = {(0, State())}
    open_ = list(tried)
    while open_:
        done, state = open_.pop()
        if done == everything:
            return True
        left = [at for at in range(len(calls)) if not done >> at & 1]
        first_end = min(calls[at].ended for at in left)
        for at in left:
            if calls[at].began > first_end:
                continue
            for after in _after(state, calls[at], max_faults):
                reached = (done | 1 << at, after)
                if reached not in tried:
                    tried.add(reached)
                    open_.append(reached)
    return False


def _after(state: State, call: Call, max_faults: int) -> Iterable[State]:
    """What the job may be after a call that was answered so; nothing if it was not right."""
    return (after for after, answer in _answers(state, call, max_faults) if answer == call.answer)


def _answers(state: State, call: Call, max_faults: int) -> list[tuple[State, object]]:
    """The right answers to a call, and what the job is after each."""
    holds = state.status is RUNNING and state.attempt == call.attempt
    match call.name:
        case "claim":
            if state.status is not PENDING:
                return [(state, None)]
            claimed = replace(state, status=RUNNING, attempt=state.attempt + 1)
            return [(claimed, claimed.attempt)]
        case "renew" | "holds":
            return [(state, holds)]
        case "finish" | "fail" | "terminate" | "hand_over":
            return [(replace(state, status=_ENDS[call.name]), True) if holds else (state, False)]
        case "fault":
            after = _fault(state, max_faults)
            return [(after, after.status) if holds else (state, None)]
        case "recover":
            # Whether it met this job, only its next state can tell.
            lapsed = [_fault(state, max_faults)] if state.status is RUNNING else []
            if state.unconfirmed:
                lapsed = [replace(state, unconfirmed=False)]
            return [(after, None) for after in (state, *lapsed)]
        case "cancel":
            after = state
            if not state.status.is_final:
                after = replace(state, status=CANCELED, unconfirmed=state.status is RUNNING)
            late = CancelVerdict.STOPPING if state.unconfirmed else CancelVerdict.TOO_LATE
            return [(after, (_VERDICTS.get(state.status, late), after.status))]
        case "look":
            return [(state, (state.status, state.attempt, state.faults))]
    raise AssertionError(call.name)


_ENDS = {"finish": FINISHED, "fail": FAILED, "terminate": CANCELED, "hand_over": PENDING}
_VERDICTS = {
    PENDING: CancelVerdict.REMOVED_FROM_QUEUE,
    RUNNING: CancelVerdict.STOPPING,
}


def _fault(state: State, max_faults: int) -> State:
    faults = state.faults + 1
    return replace(state, faults=faults, status=PENDING if faults < max_faults else FAILED)
