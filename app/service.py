"""What users do with jobs: every use case, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from app.cancellation import Canceling
from app.chunks import note_sent
from app.history import History
from app.identity import Caller
from app.placement import TargetLoad
from app.ports import Clock, Dispatcher, Sent
from app.programs import Programs
from app.quotas import Quotas
from app.reading import Found, Reading, Wanted
from app.records import info_of
from app.settings import Settings
from app.store import Store
from app.submission import Order, Submission
from app.visible_jobs import Parts, VisibleJobs
from qdispatch.errors import RequestError
from qdispatch.model import JobInfo, JobStatus, TargetInfo, TargetState


class JobService:
    """The jobs of one installation, for its server and every gateway.

    What is somebody's is had through `by`, so that no way leads past the question
    whose it is.

    Args:
        settings: Targets and limits.
        store: The database.
        programs: The program files.
        dispatcher: Tells the workers.
        clock: Tells the time.
        changed: Told which jobs this service has changed the status of.
        quotas: What owners may use; those of the settings if not given.

    Attributes:
        quotas: The same.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        programs: Programs,
        dispatcher: Dispatcher,
        clock: Clock,
        changed: Callable[[Sequence[UUID]], None] = lambda _: None,
        quotas: Quotas | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self.quotas = quotas or Quotas(settings=settings, store=store, clock=clock)
        self._reading = Reading(store)
        self._submission = Submission(
            settings=settings,
            store=store,
            programs=programs,
            dispatcher=dispatcher,
            clock=clock,
            quotas=self.quotas,
        )
        self._parts = Parts(
            store=store,
            programs=programs,
            reading=self._reading,
            submission=self._submission,
            canceling=Canceling(
                store=store,
                programs=programs,
                dispatcher=dispatcher,
                clock=clock,
                wait_s=settings.server.cancel_wait_s,
            ),
            history=History(settings=settings.history, store=store, clock=clock),
            changed=changed,
        )

    def by(self, caller: Caller) -> VisibleJobs:
        """The jobs that a caller sees, and what they may do with them."""
        return VisibleJobs(self._parts, caller)

    def submit_each(self, orders: Sequence[Order]) -> list[JobInfo | RequestError]:
        """Does what `VisibleJobs.submit` does for callers that come together, in one transaction.

        Returns:
            For each its job, or why it is refused.

        Raises:
            UnavailableError: As of `submit`, for all of them.
        """
        answers = self._submission.submit_each(orders)
        return [each if isinstance(each, RequestError) else info_of(each) for each in answers]

    def get_each(self, wanted: Sequence[Wanted]) -> list[Found | RequestError | None]:
        """Does what `VisibleJobs.get` and `results` do for callers that come together.

        Returns:
            For each its job; or why there is none; or None if it has so much to
            it that it should be read by itself.
        """
        return self._reading.get_each(wanted)

    def mark_sent(self, sent: Sequence[Sent]) -> None:
        """Notes what the broker has confirmed."""
        note_sent(self._store, sent, self._clock())

    def targets(self) -> list[TargetInfo]:
        """Every target with its load, in the order of the settings."""
        load = TargetLoad.read(self._store, self._clock)
        return [
            TargetInfo(
                name=name,
                simulator=target.simulator,
                program_formats=target.program_formats,
                max_qubits=target.max_qubits,
                result_types=target.result_types,
                workers_online=load.workers.get(name, (0, 0))[0],
                queue_length=load.jobs.get((name, JobStatus.PENDING), 0),
                running=load.jobs.get((name, JobStatus.RUNNING), 0),
                max_time_limit_s=target.max_time_limit_s,
                default_time_limit_s=target.time_limit_s,
                state=load.states.get(name, TargetState.ACTIVE),
            )
            for name, target in self._settings.targets.items()
        ]
