"""What came out: the table, and every bad case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_SHOWN: Final = 60


class Verdict(StrEnum):
    """What may be wrong."""

    LOST = "lost"
    """Acknowledged, and gone or never final."""
    DUPLICATED = "duplicated"
    """Two jobs or two endings for one submission."""
    WRONG = "wrong"
    """Ended, but not with the truth."""
    LITTER = "litter"
    """Something was left behind."""
    GAVE_UP = "gave up"
    """Ended as worker_lost, after as many starts as the settings allow."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that is wrong."""

    verdict: Verdict
    text: str
    job_id: str = ""


@dataclass
class Report:
    """All that is to be told of a run.

    Attributes:
        title: What was run.
        jobs: Acknowledged jobs by kind.
        endings: Their final statuses.
        refused: How many submissions were refused, as they were to be.
        happened: Faults by kind.
        hit: Those of them that happened while a job ran that they concern.
        restarts: How often parts ended that nobody had killed.
        notes: What is to be known besides.
        cases: What is wrong.
    """

    title: str
    jobs: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.cases or self.restarts)

    def markdown(self) -> str:
        """The whole report."""
        verdicts = Counter(case.verdict for case in self.cases)
        sums = [
            str(self.jobs.total()),
            str(self.happened.total()),
            *(str(verdicts[verdict]) for verdict in Verdict),
        ]
        parts = [
            f"# {self.title}",
            _table(["jobs", "faults", *Verdict], [sums]),
            _table(
                ["fault", "happened", "while jobs ran"],
                [[kind, str(n), str(self.hit[kind])] for kind, n in sorted(self.happened.items())],
            ),
            f"Jobs: {_listed(self.jobs)}; refused: {self.refused}.",
            f"Endings: {_listed(self.endings)}.",
            f"Ended by themselves, and started again: {_listed(self.restarts)}.",
            *self.notes,
            *self._details(),
        ]
        return "\n\n".join(parts) + "\n"

    def _details(self) -> list[str]:
        if self.good:
            return ["Nothing is wrong."]
        lines = [f"- {case.verdict}: {case.text}" for case in self.cases[:_SHOWN]]
        if len(self.cases) > _SHOWN:
            lines.append(f"- and {len(self.cases) - _SHOWN} more")
        return ["## What is wrong", "\n".join(lines)]


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counter.most_common()) or "none"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])
