"""Circuits that an engine keeps."""

from __future__ import annotations

import pytest

from qdispatch.model import ProgramFormat
from tasks import parsed
from tasks.circuit import Circuit, Gate
from tasks.parsed import ParsedPrograms
from tasks.simulators import SimulationError

FORMAT = ProgramFormat.OPENQASM2


class Parser:
    """Stands for the parser, whose work is not what this is about: one gate a letter."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, program: str, _format: ProgramFormat, *, max_qubits: int) -> Circuit:
        self.asked.append(program)
        if not program:
            raise parsed_error()
        return Circuit(n_qubits=max_qubits, n_clbits=0, ops=tuple(Gate("x", (0,)) for _ in program))


def parsed_error() -> SimulationError:
    from tasks.lowering import invalid

    return invalid("empty")


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Parser:
    parser = Parser()
    monkeypatch.setattr(parsed, "parse", parser)
    return parser


def test_a_program_is_parsed_once(parser: Parser) -> None:
    programs = ParsedPrograms(5)
    first = programs.circuit("abc", FORMAT)
    assert programs.circuit("abc", FORMAT) is first
    assert first.n_qubits == 5
    assert programs.circuit("abd", FORMAT) is not first
    # The same text means something else in another language.
    assert programs.circuit("abc", ProgramFormat.OPENQASM3) is not first
    assert parser.asked == ["abc", "abd", "abc"]


def test_those_used_last_are_kept(parser: Parser) -> None:
    programs = ParsedPrograms(5, kept_bytes=9000)
    for program in ("a", "b", "c", "a", "d", "a", "b"):
        programs.circuit(program, FORMAT)
    # Each takes 2,204 bytes: a fifth pushes out "c", which was not used for longest.
    assert parser.asked == ["a", "b", "c", "d"]
    programs.circuit("e", FORMAT)
    programs.circuit("c", FORMAT)
    assert parser.asked == ["a", "b", "c", "d", "e", "c"]


def test_a_large_program_pushes_out_nothing(parser: Parser) -> None:
    programs = ParsedPrograms(5, kept_bytes=9000)
    programs.circuit("a", FORMAT)
    for _ in range(2):
        programs.circuit("x" * 100, FORMAT)
    programs.circuit("a", FORMAT)
    assert parser.asked == ["a", "x" * 100, "x" * 100]


def test_an_error_is_not_kept(parser: Parser) -> None:
    programs = ParsedPrograms(5)
    for _ in range(2):
        with pytest.raises(SimulationError):
            programs.circuit("", FORMAT)
    assert parser.asked == ["", ""]
