"""One form of log lines for all processes."""

from __future__ import annotations

import logging
import sys


def log_format(*, times: bool) -> str:
    """The form of a line; `app up` puts times before the lines itself."""
    return f"{'%(asctime)s ' if times else ''}%(levelname)s %(message)s"


def set_up_logging(*, times: bool) -> None:
    """Logs to the standard error stream, from INFO on."""
    logging.basicConfig(
        level=logging.INFO,
        format=log_format(times=times),
        stream=sys.stderr,
    )
    # Alembic and others speak only when something is wrong.
    for name in ("alembic", "fsspec", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
