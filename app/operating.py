"""The commands by which operators look after an installation.

They need the database, not the server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.ids import parse_job_id
from app.ports import utc_now
from app.settings import Settings, load_settings
from qdispatch.errors import RequestError
from qdispatch.model import TargetState

if TYPE_CHECKING:
    from app.backup import Backup
    from app.store import Store
    from app.targets import Standing

# The command, the state that it leads to, and what that means.
_STATES: Final = (
    ("pause", TargetState.PAUSED, "it accepts jobs and starts none; those that run go on"),
    ("drain", TargetState.DRAINED, "it accepts no jobs, and runs those that it has"),
    ("resume", TargetState.ACTIVE, "it accepts jobs and runs them"),
)


def add_commands(commands: Any) -> None:
    """Adds them to the parser's.

    Args:
        commands: What argparse gave for the subcommands.
    """
    target = commands.add_parser("target", help="pause, drain or resume a target, or list them")
    actions = target.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show all targets with their states")
    listing.set_defaults(command=_list_targets)
    for action, state, meaning in _STATES:
        change = actions.add_parser(action, help=meaning)
        change.add_argument("name", metavar="NAME")
        change.set_defaults(command=_set_state, state=state, meaning=meaning)

    job = commands.add_parser("job", help="delete jobs")
    deletion = job.add_subparsers(required=True, metavar="ACTION").add_parser(
        "delete", help="delete final jobs with their results, for good"
    )
    deletion.add_argument("ids", nargs="+", metavar="ID")
    deletion.set_defaults(command=_delete_jobs)

    requeue = commands.add_parser("requeue", help="have all jobs that wait sent again")
    requeue.add_argument("name", nargs="?", metavar="TARGET", help="only those of one target")
    requeue.set_defaults(command=_requeue)

    backup = commands.add_parser("backup", help="back up SQLite and program files into a folder")
    backup.add_argument("folder", type=Path, metavar="FOLDER")
    backup.set_defaults(command=_back_up)

    restoration = commands.add_parser("restore", help="restore such a backup, in an empty place")
    restoration.add_argument("folder", type=Path, metavar="FOLDER")
    restoration.set_defaults(command=_restore)


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The database, for as long as a command needs it."""
    from app.database import open_store

    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def _list_targets(_options: argparse.Namespace) -> int:
    from app.targets import TargetControl

    settings = load_settings()
    with opened_store(settings) as store:
        targets = TargetControl(settings=settings, store=store, clock=utc_now).states()
    sys.stdout.writelines(_table(targets))
    return 0


def _table(targets: Iterable[Standing]) -> Iterator[str]:
    targets = list(targets)
    wide = max(len("TARGET"), *(len(each.name) for each in targets))
    form = f"{{:{wide}}}  {{:7}}  {{:16}}  {{:>7}}  {{:>7}}  {{:>7}}\n"
    yield form.format("TARGET", "STATE", "SINCE (UTC)", "WORKERS", "RUNNING", "WAITING")
    for each in targets:
        since = "" if each.changed_at is None else f"{each.changed_at:%Y-%m-%d %H:%M}"
        yield form.format(each.name, each.state, since, each.workers, each.running, each.waiting)


def _set_state(options: argparse.Namespace) -> int:
    from app.targets import TargetControl

    settings = load_settings()
    with opened_store(settings) as store:
        control = TargetControl(settings=settings, store=store, clock=utc_now)
        control.set_state(options.name, options.state)
    sys.stdout.write(f"{options.name} is {options.state}: {options.meaning}\n")
    return 0


def _delete_jobs(options: argparse.Namespace) -> int:
    from app.history import History
    from app.programs import Programs

    settings = load_settings()
    code = 0
    with opened_store(settings) as store:
        history = History(settings=settings.history, store=store, clock=utc_now)
        programs = Programs(settings.programs)
        for text in options.ids:
            try:
                job_id = parse_job_id(text)
                history.delete(job_id)
            except RequestError as error:
                sys.stderr.write(f"qdispatch: {error.message}\n")
                code = 1
                continue
            programs.delete(job_id)
            sys.stdout.write(f"deleted {job_id}\n")
    return code


def _requeue(options: argparse.Namespace) -> int:
    from app.targets import TargetControl

    settings = load_settings()
    with opened_store(settings) as store:
        control = TargetControl(settings=settings, store=store, clock=utc_now)
        number = control.requeue(options.name)
    sys.stdout.write(f"{_jobs(number)} will be sent again by the sweep\n")
    return 0


def _back_up(options: argparse.Namespace) -> int:
    from app.backup import back_up

    backup = back_up(load_settings(), options.folder, clock=utc_now)
    sys.stdout.write(f"backed up to {options.folder}: {_described(backup)}\n")
    return 0


def _restore(options: argparse.Namespace) -> int:
    from app.backup import restore

    backup = restore(load_settings(), options.folder)
    sys.stdout.write(f"restored {_described(backup)}; they run once the service is up\n")
    return 0


def _described(backup: Backup) -> str:
    lost = f" ({backup.lost} of these without a program: to fail)" if backup.lost else ""
    return f"{_jobs(backup.jobs)}, {backup.active} of them not final{lost}"


def _jobs(number: int) -> str:
    return f"{number} job{'' if number == 1 else 's'}"
