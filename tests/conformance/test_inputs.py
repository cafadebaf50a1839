"""Inputs of OpenQASM 3: symbolic while a program is parsed, numbers once it is bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from conformance_cases import QASM3
from conformance_runs import read

from tasks.binding import Sweep
from tasks.circuit import Circuit, Gate
from tasks.formula import Formula
from tasks.simulators import SimulationError
from tasks.simulators.matrices import matrix

HEAD = QASM3 + "input float[64] a;input angle b;qubit[3] q;"
VALUES = {"a": 0.83, "b": -1.47}


def unitary(circuit: Circuit) -> npt.NDArray[np.complex128]:
    """The whole matrix, global phase included; qubit 0 is the most significant bit."""
    n = circuit.n_qubits
    found = np.eye(2**n, dtype=np.complex128).reshape((2,) * n + (2**n,))
    for gate in circuit.gates():
        width = len(gate.qubits)
        tensor = matrix(gate).reshape((2,) * (2 * width))
        found = np.tensordot(tensor, found, axes=(range(width, 2 * width), gate.qubits))
        found = np.moveaxis(found, range(width), gate.qubits)
    assert isinstance(circuit.global_phase, float)
    whole: npt.NDArray[np.complex128] = found.reshape(2**n, 2**n)
    return whole * np.exp(1j * circuit.global_phase)


def bound(circuit: Circuit, values: Mapping[str, float] = VALUES) -> Circuit:
    (found,) = Sweep(circuit, circuit.parameters, [[values[name] for name in circuit.parameters]])
    return found


@pytest.mark.parametrize(
    "body",
    [
        "rx(a) q[0];",
        "rx(-2*a/3 + pi) q[0];",
        "u(a, b, sqrt(a)*exp(b)) q[1];",
        "u2(a,b) q[0];cu3(a,b,1) q[0],q[1];cu1(b) q[1],q[2];",
        "rzx(a) q[0],q[1];r(a,b) q[2];xx_plus_yy(a,b) q[1],q[2];",
        "gate g(t,s) x,y {rx(t/2) x;crz(-s) x,y;gphase(t*s);} g(a,b) q[0],q[1];g(b,2*a) q[1],q[2];",
        "gate f(t) x {p(t) x;} gate g(t) x {f(t+t) x;gphase(t);f(t+t) x;} inv @ g(a) q[0];",
        "gate g(t) x {rx(t) x;gphase(t);} ctrl @ g(a*b) q[0],q[1];",
        "gate g x {rx(a) x;} g q;pow(2) @ g q[1];",
        "ctrl @ rx(a) q[0],q[1];negctrl @ inv @ u(a,b,0.3) q[2],q[0];",
        "ctrl(2) @ p(a) q[0],q[1],q[2];pow(3) @ ry(b) q[1];pow(0.5) @ rz(a) q[0];",
        "gphase(a);ctrl @ gphase(b) q[0];inv @ gphase(2*b);ctrl(2) @ pow(2) @ gphase(a) q[0],q[2];",
        "rx(arcsin(mod(a,0.5))) q[0];ry(a**2-b%2) q[1];rz(floor(b)+ceiling(a)) q[2];",
        "rx(float[64](a)*angle(b)) q[0];rx(tan(cos(sin(a)))+log(a)+arccos(a)+arctan(b)) q[1];",
        "for int k in [1:3] {rx(k*a) q[k-1];}",
    ],
)
def test_binding_and_parsing_commute(body: str) -> None:
    circuit = read(HEAD + body)
    assert circuit.parameters == ("a", "b")
    constants = "".join(f"const float {name} = {value};" for name, value in VALUES.items())
    expected = read(QASM3 + constants + "qubit[3] q;" + body)
    np.testing.assert_allclose(unitary(bound(circuit)), unitary(expected), atol=1e-12)
    # Only what depends on the inputs is open.
    formulas = [each for gate in circuit.gates() for each in gate.params] + [circuit.global_phase]
    assert any(isinstance(each, Formula) for each in formulas)


def test_a_variable_may_have_the_name_of_a_gate() -> None:
    text = "input float t;input float x;qubit q;\nt q;\nx q;\nrx(t) q;rx(x) q;"
    circuit = bound(read(QASM3 + text), {"t": 1, "x": 2})
    assert circuit.ops == (
        Gate("t", (0,)),
        Gate("x", (0,)),
        Gate("rx", (0,), (1.0,)),
        Gate("rx", (0,), (2.0,)),
    )


def test_inputs_that_are_not_used_are_declared_all_the_same() -> None:
    circuit = read(QASM3 + "input float b;input float[32] a;qubit q;x q;")
    assert circuit.parameters == ("b", "a")
    assert circuit.ops == (Gate("x", (0,)),)


@pytest.mark.parametrize(
    "angle",
    ["a", "-a", "2*a", "-a/3", "pi*a-1", "0.5*a + 1.0", "-1.5 * a / 2 - pi", "a*pi", "a/2+1e-3"],
)
def test_simple_lines_are_read_as_the_reference_parser_reads_them(angle: str) -> None:
    fast = read(HEAD + f"\nrx({angle}) q[0];\n")
    # What is in parentheses is left to the reference parser.
    slow = read(HEAD + f"\nrx(({angle})) q[0];\n")
    (one,), (other,) = bound(fast).ops, bound(slow).ops
    assert one == other


def test_whole_numbers_of_simple_lines_stay_whole() -> None:
    circuit = read(QASM3 + "const int n = 7;qubit q;\nrx(n/2) q;\nrx(-3*n/2+1) q;\nrx(n/2.0) q;\n")
    assert [gate.params for gate in circuit.gates()] == [(3.0,), (-9.0,), (3.5,)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("pow(a) @ x q[0];", "pow needs a number, and a is an input"),
        ("ctrl(a) @ x q[0],q[1];", "ctrl needs a number, and a is an input"),
        ("pow(0.5) @ u(1,b,0) q[0];", "pow @ u needs a number, and b is an input"),
        ("for int i in [0:a] {x q[0];}", "a range needs a number, and a is an input"),
        ("if (a > 1) {x q[0];}", "operator > needs a number, and a is an input"),
        ("while (a) {x q[0];}", "a condition or a variable needs a number, and a is an input"),
        ("qubit[b] r;", "a size, an index or a range needs a number, and b is an input"),
        ("x q[a];", "an index needs a number, and a is an input"),
        ("int k = a;", "a condition or a variable needs a number, and a is an input"),
        ("const float k = 2*a;", "constant 'k' needs a number, and a is an input"),
        ("rx(int(a)) q[0];", "int() needs a number, and a is an input"),
        ("rx(popcount(a)) q[0];", "function popcount needs a number, and a is an input"),
        ("rx(sum(a)) q[0];", "function sum is not supported"),
        ("bit c;rx(a+c) q[0];", "operator + of an input and classical bits is not supported"),
        ("input int n;", "an input of type int is not supported"),
        ("input array[float[64], 3] n;", "an input of type array is not supported"),
        ("input bool n;", "an input of type bool is not supported"),
        ("input complex[float[64]] n;", "an input of type complex is not supported"),
    ],
)
def test_where_a_number_is_needed_an_input_is_refused(body: str, says: str) -> None:
    with pytest.raises(SimulationError) as caught:
        read(HEAD + "\n" + body)
    assert caught.value.kind == "unsupported"
    assert str(caught.value).startswith("line 4: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("input float a;", "'a' is already defined"),
        ("input float pi;", "the name of a constant"),
        ("rx(sin(a,b)) q[0];", "does not take 2 arguments"),
        ("a = 3;", "only variables can be assigned to"),
    ],
)
def test_wrong_uses_of_inputs(body: str, says: str) -> None:
    with pytest.raises(SimulationError) as caught:
        read(HEAD + "\n" + body)
    assert caught.value.kind == "program_invalid"
    assert says in str(caught.value)


def test_plain_declarations_are_read_as_the_reference_parser_reads_them() -> None:
    lines = [
        "",
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        "qubit[2] q;",
        "qubit r;",
        "bit[3] c;",
        "bit d;",
        "h q;",
        "barrier q[0], r;",
        "barrier;",
        "d = measure r;",
    ]
    fast, slow = read("\n".join(lines)), read(" ".join(lines[1:]))
    assert (fast.n_qubits, fast.n_clbits, fast.ops) == (slow.n_qubits, slow.n_clbits, slow.ops)
    assert (fast.n_qubits, fast.n_clbits, len(fast.ops)) == (3, 4, 3)
    for wrong in ("qubit[2] q;", "nonsense nonsense nonsense;"):
        with pytest.raises(SimulationError, match=f"line {len(lines) + 1}: "):
            read("\n".join([*lines, wrong]))
    with pytest.raises(SimulationError, match=r"line 3: only stdgates\.inc can be included"):
        read('\nOPENQASM 3.0;\ninclude "other.inc";\nqubit q;')
