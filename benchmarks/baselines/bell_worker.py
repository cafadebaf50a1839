"""The application of `bell` for Celery's command line; its URLs come from the environment."""

from __future__ import annotations

import os
from typing import Final

import qiskit
import qiskit_aer

from benchmarks.baselines.bell import BACKEND_VARIABLE, BROKER_VARIABLE, make_app

#: Imported before the pool forks, so that no task waits for them.
WARM: Final = (qiskit, qiskit_aer)

app = make_app(os.environ[BROKER_VARIABLE], os.environ[BACKEND_VARIABLE])
