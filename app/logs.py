"""One form of log lines for all processes: text for people, or JSON for machines.

Modules log by `logging`, the audit by structlog; one formatter renders both.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

from app.log_lines import MESSAGE_CHARS, Json, Text, plain, without_secrets

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

# Alembic and others speak only when something is wrong.
_QUIET: Final = ("alembic", "fsspec", "kombu", "amqp")


def set_up_logging(form: str, *, times: bool, texts: bool = True) -> None:
    """Logs to the standard error stream, from INFO on; from WARNING on without texts.

    Args:
        form: As the setting log_format: "text" or "json".
        times: Whether a line of text begins with the time; `app up` puts it there itself.
        texts: Whether what exceptions and warnings say is logged, or only which and where
            they are.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(form, times=times, texts=texts))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # SDKs tell at INFO what they do with a program.
    root.setLevel(logging.INFO if texts else logging.WARNING)
    guard_logging()
    if not texts:
        logging.captureWarnings(False)
        warnings.showwarning = _place_of_warning


def guard_logging() -> None:
    """Has everything that goes wrong in this process told by its log."""
    # It would show the arguments of a line that cannot be formatted, raw.
    logging.raiseExceptions = False
    # What no line shows need not be found out for each:
    # https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging._srcfile = None
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda ended: _log_uncaught(
        ended.exc_type, ended.exc_value, ended.exc_traceback
    )


def is_json() -> bool:
    """Whether every line that this process writes is to be JSON."""
    formatters = [each.formatter for each in logging.getLogger().handlers]
    return any(isinstance(each, Json) for one in formatters for each in _processors(one))


def _processors(formatter: logging.Formatter | None) -> Sequence[object]:
    found: Sequence[object] = getattr(formatter, "processors", ())
    return found


def tell_end(error: Exception) -> None:
    """Says why this process ends: to its log if that is JSON, else to who started it."""
    if is_json():
        logging.getLogger(__name__).critical("%s", error)
    else:
        text = plain(str(error), MESSAGE_CHARS)
        sys.stderr.write(without_secrets(f"qdispatch: {text}\n"))


def event_logger(name: str) -> BoundLogger:
    """A logger of events with fields."""
    import structlog
    from structlog.stdlib import BoundLogger, ProcessorFormatter

    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[ProcessorFormatter.wrap_for_formatter],
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def make_formatter(form: str, *, times: bool, texts: bool = True) -> logging.Formatter:
    """What renders a line; see `set_up_logging`."""
    render = Json(texts) if form == "json" else Text(texts, times=times)
    if not texts:
        return _Bare(render)
    from structlog.stdlib import ProcessorFormatter

    return ProcessorFormatter(processors=[render])


class _Bare(logging.Formatter):
    """For processes without events, which so have no need to load structlog."""

    def __init__(self, render: Callable[[object, str, Mapping[str, Any]], str]) -> None:
        super().__init__()
        self.render = render

    def format(self, record: logging.LogRecord) -> str:
        event = {"event": record.getMessage(), "_record": record, "exc_info": record.exc_info}
        return self.render(None, "", event)


def _place_of_warning(  # noqa: PLR0917 - as the interpreter calls it
    message: Warning | str,  # noqa: ARG001
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    logging.getLogger("py.warnings").warning("%s:%d: %s", filename, lineno, category.__name__)


def _log_uncaught(_kind: object, error: BaseException | None, trace: Any) -> None:
    # The end that a thread was asked for, or a Ctrl-C, is no failure.
    if error is None or isinstance(error, SystemExit | KeyboardInterrupt):
        return
    logging.getLogger(__name__).critical("not caught", exc_info=(type(error), error, trace))
