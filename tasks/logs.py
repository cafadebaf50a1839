"""Celery's own lines in the form of ours, without what a caller has written.

Celery sets its loggers up itself, by its command line (`-l`, `--logfile`); only what
renders a line is taken from it.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from celery import signals
from celery.utils.log import get_multiprocessing_logger

from app.logs import guard_logging, make_formatter
from app.settings import Settings

_log = logging.getLogger(__name__)

# Where Celery tells how a task ended.
_TRACE: Final = "celery.app.trace"


def log_as_we_do(settings: Settings) -> None:
    """Has a worker of this process log in the form that the settings say."""

    def take_over(logger: logging.Logger, **_: object) -> None:
        formatter = make_formatter(settings.log_format, times=settings.log_times)
        for each in (logger, get_multiprocessing_logger()):
            for handler in each.handlers:
                handler.setFormatter(formatter)
        guard_logging()

    signals.after_setup_logger.connect(take_over, weak=False, dispatch_uid="ours")
    signals.after_setup_task_logger.connect(take_over, weak=False, dispatch_uid="ours too")
    logging.getLogger(_TRACE).addFilter(_without_text)


def hush_banner(worker: Any) -> None:
    """Keeps a worker from writing anything that is no line of the log."""
    from celery.apps import worker as module

    worker.quiet = True
    module.safe_say = lambda message, *_: _log.info(message)


def _without_text(record: logging.LogRecord) -> bool:
    """Of why a task failed, leaves the kind: the rest may quote the job's program."""
    if isinstance(record.args, dict) and "exc" in record.args:
        kind, _, _ = str(record.args["exc"]).partition("(")
        record.args = {**record.args, "exc": kind}
    return True
