"""python -m tests.chaos: exit code 0 only if nothing is lost, duplicated, wrong or left behind."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.chaos.disk import may_mount
from tests.chaos.experiment import Experiment, Options
from tests.chaos.plan import FULL
from tests.chaos.report import Report

# Set in the process that has a name space of its own.
_MOUNTING: Final = "QDISPATCH_CHAOS_MOUNTS"


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.list:
        sys.stdout.write("\n".join(FULL) + "\n")
        return 0
    _take_name_space()
    options = Options(
        seed=arguments.seed,
        jobs=arguments.jobs,
        faults=arguments.faults,
        seconds=arguments.seconds,
        embedded=arguments.embedded,
        only=tuple(arguments.only),
        disks=os.environ.get(_MOUNTING) == "1",
        settle_s=arguments.settle_s,
    )
    if not options.kinds:
        sys.stderr.write("no fault of that kind here; --list names them\n")
        return 2
    # Short, for the Unix sockets below; and PostgreSQL's account passes through.
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o711)
    _log_to(folder / "events.log")
    sys.stdout.write(f"{options.title}, in {folder}\n")
    sys.stdout.flush()
    try:
        report = Experiment(options, folder).run()
    except BaseException:
        sys.stdout.write(f"the run broke down; its logs are in {folder}\n")
        raise
    text = report.markdown()
    sys.stdout.write(text)
    if arguments.report is not None:
        arguments.report.write_text(text)
    if report.good and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _collect(report, folder)
        sys.stdout.write(f"\nlogs: {folder}\n")
    return 0 if report.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides jobs and faults")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--faults", type=int, default=320)
    parser.add_argument("--seconds", type=float, help="instead of --jobs and --faults")
    parser.add_argument("--embedded", action="store_true", help="SQLite and a broker of its own")
    parser.add_argument(
        "--only", action="append", default=[], metavar="KIND", help="such as kill:engine or cut:*"
    )
    parser.add_argument("--list", action="store_true", help="name the kinds of faults")
    parser.add_argument("--report", type=Path, help="also write the report, as Markdown")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a good run too")
    parser.add_argument(
        "--settle-s", type=float, default=600.0, help="the most to wait after the last fault"
    )
    return parser


def _take_name_space() -> None:
    """Starts this anew, so that mounts are its own, and gone with it."""
    if _MOUNTING in os.environ:
        return
    os.environ[_MOUNTING] = "1" if may_mount() else "0"
    # This process forks while its clients are at work. gRPC reads it at import.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    command = [sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
    if os.environ[_MOUNTING] == "1":
        command = ["unshare", "--mount", *command]
    os.execvp(command[0], command)


def _log_to(file: Path) -> None:
    logging.Formatter.default_msec_format = "%s.%03d"
    logging.basicConfig(
        filename=file, format="%(asctime)s %(threadName)s: %(message)s", level=logging.INFO
    )


def _collect(report: Report, folder: Path) -> None:
    """Puts together what the logs say of each job at fault."""
    logs: Sequence[Path] = sorted(folder.glob("*.log"))
    for job_id in {case.job_id for case in report.cases if case.job_id}:
        lines = []
        for log in logs:
            text = log.read_text(errors="replace").splitlines()
            lines += [f"{log.name}: {line}" for line in text if job_id in line]
        (folder / f"job-{job_id}.txt").write_text("\n".join(lines) + "\n")
    (folder / "cases.json").write_text(json.dumps([case.text for case in report.cases], indent=1))


if __name__ == "__main__":
    sys.exit(main())
