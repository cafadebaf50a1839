"""What a small job may take of an engine, counted: parsers, simulators, writes to the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from conformance_runs import loaded

from qdispatch.codec import encode_spec
from tasks import openqasm2, peak
from tasks.pipe import Limits
from tasks.progress import Progress
from tasks.simulate import Answers
from tasks.simulators.aer_core import CoreAer
from tests.specs import bell

LIMITS = Limits(threads=2, max_qubits=20, memory_limit_bytes=2**30, max_result_bytes=2**20)
JOBS = 10


def test_ten_equal_jobs_share_what_they_can(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = loaded(name)
    done: Counter[str] = Counter()

    def count(where: object, what: str) -> None:
        function: Callable[..., Any] = getattr(where, what)

        def counted(*args: Any, **options: Any) -> Any:
            done[what] += 1
            return function(*args, **options)

        monkeypatch.setattr(where, what, counted)

    def versioned(_: object) -> str:
        done["version"] += 1
        return "one"

    import qiskit.qasm2
    import qiskit_aer

    count(qiskit.qasm2, "loads")
    count(qiskit_aer, "AerSimulator")
    count(peak.PeakMemory, "_forget")
    count(openqasm2, "read")
    count(CoreAer, "_execute")
    monkeypatch.setattr(type(simulator), "version", property(versioned))
    answers = Answers(simulator, LIMITS)
    for seed in range(JOBS):
        message = encode_spec(bell(target=name, seed=seed)).SerializeToString()
        header, results = answers.answer(message, Progress(lambda _: None))
        assert len(results) == 1, header
        assert header["simulator_version"] == "one"
    assert done.pop("_execute", 0) == (JOBS if name == "aer" else 0)
    # The allocator may give memory back once more.
    assert done.pop("_forget") <= 2
    # Read once, and no circuit of Qiskit's is made of it.
    assert done == {"read": 1, "version": 1}
