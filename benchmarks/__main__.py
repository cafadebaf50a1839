"""`python -m benchmarks`: measures the rows and prints one table."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import table
from benchmarks.lines import Line, problem
from benchmarks.plan import Plan, cores
from benchmarks.rows import ROWS, Row, chosen
from benchmarks.run import measure

if TYPE_CHECKING:
    from benchmarks.stages import Breakdown

_log = logging.getLogger("benchmarks")

#: Where the report goes.
_REPORT: Final = Path(__file__).resolve().parent.parent / "docs" / "performance"
_SHORT_LIMIT_S: Final = 240
_FULL_LIMIT_S: Final = 7200


def main() -> int:
    """Runs it; exit code 1 if a row could not be measured."""
    options = _parser().parse_args()
    if options.list:
        for row in ROWS:
            print(f"{row.number:>2}  {row.what}; against {row.baseline}; goal: {row.goal}")
        return 0
    logging.basicConfig(level=logging.CRITICAL, format="%(message)s")
    logging.getLogger("benchmarks").setLevel(logging.DEBUG if options.verbose else logging.CRITICAL)
    # Else nothing that was started would be ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # gRPC's own words about connections are no part of the figures.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    keeps = options.full or options.report
    lines = _run(options.rows, full=options.full, keeps=keeps, with_stages=options.stages)
    return 1 if any(line.problem for line in lines) else 0


def _run(rows: tuple[Row, ...], *, full: bool, keeps: bool, with_stages: bool) -> list[Line]:
    from benchmarks.installation import Workshop

    lines: list[Line] = []
    before = os.getloadavg()[0]
    print(_about(full=full, load=before))
    print(table.heading(), flush=True)

    def tell(line: Line) -> None:
        lines.append(line)
        print(table.render(line), flush=True)
        if keeps:
            # The whole takes long, and may be ended before.
            _keep(lines, None, full=full)

    started = time.monotonic()
    shop = Workshop()
    try:
        plan = Plan(full=full, shop=shop)
        took = measure(rows, plan, tell, limit_s=_FULL_LIMIT_S if full else _SHORT_LIMIT_S)
        stages = _stages(plan) if with_stages else None
    finally:
        shop.close()
    took_s = time.monotonic() - started
    print("-" * table.WIDTH)
    print(f"{table.closing(lines)}; {took_s:.0f} s in all")
    _log.debug(", ".join(f"row {number} {took[number]:.0f} s" for number in took))
    if keeps:
        print(f"report: {_keep(lines, stages, full=full)}")
    if stages is not None:
        print(table.stages(stages))
    return lines


def _keep(lines: list[Line], stages: Breakdown | None, *, full: bool) -> Path:
    """Writes the report, with what earlier runs have found of other rows."""
    from benchmarks import report, results

    if not full:
        lines = [replace(line, absolute=f"short form: {line.absolute}") for line in lines]
    known = results.read(_REPORT).with_rows(lines)
    if stages is not None:
        known = replace(known, stages=stages)
    results.write(known, _REPORT)
    return report.write(known, _REPORT)


def _stages(plan: Plan) -> Breakdown | None:
    """Where a small job's time goes; None, and why not is told, if it cannot be measured."""
    from benchmarks.stages import measure as measure_stages

    plan.shop.release()
    try:
        return measure_stages(plan)
    except Exception as error:  # noqa: BLE001 - the rest of the report is still to be written
        print(f"stages of a small job: {problem(error)}")
        return None


def _about(*, full: bool, load: float) -> str:
    form = "the whole" if full else "a short form; FULL=1 is the whole"
    return f"qdispatch benchmarks ({form}); {cores()} cores, load average {load:.1f}"


def _rows(text: str) -> tuple[Row, ...]:
    try:
        return () if text == "none" else chosen(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="as much as the goals say")
    parser.add_argument(
        "--rows", type=_rows, default=ROWS, metavar="N,N", help="only these, or none (default: all)"
    )
    parser.add_argument(
        "--stages", action="store_true", help="and where the time of a small job goes"
    )
    parser.add_argument(
        "--report", action="store_true", help="write the report of a short form, too"
    )
    parser.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    parser.add_argument("--verbose", action="store_true", help="tell why a row fails")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
