"""Fixtures of the suite that every simulator must pass.

It runs against every installed simulator: to check your own, install the
package that names it under the entry point group "qdispatch.simulators", and
run `pytest tests/conformance`.
"""

from __future__ import annotations

import pytest
from conformance_runs import NAMES, Run, run_on


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Name of the simulator under test."""
    return str(request.param)


@pytest.fixture
def run(name: str) -> Run:
    """Runs a program on the simulator under test."""
    return lambda program, *types, **asked: run_on(name, program, *types, **asked)
