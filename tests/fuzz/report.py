"""What a run of requests came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.requests import Request
from tests.fuzz.verdict import Ended

# The part of all answers that may be that a part of the service is away.
_AWAY: Final = 1e-3
# Of each kind of finding, so many are kept.
_EXAMPLES: Final = 3


@dataclass(kw_only=True)
class Report:
    """Numbers, and what is wrong."""

    folder: Path
    """Where inputs are kept that found something."""
    count: int = 0
    decoded: int = 0
    """Those that were messages, of somebody who is let in: they reached the service."""
    took_s: float = 0.0
    slowest_s: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """Methods, of what ended well."""
    findings: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    """Of the server, in bytes, as it went on."""
    coverage: list[str] = field(default_factory=list)
    """Which branches of the server were taken."""

    def add(self, request: Request, ended: Ended) -> None:
        """Counts a call."""
        self.count += 1
        self.decoded += request.may_enter and request.decoded() is not None
        name = "given up" if ended.given_up else ended.code.name
        self.codes[name] += 1
        self.methods[request.method.name] += 1
        self.sources[request.source] += 1
        self.answered[request.method.name] += bool(ended.answers)
        self.slowest_s = max(self.slowest_s, ended.took_s)

    def find(self, request: Request, problem: str) -> None:
        """Keeps what is wrong with an answer, and what reproduces it."""
        kind = f"{request.method.name}: {problem[:160]}"
        self.findings[kind] += 1
        if len(self.findings) <= 50 and self.findings[kind] <= _EXAMPLES:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{request.method.name}-{len(self.findings)}-{self.findings[kind]}.json"
            request.save(self.folder / name, problem)

    def end(self, problems: Iterable[str]) -> None:
        """Adds what is wrong with the whole."""
        self.findings.update(problems)
        away = self.codes["UNAVAILABLE"]
        if away > max(1, _AWAY * self.count):
            self.findings[f"{away} answers of {self.count} are UNAVAILABLE"] += 1

    @property
    def decoded_share(self) -> float:
        """Of all requests."""
        return self.decoded / max(1, self.count)

    def lines(self) -> list[str]:
        """The report, for a person."""
        rate = self.count / max(self.took_s, 1e-9)
        memory = ", ".join(f"{each / 2**20:.0f}" for each in self.memory)
        return [
            f"{self.count} requests in {self.took_s:.0f} s: {rate:.0f} a second;"
            f" the slowest took {self.slowest_s:.1f} s",
            f"{self.decoded_share:.1%} decode and reach the service",
            "codes: " + _told(self.codes),
            "methods (answered): "
            + ", ".join(f"{name} {n} ({self.answered[name]})" for name, n in self.methods.items()),
            "sources: " + _told(self.sources),
            f"memory of the server, in MiB: {memory}",
            *self.coverage,
            f"{len(self.findings)} findings{':' if self.findings else ''}",
            *(f"  {number} x {text}" for text, number in self.findings.most_common()),
        ]


def _told(numbers: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.most_common())
