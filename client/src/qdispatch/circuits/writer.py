"""Writes programs: the same statements serve OpenQASM 2 and OpenQASM 3.

Adapters expand a circuit to gates out of `GATES` and hand them over one by
one. Nothing is ever controlled by the writer, so the global phase, which only
a state vector shows, is added up apart, and written on request.

A program is OpenQASM 2 unless it holds control flow or has parameters. The writer keeps to what
both languages' parsers in Qiskit take: in particular a condition is one bit,
or one whole register compared with a number, and whatever is more is broken
down into nested ``if`` statements by `ProgramWriter.choose`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, SupportsFloat, TypeAlias

from qdispatch.errors import CircuitError
from qdispatch.model import ProgramFormat

#: Name -> (number of parameters, number of qubits) of every gate that may be
#: written. Controls come first; U(theta, phi, lambda) is the languages' own.
GATES: Final[Mapping[str, tuple[int, int]]] = {
    "id": (0, 1), "x": (0, 1), "y": (0, 1), "z": (0, 1), "h": (0, 1),
    "s": (0, 1), "sdg": (0, 1), "t": (0, 1), "tdg": (0, 1), "sx": (0, 1), "sxdg": (0, 1),
    "rx": (1, 1), "ry": (1, 1), "rz": (1, 1), "p": (1, 1), "U": (3, 1),
    "cx": (0, 2), "cy": (0, 2), "cz": (0, 2), "ch": (0, 2), "csx": (0, 2), "swap": (0, 2),
    "crx": (1, 2), "cry": (1, 2), "crz": (1, 2), "cp": (1, 2), "cu": (4, 2),
    "rxx": (1, 2), "rzz": (1, 2),
    "ccx": (0, 3), "cswap": (0, 3),
}  # fmt: skip

#: What Qiskit's qelib1.inc has and stdgates.inc has not.
DEFINITIONS: Final[Mapping[str, str]] = {
    "sxdg": "gate sxdg a { h a; sdg a; h a; }",
    "csx": "gate csx a, b { h b; cp(pi/2) a, b; h b; }",
    "rxx": "gate rxx(w) a, b { h a; h b; cx a, b; rz(w) b; cx a, b; h a; h b; }",
    "rzz": "gate rzz(w) a, b { cx a, b; rz(w) b; cx a, b; }",
}

_WORDS: Final = """
    q phase cphase u u0 u1 u2 u3 cu1 cu3 ccz rccx rc3x c3x c3sqrtx c4x delay
    sin cos tan exp ln sqrt pi tau euler openqasm include defcalgrammar def cal defcal gate extern
    box let break continue if else end return for while in switch case default nop pragma input
    output const readonly mutable qreg qubit creg bool bit int uint float angle complex array
    void duration stretch gphase inv pow ctrl negctrl dim durationof measure barrier reset opaque
    true false im arccos arcsin arctan ceiling floor log mod popcount real imag rotl rotr sizeof
"""

#: Names that a register must not have, in either language.
_TAKEN: Final = frozenset(GATES) | frozenset(_WORDS.split())
_NAME: Final = re.compile(r"[a-z][A-Za-z0-9_]*", re.ASCII)
# OpenQASM 3, which alone has parameters, knows Greek letters; pi and tau are constants.
_PARAMETER: Final = re.compile(
    r"(?![\u03c0\u03c4]$)[A-Za-z\u0391-\u03a9\u03b1-\u03c9][A-Za-z0-9_\u0391-\u03a9\u03b1-\u03c9]*"
)
_ELEMENT: Final = re.compile(r"\[(\d+)\]$")

MAX_STATEMENTS: Final = 5_000_000
"""No program that is longer would ever be taken; nested definitions and loops
can grow beyond any bound before the server could refuse them."""

MAX_CONDITION_BITS: Final = 10
"""A condition is tabulated, so this many bits cost 2**10 evaluations."""


class Expression(str):
    """An angle in OpenQASM 3: of names that `ProgramWriter.inputs` gives, and numbers."""

    __slots__ = ()


#: An angle in radians.
Angle: TypeAlias = SupportsFloat | Expression


def number(value: Angle, gate: str = "") -> str:
    """An angle as text: an expression as it is, a number so that it parses back the same.

    Args:
        value: The angle.
        gate: What it belongs to, for the error.

    Raises:
        CircuitError: It is infinite or not a number.
    """
    if isinstance(value, Expression):
        return str(value)
    real = float(value)
    if not math.isfinite(real):
        raise CircuitError(f"gate '{gate}' has the parameter {real}; it must be finite", gate=gate)
    text = repr(real)
    # "1e-17" is no real number in OpenQASM 2, which asks for a point.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


class ProgramWriter:
    """A program in the making.

    Args:
        n_qubits: Declared as one register.
        registers: Name and size of each classical register, in order. A name
            that is not fit for the languages is replaced.
        parameters: Names of the program's parameters, in order, replaced alike.
        keep_phase: Whether the global phase is written.

    Attributes:
        inputs: Parameter -> its name in the program.
    """

    def __init__(
        self,
        n_qubits: int,
        registers: Iterable[tuple[str, int]] = (),
        *,
        parameters: Iterable[str] = (),
        keep_phase: bool = False,
    ) -> None:
        if n_qubits < 1:
            raise CircuitError("the circuit has no qubits; at least one is needed")
        self.n_qubits = n_qubits
        self.program_format = ProgramFormat.OPENQASM2
        self.registers: dict[tuple[int, ...], str] = {}
        self._bits: list[str] = []
        self._lines: list[str] = []
        self._defined: set[str] = set()
        self._loops = itertools.count()
        self._keep_phase = keep_phase
        self._phase = 0.0
        self._phases: list[Expression] = []
        # How often the loops around it run what is being added.
        self._times = 1
        self.inputs: dict[str, str] = {}
        for wanted in parameters:
            self.inputs[wanted] = self._input_name(wanted)
            self.program_format = ProgramFormat.OPENQASM3
        for name, size in registers:
            self._declare(name, size)

    def _input_name(self, wanted: str) -> str:
        """As the parameter's as it can be: users read it in results."""
        name = _ELEMENT.sub(r"_\1", wanted)
        if not _PARAMETER.fullmatch(name):
            return self._free_name("", "p")
        while name.lower() in _TAKEN or name in self.inputs.values():
            name += "_"
        return name

    def _free_name(self, wanted: str, letter: str) -> str:
        taken = _TAKEN | set(self.registers.values()) | set(self.inputs.values())
        fit = _NAME.fullmatch(wanted) is not None and wanted.lower() not in taken
        spare = (f"{letter}{number}" for number in itertools.count())
        return wanted if fit else next(each for each in spare if each not in taken)

    def _declare(self, wanted: str, size: int) -> None:
        name = self._free_name(wanted, "c")
        first = len(self._bits)
        self.registers[tuple(range(first, first + size))] = name
        self._bits += (f"{name}[{index}]" for index in range(size))

    def _line(self, text: str) -> None:
        if len(self._lines) >= MAX_STATEMENTS:
            raise CircuitError(f"the circuit expands to more than {MAX_STATEMENTS} operations")
        self._lines.append(text)

    def phase(self, angle: Angle) -> None:
        """Multiplies the state by exp(i angle)."""
        if isinstance(angle, Expression):
            many = Expression(f"{float(self._times)} * ({angle})")
            self._phases.append(angle if self._times == 1 else many)
        else:
            self._phase += self._times * float(angle)

    def gate(self, name: str, qubits: Sequence[int], parameters: Sequence[Angle] = ()) -> None:
        """Adds a gate out of `GATES`; angles in radians."""
        angles = ", ".join([number(each, name) for each in parameters]) if parameters else ""
        where = "], q[".join(map(str, qubits))
        self._line(f"{name}({angles}) q[{where}];" if angles else f"{name} q[{where}];")
        if name in DEFINITIONS:
            self._defined.add(name)

    def measure(self, qubit: int, clbit: int) -> None:
        """Adds a measurement in the computational basis."""
        self._line(f"measure q[{qubit}] -> {self._bits[clbit]};")

    def reset(self, qubit: int) -> None:
        """Adds a reset to 0."""
        self._line(f"reset q[{qubit}];")

    def barrier(self, qubits: Sequence[int]) -> None:
        """Adds a barrier, unless it is on nothing."""
        if qubits:
            self._line(f"barrier {', '.join(f'q[{qubit}]' for qubit in qubits)};")

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self.program_format = ProgramFormat.OPENQASM3
        self._line(f"{head} {{")
        yield
        self._line("}")

    def bit_is(self, clbit: int, *, value: bool) -> str:
        """The condition that a bit has a value."""
        return f"{'' if value else '!'}{self._bits[clbit]}"

    def register_is(self, clbits: Sequence[int], value: int) -> str | None:
        """The condition that bits, lowest first, have a value; None if they are no register."""
        if len(clbits) == 1:
            return self.bit_is(clbits[0], value=bool(value))
        name = self.registers.get(tuple(clbits))
        return f"{name} == {value}" if name is not None else None

    def loop_while(self, condition: str, body: Callable[[], None]) -> None:
        """Adds a ``while`` loop."""
        with self._block(f"while ({condition})"):
            body()

    def loop_for(self, values: Sequence[int], body: Callable[[], None]) -> None:
        """Adds a ``for`` loop whose body does not look at its variable."""
        if isinstance(values, range):
            # Both ends of a range of OpenQASM 3 belong to it.
            each = f"[{values[0]}:{values.step}:{values[-1]}]"
        else:
            each = f"{{{', '.join(str(value) for value in values)}}}"
        taken = {*self.registers.values(), *self.inputs.values()}
        names = (f"i{number}" for number in self._loops)
        self._times *= len(values)
        with self._block(f"for int {next(name for name in names if name not in taken)} in {each}"):
            body()
        self._times //= len(values)

    def branch(
        self, condition: str, then: Callable[[], None], otherwise: Callable[[], None]
    ) -> None:
        """Adds an ``if`` statement; an empty ``else`` is left out."""
        with self._block(f"if ({condition})"):
            then()
        with self._block("else"):
            start = len(self._lines)
            otherwise()
        if len(self._lines) == start + 1:
            del self._lines[start - 1 :]

    def choose(
        self,
        clbits: Iterable[int],
        holds: Callable[[Mapping[int, int]], bool],
        then: Callable[[], None],
        otherwise: Callable[[], None] = lambda: None,
        *,
        gate: str = "if",
    ) -> None:
        """Adds a branch on any condition, as nested tests of single bits.

        Args:
            clbits: Indices of all bits that the condition looks at.
            holds: The condition, given each of these bits as 0 or 1.
            then: Adds what happens if it holds. Called once a way to get there.
            otherwise: Adds what happens if not.
            gate: Name of the construct, for the error.

        Raises:
            CircuitError: The condition looks at too many bits.
        """
        bits = sorted(set(clbits))
        if len(bits) > MAX_CONDITION_BITS:
            raise CircuitError(
                f"the condition of '{gate}' looks at {len(bits)} classical bits; "
                f"at most {MAX_CONDITION_BITS} can be carried",
                gate=gate,
            )
        table = {
            values: bool(holds(dict(zip(bits, values, strict=True))))
            for values in itertools.product((0, 1), repeat=len(bits))
        }

        def descend(table: Mapping[tuple[int, ...], bool], depth: int) -> None:
            if len(set(table.values())) == 1:
                return then() if next(iter(table.values())) else otherwise()
            halves = [
                {key[1:]: value for key, value in table.items() if key[0] == side}
                for side in (0, 1)
            ]
            if halves[0] == halves[1]:
                return descend(halves[0], depth + 1)
            return self._split(bits[depth], halves, lambda half: descend(half, depth + 1))

        descend(table, 0)

    def _split(
        self,
        bit: int,
        halves: Sequence[Mapping[tuple[int, ...], bool]],
        descend: Callable[[Mapping[tuple[int, ...], bool]], None],
    ) -> None:
        positive = any(halves[1].values())
        self.branch(
            self.bit_is(bit, value=positive),
            lambda: descend(halves[positive]),
            lambda: descend(halves[not positive]),
        )

    def text(self) -> str:
        """The whole program."""
        if self.program_format is ProgramFormat.OPENQASM2:
            head = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{self.n_qubits}];"]
            head += (f"creg {name}[{len(bits)}];" for bits, name in self.registers.items())
        else:
            head = ["OPENQASM 3.0;", 'include "stdgates.inc";']
            head += (DEFINITIONS[name] for name in sorted(self._defined))
            head += (f"input float[64] {name};" for name in self.inputs.values())
            head += [f"qubit[{self.n_qubits}] q;"]
            head += (f"bit[{len(bits)}] {name};" for bits, name in self.registers.items())
        return "\n".join([*head, *self._global_phase(), *self._lines, ""])

    def _global_phase(self) -> Iterator[str]:
        # OpenQASM 2 has no such statement; the server takes it all the same.
        if self._keep_phase and self._phase:
            yield f"gphase({number(self._phase)});"
        if self._keep_phase:
            yield from (f"gphase({each});" for each in self._phases)
