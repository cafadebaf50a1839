"""What a run may leave behind: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from tests.chaos.installation import Installation
from tests.chaos.monitor import Monitor
from tests.chaos.report import Case, Verdict


def in_rows(monitor: Monitor) -> Iterator[Case]:
    """Rows that are not final, or still leased."""
    for row in monitor.jobs():
        if not row["status"].is_final or row["lease_until"] is not None:
            text = f"the row of job {row['id']}: {row['status']}, lease {row['lease_until']}"
            yield _case(text, str(row["id"]))


def in_queues(installation: Installation) -> Iterator[Case]:
    """Messages, taken or not."""
    if installation.services is None:
        broker = installation.stack.data_dir / "broker"
        for pattern in ("queues/*/*", "connections/*/held/*/*", "unreadable/*"):
            for path in sorted(broker.glob(pattern)):
                yield _case(f"the message {path.relative_to(broker)}")
        return
    vhost = urlsplit(installation.stack.environment["QDISPATCH_BROKER_URL"]).path[1:]
    # Those that were delivered and not acknowledged count as well here.
    listing = installation.services.rabbitmq.ctl(
        "list_queues", "-p", vhost, "--no-table-headers", "name", "messages"
    )
    for line in listing.splitlines():
        name, _, messages = line.rpartition("\t")
        if messages != "0" and name in installation.stack.targets:
            yield _case(f"{messages} messages in the queue {name}")


def in_programs(installation: Installation) -> Iterator[Case]:
    """Program files."""
    for name in installation.stack.programs:
        yield _case(f"the program file {name}", name.removesuffix(".qasm"))


def after_the_end(installation: Installation, monitor: Monitor) -> Iterator[Case]:
    """What must be gone once everything has stopped."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if _is_of(process, installation.folder):
                yield _case(f"the process {process.pid}: {' '.join(process.cmdline())}")
    for path in sorted(installation.temporary.glob("qdispatch-*")):
        yield _case(f"the temporary folder {path}")
    for worker in monitor.workers():
        yield _case(f"the row of the worker {worker['name']}")


def _is_of(process: psutil.Process, folder: Path) -> bool:
    if process == psutil.Process() or _is_service(process):
        return False
    words = (*process.cmdline(), process.cwd(), *process.environ().values())
    return any(str(folder) in word for word in words)


def _is_service(process: psutil.Process) -> bool:
    # RabbitMQ and the others stop after this; their folder is theirs.
    return any("/services/" in word for word in (*process.cmdline(), process.cwd()))


def _case(text: str, job_id: str = "") -> Case:
    return Case(verdict=Verdict.LITTER, text=text, job_id=job_id)
