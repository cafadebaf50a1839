"""The parser: what it keeps, what it refuses, and how fast it refuses it."""

from __future__ import annotations

import os
import sys
import time
from math import pi
from pathlib import Path

import pytest
from conformance_cases import QASM2, QASM3
from conformance_runs import read
from qiskit import qasm2

from qdispatch.model import ErrorKind, ProgramFormat
from tasks import budget, lowering, openqasm2
from tasks.circuit import Branch, Gate, Measure
from tasks.parse import parse
from tasks.simulators import SimulationError


def refused(program: str, max_qubits: int = 30) -> SimulationError:
    """The refusal of a program, which must come at once."""
    kind = ProgramFormat.OPENQASM3 if "OPENQASM 3" in program else ProgramFormat.OPENQASM2
    began = time.process_time()
    with pytest.raises(SimulationError) as caught:
        parse(program, kind, max_qubits=max_qubits)
    assert time.process_time() - began < 5
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 600
    return caught.value


def test_gates_and_measurements() -> None:
    circuit = read(QASM2 + "qreg q[2];creg c[2];h q[0];cx q[0],q[1];measure q->c;")
    assert circuit.ops == (Gate("h", (0,)), Gate("cx", (0, 1)), Measure(0, 0), Measure(1, 1))
    assert (circuit.n_qubits, circuit.n_clbits) == (2, 2)
    assert circuit.terminal == {0: 0, 1: 1}


def test_statements_are_what_a_loaded_circuit_has(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "qreg q[3];creg c[2];qreg r[2];creg d[3];barrier q;reset q[0];U(1,2,3) q;CX q[0],r[1];"
    ]
    # A delay would have to be defined in the program.
    for gate in (each for each in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if each.name != "delay"):
        angles = ",".join(str(place + 1) for place in range(gate.num_params))
        qubits = ",".join(["r[1]", "q[2]", "q[0]", "r[0]", "q[1]"][: gate.num_qubits])
        lines.append(f"{gate.name}({angles}) {qubits};" if angles else f"{gate.name} {qubits};")
    lines += [
        "gphase(0.5);measure q[1]->d[2];measure r->c;reset r;h r;u2(pi/3,-0.1) q;",
        "opaque none(t) a;gate twice(t) a,b {rx(t/2) a;barrier a;cx a,b;rx(t/2) a;}",
        "gate often(t,u) a,b,c {twice(t) a,b;twice(t+u) c,b;} often(0.5,pi) q[0],r[0],q[1];",
        "gate nothing a {} nothing q;twice(0.25) r,q[2];creg e[1];",
        "if(d==5) x q[0];if(c==2) measure q[0]->d[1];if(e==1) reset q;if(e==0) twice(0.5) q[0],r;",
        "if(d==7) u2(0.5,1) q;if(c==3) gphase(0.25);if(d==0) nothing q[0];",
    ]
    program = QASM2 + "\n".join(lines)
    with monkeypatch.context() as patch:
        patch.setattr(qasm2, "loads", None)
        plain = read(program)
    with monkeypatch.context() as patch:
        # As a version of Qiskit that has its parser elsewhere.
        patch.setitem(sys.modules, "qiskit._accelerate.qasm2", None)
        loaded = read(program)
    assert plain == loaded
    assert len(plain.ops) > len(lines)


@pytest.mark.parametrize("head", [QASM2 + "qreg q[1];", QASM3 + "qubit[1] q;"], ids=["2", "3"])
def test_angles_keep_full_precision(head: str) -> None:
    (gate,) = read(head + "rx(0.12345678901234567) q[0];").ops
    assert gate == Gate("rx", (0,), (0.12345678901234567,))
    (gate,) = read(head + "rz(pi/7) q[0];").ops
    assert gate == Gate("rz", (0,), (pi / 7,))


def test_global_phase_is_collected() -> None:
    circuit = read(QASM3 + "gate g x {gphase(0.25);} qubit q;gphase(0.5);g q;")
    assert circuit.global_phase == pytest.approx(0.75)
    assert circuit.ops == ()


def test_global_phase_of_openqasm2_is_collected() -> None:
    circuit = read(QASM2 + "gate g(a) x {gphase(a/2);} qreg q[1];gphase(pi/4) q[0];g(0.5) q[0];")
    assert circuit.global_phase == pytest.approx(pi / 4 + 0.25)
    assert circuit.ops == ()
    own = read(QASM2 + "gate gphase(a) x {rx(a) x;} qreg q[1];gphase(0.5) q[0];")
    assert own.global_phase == 0
    assert own.ops == (Gate("rx", (0,), (0.5,)),)
    refused(QASM2 + "qreg q[1];gphase(__import__) q[0];")


def test_conditions_keep_the_whole_register() -> None:
    circuit = read(QASM2 + "qreg q[1];creg a[1];creg c[2];if(c==2) x q[0];")
    (branch,) = circuit.ops
    assert isinstance(branch, Branch)
    assert branch.condition.value({2: 1}) == 1
    assert branch.condition.value({0: 1, 1: 1, 2: 1}) == 0


def test_barriers_delays_and_comments_vanish() -> None:
    text = "qreg q[2]; // qreg q[999999999];\n/* qreg r[99999999]; */ barrier q; x q[0];"
    assert read(QASM2 + text).ops == (Gate("x", (0,)),)
    assert read(QASM3 + "qubit q;delay[100ns] q;barrier q;x q;").ops == (Gate("x", (0,)),)


@pytest.mark.parametrize(
    "program",
    [
        'OPENQASM 2.0;\ninclude "/etc/passwd";\nqreg q[1];',
        'OPENQASM 3.0;\ninclude "/etc/passwd";\nqubit q;',
        'OPENQASM 2.0;\ninclude "../../../etc/passwd";\nqreg q[1];',
    ],
)
def test_no_file_is_read(program: str) -> None:
    error = refused(program)
    assert error.kind is ErrorKind.PROGRAM_INVALID
    assert "root" not in str(error)
    assert "line 2" in str(error)


@pytest.mark.parametrize(
    "program",
    [
        "OPENQASM 2.0;\nqreg q[1000000000];",
        "OPENQASM 2.0;\nqreg q[20];qreg r[20];",
        "OPENQASM 2.0;\nqreg q[" + "9" * 5000 + "];",
        "OPENQASM 2.0;\nqreg\n q\n[ 1000000000 ];",
        "OPENQASM 3.0;\nqubit[1000000000] q;",
        "OPENQASM 3.0;\nqreg q[1000000000];",
        "OPENQASM 3.0;\nconst int n = 1000000000;qubit[n] q;",
        'OPENQASM 3.0;\ninclude "stdgates.inc";\nx $1000000;',
    ],
)
def test_wide_registers(program: str) -> None:
    error = refused(program)
    assert error.kind is ErrorKind.UNSUPPORTED
    assert "30" in str(error)


def test_wide_classical_registers() -> None:
    assert "classical bits" in str(refused("OPENQASM 2.0;\nqreg q[1];creg c[1000000000];"))


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_nothing_is_opened_for_an_include(version: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Who opens a pipe to read it waits for somebody who writes: this would never end.
    link = tmp_path / "stdgates.inc"
    link.symlink_to(pipe)
    for path in (pipe, link, f"{tmp_path}/../{tmp_path.name}/pipe"):
        error = refused(f'OPENQASM {version};\ninclude "{path}";\n')
        assert error.kind is ErrorKind.PROGRAM_INVALID
        assert "line 2" in str(error)


def doubling(parameter: str, call: str) -> str:
    gates = [f"gate g0{parameter} a {{x a;}}"]
    gates += [
        f"gate g{i}{parameter} a {{g{i - 1}{call} a;g{i - 1}{call} a;}}" for i in range(1, 41)
    ]
    return "".join(gates)


@pytest.mark.parametrize(("parameter", "call", "use"), [("", "", ""), ("(t)", "(t/3)", "(1)")])
def test_nested_gate_definitions(parameter: str, call: str, use: str) -> None:
    define = doubling(parameter, call)
    for program in (
        QASM2 + define + f"qreg q[1];g40{use} q[0];",
        QASM3 + define + f"qubit q;g40{use} q;",
    ):
        error = refused(program)
        assert error.kind is ErrorKind.UNSUPPORTED
        assert "g40" in str(error)
        assert "1,099,511,627,776" in str(error)


@pytest.mark.parametrize(
    "program",
    [
        QASM3 + "qubit q;rx(" + "(" * 2000 + "1" + ")" * 2000 + ") q;",
        QASM2 + "qreg q[1];rx(" + "(" * 100000 + "1" + ")" * 100000 + ") q[0];",
        QASM2 + "qreg q[1];rx(" + "-" * 100000 + "1) q[0];",
        QASM3 + "qubit q;rx(" + "-" * 100000 + "1) q;",
        QASM2 + "qreg q[1];rx(" + "1^" * 100000 + "1) q[0];",
        QASM3 + "qubit q;" + "if (true) {" * 1000 + "}" * 1000,
        QASM2 + "qreg q[1];rx(9^9^9^9^9) q[0];",
        QASM3 + "qubit q;rx(9**9**9**9**9) q;",
        QASM3 + "qubit q;rx(1 << 10000000000) q;",
        QASM3 + "qubit q;rx(1/0) q;",
        QASM2 + "qreg q[1];rx(1/0) q[0];",
        QASM3 + "qubit q;rx(sqrt(-1)) q;",
        QASM3 + "qubit q;rx(1e999) q;",
        "",
        "OPENQASM 2.0;\n\x00\x01",
        "OPENQASM 3.0;\nqubit q;\x00",
        QASM2 + "qreg q[1];h q[1];",
        QASM3 + "qubit[2] q;x q[2];",
        QASM3 + "qubit[2] q;cx q[0],q[0];",
        QASM3 + "qubit[2] q;qubit[3] r;cx q,r;",
        QASM3 + "qubit q;qubit q;",
        QASM3 + "qubit q;rx(1 " + "+  1 " * 60 + "@) q;",
        QASM2 + "qreg q[1];x" + "/*" * 200_000,
        QASM3 + "qubit q;\nh" + " " * 200_000 + "@;",
        QASM3 + "qubit q;const int a = 2**4000 * 2**4000;",
        QASM3 + "qubit q;let a = q[0:10**12];",
        QASM3 + "qubit q;while (true) {x q;}",
        # The parser, which is native, gives up on it without an error of its own.
        QASM2 + f"qreg q[{'6' * 60}q];",
    ],
    ids=range(28),
)
def test_hostile_and_wrong_programs(program: str) -> None:
    assert refused(program).kind is ErrorKind.PROGRAM_INVALID


@pytest.mark.parametrize(
    ("program", "line"),
    [
        (QASM2 + "qreg q[1];\nx q[0]\ny q[0];", 5),
        (QASM2 + "qreg q[1];\n\nnope q[0];", 5),
        (QASM3 + "qubit q;\nx q;\ny q z;", 5),
        (QASM3 + "qubit q;\n\nnope q;", 5),
        (QASM3 + "/* two\nlines */ qubit q;\nx r;", 5),
    ],
)
def test_errors_name_their_line(program: str, line: int) -> None:
    error = refused(program)
    assert error.kind is ErrorKind.PROGRAM_INVALID
    assert str(error).startswith(f"line {line}: ")


def test_nothing_of_a_program_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("qubit q;\nsecret secret secret;", "qubit q;\nbox { secret( }", "qubit § secret;"):
        refused(QASM3 + text)
    assert capfd.readouterr() == ("", "")


def test_shifts_by_more_than_any_number_has() -> None:
    (branch,) = read(QASM3 + "qubit q;bit[2] c;if ((c << 3000000000) == 0) {x q;}").ops
    assert isinstance(branch, Branch)
    assert branch.condition.value({0: 1, 1: 1}) == 1


@pytest.mark.parametrize(
    ("program", "construct"),
    [
        (QASM2 + "opaque mystery a;qreg q[1];mystery q[0];", "gate mystery is opaque"),
        (QASM3 + "input int n;qubit q;rx(n) q;", "an input of type int"),
        (QASM3 + "def f(qubit a) {x a;}", "subroutine"),
        (QASM3 + "extern f(int) -> int;", "extern"),
        (QASM3 + "qubit q;bit c;while(c) {break;}", "break"),
        (QASM3 + "qubit q;bit c;while(c) {continue;}", "continue"),
        (QASM3 + "float[64] f;", "FloatType"),
        (QASM3 + "qubit q;for int i in [0:1000000000] {x q;}", "2,000,000 operations"),
        (QASM3 + "qubit q;for int i in [0:2**2000] {}", "2,000,000 operations"),
        (QASM3 + "qubit q;for int i in [2**2000:-2**1000:0] {}", "2,000,000 operations"),
        (QASM3 + "".join(f"int[60000] a{i};" for i in range(5000)), "65536 bits"),
        (QASM3 + "qubit q;" + "ctrl @ " * 65 + "x q;", "64 controls"),
        (
            QASM3 + "gate g a {" + "h a;" * 3000 + "} qubit[29] q;ctrl(28) @ g q;",
            "28 controls of gate",
        ),
        (QASM3 + "qubit q;bit[2] c;c = measure q;", "1 qubits do not fit into 2 bits"),
        (QASM3 + "qubit q;bit[2] c;uint[4] i = c;rx(i) q;", "known before the run"),
    ],
)
def test_refusals_name_the_construct(program: str, construct: str) -> None:
    assert construct in str(refused(program))


WIDE = "qreg q[20000];creg c[20000];"
BODY = f"gate g0 a {{{'x a;' * 1200}}}" + "".join(
    f"gate g{i} a {{g{i - 1} a;}}" for i in range(1, 5)
)
DOUBLES = "".join(f"let a{i} = a{i - 1} ++ a{i - 1};" for i in range(1, 30))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (QASM2 + WIDE + "reset q;" * 6, "100,000 operations"),
        (QASM2 + WIDE + "measure q->c;" * 6, "100,000 operations"),
        (QASM2 + WIDE + "gate g a {x a;x a;}" + "g q;" * 3, "100,000 operations"),
        (QASM2 + WIDE + "if(c==1) x q;" * 3, "100,000 operations"),
        (QASM2 + WIDE + "if(c==1) measure q->c;" * 3, "100,000 operations"),
        (QASM2 + "".join(f"gate g{i} a {{}}" for i in range(101)), "more than 100 gates"),
        (QASM2 + "".join(f"opaque g{i} a;" for i in range(101)), "more than 100 gates"),
        (QASM2 + BODY + "qreg q[1];g4 q[0];", "come to more than 5,000 operations"),
        (QASM3 + BODY.replace(";", ";\n") + "qubit[1] q;g4 q[0];", "come to more than 5,000"),
        (QASM3 + "qubit[20000] q;" + "reset q;" * 6, "100,000 operations"),
        (QASM3 + "qubit[20000] q;for int i in [0:5] {reset q;}", "100,000 operations"),
        (QASM3 + "qubit[20000] q;bit[20000] c;" + "c = measure q;" * 6, "100,000 operations"),
        (QASM3 + "qubit[20000] q;" + "x q;" * 6, "100,000 operations"),
        (QASM3 + "qubit[20000] q;gate g a {}" + "g q;" * 6, "100,000 operations"),
        (QASM3 + "qubit[20000] q;input float t;" + "ctrl @ gphase(t) q;" * 6, "100,000 operations"),
        (QASM3 + "qubit[20000] q;for int i in [0:9] {let a = q ++ q[0:0];}", "slices and aliases"),
        (QASM3 + "qubit[20000] q;for int i in [0:9] {x q[0:19999][0];}", "slices and aliases"),
        (QASM3 + "qubit[9] q;let a0 = q;" + DOUBLES, "slices and aliases"),
        (QASM3 + "qubit q;const int n = 65536;bit[n] a;bit[n] b;", "131072 classical bits"),
    ],
    ids=range(19),
)  # fmt: skip
def test_everything_counts(program: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever grows is refused, here at smaller limits than in earnest."""
    for module in (lowering, openqasm2, budget):
        monkeypatch.setattr(module, "MAX_OPERATIONS", 100_000)
    for module in (lowering, budget):
        monkeypatch.setattr(module, "MAX_EXPANDED", 5_000)
    monkeypatch.setattr(openqasm2, "MAX_DEFINITIONS", 100)
    monkeypatch.setattr(budget, "MAX_SELECTED", 150_000)
    error = refused(program, max_qubits=20_000)
    assert error.kind is ErrorKind.UNSUPPORTED
    assert said in str(error)


def test_what_a_program_may_have_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lowering, openqasm2, budget):
        monkeypatch.setattr(module, "MAX_OPERATIONS", 1000)
    for head in (QASM2 + "qreg q[1];", QASM3 + "qubit[1] q;\n"):
        assert len(read(head + "x q[0];\n" * 900).ops) == 900
        assert len(read(head + "gate g a {" + "x a;\n" * 900 + "} g q[0];").ops) == 900


def test_long_programs_are_read_quickly() -> None:
    lines = [
        f"h q[{i % 20}];rx({i}*0.1) q[{i % 19}];cx q[{i % 20}],q[{(i + 1) % 20}];\n"
        for i in range(10_000)
    ]
    began = time.process_time()
    circuit = read(QASM2 + "qreg q[20];" + "".join(lines))
    assert len(circuit.ops) == 30_000
    assert time.process_time() - began < 5


def test_loops_are_unrolled() -> None:
    circuit = read(QASM3 + "qubit[3] q;for int i in [2:-1:0] {for int j in {1,2} {rx(i*j) q[i];}}")
    assert circuit.ops == tuple(
        Gate("rx", (i,), (float(i * j),)) for i in (2, 1, 0) for j in (1, 2)
    )


def test_simple_lines_mean_the_same_as_the_reference_parser_says() -> None:
    lines = [
        "rx(pi/2) q[0];", "rx(-pi/7) q[1];", "rx(pi*0.25) q[0];", "rx(3*pi) q[0];", "rx(1/2) q[0];",
        "rx(0.5e-3) q[1];", "rx(2) q[0];", "u3(0.1,-pi/3, 4.0/3) q[1];", "cx q[0], q[1];", "h q;",
        "c[1] = measure q[0];", "c = measure q;",
    ]  # fmt: skip
    head = QASM3 + "qubit[2] q;bit[2] c;\n"
    quick = read(head + "\n".join(lines))
    slow = read(head + "\n".join(f"box {{ {line} }}" for line in lines if "=" not in line)
                + "".join(lines[-2:]))  # fmt: skip
    assert quick.ops == slow.ops
    assert quick.ops[4] == Gate("rx", (0,), (0.0,))


def test_long_openqasm3_programs_are_read_quickly() -> None:
    lines = [f"rx({i}*0.1) q[{i % 20}];\ncx q[{i % 20}], q[{(i + 1) % 20}];" for i in range(10_000)]
    began = time.process_time()
    circuit = read(QASM3 + "qubit[20] q;\n" + "\n".join(lines))
    assert len(circuit.ops) == 20_000
    assert time.process_time() - began < 5


def test_plain_statements_of_one_line_need_no_reference_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("openqasm3.parse", None)
    head = QASM3.replace("\n", " ")
    assert len(read(head + "qubit q;" + "x q;" * 2000 + "\n" + "y q;" * 2000).ops) == 4000


def test_statements_of_one_line_mean_the_same() -> None:
    head = QASM3.replace("\n", " ")
    statements = ["qubit[2] q;", "bit[2] c;", "const int n = 1;", "h q;", "x q[n];"]
    statements += ["rx(pi/2) q[0];", "c[0] = measure q[0];", "if (c[0]) x q[1];", "else y q[1];"]
    statements += ["cx q[0], q[1];", "for int i in [0:1] h q[i];", "let a = q[0:0];", "z a;"]
    one = read(head + " ".join(statements))
    assert one == read(head + "\n".join(statements))
    assert one == read(head + " ".join(statements[:8]) + "\n" + "  ".join(statements[8:]) + " ")
    assert len(one.ops) == 10
    assert str(refused(QASM3 + "qubit q; x q;\nqubit[2] r; y\nq; x r[2]; x q;")).startswith(
        "line 5"
    )


def test_lines_are_counted_across_simple_ones() -> None:
    error = refused(QASM3 + "qubit[2] q;\nx q[0];\ny q[1];\nif (true) {\n x q[0] }\n")
    assert str(error).startswith("line 7: ")
    error = refused(QASM3 + "qubit[2] q;\nx q[0];\nif (true)\n x q[0];\nlet a = r;\n")
    assert str(error).startswith("line 7: ")
