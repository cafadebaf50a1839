"""Circuits from files, and what is said about files that have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from qdispatch.circuits import CustomCircuit
from qdispatch.cli import programs
from qdispatch.cli.exits import InputError
from qdispatch.cli.files import load, load_all

QASM = "OPENQASM 2.0;\nqreg q[2];\n"
PYTHON = """
import sys
from pathlib import Path
from qdispatch.circuits import CustomCircuit
from neighbour import N_QUBITS

print("hello")

def circuit():
    text = "OPENQASM 3.0; qubit[2] q;"
    return CustomCircuit(
        program=text, program_format="openqasm3", n_qubits=N_QUBITS, depth=0, framework="mine"
    )

several = [circuit(), circuit()]
each = (circuit() for _ in range(3))
number = 5

def broken():
    return 1 / 0

def with_argument(n):
    return circuit()

def leaves():
    sys.exit(3)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("N_QUBITS = 2\n")
    (tmp_path / "b.py").write_text(PYTHON)
    (tmp_path / "a.qasm").write_text(QASM)
    (tmp_path / "notes.txt").write_text("nothing")
    return tmp_path


def test_a_program(folder: Path) -> None:
    source = load(f"{folder}/a.qasm")
    assert isinstance(source.circuit, CustomCircuit)
    assert (source.circuit.program, source.circuit.n_qubits) == (QASM, 2)


@pytest.mark.parametrize("name", ["", ":circuit"])
def test_a_function_of_a_python_file(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = load(f"{folder}/b.py{name}")
    assert isinstance(source.circuit, CustomCircuit)
    assert capsys.readouterr().out == "", "what the file prints is not the command's output"


@pytest.mark.parametrize(("name", "number"), [("several", 2), ("each", 3)])
def test_several_circuits_of_a_python_file(folder: Path, name: str, number: int) -> None:
    sources = load_all([f"{folder}/b.py:{name}"])
    assert [each.name for each in sources] == [f"{folder}/b.py:{name}[{k}]" for k in range(number)]
    with pytest.raises(InputError, match="qdispatch batch"):
        load(f"{folder}/b.py:{name}")


def test_a_folder_has_programs_and_python_files_with_a_circuit(folder: Path) -> None:
    sources = load_all([str(folder)])
    assert [each.name for each in sources] == [f"{folder}/a.qasm", f"{folder}/b.py"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.qasm", "none.qasm cannot be read: No such file"),
        ("none.py:x", "none.py cannot be read: No such file"),
        ("b.py:missing", "has no 'missing'.*circuit, several, broken"),
        ("b.py:number", "is a int, not a circuit"),
        ("b.py:broken", "b.py, line 20: ZeroDivisionError: division by zero"),
        ("b.py:with_argument", "TypeError: .*argument"),
        ("b.py:leaves", r"ended the program by itself \(exit 3\)"),
        ("bad.py:x", "bad.py, line 2: "),
        ("raises.py:x", "raises.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("latin.qasm", "not text in UTF-8: byte 3"),
        ("latin.py", "not text in UTF-8: byte 3"),
        ("notes.md", "give a file .qasm, or FILE.py:NAME"),
        ("empty.qasm", "empty.qasm does not begin with OPENQASM"),
        ("empty", "has no circuits"),
    ],
    ids=lambda each: each if "." in each[:10] else "",
)
def test_files_without_a_circuit(folder: Path, name: str, said: str) -> None:
    (folder / "bad.py").write_text("x = 1\nx = = 2\n")
    (folder / "raises.py").write_text("import nowhere\n")
    for file in ("latin.qasm", "latin.py"):
        (folder / file).write_bytes(b"// \xe9")
    (folder / "empty.qasm").write_text("")
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=said):
        load(f"{folder}/{name}")


@pytest.mark.parametrize(
    ("text", "n_qubits", "depth"),
    [
        ("OPENQASM 3.0; qubit[999999999] q; h q;", 999_999_999, 0),
        ("OPENQASM 2.0; qreg q[1000]; h q; h q[7];", 1000, 2),
        ("OPENQASM 2.0; qreg q[1000];" + "h q;" * 9, 1000, 9),
        ("OPENQASM 2.0; qreg q[1000];" + "h q;" * 9 + "h q[0];", 1000, 0),
    ],
    ids=["beyond", "wide", "deep", "too much"],
)
def test_what_is_done_to_a_whole_register(
    folder: Path, text: str, n_qubits: int, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_MOST_TOUCHED", 9000)
    (folder / "a.qasm").write_text(text)
    circuit = load(f"{folder}/a.qasm").circuit
    assert isinstance(circuit, CustomCircuit)
    assert (circuit.n_qubits, circuit.depth) == (n_qubits, depth)


@pytest.mark.parametrize(
    "text",
    ["qreg q[%s];", "qubit[%s] q;", "const int n = %s; qubit[n] q;", "h $%s;", "qubit q; h q[%s];"],
)
def test_a_number_that_no_register_reaches(folder: Path, text: str) -> None:
    (folder / "a.qasm").write_text(f"OPENQASM 3.0; {text}" % ("9" * 5000))
    with pytest.raises(InputError, match="a number of 5000 digits"):
        load(f"{folder}/a.qasm")
