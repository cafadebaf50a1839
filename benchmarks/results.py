"""What whole runs have found, kept beside the report, so that rows can be measured one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks.lines import Bound, Goal, Line
from benchmarks.measure import Summary
from benchmarks.stages import Breakdown

_FILE: Final = "results.json"


@dataclass(frozen=True, kw_only=True)
class Results:
    """The latest of each row."""

    lines: tuple[Line, ...] = ()
    dates: dict[int, str] | None = None
    """Row -> when it was measured."""
    stages: Breakdown | None = None
    """Where a small job's time goes."""

    def with_rows(self, lines: Sequence[Line]) -> Results:
        """These, but for the rows that were measured anew."""
        fresh = {line.row for line in lines}
        kept = [line for line in self.lines if line.row not in fresh]
        today = date.today().isoformat()  # noqa: DTZ011 - the day where it was measured
        return replace(
            self,
            lines=tuple(sorted([*kept, *lines], key=lambda line: line.row)),
            dates=(self.dates or {}) | dict.fromkeys(sorted(fresh), today),
        )


def read(folder: Path) -> Results:
    """What was found so far; nothing if there is no file."""
    file = folder / _FILE
    if not file.exists():
        return Results()
    known = json.loads(file.read_text())
    stages = known["stages"]
    return Results(
        lines=tuple(map(_line, known["lines"])),
        dates={int(row): day for row, day in known["dates"].items()},
        stages=None if stages is None else Breakdown(**stages),
    )


def write(results: Results, folder: Path) -> None:
    """Keeps what was found."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        "lines": [asdict(line) for line in results.lines],
        "dates": results.dates or {},
        "stages": None if results.stages is None else asdict(results.stages),
    }
    (folder / _FILE).write_text(json.dumps(known, indent=1) + "\n")


def days(results: Results, rows: Iterable[int]) -> str:
    """When rows were measured, in words."""
    found = sorted({day for row, day in (results.dates or {}).items() if row in rows})
    return " to ".join(dict.fromkeys([found[0], found[-1]])) if found else "never"


def _line(values: dict[str, Any]) -> Line:
    ratio, goal = values.pop("ratio"), values.pop("goal")
    return Line(
        **values,
        ratio=None if ratio is None else Summary(**ratio),
        goal=None if goal is None else Goal(bound=Bound(goal["bound"]), value=goal["value"]),
    )
