"""Who takes the CPU: shares of a core, part by part, while something is measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import psutil

from benchmarks.installation import Installation


@dataclass(kw_only=True)
class Shares:
    """CPU time of each part, as a share of one core; known when the measurement has ended."""

    of: Mapping[str, float] = field(default_factory=dict)
    """Part -> 1.0 for a core that it has kept busy all the time."""
    seconds: float = 0.0
    """How long the measurement took."""

    @property
    def busiest(self) -> str:
        """The part with the largest share."""
        return max(self.of, key=lambda name: self.of[name], default="nothing")

    def __str__(self) -> str:
        known = sorted(self.of.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in known if share >= 0.01)


@contextmanager
def shares(stack: Installation) -> Iterator[Shares]:
    """Measures meanwhile; processes that end before it does are not counted."""
    found = Shares()
    parts = _parts(stack)
    before = {process.pid: _cpu_s(process) for some in parts.values() for process in some}
    started = perf_counter()
    yield found
    found.seconds = perf_counter() - started
    found.of = {
        name: sum(_cpu_s(process) - before[process.pid] for process in some) / found.seconds
        for name, some in parts.items()
    }


def _parts(stack: Installation) -> dict[str, list[psutil.Process]]:
    parts: dict[str, list[psutil.Process]] = defaultdict(list)
    for name, process in stack.processes().items():
        if name in ("server", "sweep"):
            parts[name].append(process)
            continue
        parts["workers' main"].append(process)
        slots, engines = set(stack.stack.slots(name)), stack.stack.engines(name)
        parts["slots"] += [psutil.Process(pid) for pid in slots]
        parts["engines"] += engines
    this = psutil.Process()
    parts["client"].append(this)
    # The servers are this process' own, each behind a supervisor.
    for process in this.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            server = _SERVERS.get(process.name())
            if server is not None:
                parts[server].append(process)
    return parts


_SERVERS: Final = {"beam.smp": "broker", "postgres": "database", "redis-server": "result backend"}


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
