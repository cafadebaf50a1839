"""The sweep: one process that closes the gaps which crashes leave.

It sends what was committed and not sent, takes jobs from workers that are not
heard of any more, and removes program files without a job. It also deletes
the jobs that the settings let the history forget, and keeps the result cache
within its limit.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Final

from celery import Celery

from app.cache import CacheUpkeep
from app.database import START_PATIENCE_S, open_store
from app.day_use import DayUse
from app.history import History
from app.logs import set_up_logging, tell_end
from app.ports import utc_now
from app.programs import Programs
from app.settings import Settings, load_settings
from app.upkeep import Upkeep
from qdispatch.errors import QDispatchError
from tasks.celery import make_celery
from tasks.dispatch import BackgroundDispatcher, BrokerQueues

_log = logging.getLogger(__name__)

# How often files without a job, Celery's old records, and what the history and the
# cache may forget, are looked for, in seconds.
_TIDY_S: Final = 60.0
_CLOSE_S: Final = 3.0


class Sweep:
    """Repeats the upkeep until it is told to stop.

    Args:
        upkeep: What is to be done.
        history: What is trimmed.
        cache: What is kept within its limit.
        interval_s: How long to wait in between, in seconds.
        clean_results: Removes Celery's expired records.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        history: History,
        cache: CacheUpkeep,
        *,
        interval_s: float,
        clean_results: Callable[[], None],
    ) -> None:
        self._upkeep = upkeep
        self._history = history
        self._cache = cache
        self._interval_s = interval_s
        self._clean_results = clean_results
        self._stop = Event()

    def stop(self) -> None:
        """Ends the run after the step that it is at."""
        self._stop.set()

    def run(self) -> None:
        """Sweeps until stopped; what fails is tried again at the next turn."""
        tidied_at = -_TIDY_S
        trimmed = 0
        while not self._stop.is_set():
            self._try("recovered from lost workers: %d", self._upkeep.recover)
            self._try("sent late: %d", self._upkeep.resend)
            self._try("lost by the broker, sent again: %d", self._upkeep.resend_lost)
            slow = monotonic() - tidied_at >= _TIDY_S
            if slow:
                tidied_at = monotonic()
                self._try("program files without a job: %d", self._upkeep.tidy)
                self._try("workers that were lost: %d", self._upkeep.forget_workers)
                self._try("days of use forgotten: %d", self._upkeep.forget_usage)
                self._clean_results()
                self._try("given up by the cache: %d", self._cache.evict)
            # As long as there is something to delete there may be more.
            if slow or trimmed:
                trimmed = self._try("deleted from the history: %d", self._history.trim)
            self._stop.wait(self._interval_s)

    def _try(self, text: str, step: Callable[[], int]) -> int:
        try:
            number = step()
        except QDispatchError as error:
            _log.warning("%s: %s", step.__name__, error)
            return 0
        except Exception:  # noqa: BLE001 - a defect; the other steps still count
            _log.exception("%s", step.__name__)
            return 0
        if number:
            _log.info(text, number)
        return number


def _run(settings: Settings) -> None:
    store = open_store(settings, patience_s=START_PATIENCE_S)
    celery = make_celery(settings, results=False)
    dispatcher = BackgroundDispatcher(celery, note_after_s=0.0)
    upkeep = Upkeep(
        settings=settings.jobs,
        store=store,
        programs=Programs(settings.programs),
        dispatcher=dispatcher,
        queues=BrokerQueues(celery),
        targets={name: each.concurrency for name, each in settings.targets.items()},
        clock=utc_now,
        used_up=DayUse(limit_s=settings.quotas.cpu_s_per_day, store=store, clock=utc_now),
    )
    records: Celery = make_celery(settings, results=True)

    def clean_results() -> None:
        # Redis forgets by itself; the embedded default's files do not.
        if not settings.result_backend.get_secret_value():
            try:
                records.backend.cleanup()
            except OSError as error:
                _log.warning("cannot remove Celery's old records: %s", error)

    sweep = Sweep(
        upkeep,
        History(settings=settings.history, store=store, clock=utc_now),
        CacheUpkeep(settings.cache.max_bytes, store),
        interval_s=settings.jobs.sweep_interval_s,
        clean_results=clean_results,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sweep.stop())
    dispatcher.start(on_sent=upkeep.mark_sent)
    _log.info("sweeping every %g s", settings.jobs.sweep_interval_s)
    sweep.run()
    dispatcher.close(_CLOSE_S)
    store.close()


def main() -> int:
    """Runs the sweep; returns the exit code."""
    try:
        settings = load_settings()
        set_up_logging(settings.log_format, times=settings.log_times)
        _run(settings)
    except QDispatchError as error:
        tell_end(error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
