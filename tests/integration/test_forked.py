"""Modules that run in forks: as separate as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.stack import PROJECT
from tests.services.process import wait_until

_PARENT = """
import json, os, signal, sys
from app.forked import Forked, share
share(["shared_part"])
signal.signal(signal.SIGTERM, lambda *_: print("the parent's handler"))
secret = open(sys.argv[0])
fork = Forked(sys.argv[1:], env={"MINE": "yes", "PATH": os.environ["PATH"]}, cwd=os.getcwd(),
              name="qd-a-very-long-name")
print(json.dumps({"pid": fork.pid}), flush=True)
text = fork.stdout.read().decode()
fork.wait()
threads = len(os.listdir("/proc/self/task"))
print(json.dumps({"code": fork.returncode, "text": text, "threads": threads}))
"""

_MODULES = {
    "shared_part": "import os\nIMPORTED_BY = os.getpid()\n",
    "looks": """
import atexit, json, os, signal, sys, threading
import shared_part
atexit.register(lambda: print("at the end"))
threading.Thread(target=lambda: sys.stdout.write("a thread\\n")).start()
open_files = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) > 2
              and os.path.exists(f"/proc/self/fd/{n}")}
sys.stdout.write(json.dumps({
    "name": __name__, "arguments": sys.argv[1:], "environment": dict(os.environ),
    "session": os.getsid(0) == os.getpid(), "open": sorted(open_files - {"/dev/null"}),
    "comm": open("/proc/self/comm").read().strip(),
    "shared": shared_part.IMPORTED_BY == os.getppid(),
    "term": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
}) + "\\n")
print("to standard error", file=sys.stderr)
""",
    "says": "raise SystemExit('that is all')\n",
    "fails": "raise ValueError('no way')\n",
    "three": "raise SystemExit(3)\n",
    "interrupted": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsignal.pause()\n",
    "ended": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()\n",
    "waits": "import signal\nprint('waiting')\nsignal.pause()\n",
}


@dataclass(frozen=True, kw_only=True)
class Ran:
    code: int
    text: str
    threads: int


def _start(folder: Path, *command: str) -> subprocess.Popen[str]:
    for name, text in _MODULES.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "parent.py").write_text(_PARENT)
    return subprocess.Popen(
        [sys.executable, "parent.py", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'client' / 'src'}", "SECRET": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def _run(folder: Path, *command: str) -> Ran:
    with _start(folder, *command) as parent:
        lines: list[dict[str, Any]] = [json.loads(line) for line in parent.stdout or ()]
    return Ran(**lines[-1])


def test_it_is_a_process_of_its_own(tmp_path: Path) -> None:
    ran = _run(tmp_path, "looks", "--at", "this")
    told, *rest = sorted(ran.text.splitlines(), key=lambda line: not line.startswith("{"))
    looked = json.loads(told)
    environment = looked.pop("environment")
    assert environment["MINE"] == "yes"
    assert "SECRET" not in environment
    assert looked == {
        "name": "__main__",
        "arguments": ["--at", "this"],
        "session": True,
        "open": [],
        "comm": "qd-a-very-long-",
        "shared": True,
        "term": True,
        "blocked": [],
    }
    assert sorted(rest) == ["a thread", "at the end", "to standard error"]
    assert rest[-1] == "at the end"
    # It may be forked again: it has no thread but its own.
    assert (ran.code, ran.threads) == (0, 1)


@pytest.mark.parametrize(
    ("module", "code", "text"),
    [
        ("says", 1, "that is all\n"),
        ("three", 3, ""),
        ("fails", 1, "ValueError: no way\n"),
        ("interrupted", 130, ""),
        ("ended", -signal.SIGTERM, ""),
    ],
    ids=["says", "three", "fails", "interrupted", "ended"],
)
def test_it_ends_as_an_interpreter_does(tmp_path: Path, module: str, code: int, text: str) -> None:
    ran = _run(tmp_path, module)
    assert ran.code == code
    assert ran.text.endswith(text)
    assert bool(ran.text) == bool(text)


def test_it_does_not_outlive_who_forked_it(tmp_path: Path) -> None:
    parent = _start(tmp_path, "waits")
    try:
        assert parent.stdout is not None
        fork = psutil.Process(json.loads(parent.stdout.readline())["pid"])
        assert fork.ppid() == parent.pid
    finally:
        parent.kill()
        parent.communicate()
    assert wait_until(lambda: not fork.is_running(), 10)
