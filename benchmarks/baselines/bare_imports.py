"""A process that has imported what a worker of a target needs, and does nothing.

The SDK, the parser, Celery and SQLModel: `python -m benchmarks.baselines.bare_imports aer`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

from benchmarks.process import serve

_EACH: Final = ("celery", "kombu.transport.pyamqp", "redis", "sqlmodel", "psycopg", "alembic")
_PARSER: Final = ("qiskit.qasm2", "qiskit.qasm3", "qiskit_qasm3_import")
_SDKS: Final = {
    "aer": ("qiskit_aer", *_PARSER),
    "cirq": ("cirq", "qsimcirq", *_PARSER),
    "pennylane": ("pennylane", "pennylane_lightning.lightning_qubit", *_PARSER),
    # Of the server: no SDK, but gRPC.
    "server": ("grpc", "grpc_health.v1.health", "grpc_reflection.v1alpha.reflection"),
}


def main() -> int:
    """Imports, and then answers that it is there."""
    for name in (*_EACH, *_SDKS[sys.argv[1]]):
        import_module(name)
    serve(lambda **_: sorted(sys.modules))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
