"""Circuits from files: OpenQASM, and Python that makes circuits."""

from __future__ import annotations

import re
import runpy
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qdispatch.circuits import CustomCircuit, framework_of
from qdispatch.cli.exits import InputError
from qdispatch.cli.programs import read_program

#: The name that is looked for in a Python file when none is given.
DEFAULT_NAME: Final = "circuit"
# Not "__main__": what a file does when it is run is not wanted.
_RUN_NAME: Final = "__qdispatch__"
_NAMED: Final = re.compile(
    rf"^(?:def\s+{DEFAULT_NAME}\b|{DEFAULT_NAME}\s*(?::[^=\n]*)?=)", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A circuit, and where it comes from."""

    name: str
    """The file as the user wrote it, with the name or the place in it."""
    circuit: object


def load(given: str, *, n_qubits: int | None = None) -> Source:
    """The circuit that FILE.qasm, FILE.py or FILE.py:NAME stands for.

    Raises:
        InputError: There is none, or more than one.
    """
    sources = load_all([given], n_qubits=n_qubits)
    if len(sources) != 1:
        raise InputError(f"{given} has {len(sources)} circuits; qdispatch batch submits them all")
    return sources[0]


def load_all(given: Iterable[str], *, n_qubits: int | None = None) -> list[Source]:
    """The circuits of all files; of a folder, those of its files.

    Raises:
        InputError: A file has none, or cannot be read.
    """
    return [
        source for each in given for file in _expanded(each) for source in _circuits(file, n_qubits)
    ]


def _expanded(given: str) -> Iterable[str]:
    folder = Path(given)
    if not folder.is_dir():
        return [given]
    files = [
        str(path)
        for path in sorted(folder.iterdir())
        if path.suffix == ".qasm" or (path.suffix == ".py" and _NAMED.search(_text(path)))
    ]
    if not files:
        raise InputError(
            f"{given} has no circuits: no .qasm file, and no .py file with a {DEFAULT_NAME!r}"
        )
    return files


def _circuits(given: str, n_qubits: int | None) -> list[Source]:
    file, _, name = given.rpartition(":") if ".py:" in given else (given, "", DEFAULT_NAME)
    path = Path(file)
    if path.suffix == ".py":
        return _from_python(path, given, name)
    if path.suffix not in (".qasm", ".qasm2", ".qasm3", ".inc", ".txt"):
        raise InputError(f"{given}: give a file .qasm, or FILE.py:NAME")
    try:
        return [Source(name=given, circuit=read_program(_text(path), n_qubits=n_qubits))]
    except InputError as error:
        # A file that could not even be read is named already.
        text = str(error)
        raise InputError(text if text.startswith(file) else f"{file} {text}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: byte {error.start} is not") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _from_python(path: Path, given: str, name: str) -> list[Source]:
    _text(path)
    with _as_program(path):
        names = runpy.run_path(str(path), run_name=_RUN_NAME)
    if name not in names:
        raise InputError(f"{path} has no {name!r}; write {path}:NAME for one of {_offers(names)}")
    value = names[name]
    if callable(value) and not _is_circuit(value):
        with _as_program(path):
            value = value()
    if isinstance(value, Iterable) and not _is_circuit(value) and not isinstance(value, str):
        with _as_program(path):
            several = list(value)
        return [_checked(each, f"{given}[{k}]") for k, each in enumerate(several)]
    return [_checked(value, given)]


def _is_circuit(value: object) -> bool:
    return isinstance(value, CustomCircuit) or framework_of(value) is not None


def _checked(value: object, name: str) -> Source:
    if not _is_circuit(value):
        raise InputError(
            f"{name} is a {type(value).__name__}, not a circuit of Qiskit, Cirq or PennyLane, a "
            "CustomCircuit, or a function without arguments that returns one"
        )
    return Source(name=name, circuit=value)


def _has_circuits(value: object) -> bool:
    several = value if isinstance(value, list | tuple) else [value]
    return bool(several) and all(map(_is_circuit, several))


def _offers(names: dict[str, object]) -> str:
    found = [
        name
        for name, value in names.items()
        if not name.startswith("_")
        and (_has_circuits(value) or getattr(value, "__module__", "") == _RUN_NAME)
    ]
    return ", ".join(found) or "its circuits (it has none)"


@contextmanager
def _as_program(path: Path) -> Iterator[None]:
    """Runs a user's code as Python would, and tells of its errors in one message."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        # What it prints is not this command's output.
        with redirect_stdout(sys.stderr):
            yield
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    except SystemExit as error:
        raise InputError(f"{path} ended the program by itself (exit {error.code})") from error
    except Exception as error:
        raise InputError(f"{_place(path, error)}: {type(error).__name__}: {error}") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _place(path: Path, error: Exception) -> str:
    """The last line of the user's file that was on the way to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [each.lineno for each in frames if Path(each.filename).resolve() == path.resolve()]
    return f"{path}, line {lines[-1]}" if lines else str(path)
