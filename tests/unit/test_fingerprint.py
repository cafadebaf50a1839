"""What results depend on beside their job."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import fingerprint as module
from tasks.fingerprint import fingerprint
from tasks.pipe import Limits
from tests.plugin.stub_simulator import StubSimulator

LIMITS = Limits(threads=1, max_qubits=30, memory_limit_bytes=2**30, max_result_bytes=2**26)


def test_it_is_the_same_as_long_as_nothing_changes() -> None:
    first = fingerprint(StubSimulator(), LIMITS)
    assert fingerprint(StubSimulator(), LIMITS) == first
    assert len(first) == 64


@pytest.mark.parametrize("limit", ["threads", "memory_limit_bytes"])
def test_limits_are_in_it(limit: str) -> None:
    other = replace(LIMITS, **{limit: getattr(LIMITS, limit) + 1})
    assert fingerprint(StubSimulator(), other) != fingerprint(StubSimulator(), LIMITS)


def test_the_simulators_version_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(StubSimulator(), LIMITS)
    monkeypatch.setattr(StubSimulator, "version", "stub 1.1")
    assert fingerprint(StubSimulator(), LIMITS) != before


def test_every_installed_package_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    seen = {fingerprint(StubSimulator(), LIMITS)}
    package = tmp_path / "numpy_like-1.0.dist-info"
    package.mkdir()
    seen.add(fingerprint(StubSimulator(), LIMITS))
    package.rename(tmp_path / "numpy_like-1.1.dist-info")
    seen.add(fingerprint(StubSimulator(), LIMITS))
    assert len(seen) == 3


def test_this_projects_code_is_in_it_and_that_of_a_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {each.split(" ")[0] for each in module._sources(StubSimulator.__module__)}
    assert {
        "parse.py",
        "aer.py",
        "fingerprint.py",
        "results_codec.py",
        "stub_simulator.py",
    } <= names
    before = fingerprint(StubSimulator(), LIMITS)
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        return read(path) + (b"\n" if path.name == "parse.py" else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert fingerprint(StubSimulator(), LIMITS) != before
