"""The bare Celery application: the same Bell circuit on Aer, and nothing around it.

Its broker confirms what is published, messages are acknowledged late, and a
process holds one at a time: what a user who wants to lose no job would set.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from celery import Celery

#: Name of the task: (OpenQASM 2 text, shots) -> counts.
BELL_TASK: Final = "bell"
QUEUE: Final = "bell"

#: Where its processes find broker and result backend.
BROKER_VARIABLE: Final = "BENCH_BROKER_URL"
BACKEND_VARIABLE: Final = "BENCH_RESULT_BACKEND"


def make_app(broker_url: str, result_backend: str) -> Celery:
    """The application, with its one task.

    Args:
        broker_url: Of RabbitMQ.
        result_backend: Of Redis.
    """
    app = Celery("bare", broker=broker_url, backend=result_backend, set_as_current=False)
    app.conf.update(
        broker_transport_options={"confirm_publish": True},
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_default_queue=QUEUE,
        broker_connection_retry_on_startup=True,
    )
    app.task(name=BELL_TASK)(run)
    return app


def run(program: str, shots: int) -> dict[str, int]:
    """Runs a circuit on Aer; each process parses it once, as an engine does.

    Args:
        program: OpenQASM 2.
        shots: How many samples to take.

    Returns:
        Outcome, the highest bit on the left -> number of shots.
    """
    counts: dict[str, int] = _simulator().run(_circuit(program), shots=shots).result().get_counts()
    return counts


@cache
def _circuit(program: str) -> Any:
    from qiskit import qasm2

    return qasm2.loads(program)


@cache
def _simulator() -> Any:
    from qiskit_aer import AerSimulator

    return AerSimulator()
