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

from app.rows import JOB, TARGET
from qdispatch.model import TargetState

_NAMES: Final = ", ".join(column.name for column in JOB.columns)

_INSERT: Final = (
    f"INSERT INTO job ({_NAMES}) SELECT {_NAMES}"  # noqa: S608 - names of our own columns
    " FROM json_populate_recordset(CAST(NULL AS job), CAST(:rows AS json)) AS given"
)
# Holds the states of targets until it is over; see `app.store_targets`.
_NOT_ACTIVE: Final = f"state <> '{TargetState.ACTIVE.value}'"
_STATES: Final = "SELECT name, state FROM target WHERE " + _NOT_ACTIVE + " FOR KEY SHARE"  # noqa: S608

#: Adds the jobs in its parameter `rows`.
INSERT_JOBS: Final = sa.text(_INSERT)
#: Adds those of them that meet no other; gives their ids.
INSERT_NEW_JOBS: Final = sa.text(f"{_INSERT} ON CONFLICT DO NOTHING RETURNING id").columns(JOB.c.id)

#: The same, of jobs whose target is not drained, in a single journey; gives their ids,
#: and then the states of all targets that are not active.
ACCEPT_JOBS: Final = sa.text(
    f"WITH states AS MATERIALIZED ({_STATES}), added AS ("  # noqa: S608 - all our own
    f"{_INSERT} WHERE given.target NOT IN"
    f" (SELECT name FROM states WHERE state = '{TargetState.DRAINED.value}')"
    " ON CONFLICT DO NOTHING RETURNING id)"
    " SELECT id, NULL, NULL FROM added UNION ALL SELECT NULL, name, state FROM states"
).columns(JOB.c.id, TARGET.c.name, TARGET.c.state)


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
