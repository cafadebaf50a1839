"""Row 11: how calls change as the history grows; and the history itself, made by SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final
from uuid import UUID, uuid4

import grpc
import sqlalchemy as sa

from app.events import line
from app.ids import new_id
from app.rows import JOB, RESULT, JobRow
from benchmarks.installation import Installation
from benchmarks.lines import Line, at_most
from benchmarks.measure import in_turns, ratio, timed
from benchmarks.plan import Plan
from benchmarks.programs import SHOTS, bell
from benchmarks.table import seconds
from qdispatch import Client
from qdispatch.model import JobStatus, Result, ResultType
from qdispatch.results_codec import encode_result
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from tests.waiting import wait_until

_READY_S: Final = 60.0
_PAGE: Final = 20
_FEW: Final = 1000
#: One job in so many has failed, and the same few were canceled whatever the size.
_FAILED: Final = 10
_CANCELED: Final = 10

# The last digits of these ids count the jobs; the time in them grows with it.
_MADE_ID: Final = (
    "(lpad(to_hex(:first + number), 12, '0') || '70008000' || lpad(to_hex(number), 12, '0'))::uuid"
)
_STATUS: Final = (
    f"(CASE WHEN number <= {_CANCELED} THEN 'canceled'"
    # Not those of round numbers, which are read.
    f" WHEN number % {_FAILED} = {_FAILED - 3} THEN 'failed' ELSE 'finished' END)"
)
_TARGETS: Final = "(ARRAY['aer', 'cirq', 'pennylane'])[1 + number % 3]"


def growth(plan: Plan) -> Iterator[Line]:
    """Row 11: each call at a long history, against the same at a short one."""
    many = plan.choose(100_000, 1_000_000)
    with ExitStack() as ends:
        sides = {}
        for name, size in (("few", _FEW), ("many", many)):
            stack = ends.enter_context(_server(plan))
            ids = fill(stack.database, size)
            sides[name] = ends.enter_context(_calls(stack, ids))
        each = plan.choose(20, 40)
        for what in next(iter(sides.values())):
            takers = {name: _taker(calls[what], each) for name, calls in sides.items()}
            samples = in_turns(takers, plan.runs)
            yield Line(
                row=11,
                what=what,
                baseline=f"at {_FEW:,} jobs",
                ratio=ratio(samples["many"], samples["few"]),
                goal=at_most(1.2),
                absolute=f"{seconds(median(samples['many']))} at {many:,} jobs,"
                f" {seconds(median(samples['few']))} at {_FEW:,}",
            )


def fill(database: sa.Engine, jobs: int) -> Sequence[str]:
    """Gives a migrated PostgreSQL database a history of jobs that have ended.

    Args:
        database: It.
        jobs: How many.

    Returns:
        Ids of a thousand of them, or of all, oldest first, evenly.
    """
    now = datetime.now(UTC)
    template = _template(now)
    made: Mapping[str, str] = {
        "id": _MADE_ID,
        "request_id": "'history-' || number",
        "digest": "decode(lpad(to_hex(number), 64, '0'), 'hex')",
        "created_at": "to_timestamp((:first + number) / 1000.0)",
        "target": _TARGETS,
        "status": _STATUS,
        "life": f"replace(job.life, 'finished', {_STATUS})",
        "result_bytes": f"CASE {_STATUS} WHEN 'finished' THEN job.result_bytes ELSE 0 END",
    }
    columns = [column.name for column in JOB.columns]
    chosen = ", ".join(made.get(name, f"job.{name}") for name in columns)
    numbers = {"first": int(now.timestamp() * 1000) - jobs - 1000, "jobs": jobs}
    series = "generate_series(1, :jobs) AS number"
    with database.begin() as connection:
        connection.execute(sa.insert(JOB).values(template.model_dump()))
        insert = (
            f"INSERT INTO job ({', '.join(columns)}) SELECT {chosen}"  # noqa: S608 - no input
            f" FROM job, {series} WHERE job.id = :template"
        )
        connection.execute(sa.text(insert), numbers | {"template": template.id})
        results = (
            "INSERT INTO result (job_id, result_type, point, value)"  # noqa: S608 - as above
            f" SELECT {_MADE_ID}, 'counts', 0, :value FROM {series} WHERE {_STATUS} = 'finished'"
        )
        connection.execute(sa.text(results), numbers | {"value": _counts()})
        connection.execute(sa.delete(JOB).where(JOB.c.id == template.id))
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in (JOB, RESULT):
            connection.execute(sa.text(f"VACUUM ANALYZE {table.name}"))
        connection.execute(sa.text("CHECKPOINT"))
        step = max(1, jobs // 1000)
        some = sa.text(
            f"SELECT {_MADE_ID} FROM {series} WHERE number % :step = 0 ORDER BY number"  # noqa: S608
        )
        ids = connection.execute(some, numbers | {"step": step}).scalars().all()
    return [str(UUID(str(each))) for each in ids]


def _template(now: datetime) -> JobRow:
    """A finished job; columns that are not named have their defaults."""
    statuses = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FINISHED)
    return JobRow(
        id=new_id(),
        owner="anonymous",
        request_id="template",
        digest=b"",
        created_at=now,
        status=JobStatus.FINISHED,
        target="aer",
        framework="benchmark",
        n_qubits=2,
        depth=3,
        program_format="openqasm2",
        result_types=["counts"],
        shots=SHOTS,
        observables=[],
        extra="",
        time_limit_s=600.0,
        tags=[],
        sent_at=now,
        started_at=now,
        finish_time=now,
        attempt=1,
        worker="aer@benchmark",
        method="statevector",
        simulator_version="benchmark",
        parsing_s=0.001,
        simulating_s=0.001,
        saving_s=0.001,
        peak_memory_bytes=10**8,
        result_bytes=len(_counts()),
        life="".join(line(status, now) for status in statuses),
    )


def _counts() -> bytes:
    counts = Result(
        type=ResultType.COUNTS, n_bits=2, counts={"00": SHOTS // 2, "11": SHOTS - SHOTS // 2}
    )
    return encode_result(counts).SerializeToString()


@contextmanager
def _server(plan: Plan) -> Iterator[Installation]:
    """A server on a database of its own; no worker and no sweep."""
    stack = Installation(plan.shop.folder("history"), plan.shop.services)
    try:
        stack.stack.run("app", "migrate")
        stack.stack.launch("server", "rpc")
        with Client(stack.address, timeout_s=2.0) as client:
            if not wait_until(client.is_serving, _READY_S):
                raise TimeoutError(f"the server does not start:\n{stack.stack.log('server')}")
        yield stack
    finally:
        stack.stop()


@contextmanager
def _calls(stack: Installation, ids: Sequence[str]) -> Iterator[dict[str, Callable[[], Any]]]:
    """What is measured, by name; each a call as a client makes it."""
    old, middle = ids[len(ids) // 10], ids[len(ids) // 2]
    with Client(stack.address) as client, grpc.insecure_channel(stack.address) as channel:
        stub = pb_grpc.QDispatchStub(channel)
        spec = client.prepare(bell(), target="aer", shots=SHOTS)

        def listing(**wanted: Any) -> Callable[[], Any]:
            request = pb.ListJobsRequest(page_size=_PAGE, **wanted)
            return lambda: stub.ListJobs(request, timeout=60.0)

        failed, canceled = pb.JOB_STATUS_FAILED, pb.JOB_STATUS_CANCELED
        yield {
            "submit": lambda: client.create_job(spec, request_id=str(uuid4())),
            "get": lambda: client.get_job(old, include_results=True),
            "list, first page": listing(),
            "list, page in the middle": listing(page_token=middle),
            "list, failed on cirq": listing(statuses=[failed], target="cirq"),
            "list, canceled (10 of all)": listing(statuses=[canceled]),
        }


def _taker(call: Callable[[], Any], each: int) -> Callable[[], float]:
    return lambda: median(timed(call) for _ in range(each))
