"""A process that forks in the midst of a transaction of SQLite's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# A thread writes. It goes on when the process is about to fork, and not before.
FORKING = """
import os, sys, threading
from app.engines import make_engine
from app.store import Store
import sqlalchemy as sa

url = sys.argv[1]
writes, forks = threading.Event(), threading.Event()

def write():
    with store.write() as tx:
        tx._connection.execute(sa.text("CREATE TABLE one (n INTEGER)"))
        writes.set()
        forks.wait()

store = Store(make_engine(url))
thread = threading.Thread(target=write)
thread.start()
writes.wait()
os.register_at_fork(before=forks.set)
if os.fork() == 0:
    with Store(make_engine(url)).write() as tx:
        tx._connection.execute(sa.text("INSERT INTO one VALUES (1)"))
    os._exit(0)
status = os.wait()[1]
thread.join()
with store.write() as tx:
    print(status, tx._connection.execute(sa.text("SELECT count(*) FROM one")).scalar())
"""


def test_a_child_can_write_whatever_its_parent_did(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORKING, f"sqlite:///{tmp_path / 'forks.db'}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "0 1\n", ended.stderr
