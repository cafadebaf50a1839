"""python -m tests.soak: exit code 0 only if nothing grows and no job is wrong."""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.e2e.stack import Stack
from tests.services.together import Services
from tests.soak.gauges import Gauges
from tests.soak.load import Load

# Growth that is noise: of an engine's memory between two circuits, of a listing
# while a job begins.
_RELATIVE: Final = 0.10
_ABSOLUTE: Final = 12.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--report", type=Path, help="also write the report, as Markdown")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    folder.chmod(0o711)
    text, good = run(folder, options.minutes * 60, options.clients)
    sys.stdout.write(text)
    if options.report is not None:
        options.report.write_text(text)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        sys.stdout.write(f"\nlogs: {folder}\n")
    return 0 if good else 1


def run(folder: Path, seconds: float, clients: int) -> tuple[str, bool]:
    """Runs it; returns the report, and whether all is well.

    Args:
        folder: For everything.
        seconds: How long the load lasts.
        clients: How many there are.
    """
    with ExitStack() as ends:
        services = ends.enter_context(Services(folder / "services"))
        stack = Stack(folder, services)
        # What is answered from the cache keeps no worker busy.
        stack.environment["QDISPATCH_CACHE__MAX_BYTES"] = "0"
        stack.start()
        ends.callback(stack.stop)
        gauges = Gauges(stack)
        ends.callback(gauges.close)
        load = Load(stack.address, clients)
        load.start()
        try:
            samples = _watch(gauges, stack, seconds)
        finally:
            load.stop()
        left = stack.programs
    return _report(samples, load, left, seconds)


def _watch(gauges: Gauges, stack: Stack, seconds: float) -> list[dict[str, float]]:
    """A hundred samples, evenly."""
    samples = []
    began = time.monotonic()
    for number in range(100):
        # What is asked for here is the time itself.
        time.sleep(max(0.0, began + seconds * number / 100 - time.monotonic()))
        stack.check()
        samples.append(gauges.read())
    return samples


def _report(
    samples: list[dict[str, float]], load: Load, left: list[str], seconds: float
) -> tuple[str, bool]:
    quarter = len(samples) // 4
    # In the first tenth caches fill.
    warm = samples[len(samples) // 10 :]
    lines = ["| | first quarter | last quarter | growth |", "|---|---|---|---|"]
    grown = []
    for name in samples[0]:
        first = statistics.median(each[name] for each in warm[:quarter])
        last = statistics.median(each[name] for each in samples[-quarter:])
        if last - first > max(_ABSOLUTE, _RELATIVE * first):
            grown.append(name)
        lines.append(f"| {name} | {first:.0f} | {last:.0f} | {last - first:+.0f} |")
    total = sum(load.endings.values())
    endings = ", ".join(f"{number} {ending}" for ending, number in load.endings.most_common())
    lines += [
        "",
        f"{total} jobs in {seconds / 60:.1f} minutes: {endings}.",
        f"Grown: {', '.join(grown) or 'nothing'}.",
        f"Program files left: {len(left)}.",
        *load.errors,
    ]
    return "\n".join(lines) + "\n", not (grown or left or load.errors)


if __name__ == "__main__":
    raise SystemExit(main())
