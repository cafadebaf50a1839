"""What is said to those who are over a quota: which, how far, what to do, and when to come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from qdispatch.errors import Quota, QuotaError

#: When to come back for what may be free at any time, in seconds.
SOON_S: Final = 1.0

# By the quota's name: what it counts, and what to do.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "jobs_in_flight": ("jobs in flight", "wait until some have ended, or cancel some"),
    "submissions_per_minute": (
        "jobs submitted in a minute",
        "submit fewer",
    ),
    "cpu_s_per_day": (
        "seconds of processor time today",
        "a new day begins at 00:00 UTC",
    ),
    "streams": ("open streams", "watch batches instead of jobs, or close some"),
    "program_bytes": ("bytes of program", "make the program smaller"),
    "qubits": ("qubits", "use fewer"),
    "shots": ("shots", "use fewer, or several jobs"),
    "points": ("points of a sweep", "use several jobs"),
    "server.max_jobs_in_flight": (
        "jobs in flight, of all owners",
        "the service is full: wait until some have ended",
    ),
    "server.max_streams": (
        "open streams, of all owners",
        "the service is full: ask for jobs instead of watching them",
    ),
    "server.max_bytes_to_send": (
        "bytes that wait to be sent",
        "the service is busy: come back in a moment",
    ),
    "server.max_calls": (
        "calls under way",
        "the service is busy: come back in a moment",
    ),
    "server.max_bytes_under_way": (
        "bytes of messages under way",
        "the service is busy: come back in a moment",
    ),
}
_RAISE: Final = "; administrators can raise it"


def over(name: str, limit: float, use: float, after_s: float | None) -> QuotaError:
    """Says that a quota is used up.

    Args:
        name: Of the quota.
        limit: The most there may be.
        use: What there would be, or is.
        after_s: When to come back, in seconds; None if waiting does not help.
    """
    return _refused(name, Quota(name=name, limit=limit, use=use, retry_after_s=after_s))


def over_for_one_job(name: str, limit: float, use: float, field: str) -> QuotaError:
    """Says that one job asks for more than it may.

    Args:
        name: Of the quota.
        limit: The most that a job may ask for.
        use: What it asks for.
        field: Where it does.
    """
    return _refused(name, Quota(name=name, limit=limit, use=use), field=field)


def _refused(name: str, quota: Quota, field: str = "") -> QuotaError:
    what, advice = _WORDS[name]
    if quota.retry_after_s is None:
        end = f": {advice if field else 'cut the batch, submit fewer at once'}{_RAISE}"
    else:
        end = f": {advice}; come back in {_seconds(quota.retry_after_s)}"
    text = f"{quota.use:,.12g} {what}, at most {quota.limit:,.12g} are allowed (quota {name}){end}"
    return QuotaError(text, field=field, quota=quota)


def _seconds(number: float) -> str:
    return f"{max(number, 0.1):,.0f} s" if number >= 1 else f"{max(number, 0.1):.1f} s"
