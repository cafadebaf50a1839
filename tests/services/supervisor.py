"""Runs a server, and ends everything it left behind when its owner goes, however it goes.

It is started as a script by `process.py`, one per server, with only the
standard library. The server and whatever it forks away, daemons included, are
its descendants for good (`PR_SET_CHILD_SUBREAPER`), so that at the end it can
kill until none is left. The owner writes the number of the signal to end with
to standard input; the owner's death, by SIGKILL too, shows as end of file and
on its pidfd. Should this process be killed itself, the kernel sends its
children the signal for an abandoned server.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
IPC_RMID = 0

libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    plan = json.loads(sys.argv[1])
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        owner = os.pidfd_open(plan["owner"])
    except ProcessLookupError:
        return 1
    children = [start(command, plan) for command in plan["commands"]]
    server = children[-1]
    number = wait_for_an_end(owner, server, plan["abandoned_signal"])
    if number is not None:
        end(server, number, plan["grace_s"])
    kill_descendants()
    remove_shared_memory({child.pid for child in children})
    if os.getppid() != plan["owner"]:
        remove_directories(plan["remove"])
    return 0


def start(command: list[str], plan: dict) -> subprocess.Popen:
    abandoned = plan["abandoned_signal"]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        user=plan["user"],
        group=plan["group"],
        extra_groups=None if plan["user"] is None else [],
        # Safe here: this process has one thread.
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, abandoned, 0, 0, 0),
    )


def wait_for_an_end(owner: int, server: subprocess.Popen, abandoned: int) -> int | None:
    """The signal to end the server with, or None when it ended by itself."""
    own_end = os.pidfd_open(server.pid)
    readable, _, _ = select.select([0, owner, own_end], [], [])
    if own_end in readable:
        return None
    asked = os.read(0, 16) if 0 in readable else b""
    return int(asked) if asked.strip() else abandoned


def end(server: subprocess.Popen, number: int, grace_s: float) -> None:
    """Send one signal and wait for the server, though not for ever."""
    ended = os.pidfd_open(server.pid)
    server.send_signal(number)
    select.select([ended], [], [], grace_s)


def kill_descendants() -> None:
    """Kill children until there are none; a dead child's children become ours."""
    while True:
        for child in children_of(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            # The fields after the command's name, which may hold anything.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def remove_shared_memory(creators: set[int]) -> None:
    """Remove System V segments, which the kernel keeps after a PostgreSQL that was killed."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
            _, identifier, _, _, creator, *_ = line.split()
            if int(creator) in creators:
                libc.shmctl(int(identifier), IPC_RMID, None)


def remove_directories(directory: str | None) -> None:
    """Remove what a dead owner cannot; the last supervisor takes the parent away."""
    if directory is not None:
        shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            Path(directory).parent.rmdir()


if __name__ == "__main__":
    sys.exit(main())
