"""The process that is fuzzed: the real server on a real database, with a worker that only plays.

    python -m tests.fuzz.service FOLDER URL

URL is that of a database, or empty.

It says on its standard output where it listens and who may call, as a line of JSON,
and then answers each line of its input: ``look`` by how it is, ``end`` by what it has
become, having stopped.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import Any, Final
from uuid import UUID

import psutil
import sqlalchemy as sa

from app.database import migrate, open_store
from app.feeding import Backlogs, Feeder
from app.history import History
from app.known_tokens import KnownTokens, TokenControl
from app.logs import set_up_logging
from app.outlooks import OutlookSource
from app.ports import utc_now
from app.programs import Programs
from app.service import JobService
from app.settings import HistorySettings, ServerSettings, Settings
from app.store import Store
from app.targets import TargetControl
from app.upkeep import Upkeep
from app.watching import Watchers
from app.work import WorkService
from qdispatch.model import TargetState
from rpc.gate import make_gate
from rpc.server import Server
from tests.fuzz.afterwards import problems_of
from tests.fuzz.playing import Player
from tests.waiting import wait_until
from tests.world import make_settings

_MESSAGE_BYTES: Final = 2 * 2**20
_PROGRAM_BYTES: Final = 200_000
# What final jobs may take, so that a long run looks like a short one.
_HISTORY_BYTES: Final = 24 * 2**20
_ERRORS: Final = 20

# Of one of the targets, one after the other.
_STATES: Final = (*[TargetState.ACTIVE] * 3, TargetState.PAUSED, TargetState.DRAINED)

#: Who calls with a token that is good.
OWNERS: Final = ("ada", "bob", "root")


class _Errors(logging.Handler):
    """Keeps what should never be logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.number = 0
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.number += 1
        if len(self.texts) < _ERRORS:
            self.texts.append(logging.Formatter().format(record))


def make_server_settings(folder: Path, database_url: str) -> Settings:
    """Limits so small that requests meet them."""
    server = {
        "address": "127.0.0.1:0",
        "cancel_wait_s": 0,
        "watch_interval_s": 0.2,
        "max_message_bytes": _MESSAGE_BYTES,
        "max_program_bytes": _PROGRAM_BYTES,
        "max_shots": 1_000_000,
        "max_points": 500,
        "max_batch_jobs": 50,
        "call_s": 20,
    }
    return make_settings(
        folder,
        server=server,
        auth={"mode": "token", "refresh_s": 0.3},
        database_url=database_url,
    )


def _quick_store(settings: Settings) -> Store:
    migrate(settings)
    store = open_store(settings)
    engine = store.engine
    if engine.dialect.name == "sqlite":
        # What is written need not outlive the machine.
        sa.event.listen(engine, "connect", lambda each, _: each.execute("PRAGMA synchronous=OFF"))
    return store


class Installation:
    """What is fuzzed.

    Args:
        folder: For its program files.
        database_url: Where its jobs are; none for a file in that folder.
    """

    def __init__(self, folder: Path, database_url: str) -> None:
        self._ends = ExitStack()
        settings = make_server_settings(folder, database_url)
        self._settings = settings
        self.store = _quick_store(settings)
        self.programs = Programs(settings.programs)
        self.tokens = TokenControl(store=self.store, clock=utc_now)
        self.player = Player(
            WorkService(
                store=self.store, programs=self.programs, clock=utc_now, settings=settings.jobs
            )
        )
        backlogs = Backlogs(
            store=self.store,
            clock=utc_now,
            targets={name: each.concurrency for name, each in settings.targets.items()},
            resend_after_s=settings.jobs.resend_after_s,
        )
        self._feeder = Feeder(backlogs, self.player)
        self._watching: list[Watchers] = []
        self.service = JobService(
            settings=settings,
            store=self.store,
            programs=self.programs,
            dispatcher=self._feeder,
            clock=utc_now,
            changed=self._changed,
        )
        self._history = History(
            settings=HistorySettings(max_bytes=_HISTORY_BYTES), store=self.store, clock=utc_now
        )
        self._targets = TargetControl(settings=settings, store=self.store, clock=utc_now)
        self._upkeep = Upkeep(
            settings=settings.jobs,
            store=self.store,
            programs=self.programs,
            dispatcher=self._feeder,
            queues=self.player,
            clock=utc_now,
            targets={name: each.concurrency for name, each in settings.targets.items()},
        )
        self._states = cycle(_STATES)

    def start(self) -> tuple[int, int]:
        """Serves; gives the port where a token is asked for, and the one where none is."""
        settings = self._settings
        known = KnownTokens(store=self.store, clock=utc_now, refresh_s=settings.auth.refresh_s)
        known.start()
        self._ends.callback(known.close)
        self._feeder.start()
        self._ends.callback(self._feeder.close)
        self.player.start(sent=self.service.mark_sent, changed=self._changed, often=self._keep_up)
        self._ends.callback(self.player.close)
        guarded = self._serve(settings.server, gate=make_gate(settings.auth, known, utc_now))
        # One of them has the limit of messages that servers have by default.
        most = {"max_message_bytes": ServerSettings().max_message_bytes}
        none = settings.auth.model_copy(update={"mode": "none"})
        unguarded = self._serve(
            settings.server.model_copy(update=most), gate=make_gate(none, known, utc_now)
        )
        return guarded, unguarded

    def _serve(self, settings: ServerSettings, gate: Any) -> int:
        watchers = Watchers(
            store=self.store,
            clock=utc_now,
            outlooks=OutlookSource(self.store),
            interval_s=settings.watch_interval_s,
        )
        self._watching.append(watchers)
        server = Server(self.service, watchers, settings, gate=gate)
        server.start()
        self._ends.callback(server.stop, 1)
        return server.port

    def stop(self) -> None:
        """Takes no more calls; the database stays."""
        self._ends.close()

    def _changed(self, job_ids: Sequence[UUID]) -> None:
        for each in self._watching:
            each.changed(job_ids)
        self._feeder.heard(job_ids)

    def _keep_up(self) -> None:
        """What the sweep does, and operators."""
        self._history.trim()
        for step in (self._upkeep.recover, self._upkeep.resend, self._upkeep.resend_lost):
            step()
        self._targets.set_state("cirq", next(self._states))

    def shown(self) -> Mapping[str, str]:
        """Tokens: of the owners by name, and those that are not good."""
        soon = utc_now() + timedelta(seconds=0.2)
        tokens = {name: self.tokens.create(name, is_admin=name == "root")[0] for name in OWNERS}
        revoked, kept = self.tokens.create("ada")
        self.tokens.revoke([kept.id])
        expired, _ = self.tokens.create("ada", expires_at=soon)
        wait_until(lambda: utc_now() > soon, 5)
        return tokens | {"expired": expired, "revoked": revoked}


def _memory() -> int:
    return int(psutil.Process().memory_info().rss)


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(folder: Path, database_url: str) -> None:
    """Serves until it is told to end."""
    set_up_logging("json", times=False)
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    fuzzed = Installation(folder, database_url)
    shown = fuzzed.shown()
    guarded, unguarded = fuzzed.start()
    _say(guarded=guarded, open=unguarded, tokens=shown)
    for line in sys.stdin:
        if line.strip() != "look":
            break
        gc.collect()
        _say(memory=_memory(), played=fuzzed.player.played)
    fuzzed.stop()
    problems = problems_of(fuzzed.store, fuzzed.programs)
    _say(problems=problems, errors=errors.number, texts=errors.texts, memory=_memory())
    # What a call left behind would keep the process.
    others = [each.name for each in _left()]
    _say(threads=others)


def _left() -> list[Thread]:
    import threading

    return [
        each
        for each in threading.enumerate()
        if each is not threading.main_thread() and not each.daemon
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
