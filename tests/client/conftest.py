"""Warnings are errors, but for those that come from inside an SDK."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:(cirq|pennylane)"))
