"""What owners may use, and what they use of it: the one place where that is looked at.

Jobs in flight are counted by the database, in the background, and what this server
has accepted since is added: no submission asks for it. What is added is never too
little, so that one server never has more than there may be. Only a count tells that
jobs have ended: there is one before anybody is refused. Of what other servers accept
it learns by the next count.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from math import isfinite
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final, TypeAlias

from app.day_use import CPU_S_PER_DAY, over_the_day
from app.known_quotas import OwnQuotas
from app.ports import Clock
from app.rates import Rates
from app.refused import SOON_S, over, over_for_one_job
from app.settings import Settings
from app.store import Store
from qdispatch.errors import QuotaError, UnavailableError
from qdispatch.model import JobSpec

_log = logging.getLogger(__name__)

# How often is counted, in seconds, and the most of all time that it may take.
_COUNT_S: Final = 1.0
_SHARE: Final = 0.02

#: What one job asks for, by the quota's name, and the field that says so.
_OF_A_JOB: Final[Mapping[str, tuple[str, Callable[[JobSpec], int]]]] = {
    "program_bytes": ("spec.program", lambda spec: len(spec.program.encode())),
    "qubits": ("spec.n_qubits", lambda spec: spec.n_qubits),
    "shots": ("spec.shots", lambda spec: spec.shots),
    "points": ("spec.parameter_values", lambda spec: len(spec.parameter_values)),
}

# Stands for all owners together; none is called so.
_ALL: Final = ""

#: Tells seconds, from any beginning.
Timer: TypeAlias = Callable[[], float]


class Quotas:
    """The quotas of one installation, as one server keeps them.

    Args:
        settings: Quotas of everybody, and of all together.
        store: The database.
        clock: Tells the time.
        own: Quotas of single owners.
        timer: Tells how much time has passed.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        clock: Clock,
        own: Callable[[], OwnQuotas] = dict,
        timer: Timer = monotonic,
    ) -> None:
        self._server = settings.server
        self._of_everybody: Mapping[str, float] = settings.quotas.model_dump()
        self._store = store
        self._clock = clock
        self._own = own
        self._timer = timer
        self._rates = Rates(timer)
        self._counting = Lock()
        self._began, self._took_s = float("-inf"), 0.0
        # Guards what follows, by owner. Jobs: counted by the database; committed before
        # the count that is under way began, and since; being committed.
        self._lock = Lock()
        self._counted: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._since: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._cpu_s: Mapping[str, float] = {}
        self._day: date | None = None
        self._streams: Counter[str] = Counter()
        self._closed = Event()
        self._thread = Thread(target=self._run, name="quotas", daemon=True)

    # -- submissions

    def note_submission(self, owner: str, jobs: int = 1) -> None:
        """Counts jobs that are submitted in one call, whatever becomes of them.

        Raises:
            QuotaError: With these there would be too many in the last minute.
        """
        limit = self._limit(owner, "submissions_per_minute")
        if not limit:
            return
        number, after_s = self._rates.take(owner, limit, jobs)
        if after_s is not None:
            helps = isfinite(after_s)
            raise over("submissions_per_minute", limit, number, after_s if helps else None)

    def check(self, owner: str, spec: JobSpec) -> None:
        """Refuses a job that asks for more than its owner's may.

        Raises:
            QuotaError: It does; to come back later does not help.
        """
        own = self._own().get(owner, {})
        for name, (field, asked) in _OF_A_JOB.items():
            limit = own.get(name, self._of_everybody[name])
            if limit and (use := asked(spec)) > limit:
                raise over_for_one_job(name, limit, use, field)

    def take(self, owner: str, jobs: int = 1) -> None:
        """Makes sure of room for jobs, before they are committed; all of them or none.

        Whoever has it says by `settle` what has become of them.

        Raises:
            QuotaError: There is not so much room.
            UnavailableError: That cannot be told.
        """
        if self._day is None or self._day != self._today():
            self.look()
        refused = self._taken(owner, jobs)
        if refused is not None:
            # Some may have ended.
            self.look()
            refused = self._taken(owner, jobs)
        if refused is not None:
            # Who comes back with the same batch, again and again, has submitted it once.
            self._rates.give_back(owner, jobs - 1)
            raise refused

    def settle(self, owner: str, taken: int, kept: int) -> None:
        """Says what has become of jobs that room was taken for.

        Args:
            owner: Whose they are.
            taken: For how many.
            kept: How many of them are committed, or may be, and are not final.
        """
        with self._lock:
            for each in (owner, _ALL):
                self._since[each] += kept
                self._open[each] -= taken
                if not self._open[each]:
                    del self._open[each]

    def _taken(self, owner: str, jobs: int) -> QuotaError | None:
        limit = self._limit(owner, "jobs_in_flight")
        cpu_limit_s = self._limit(owner, CPU_S_PER_DAY)
        limit_of_all = self._server.max_jobs_in_flight
        with self._lock:
            use, use_of_all = self._in_flight(owner) + jobs, self._in_flight(_ALL) + jobs
            if over_the_day({owner: cpu_limit_s}, used := self._used_s()):
                return over(CPU_S_PER_DAY, cpu_limit_s, used[owner], self._rest_of_day_s())
            if limit and use > limit:
                after_s = SOON_S if jobs <= limit else None
                return over("jobs_in_flight", limit, use, after_s)
            if use_of_all > limit_of_all:
                after_s = SOON_S if jobs <= limit_of_all else None
                return over("server.max_jobs_in_flight", limit_of_all, use_of_all, after_s)
            for each in (owner, _ALL):
                self._open[each] += jobs
        return None

    def used_up(self, owners: Collection[str]) -> Collection[str]:
        """Who of these has used up the processor time of the day, by the last count.

        Raises:
            UnavailableError: That cannot be told.
        """
        limits = {each: self._limit(each, CPU_S_PER_DAY) for each in owners}
        with self._lock:
            return over_the_day(limits, self._used_s())

    def _used_s(self) -> Mapping[str, float]:
        return self._cpu_s if self._day == self._today() else {}

    def _in_flight(self, owner: str) -> int:
        parts = (self._counted, self._before, self._since, self._open)
        return sum(each[owner] for each in parts)

    # -- streams

    @contextmanager
    def stream(self, owner: str) -> Iterator[None]:
        """A stream, such as a watch, as long as it is open.

        Raises:
            QuotaError: There are too many.
        """
        limit, limit_of_all = self._limit(owner, "streams"), self._server.max_streams
        with self._lock:
            use, use_of_all = self._streams[owner] + 1, self._streams[_ALL] + 1
            if limit and use > limit:
                raise over("streams", limit, use, SOON_S)
            if use_of_all > limit_of_all:
                raise over("server.max_streams", limit_of_all, use_of_all, SOON_S)
            self._streams.update((owner, _ALL))
        try:
            yield
        finally:
            with self._lock:
                self._streams.subtract((owner, _ALL))
                if not self._streams[owner]:
                    del self._streams[owner]

    # -- counting

    def start(self) -> None:
        """Counts, and goes on doing so."""
        self._try_to_look()
        self._thread.start()

    def close(self) -> None:
        """Ends the counting."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(max(_COUNT_S, self._took_s / _SHARE)):
            self._try_to_look()

    def _try_to_look(self) -> None:
        try:
            self.look()
        except UnavailableError:
            # The store has logged it; nothing can be accepted either.
            return
        except Exception:  # noqa: BLE001 - a defect; the next count may go well
            _log.exception("what owners use cannot be counted")

    def look(self) -> None:
        """Counts what is used, unless that would take more than its share of all time.

        Raises:
            UnavailableError: The database is away.
        """
        with self._counting:
            began = self._timer()
            if began - self._began < self._took_s / _SHARE:
                return
            with self._lock:
                # The count has these. Of those that are being committed it may have some:
                # they are added to it all the same, until the next one.
                self._before, self._since = self._since, Counter()
            try:
                counted, cpu_s, day = self._read()
            except BaseException:
                with self._lock:
                    self._since += self._before
                    self._before = Counter()
                raise
            counted[_ALL] = counted.total()
            with self._lock:
                self._counted, self._before = counted, Counter()
                self._cpu_s, self._day = cpu_s, day
            self._began, self._took_s = began, self._timer() - began

    def _read(self) -> tuple[Counter[str], Mapping[str, float], date]:
        day = self._today()
        with self._store.read() as tx:
            return Counter(tx.usage.in_flight()), tx.usage.cpu_s(day), day

    # -- limits

    def _limit(self, owner: str, name: str) -> float:
        """A quota of an owner; 0 if there is no limit."""
        return self._own().get(owner, {}).get(name, self._of_everybody[name])

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()

    def _rest_of_day_s(self) -> float:
        now = self._clock().astimezone(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        return (midnight - now).total_seconds()
