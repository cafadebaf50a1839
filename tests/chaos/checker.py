"""Holds every acknowledged job against what it must have become."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qdispatch import Client
from qdispatch.errors import QDispatchError
from qdispatch.model import CancelVerdict, ErrorKind, JobInfo, JobSpec, JobStatus
from tests.chaos.installation import MAX_ATTEMPTS
from tests.chaos.ledger import Entry, Sighting
from tests.chaos.mixture import FAILURES, Kind
from tests.chaos.report import Case, Report, Verdict

#: Counts of every distinct job that finishes, from before the faults.
Expected = Mapping[JobSpec, Mapping[str, int]]


class Checker:
    """Compares what clients know with what the service says.

    Args:
        client: Of the healed installation.
        rows: Of the database, with the number of results.
        expected: The counts of those that finish.
    """

    def __init__(
        self, client: Client, rows: Sequence[Mapping[str, Any]], expected: Expected
    ) -> None:
        self._client = client
        self._rows: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            self._rows[row["request_id"]].append(row)
        self._expected = expected

    def check(self, entries: Sequence[Entry], report: Report) -> None:
        """Adds to the report: numbers, and what is wrong."""
        for entry in entries:
            if entry.job_ids:
                report.jobs[entry.order.kind] += 1
            report.refused += bool(entry.refusal)
            cases, ending = self._judge(entry)
            report.cases += cases
            if ending:
                report.endings[ending] += 1
        known = {entry.request_id for entry in entries}
        for request_id in self._rows.keys() - known:
            if not request_id.startswith("reference-"):
                text = f"{request_id} is in the database, and nobody submitted it"
                report.cases.append(Case(verdict=Verdict.DUPLICATED, text=text))

    def _judge(self, entry: Entry) -> tuple[list[Case], str]:
        info = self._read(entry) if entry.job_ids else None
        ending = ""
        if info is not None:
            ending = info.error.kind if info.error else str(info.status)
        job_id = entry.job_ids[0] if entry.job_ids else ""
        cases = []
        for verdict, text in self._faults(entry, info):
            whole = f"{entry.request_id} ({entry.order.kind}), job {job_id}: {text}"
            cases.append(Case(verdict=verdict, text=whole, job_id=job_id))
        return cases, ending

    def _read(self, entry: Entry) -> JobInfo | None:
        try:
            return self._client.get_job(entry.job_ids[0], include_results=True)
        except QDispatchError as error:
            entry.problems.append(f"cannot be read: {error}")
            return None

    def _faults(self, entry: Entry, info: JobInfo | None) -> Iterator[tuple[Verdict, str]]:
        rows = self._rows[entry.request_id]
        for problem, times in Counter(entry.problems).items():
            yield Verdict.WRONG, f"{problem} ({times} times)"
        if not entry.settled:
            yield Verdict.LOST, "nobody ever answered whether there is a job"
        if entry.order.kind is Kind.REFUSED:
            if entry.job_ids:
                yield Verdict.WRONG, "was to be refused, and accepted"
            elif rows:
                yield Verdict.LITTER, "was refused, and is in the database"
            return
        if entry.refusal:
            yield Verdict.WRONG, f"was refused: {entry.refusal}"
        if len(entry.job_ids) > 1:
            yield Verdict.DUPLICATED, f"one request_id, the jobs {entry.job_ids}"
        if len(rows) > 1:
            yield Verdict.DUPLICATED, f"one request_id, {len(rows)} rows"
        if not entry.job_ids:
            return
        if info is None:
            yield Verdict.LOST, "it is not there"
        elif not info.status.is_final:
            yield Verdict.LOST, f"it is still {info.status}, {_row(rows)}"
        else:
            yield from self._end_faults(entry, info, rows)

    def _end_faults(
        self, entry: Entry, info: JobInfo, rows: Sequence[Mapping[str, Any]]
    ) -> Iterator[tuple[Verdict, str]]:
        last = Sighting(status=info.status, finish_time=info.finish_time)
        if others := [each for each in entry.sightings if each != last]:
            yield Verdict.DUPLICATED, f"ended as {last}, and before as {others}"
        stored = sum(row["results"] for row in rows)
        # The rows were read before; a job that was late may have ended since.
        if rows[0]["status"] is info.status and stored != (info.status is JobStatus.FINISHED):
            yield Verdict.DUPLICATED, f"{info.status} with {stored} results"
        # A job that crashes each time fails for good by its last fault, which
        # may have been one of ours.
        crashing = entry.order.kind is Kind.CRASHING
        if info.error is not None and info.error.kind == ErrorKind.WORKER_LOST:
            if crashing and info.faults >= MAX_ATTEMPTS:
                return
            yield Verdict.GAVE_UP, f"attempt {info.attempt}: {info.error.message}"
            return
        # A job that somebody canceled in time is canceled for good.
        if entry.verdict not in (None, CancelVerdict.TOO_LATE):
            if info.status is not JobStatus.CANCELED:
                yield Verdict.WRONG, f"the verdict was {entry.verdict}, but it is {_told(info)}"
            return
        # Too late may be what a repeated call says whose first answer was lost.
        if info.status is JobStatus.CANCELED and entry.verdict is not None:
            return
        yield from self._truth(entry, info)

    def _truth(self, entry: Entry, info: JobInfo) -> Iterator[tuple[Verdict, str]]:
        kind = FAILURES.get(entry.order.kind)
        if kind is not None:
            if info.error is None or info.error.kind != kind:
                yield Verdict.WRONG, f"was to fail as {kind}, but it is {_told(info)}"
            return
        counts = self._expected.get(entry.order.spec)
        if info.status is not JobStatus.FINISHED or counts is None:
            yield Verdict.WRONG, f"it is {_told(info)}, attempt {info.attempt}"
        elif len(info.results) != 1 or info.results[0].counts != counts:
            yield Verdict.WRONG, f"other counts: {info.results} instead of {counts}"


def _told(info: JobInfo) -> str:
    error = f" ({info.error.kind}: {info.error.message})" if info.error else ""
    return f"{info.status}{error}"


def _row(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = ("attempt", "worker", "sent_at", "started_at", "lease_until")
    return "; ".join(str({name: str(row[name]) for name in columns}) for row in rows)
