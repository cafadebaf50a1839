"""Owners on one target: whoever has little waits for nobody who has much."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

import pytest
import sqlalchemy as sa

from app.engines import make_engine
from app.identity import ANONYMOUS
from app.rows import JOB
from qdispatch.model import JobStatus
from tests.e2e.circuits import custom
from tests.e2e.stack import PROJECT
from tests.reliability.ward import STUB, WAIT_S, Ward, frozen
from tests.services.process import wait_until
from tests.specs import BELL

# Messages of an owner at a target of two slots.
WINDOW = 16

# A second server, for somebody else: it takes one job, says when its message was with
# the broker, and ends.
ANOTHER = """
import sys
from app.database import open_store
from app.feeding import Backlogs, Feeder
from app.ports import utc_now
from app.programs import Programs
from app.service import JobService
from app.settings import load_settings
from app.submission import Order
from tasks.celery import make_celery
from tasks.dispatch import BackgroundDispatcher
from tests.specs import bell

settings = load_settings()
store = open_store(settings)
dispatcher = BackgroundDispatcher(make_celery(settings, results=False))
backlogs = Backlogs(store=store, clock=utc_now, targets={"stub": 2}, resend_after_s=5.0)
service = JobService(
    settings=settings,
    store=store,
    programs=Programs(settings.programs),
    dispatcher=Feeder(backlogs, dispatcher),
    clock=utc_now,
)
dispatcher.start(on_sent=service.mark_sent)
print("ready", flush=True)
sys.stdin.readline()
(job,) = service.submit_each([Order(spec=bell(target="stub"), request_id="1", owner=sys.argv[1])])
dispatcher.close(30.0)
print(utc_now().isoformat(), flush=True)
store.close()
"""


@contextmanager
def another_server(ward: Ward, owner: str) -> Iterator[Callable[[], datetime]]:
    """One that is ready; to be told when the owner submits their job.

    It tells when that job was in its queue. A busy machine takes its time until then,
    which says nothing of whose turn it is.
    """
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER, owner],
        env=ward.stack.environment,
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def submit_one() -> datetime:
            told, _ = process.communicate("now\n", timeout=WAIT_S)
            assert process.returncode == 0
            return datetime.fromisoformat(told.strip())

        yield submit_one


def batch(ward: Ward, jobs: int, millis: int) -> list[str]:
    circuit = custom(BELL, n_qubits=2)
    extra = {"do": "nap", "size": millis}
    circuits = [circuit] * jobs
    return list(ward.client.submit_batch(circuits, target=STUB, shots=10, extra=extra).job_ids)


def singles(ward: Ward, jobs: int, millis: int) -> list[str]:
    return [ward.submit("nap", millis).id for _ in range(jobs)]


def moments(ward: Ward) -> list[tuple[str, datetime]]:
    """Whose every job that was begun is, and when it began."""
    engine = make_engine(ward.stack.database_url)
    columns = (JOB.c.owner, JOB.c.started_at)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).where(JOB.c.started_at.is_not(None))).all()
    engine.dispose()
    return [(owner, started_at) for owner, started_at in rows]


@pytest.mark.parametrize(
    ("submit", "jobs", "millis", "most"),
    [
        # The slot ends the group that it is at, of 0.1 s, and may have taken the next.
        pytest.param(batch, 5000, 5, 2 * 30, marks=pytest.mark.slow),
        # It ends the job that it runs, and may have taken the next from the queue before
        # the message was there.
        (batch, 5000, 500, 2),
        (singles, 100, 500, 2),
    ],
    ids=["small jobs in a batch", "a batch", "single jobs"],
)
def test_one_job_passes_anothers_many(
    ward: Ward, submit: Callable[[Ward, int, int], list[str]], jobs: int, millis: int, most: int
) -> None:
    # One slot takes messages, one after the other: of two, one would go on while the
    # other is held up with the message that counts.
    busy = ward.running()
    others = len(moments(ward))
    owner = str(uuid4())
    with (
        # Here it sends again very soon what is not noted as sent, with windows of its own.
        frozen(ward.stack, ward.stack.process("sweep")),
        another_server(ward, owner) as submit_one,
    ):
        job_ids = submit(ward, jobs, millis)
        # The first two messages of a window pass everybody.
        assert wait_until(lambda: len(moments(ward)) > others + 2, WAIT_S)
        queued = submit_one()

    def own() -> list[datetime]:
        return [began for whose, began in moments(ward) if whose == owner]

    assert wait_until(lambda: bool(own()), WAIT_S), ward.stack.logs()
    (began,) = own()
    begun = moments(ward)
    between = [each for whose, each in begun if whose == ANONYMOUS and queued < each < began]
    assert len(between) <= most
    assert len(begun) - others < jobs
    ward.client.cancel_jobs([*job_ids, busy.id])


def test_what_waits_for_its_turn_outlives_the_server(ward: Ward) -> None:
    with frozen(ward.stack, *ward.stack.slots(STUB)):
        # More than a window: the last of them have no message yet.
        job_ids = singles(ward, 40, 100)
        ward.stack.kill("server")
        others = len(moments(ward))
    # Meanwhile the sweep feeds.
    assert wait_until(lambda: len(moments(ward)) > others + WINDOW, WAIT_S)
    ward.stack.start_part("server")
    ward.stack.wait_until_ready()

    def ended() -> bool:
        jobs = [ward.client.get_job(each) for each in job_ids]
        return all(each.status is JobStatus.FINISHED for each in jobs)

    assert wait_until(ended, WAIT_S), ward.stack.logs()
