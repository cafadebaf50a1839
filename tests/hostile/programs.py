"""Programs by hostile strangers: what each attacks, and what must come of it.

They are data; `tests/e2e/test_hostile.py` submits them to the real service, and each
holds for any target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qdispatch.model import ErrorKind, ProgramFormat

#: A word that no log may have, in every program.
CANARY: Final = "c4n4ry"

TWO: Final = f'OPENQASM 2.0;\ninclude "qelib1.inc";\n// {CANARY}\n'
THREE: Final = f'OPENQASM 3.0;\ninclude "stdgates.inc";\n// {CANARY}\n'

INVALID: Final = ErrorKind.PROGRAM_INVALID
UNSUPPORTED: Final = ErrorKind.UNSUPPORTED


@dataclass(frozen=True, kw_only=True)
class HostileProgram:
    """A program, and the error that its job must end with."""

    name: str
    attacks: str
    """What it is after."""
    program: str | Callable[[], str]
    """Its text; of a large one, what makes it."""
    kind: ErrorKind | None
    """None if it is harmless, and its job must finish."""
    says: str = ""
    """A regular expression that is in the error's message."""
    time_limit_s: float = 120.0

    @property
    def text(self) -> str:
        """What is submitted."""
        return self.program() if callable(self.program) else self.program

    def encoded(self) -> bytes:
        """As text is on the wire."""
        return self.text.encode()

    @property
    def format(self) -> ProgramFormat:
        """The language that it is submitted as."""
        three = self.text.lstrip("\ufeff \r\n").startswith("OPENQASM 3")
        return ProgramFormat.OPENQASM3 if three else ProgramFormat.OPENQASM2


def _cases(
    attacks: str, *cases: tuple[str, str, ErrorKind | None, str]
) -> tuple[HostileProgram, ...]:
    return tuple(
        HostileProgram(name=name, attacks=attacks, program=program, kind=kind, says=says)
        for name, program, kind, says in cases
    )


def doubling(head: str, parameter: str = "", call: str = "", use: str = "") -> str:
    """Forty gates, each of which is twice the one before."""
    gates = [f"gate g0{parameter} a {{x a;}}"]
    gates += [
        f"gate g{i}{parameter} a {{g{i - 1}{call} a;g{i - 1}{call} a;}}" for i in range(1, 41)
    ]
    register = "qreg q[1];" if head is TWO else "qubit[1] q;"
    return head + "\n".join(gates) + register + f"g40{use} q[0];"


def million_gates() -> str:
    """A thousand times a thousand gates."""
    bodies = f"gate f a {{{'x a;' * 1000}}}gate g a {{{'f a;' * 1000}}}"
    return f"{THREE}{bodies}qubit[1] q;bit[1] c;g q[0];"


def million_gate_body() -> str:
    """One gate of a million others, which takes about 500 MiB to read."""
    return f"{TWO}gate g a {{{'x a;' * 10**6}}}qreg q[1];creg c[1];g q[0];measure q->c;"


Q2: Final = TWO + "qreg q[1];creg c[1];\n"
Q3: Final = THREE + "qubit[1] q;\nbit[1] c;\n"
_FILES: Final = "only|cannot find|unable to find|expected"

INCLUDES: Final = _cases(
    "files of the machine",
    *(
        (
            f"{name} in {head[9:10]}",
            f'OPENQASM {head[9:10]}.0;\ninclude "{path}";\n',
            INVALID,
            "line 2",
        )
        for head in (TWO, THREE)
        for name, path in (
            ("include of a file", "/etc/passwd"),
            ("include from above", "../../../../etc/passwd"),
            ("include of a link", "/proc/self/environ"),
            ("include of a device", "/dev/zero"),
            ("include by URL", "http://127.0.0.1/stdgates.inc"),
        )
    ),
    ("include below the library", 'OPENQASM 2.0;\ninclude "./qelib1.inc";\n', INVALID, "line 2"),
    ("include with a NUL", 'OPENQASM 3.0;\ninclude "stdgates.inc\x00/etc/passwd";\n', INVALID, ""),
    (
        "include of thousands",
        "OPENQASM 3.0;\n" + 'include "stdgates.inc";\n' * 5000 + "qubit q;bit c;c=measure q;",
        None,
        "",
    ),
    ("include in a comment", Q3 + '/* include "/etc/passwd"; */ c = measure q;', None, ""),
    ("include in a gate", Q3 + 'gate g a { include "/etc/passwd"; }', INVALID, "line 6"),
)

NESTING: Final = _cases(
    "the parser's stack",
    ("parentheses in 2", Q2 + "rx(" + "(" * 50_000 + "1" + ")" * 50_000 + ") q[0];", INVALID, "nested"),
    ("parentheses in 3", Q3 + "rx(" + "(" * 50_000 + "1" + ")" * 50_000 + ") q[0];", INVALID, "nested"),
    ("99 parentheses", Q3 + "rx(" + "(" * 95 + "1" + ")" * 95 + ") q[0];c = measure q;", None, ""),
    ("minus signs in 2", Q2 + "rx(" + "-" * 90_000 + "1) q[0];", INVALID, "operators"),
    ("minus signs in 3", Q3 + "rx(" + "- " * 90_000 + "1) q[0];", INVALID, "operators"),
    ("minus signs over lines", Q3 + "rx(" + "-\n" * 90_000 + "1) q[0];", INVALID, "operators"),
    ("powers in 2", Q2 + "rx(" + "1^" * 50_000 + "1) q[0];", INVALID, "operators"),
    ("sums in 3", Q3 + "rx(" + "1+" * 90_000 + "1) q[0];", INVALID, "operators"),
    ("comparisons", Q3 + "if (" + "c==" * 20_000 + "1) {x q[0];}", INVALID, "nested"),
    ("conjunctions", Q3 + "if (" + "c[0]&&" * 10_000 + "c[0]) {x q[0];}", INVALID, "nested"),
    ("shifts", Q3 + "rx(1" + "<<1" * 20_000 + ") q[0];", INVALID, "nested"),
    ("functions", Q3 + "rx(" + "sin(" * 30_000 + "1" + ")" * 30_000 + ") q[0];", INVALID, "nested"),
    ("functions in 2", Q2 + "rx(" + "sin(" * 30_000 + "1" + ")" * 30_000 + ") q[0];", INVALID, "nested"),
    ("blocks", Q3 + "if (true) {" * 10_000 + "}" * 10_000, INVALID, "nested"),
    ("ifs without braces", Q3 + "if (c[0]) " * 15_000 + "x q[0];", INVALID, "nested|deep"),
    ("else ifs", Q3 + "if (c[0]) {x q[0];} else " * 5_000 + "{x q[0];}", INVALID, "nested|deep"),
    ("loops without braces", Q3 + "for int i in [0:1] " * 5_000 + "x q[0];", INVALID, "nested|deep"),
    ("modifiers", Q3 + "inv @ " * 10_000 + "x q[0];c = measure q;", None, ""),
    ("indices", Q3 + "x q" + "[0]" * 10_000 + ";c = measure q;", None, ""),
    ("concatenations", Q3 + "let a = " + "q++" * 40_000 + "q;", INVALID, "operators"),
    ("array of arrays", Q3 + "array[int, " + "2," * 20_000 + "2] a;", UNSUPPORTED, "Array"),
    ("brackets of types", Q3 + "int[" * 30_000 + "1" + "]" * 30_000 + " a;", INVALID, "nested"),
    ("closing brackets", Q3 + ")" * 190_000, INVALID, ""),
    ("casts", Q3 + "rx(" + "float(" * 25_000 + "1" + ")" * 25_000 + ") q[0];", INVALID, "nested"),
)  # fmt: skip

REGISTERS: Final = _cases(
    "memory, by what is declared",
    ("qubits in 2", TWO + "qreg q[1000000000];", UNSUPPORTED, "at most"),
    ("qubits in 3", THREE + "qubit[1000000000] q;", UNSUPPORTED, "at most"),
    ("qubits of a constant", THREE + "const int n = 10**9;\nqubit[n] q;", UNSUPPORTED, "more than"),
    ("qubits without end", TWO + "qreg q[" + "9" * 190_000 + "];", UNSUPPORTED, "at most"),
    ("qubits without end in 3", THREE + "qubit[" + "9" * 190_000 + "] q;", UNSUPPORTED, "at most"),
    ("qubits of 2^64", TWO + "qreg q[18446744073709551617];", UNSUPPORTED, "at most"),
    ("no qubits at all", THREE + "qubit[0] q;", INVALID, "positive"),
    ("fewer than no qubits", THREE + "qubit[-1] q;", INVALID, "positive"),
    ("many small registers", TWO + "".join(f"qreg q{i}[1];" for i in range(10_000)), UNSUPPORTED, "at most"),
    ("bits in 2", TWO + "qreg q[1];creg c[2000000000];", UNSUPPORTED, "classical bits"),
    ("bits in 3", THREE + "qubit q;\nbit[2000000000] c;", UNSUPPORTED, "classical bits"),
    ("bits of many constants", THREE + "const int n = 65536;qubit q;" + "".join(f"bit[n] c{i};" for i in range(2000)), UNSUPPORTED, "classical bits"),
    ("bits of a constant", THREE + "const int n = 10**8;\nqubit q;bit[n] c;", INVALID, "65536"),
    ("many hidden registers", Q3 + "".join(f"int[60000] a{i};" for i in range(5000)), UNSUPPORTED, "65536 bits"),
    ("a physical qubit", THREE + "x $99999999999999;", UNSUPPORTED, "at most"),
    ("a wide integer", Q3 + "int[1000000000] a = 1;", INVALID, "65536"),
)  # fmt: skip

GROWTH: Final = _cases(
    "time and memory, by what a program expands to",
    ("doubling gates in 2", doubling(TWO), UNSUPPORTED, "1,099,511,627,776"),
    ("doubling gates in 3", doubling(THREE), UNSUPPORTED, "1,099,511,627,776"),
    ("doubling gates with an angle in 2", doubling(TWO, "(t)", "(t/3)", "(1)"), UNSUPPORTED, "1,099,511,627,776"),
    ("doubling gates with an angle in 3", doubling(THREE, "(t)", "(t/3)", "(1)"), UNSUPPORTED, "1,099,511,627,776"),
    ("resets", THREE + "qubit[30] q;bit[1] c;for int i in [0:99999] {reset q;}", UNSUPPORTED, "2,000,000 operations"),
    ("an alias of aliases", Q3 + "let a0 = q;" + "".join(f"let a{i} = a{i - 1} ++ a{i - 1};" for i in range(1, 40)), UNSUPPORTED, "slices and aliases"),
    ("aliases in a loop", THREE + "qubit[30] q;for int i in [0:999999] {let a = q ++ q[0:0];}", UNSUPPORTED, "slices and aliases"),
    ("definitions by the thousand", TWO + "".join(f"gate g{i} a {{}}" for i in range(100_001)), UNSUPPORTED, "100,000 gates"),
    ("a loop of 10^9", Q3 + "for int i in [0:1000000000] {x q[0];}", UNSUPPORTED, "2,000,000 operations"),
    ("a loop of nothing", Q3 + "for int i in [0:1000000000] {}", UNSUPPORTED, "2,000,000 operations"),
    ("a loop of 10^4000", Q3 + f"for int i in [0:{'9' * 4000}] {{}}", UNSUPPORTED, "2,000,000 operations"),
    ("a loop backwards", Q3 + "for int i in [10**18:-1:0] {x q[0];}", UNSUPPORTED, "2,000,000 operations"),
    ("a loop that stands still", Q3 + "for int i in [0:0:9] {x q[0];}", INVALID, "zero"),
    ("loops in loops", Q3 + "".join(f"for int i{d} in [0:99] {{" for d in range(20)) + "}" * 20, UNSUPPORTED, "2,000,000 operations"),
    ("while true", Q3 + "while (true) {x q[0];}\nc = measure q;", INVALID, "never ends"),
    ("while a bit that never changes", Q3 + "x q[0];c = measure q;\nwhile (c[0]) {h q[0];}", UNSUPPORTED, "10,000 iterations"),
    ("a gate of itself in 2", Q2 + "gate g a {g a;}g q[0];", INVALID, "g"),
    ("a gate of itself in 3", Q3 + "gate g a {g a;}g q[0];", INVALID, "g"),
    ("gates of each other", Q3 + "gate f a {g a;} gate g a {f a;} g q[0];", INVALID, "nested"),
    ("pow of 10^9", Q3 + "pow(1000000000) @ t q[0];", UNSUPPORTED, "too large"),
    ("pow of pow of pow", Q3 + "pow(1000) @ pow(1000) @ pow(1000) @ t q[0];", UNSUPPORTED, "too large"),
    ("pow of infinity", Q3 + "pow(1e308*10) @ t q[0];", INVALID, ""),
    ("half a gate of gates", Q3 + "pow(0.5) @ pow(0.3) @ pow(0.7) @ h q[0];c = measure q;", None, ""),
    ("1000 controls", Q3 + "ctrl(1000) @ x q[0];", UNSUPPORTED, "64 controls"),
    ("10^18 controls", Q3 + "negctrl(10**18) @ x q[0];", UNSUPPORTED, "64 controls"),
    ("controls of controls", Q3 + "ctrl(40) @ ctrl(40) @ ctrl(40) @ ry(0.1) q[0];", UNSUPPORTED, "controls"),
    ("controls of an angle", THREE + "qubit[26] q;bit[1] c;\nctrl(25) @ ry(0.1) " + ",".join(f"q[{i}]" for i in range(26)) + ";", INVALID, "n_qubits"),
    ("a switch of thousands", Q3 + "switch (c) {" + "".join(f"case {i} {{x q[0];}}" for i in range(2000)) + "}c = measure q;", INVALID, "nested"),
    ("a case of thousands", Q3 + "switch (c) { case " + ",".join(map(str, range(10_000))) + " {x q[0];} }c = measure q;", INVALID, "nested"),
    ("conditions in conditions", Q3 + "".join("if (c[0]) {" for _ in range(90)) + "x q[0];" + "}" * 90 + "c = measure q;", INVALID, "nested"),
)  # fmt: skip

NUMBERS: Final = _cases(
    "time, by arithmetic",
    ("a tower of powers in 2", Q2 + "rx(9^9^9^9^9) q[0];", INVALID, ""),
    ("a tower of powers in 3", Q3 + "rx(9**9**9**9**9) q[0];", INVALID, ""),
    ("a square of squares", Q3 + "const int a = 2**4000;\n" + "".join(f"const int {chr(98 + i)}1 = {('a' if not i else chr(97 + i) + '1')} * {('a' if not i else chr(97 + i) + '1')};\n" for i in range(24)), INVALID, "large"),
    ("a shift by 10^18", Q3 + "rx(1 << 10**18) q[0];", INVALID, "large"),
    ("an integer of many digits", Q3 + "rx(" + "7" * 190_000 + ") q[0];", INVALID, ""),
    ("an integer of many digits in 2", Q2 + "rx(" + "7" * 190_000 + ") q[0];", INVALID, ""),
    ("a constant of many digits", Q3 + "const int a = " + "7" * 190_000 + ";", INVALID, ""),
    ("a number in hexadecimal", Q3 + "const int a = 0x" + "f" * 190_000 + ";rx(a) q[0];", INVALID, ""),
    ("a bit string", Q3 + 'bit[190000] b = "' + "1" * 150_000 + '";', UNSUPPORTED, "classical bits"),
    ("a bit string in a sum", Q3 + 'const int a = "' + "1" * 150_000 + '";c = measure q;', None, ""),
    ("a number of many decimals", Q3 + "rx(0." + "3" * 190_000 + ") q[0];c = measure q;", None, ""),
    ("an exponent of many digits", Q3 + "rx(1e" + "9" * 100_000 + ") q[0];", INVALID, "finite"),
    ("infinity", Q3 + "rx(1e999) q[0];", INVALID, "finite"),
    ("infinity in 2", Q2 + "rx(1e999) q[0];", INVALID, ""),
    ("not a number", Q3 + "rx(1e999-1e999) q[0];", INVALID, "finite"),
    ("a division by zero", Q3 + "rx(1/0) q[0];", INVALID, "zero"),
    ("a remainder by zero", Q3 + "rx(1%0) q[0];", INVALID, "zero"),
    ("an imaginary root", Q3 + "rx(sqrt(-1)) q[0];", INVALID, ""),
    ("a root of a power", Q3 + "rx((-8)**0.5) q[0];", INVALID, ""),
    ("an index beyond all", Q3 + "x q[99999999999999999999];", INVALID, "out of range"),
    ("a slice without end", Q3 + "let a = q[0:10**12];", INVALID, "out of range"),
    ("a set without end", Q3 + "let a = q[{" + "0," * 20_000 + "0}];x a;c = measure q;", None, ""),
)  # fmt: skip

TEXTS: Final = _cases(
    "the lexer",
    ("a NUL in 2", Q2 + "\x00x q[0];", INVALID, ""),
    ("a NUL in 3", Q3 + "\x00x q[0];", INVALID, ""),
    ("an open comment", Q2 + "x" + "/*" * 90_000, INVALID, ""),
    ("an open comment in 3", Q3 + "x q[0];/*" + "*" * 150_000, INVALID, "measures nothing"),
    ("an open string", Q3 + 'include "' + "a" * 150_000, INVALID, ""),
    ("an open string in 2", 'OPENQASM 2.0;\ninclude "' + "a" * 150_000, INVALID, ""),
    ("white space", Q3 + "h" + " " * 190_000 + "@;", INVALID, ""),
    ("empty lines", Q3 + "\n" * 190_000 + "x;", UNSUPPORTED, "line 19"),
    ("semicolons", Q3 + ";" * 190_000, INVALID, ""),
    ("semicolons in 2", Q2 + ";" * 190_000 + "measure q->c;", None, ""),
    ("a long name", THREE + "bit[1] c;qubit " + "a" * 90_000 + ";c = measure " + "a" * 90_000 + ";", None, ""),
    ("a long name in 2", TWO + "creg c[1];qreg " + "a" * 90_000 + "[1];measure " + "a" * 90_000 + "->c;", None, ""),
    ("a long unknown gate", Q3 + "a" * 190_000 + " q;", INVALID, "line 6: gate"),
    ("a long unknown gate in 2", Q2 + "a" * 190_000 + " q[0];", INVALID, ""),
    ("names that look alike", Q3 + "qubit q\u200b;", INVALID, ""),
    ("a name from right to left", Q3 + "qubit \u202eq2;", INVALID, ""),
    ("surrogates", Q3 + "qubit \U0001f600;", INVALID, ""),
    ("a mark of the byte order", "\ufeff" + Q3, INVALID, ""),
    ("a mark of the byte order in 2", "\ufeff" + Q2, INVALID, ""),
    ("carriage returns", Q3.replace("\n", "\r\n") + "c = measure q;\r\n", None, ""),
    ("carriage returns in 2", Q2.replace("\n", "\r\n") + "measure q->c;\r\n", None, ""),
    ("control characters", Q3 + "\x1b[2J\x07x q[0];", INVALID, ""),
    ("no statement", "OPENQASM 3.0;", INVALID, "no qubits"),
    ("no version", "qubit q;", INVALID, ""),
    ("a version of many digits", "OPENQASM " + "3" * 190_000 + ";", INVALID, ""),
    ("version 4", "OPENQASM 2.0;OPENQASM 4.0;", INVALID, ""),
    ("the wrong language", "OPENQASM 3.0;\nqreg q[1];creg c[1];measure q -> c;if(c==1) x q[0]; opaque g a;", INVALID, ""),
    ("not a program", "#!/bin/sh\nrm -rf /\n", INVALID, ""),
    ("python", "__import__('os').system('id')", INVALID, ""),
    ("a keyword as a name", Q3 + "qubit for;", INVALID, ""),
    ("a constant as a name", THREE + "bit[1] c;qubit pi;x pi;c = measure pi;", None, ""),
    ("a gate as a qubit", THREE + "bit[1] c;qubit x;x x;c = measure x;", None, ""),
    ("an input of itself", Q3 + "const float a = a;", INVALID, "not defined"),
    ("an input of many", Q3 + "".join(f"input float a{i};" for i in range(5000)) + "c=measure q;", INVALID, "input"),
)  # fmt: skip

CONSTRUCTS: Final = _cases(
    "what is not run",
    ("extern", Q3 + "extern f(int) -> int;", UNSUPPORTED, "extern"),
    ("defcal", Q3 + 'defcalgrammar "openpulse";\ndefcal x $0 { play(d0, drag()); }', UNSUPPORTED, "defcal"),
    ("cal", Q3 + "cal { " + "{" * 50 + "}" * 50 + " }", UNSUPPORTED, "cal"),
    ("a pragma", Q3 + "pragma " + "x" * 100_000 + "\nc = measure q;", None, ""),
    ("an annotation", Q3 + "@" + "x" * 100_000 + "\nc = measure q;", None, ""),
    ("a subroutine of itself", Q3 + "def f(int n) -> int { return f(n); }", UNSUPPORTED, "subroutine"),
    ("a delay of years", Q3 + "delay[1e300s] q[0];c = measure q;", None, ""),
    ("a duration", Q3 + "duration d = durationof({x q[0];});", UNSUPPORTED, "Duration"),
    ("a box without end", Q3 + "box[1e300s] {" * 90 + "}" * 90 + "c = measure q;", INVALID, "nested"),
    ("end in a block", Q3 + "if (c[0]) {end;}", UNSUPPORTED, "end inside"),
    ("an opaque gate", Q2 + "opaque g a;g q[0];", UNSUPPORTED, "opaque"),
    ("complex numbers", Q3 + "complex[float] z = 1im;", UNSUPPORTED, ""),
    ("many parameters", Q3 + "rx(" + ",".join("1" for _ in range(20_000)) + ") q[0];", INVALID, "parameters"),
    ("many parameters in 2", Q2 + "rx(" + ",".join("1" for _ in range(60_000)) + ") q[0];", INVALID, ""),
    ("many operands", Q3 + "x " + ",".join("q[0]" for _ in range(10_000)) + ";", INVALID, "qubits|twice"),
    ("a gate with many qubits", Q3 + "gate g " + ",".join(f"a{i}" for i in range(10_000)) + " {} g q;", INVALID, "acts on|qubits"),
)  # fmt: skip

#: Made when they are needed, and run: a million is no reason to refuse a program.
LARGE: Final = tuple(
    HostileProgram(name=name, attacks="time, by length", program=make, kind=None)
    for name, make in (
        ("a million gates", lambda: Q2 + "x q[0];" * 10**6 + "measure q->c;"),
        (
            "a million gates of two definitions",
            lambda: million_gates() + "c = measure q;",
        ),
    )
)

PROGRAMS: Final = (
    *INCLUDES, *NESTING, *REGISTERS, *GROWTH, *LARGE, *NUMBERS, *TEXTS, *CONSTRUCTS,
)  # fmt: skip
