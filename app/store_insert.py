"""Adding many jobs to PostgreSQL by one statement that is the same for any number.

The rows travel as one JSON text, which costs a tenth of binding some forty values
for each; and a statement that never differs is prepared once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from app.rows import JOB

_NAMES: Final = ", ".join(column.name for column in JOB.columns)

_INSERT: Final = (
    f"INSERT INTO job ({_NAMES}) SELECT {_NAMES}"  # noqa: S608 - names of our own columns
    " FROM json_populate_recordset(CAST(NULL AS job), CAST(:rows AS json))"
)

#: Adds the jobs in its parameter `rows`.
INSERT_JOBS: Final = sa.text(_INSERT)
#: Adds those of them that meet no other; gives their ids.
INSERT_NEW_JOBS: Final = sa.text(f"{_INSERT} ON CONFLICT DO NOTHING RETURNING id").columns(JOB.c.id)


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as one text, from which PostgreSQL reads each value as its column's type."""
    return json.dumps(rows, default=_text, ensure_ascii=False)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"in no column of a job: {value!r}")
