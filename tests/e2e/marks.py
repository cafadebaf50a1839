"""Marks of the e2e tests."""

from __future__ import annotations

import pytest

#: For a test of the installation that is slow, or the same on both: on the embedded
#: default it is a part of `make test-slow`.
slow_embedded = pytest.mark.parametrize(
    "stack", [pytest.param("embedded", marks=pytest.mark.slow), "full"], indirect=True
)
