"""One form of log lines for all processes."""

from __future__ import annotations

import logging
import sys


def set_up_logging() -> None:
    """Logs to the standard error stream, from INFO on."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    # Alembic and others speak only when something is wrong.
    for name in ("alembic", "fsspec", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
