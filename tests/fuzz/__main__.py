"""Fuzzes: `python -m tests.fuzz --help`, or `make fuzz`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.fuzz.report import Report
from tests.fuzz.requests import load
from tests.fuzz.runner import fuzz, replay

_FINDINGS: Final = Path("build/fuzz")


def main() -> int:
    """Runs what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--count", type=int, default=1_000_000, help="requests to send")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--coverage", action="store_true", help="tell the branches of rpc/, app/")
    parser.add_argument("--postgresql", action="store_true", help="in place of SQLite")
    parser.add_argument("--replay", type=Path, help="a request that was kept")
    parser.add_argument("--target", help="a parser or decoder, instead of the server; or all")
    parser.add_argument("--seconds", type=int, default=600, help="for a target")
    given = parser.parse_args()
    if given.target:
        from tests.fuzz.parsers import run_targets

        return run_targets(given.target, given.seconds, _FINDINGS)
    if given.replay:
        report = replay(load(given.replay))
    elif given.coverage:
        report = _covered(given.count, given.seed, on_postgresql=given.postgresql)
    else:
        report = fuzz(
            given.count, given.seed, _FINDINGS, on_postgresql=given.postgresql, tell=_tell
        )
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return 1 if report.findings else 0


def _tell(report: Report) -> None:
    # A long run that is broken off has said something.
    sys.stderr.write(f"{report.lines()[0]}; {len(report.findings)} findings\n")


def _covered(count: int, seed: int, *, on_postgresql: bool) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "coverage"
        report = fuzz(count, seed, _FINDINGS, coverage=data, on_postgresql=on_postgresql)
        told = subprocess.run(
            [sys.executable, "-m", "coverage", "json", f"--data-file={data}", "-o", "-", "-q"],
            stdout=subprocess.PIPE,
            check=True,
        )
        report.coverage = coverage_lines(json.loads(told.stdout)["files"])
    return report


def coverage_lines(files: Mapping[str, Any]) -> list[str]:
    """Which branches were taken, by file and by folder, as `coverage json` says it."""
    parts = {name: each["summary"] for name, each in sorted(files.items())}
    used = {name: each for name, each in parts.items() if each["covered_lines"]}
    # No server runs what operators do, nor what makes older databases newer.
    loaded = {name: each for name, each in used.items() if "/migrations/" not in name}
    sums = {
        **{f"{name}/": _of(parts, name) for name in ("rpc", "app")},
        "all": list(parts.values()),
        **{f"{name}/, as far as a server loads it": _of(loaded, name) for name in ("rpc", "app")},
        "all, as far as a server loads it": list(loaded.values()),
    }
    each_file = {name: [each] for name, each in loaded.items() if each["num_branches"]}
    return [f"branches: {name}: {_share(some)}" for name, some in (each_file | sums).items()]


def _of(parts: Mapping[str, Any], folder: str) -> list[Any]:
    return [each for name, each in parts.items() if name.startswith(f"{folder}/")]


def _share(some: Sequence[Any]) -> str:
    taken, there = (
        sum(each[name] for each in some) for name in ("covered_branches", "num_branches")
    )
    return f"{taken} of {there}, {taken / max(1, there):.0%}"


if __name__ == "__main__":
    raise SystemExit(main())
