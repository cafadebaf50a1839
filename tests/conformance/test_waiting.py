"""The measurement of how threads wait still runs."""

from __future__ import annotations

import pytest

from benchmarks import waiting
from tasks.main_process import WAITING


@pytest.mark.slow
def test_each_size_is_measured_in_a_process_of_its_own() -> None:
    times = waiting._one("cirq", 2, WAITING)
    assert len(times) == len(waiting._SIZES["cirq"])
    assert all(cpu_s > 0 and clock_s > 0 for cpu_s, clock_s in times)
    # Eight times the amplitudes, at least.
    assert times[-1][0] > times[0][0]
