"""`python -m tasks -Q TARGET`: a worker, as `celery -A tasks worker -Q TARGET` starts it.

It takes the same options. Celery's own command first imports all of its other
commands, and those of its plug-ins such as Flower: a third of a worker's start,
and a quarter of its memory, for nothing.
"""

from __future__ import annotations

import sys

from celery.bin.base import CLIContext
from celery.bin.worker import worker

from tasks.celery import app


def main() -> None:
    """Runs a worker until it is told to stop."""
    arguments = sys.argv[1:]
    # What Celery hands to the interpreter when it starts a worker anew, at SIGHUP.
    sys.argv[:] = ["-m", "tasks", *arguments]
    context = CLIContext(app=app, no_color=False, workdir=None, quiet=True)
    worker.main(
        arguments, prog_name="python -m tasks", obj=context, auto_envvar_prefix="CELERY_WORKER"
    )


if __name__ == "__main__":
    main()
