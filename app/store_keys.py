"""Statements about those that are among some keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def among(
    column: sa.ColumnElement[Any], name: str = "keys"
) -> Mapping[str, sa.ColumnElement[bool]]:
    """That a column is among the parameter of that name, a list, for each database.

    On PostgreSQL the statement is the same for any number, so that it is prepared once.
    """
    array = sa.bindparam(name, type_=postgresql.ARRAY(column.type))
    return {
        "postgresql": column == sa.any_(array),
        "sqlite": column.in_(sa.bindparam(name, expanding=True)),
    }
