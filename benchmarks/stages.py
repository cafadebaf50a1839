"""Where the time of one small job goes: client, wire, server, commit, publish, ... notify.

Probes are put into the processes of an installation from outside. One job runs at
a time; its stages follow each other, and each ends where the next one begins.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic_ns
from typing import Final

from benchmarks import probes
from benchmarks.installation import Installation
from benchmarks.plan import Plan
from benchmarks.programs import BELL, SHOTS, custom, fresh
from qdispatch import Client
from qdispatch.job import Job

_TIMEOUT_S: Final = 60.0
_WARM_UP: Final = 10


class ProbeError(RuntimeError):
    """A function is gone, or is not called any more; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the way of a job; it begins where the one before ends."""

    name: str
    what: str
    """What happens in it."""
    probe: str = ""
    """MODULE:FUNCTION that ends it; empty for what the client itself notes."""
    at_start: bool = False
    """Whether it ends when the function begins, and not when it returns."""


#: The way of a job, in its order. All names of functions that are probed are here.
STAGES: Final = (
    Stage(name="client", what="the circuit becomes a spec"),
    Stage(
        name="wire",
        what="CreateJob reaches its handler",
        probe="rpc.servicer:QDispatchServicer.CreateJob",
        at_start=True,
    ),
    Stage(
        name="server",
        what="decoded, checked, the program file written",
        probe="app.store:Store.once",
        at_start=True,
    ),
    Stage(name="commit", what="the transaction, to the disk", probe="app.store:Store.once"),
    Stage(
        name="publish",
        what="the dispatcher begins to give the message away",
        probe="amqp.channel:Channel.basic_publish",
        # When it returns, the message may be far ahead.
        at_start=True,
    ),
    Stage(
        name="broker",
        what="the message reaches the worker's main process",
        probe="celery.concurrency.base:BasePool.apply_async",
        at_start=True,
    ),
    Stage(
        name="pool",
        what="Celery's pool gives it to a slot",
        probe="tasks.slot:Slot.run",
        at_start=True,
    ),
    Stage(name="claim", what="the slot claims the job", probe="app.work:WorkService.claim"),
    Stage(
        name="hand over",
        what="the program is read and reaches the engine",
        probe="tasks.parse:parse",
        at_start=True,
    ),
    Stage(name="parse", what="OpenQASM to the neutral form", probe="tasks.parse:parse"),
    Stage(
        name="simulate",
        what="the circuit is run",
        probe="tasks.simulators.aer:AerSimulator.simulate",
    ),
    Stage(
        name="answer",
        what="the results reach the slot",
        probe="app.work:WorkService.finish",
        at_start=True,
    ),
    Stage(name="save", what="results and status, to the disk", probe="app.work:WorkService.finish"),
    Stage(
        name="notice",
        what="the slot's word that the job has changed reaches the server",
        probe="app.watching:Watchers.changed",
        at_start=True,
    ),
    Stage(
        name="look",
        what="the server reads what the job is now",
        probe="rpc.watch:Mailbox.tell",
        at_start=True,
    ),
    Stage(name="notify", what="the end and the results reach the client"),
)


@dataclass(frozen=True, kw_only=True)
class Trip:
    """One job as its client saw it: moments of CLOCK_MONOTONIC, in ns."""

    began: int
    prepared: int
    ended: int
    """When it had the results."""


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Where the time went."""

    seconds: Mapping[str, float]
    """Stage -> the median of what it took."""
    trip_s: float
    """The median round trip, with probes."""
    jobs: int


def measure(plan: Plan) -> Breakdown:
    """Runs small jobs, one after the other, with probes in all processes."""
    number = plan.choose(40, 300)
    with _probed(plan) as (stack, folder):
        with Client(stack.address) as client:
            for _ in range(_WARM_UP):
                _trip(client)
            trips = [_trip(client) for _ in range(number)]
        _check_missing(folder)
        spans = _spans(folder)
    return breakdown(trips, spans)


@contextmanager
def _probed(plan: Plan) -> Iterator[tuple[Installation, Path]]:
    folder = plan.shop.folder("probes")
    folder.mkdir()
    folder.chmod(0o777)
    shutil.copy(Path(probes.__file__).parent / "sitecustomize.py", folder)
    names = sorted({stage.probe for stage in STAGES if stage.probe})
    (folder / "probes.json").write_text(json.dumps(names))
    path = os.pathsep.join((str(folder), os.environ.get("PYTHONPATH", "")))
    with plan.shop.installed(
        plan.shop.services, targets=("aer",), environment={"PYTHONPATH": path}
    ) as stack:
        yield stack, folder


def _trip(client: Client) -> Trip:
    """What `client.submit(...).result()` does, step by step."""
    circuit = custom(fresh(BELL), 2, depth=3)
    began = monotonic_ns()
    spec = client.prepare(circuit, target="aer", shots=SHOTS)
    prepared = monotonic_ns()
    Job(client, client.create_job(spec)).result(_TIMEOUT_S)
    return Trip(began=began, prepared=prepared, ended=monotonic_ns())


def _check_missing(folder: Path) -> None:
    file = folder / "missing"
    if file.exists():
        gone = sorted({str(json.loads(line)[0]) for line in file.read_text().splitlines()})
        raise ProbeError(f"{', '.join(gone)}: no such function; change benchmarks/stages.py")


def _spans(folder: Path) -> dict[str, list[tuple[int, int]]]:
    """Start and end of each call, in ns, by the function's name, in the order of starts."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for line in (folder / "spans").read_text().splitlines():
        name, started, ended, _process = json.loads(line)
        found[name].append((started, ended))
    return {name: sorted(some) for name, some in found.items()}


def breakdown(trips: Sequence[Trip], spans: Mapping[str, Sequence[tuple[int, int]]]) -> Breakdown:
    """What each stage took.

    Args:
        trips: Jobs that ran one after the other.
        spans: Start and end of each call of a probed function, in ns, in the
            order of starts.

    Raises:
        ProbeError: A function was not called in most of the trips.
    """
    took: dict[str, list[float]] = {stage.name: [] for stage in STAGES}
    missed: dict[str, int] = defaultdict(int)
    whole = []
    for trip in trips:
        try:
            ends = _ends(trip, spans)
        except ProbeError as error:
            missed[str(error)] += 1
            continue
        whole.append((trip.ended - trip.began) / 1e9)
        at = trip.began
        for stage, end in zip(STAGES, ends, strict=True):
            took[stage.name].append((end - at) / 1e9)
            at = end
    if 2 * len(whole) < len(trips):
        worst = max(missed, key=lambda name: missed[name], default="")
        raise ProbeError(f"{worst}: not called in {missed[worst]} of {len(trips)} jobs")
    return Breakdown(
        seconds={name: median(values) for name, values in took.items()},
        trip_s=median(whole),
        jobs=len(whole),
    )


def _ends(trip: Trip, spans: Mapping[str, Sequence[tuple[int, int]]]) -> list[int]:
    """When each stage ended; each at the first call that fits after the one before."""
    own = {"client": trip.prepared, "notify": trip.ended}
    ends: list[int] = []
    at = trip.began
    for stage in STAGES:
        if not stage.probe:
            at = max(at, own[stage.name])
        else:
            place = 0 if stage.at_start else 1
            fitting = (
                span[place]
                for span in spans.get(stage.probe, ())
                if at <= span[place] <= trip.ended
            )
            found = next(fitting, None)
            if found is None:
                raise ProbeError(stage.probe)
            at = found
        ends.append(at)
    return ends
