"""`python -m benchmarks`: measures the rows and prints one table."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time

from benchmarks import table
from benchmarks.lines import Line
from benchmarks.plan import Plan, cores
from benchmarks.rows import ROWS, Row, chosen
from benchmarks.run import measure

_log = logging.getLogger("benchmarks")

_SHORT_LIMIT_S = 240
_FULL_LIMIT_S = 3600


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
    lines = _run(options.rows, full=options.full)
    return 1 if any(line.problem for line in lines) else 0


def _run(rows: tuple[Row, ...], *, full: bool) -> list[Line]:
    from benchmarks.installation import Workshop

    lines: list[Line] = []
    before = os.getloadavg()[0]
    print(_about(full=full, load=before))
    print(table.heading(), flush=True)

    def tell(line: Line) -> None:
        lines.append(line)
        print(table.render(line), flush=True)

    started = time.monotonic()
    shop = Workshop()
    try:
        plan = Plan(full=full, shop=shop)
        took = measure(rows, plan, tell, limit_s=_FULL_LIMIT_S if full else _SHORT_LIMIT_S)
    finally:
        shop.close()
    slowest = ", ".join(f"row {number} {took[number]:.0f} s" for number in took)
    print("-" * table.WIDTH)
    print(f"{table.closing(lines)}; {time.monotonic() - started:.0f} s in all")
    _log.debug(slowest)
    return lines


def _about(*, full: bool, load: float) -> str:
    form = "the whole" if full else "a short form; FULL=1 is the whole"
    return f"qdispatch benchmarks ({form}); {cores()} cores, load average {load:.1f}"


def _rows(text: str) -> tuple[Row, ...]:
    try:
        return chosen(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="as much as the goals say")
    parser.add_argument(
        "--rows", type=_rows, default=ROWS, metavar="N,N", help="only these rows (default: all)"
    )
    parser.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    parser.add_argument("--verbose", action="store_true", help="tell why a row fails")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
