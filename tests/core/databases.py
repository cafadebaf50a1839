"""Marks of tests that do not run on every store; see `database_url`."""

from __future__ import annotations

import pytest

#: For what looks into SQL, or in between two statements.
ON_DATABASES = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
