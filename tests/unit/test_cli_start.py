"""How the command starts: quickly, and with a word where something is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qdispatch.cli.exits import Exit, code_of
from qdispatch.errors import AuthenticationError, QDispatchError
from qdispatch.errors import RequestError as _RequestError


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["submit", "--help"]])
def test_help_loads_neither_grpc_nor_an_sdk(words: list[str]) -> None:
    done = python(
        "import sys\n"
        "from qdispatch.cli import main\n"
        f"sys.argv = ['qdispatch', *{words!r}]\n"
        "assert main() == 0\n"
        "slow = {'grpc', 'google', 'numpy', 'qiskit', 'cirq', 'pennylane', 'matplotlib'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "qdispatch" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_extra_is_named(package: str) -> None:
    done = python(
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from qdispatch.cli import main\nsys.exit(main())"
    )
    assert done.returncode == 2
    assert f"needs {package}" in done.stderr
    assert "pip install 'qdispatch[cli]'" in done.stderr


def test_every_error_has_an_exit_code() -> None:
    def kinds(root: type[QDispatchError]) -> list[type[QDispatchError]]:
        return [root, *(each for kind in root.__subclasses__() for each in kinds(kind))]

    found = {kind: code_of(kind.__new__(kind)) for kind in kinds(QDispatchError)}
    assert set(found.values()) == {
        Exit.ENDED,
        Exit.USAGE,
        Exit.REFUSED,
        Exit.UNAVAILABLE,
        Exit.TIMED_OUT,
        Exit.DEFECT,
        Exit.UNAUTHENTICATED,
    }
    for kind, code in found.items():
        if issubclass(kind, AuthenticationError):
            assert code is Exit.UNAUTHENTICATED
        elif issubclass(kind, _RequestError):
            assert code is Exit.REFUSED


def test_a_defect_of_the_command_shows_no_traceback() -> None:
    done = python(
        "import sys\n"
        "from qdispatch.cli import config, main\n"
        "def broken(*_): raise RuntimeError('something')\n"
        "config.find_connection = broken\n"
        "import qdispatch.cli.session as session\n"
        "session.find_connection = broken\n"
        "sys.argv = ['qdispatch', 'targets']\n"
        "sys.exit(main())\n"
    )
    assert done.returncode == Exit.DEFECT
    assert done.stderr == "qdispatch: a defect of this command: RuntimeError: something\n"
