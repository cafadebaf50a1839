"""The faults: which, to whom, for how long; all decided by the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Final

from tests.chaos.mixture import STUB, TARGETS

SERVICES: Final = ("rabbitmq", "redis", "postgresql")
LINKS: Final = (
    "server-postgresql",
    "worker-postgresql",
    "sweep-postgresql",
    "server-rabbitmq",
    "worker-rabbitmq",
    "sweep-rabbitmq",
    "worker-redis",
)
#: What a worker has one or more of.
OF_A_WORKER: Final = ("worker", "slot", "engine", "forkserver")

_OURS: Final = ("server", "worker", "slot", "engine", "forkserver", "sweep")

EMBEDDED: Final = (
    *(f"kill:{subject}" for subject in _OURS),
    *(f"stop:{subject}" for subject in _OURS),
    "disk:data",
)
FULL: Final = (
    *EMBEDDED,
    *(f"kill:{subject}" for subject in SERVICES),
    *(f"stop:{subject}" for subject in SERVICES),
    *(f"cut:{link}" for link in LINKS),
    "disk:postgresql",
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong for a while.

    Attributes:
        kind: "kill", "stop", "cut" or "disk", a colon, and what it happens to.
        target: Whose worker, if it is a worker's.
        black_hole: Of a cut: whether connections stay and no byte passes;
            they are reset and refused otherwise.
        duration_s: How long what was killed stays down, or the rest lasts.
        pause_s: How long nothing happens afterwards.
        joined: Whether the next one happens at the same time.
        pick: Which one of several it happens to, from 0 to below 1.
    """

    kind: str
    target: str
    black_hole: bool
    duration_s: float
    pause_s: float
    joined: bool
    pick: float

    @property
    def action(self) -> str:
        """What happens."""
        return self.kind.partition(":")[0]

    @property
    def subject(self) -> str:
        """What it happens to."""
        return self.kind.partition(":")[2]

    def __str__(self) -> str:
        of = f" of {self.target}" if self.subject in OF_A_WORKER else ""
        hole = " (black hole)" if self.action == "cut" and self.black_hole else ""
        return f"{self.kind}{of}{hole} for {self.duration_s:.1f} s"


def select(kinds: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those kinds that one of the patterns matches; all without patterns."""
    return [kind for kind in kinds if not patterns or any(fnmatch(kind, each) for each in patterns)]


def faults(seed: int, kinds: Sequence[str]) -> Iterator[Fault]:
    """The faults that a seed stands for, without end; each kind equally often."""
    chance = random.Random(f"faults {seed}")
    while kinds:
        for kind in chance.sample(kinds, len(kinds)):
            yield Fault(
                kind=kind,
                target=chance.choice((*TARGETS, STUB)),
                black_hole=chance.random() < 0.5,
                duration_s=_duration(kind, chance),
                pause_s=chance.uniform(0.2, 2.0),
                joined=chance.random() < 0.15,
                pick=chance.random(),
            )


def _duration(kind: str, chance: random.Random) -> float:
    if kind.startswith("kill"):
        return chance.choice((0.0, chance.uniform(0, 3)))
    # At times longer than a lease.
    return chance.uniform(1, 9) if chance.random() < 0.3 else chance.uniform(0.5, 4)
