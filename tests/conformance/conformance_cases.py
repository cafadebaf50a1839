"""Programs with the distribution of their outcomes, worked out by hand.

Outcomes read the highest classical bit on the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

QASM2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
QASM3 = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


@dataclass(frozen=True)
class Case:
    name: str
    program: str
    expected: dict[str, float]


def _biased(angle: float) -> tuple[float, float]:
    """Probabilities of 0 and 1 after ry(angle)."""
    return cos(angle / 2) ** 2, sin(angle / 2) ** 2


def _product(*ones: float) -> dict[str, float]:
    """Independent bits; the first is the lowest."""
    result = {"": 1.0}
    for one in ones:
        result = {
            bit + key: value * weight
            for key, value in result.items()
            for bit, weight in (("0", 1 - one), ("1", one))
        }
    return result


A0, A1 = _biased(0.7)
B0, B1 = _biased(1.9)
C0, C1 = _biased(2.6)
D0, D1 = _biased(0.4)

STATIC = [
    Case("one qubit", QASM2 + "qreg q[1];creg c[1];ry(0.7) q[0];measure q->c;", {"0": A0, "1": A1}),
    Case(
        "asymmetric product",
        QASM2 + "qreg q[3];creg c[3];ry(0.7) q[0];ry(1.9) q[1];ry(2.6) q[2];measure q->c;",
        _product(A1, B1, C1),
    ),
    Case("single excitation", QASM2 + "qreg q[4];creg c[4];x q[1];measure q->c;", {"0010": 1}),
    Case(
        "bell",
        QASM2 + "qreg q[2];creg c[2];h q[0];cx q[0],q[1];measure q->c;",
        {"00": 0.5, "11": 0.5},
    ),
    Case(
        "ghz of 20",
        QASM2
        + "qreg q[20];creg c[20];h q[0];"
        + "".join(f"cx q[{i}],q[{i + 1}];" for i in range(19))
        + "measure q->c;",
        {"0" * 20: 0.5, "1" * 20: 0.5},
    ),
    Case(
        "two registers",
        QASM2
        + "qreg a[1];qreg b[2];creg m[2];creg n[1];x b[1];ry(0.7) a[0];"
        + "measure a[0]->n[0];measure b[0]->m[0];measure b[1]->m[1];",
        {"010": A0, "110": A1},
    ),
    Case(
        "measured out of order",
        QASM2
        + "qreg q[3];creg c[3];x q[0];ry(0.7) q[1];"
        + "measure q[0]->c[2];measure q[2]->c[1];measure q[1]->c[0];",
        {"100": A0, "101": A1},
    ),
    Case(
        "partial measurement",
        QASM2 + "qreg q[3];creg c[5];h q[0];ry(0.7) q[1];cx q[1],q[2];measure q[2]->c[3];",
        {"00000": A0, "01000": A1},
    ),
    Case(
        "one qubit into two bits",
        QASM2 + "qreg q[1];creg c[3];ry(0.7) q[0];measure q[0]->c[0];measure q[0]->c[2];",
        {"000": A0, "101": A1},
    ),
    Case(
        "overwritten bit",
        QASM2 + "qreg q[2];creg c[1];x q[0];ry(0.7) q[1];measure q[0]->c[0];measure q[1]->c[0];",
        {"0": A0, "1": A1},
    ),
    Case(
        "defined gates",
        QASM2
        + "gate twist(a,b) x,y {ry(a+b) x; cx x,y;} gate twice(a) x,y {twist(a/2,a/2) y,x;}"
        + "qreg q[2];creg c[2];twice(0.7) q[0],q[1];measure q->c;",
        {"00": A0, "11": A1},
    ),
    Case(
        "a defined gate shadows a known name",
        QASM2
        + "gate cp(a) x,y {ry(a) y; x x;} qreg q[2];creg c[2];cp(0.7) q[0],q[1];measure q->c;",
        {"01": A0, "11": A1},
    ),
    Case(
        "broadcast",
        QASM2 + "qreg a[2];qreg b[2];creg c[2];creg d[2];x a;cx a,b;measure b->d;",
        {"1100": 1},
    ),
    Case(
        "controlled phase shows",
        QASM2 + "qreg q[2];creg c[2];x q[1];h q[0];cu(0,0,0,0.7) q[0],q[1];h q[0];measure q->c;",
        {"10": A0, "11": A1},
    ),
    Case(
        "phase kickback of u",
        QASM2 + "qreg q[2];creg c[2];x q[1];h q[0];cp(0.7) q[1],q[0];h q[0];measure q->c;",
        {"10": A0, "11": A1},
    ),
    Case("initial reset", QASM2 + "qreg q[1];creg c[1];reset q[0];x q[0];measure q->c;", {"1": 1}),
    Case(
        "barrier and u0",
        QASM2 + "qreg q[2];creg c[2];x q[0];barrier q;u0(1) q[0];id q[0];measure q->c;",
        {"01": 1},
    ),
    Case(
        "qasm3 assignment",
        QASM3 + "qubit[2] q;bit[2] c;ry(0.7) q[1];c = measure q;",
        {"00": A0, "10": A1},
    ),
    Case("qasm3 declaration", QASM3 + "qubit q;x q;bit c = measure q;", {"1": 1}),
    Case(
        "for loop",
        QASM3 + "qubit[4] q;bit[4] c;for int i in [0:2:3] {x q[i];} c = measure q;",
        {"0101": 1},
    ),
    Case(
        "for loop angles",
        QASM3 + "const float step = 0.1;qubit q;bit c;"
        "for uint k in {1, 2, 4} {ry(k*step) q;} c = measure q;",
        {"0": A0, "1": A1},
    ),
    Case(
        "ctrl modifier",
        QASM3 + "qubit[3] q;bit[3] c;x q[0];ry(pi/3) q[1];ctrl(2) @ x q[0],q[1],q[2];c=measure q;",
        {"001": 0.75, "111": 0.25},
    ),
    Case(
        "negctrl modifier",
        QASM3 + "qubit[3] q;bit[3] c;x q[0];ctrl @ negctrl @ ry(0.7) q[0],q[1],q[2];c=measure q;",
        {"001": A0, "101": A1},
    ),
    Case(
        "inv modifier",
        QASM3
        + "gate g(a) x {ry(a) x; s x; h x;} qubit q;bit c;g(0.7) q;inv @ g(0.3) q;c=measure q;",
        {"0": D0, "1": D1},
    ),
    Case(
        "pow modifier",
        QASM3 + "qubit q;bit c;pow(7) @ ry(0.1) q;c=measure q;",
        {"0": A0, "1": A1},
    ),
    Case(
        "fractional pow",
        QASM3 + "qubit[2] q;bit[2] c;ctrl @ pow(0.5) @ x q[0],q[1];x q[0];"
        "pow(0.5) @ ctrl @ x q[0],q[1];pow(1/2.0) @ ctrl @ x q[0],q[1];c=measure q;",
        {"11": 1},
    ),
    Case(
        "gphase under control",
        QASM3 + "qubit q;bit c;h q;ctrl @ gphase(0.7) q;h q;c=measure q;",
        {"0": A0, "1": A1},
    ),
    Case(
        "phase of a defined gate under control",
        QASM3 + "gate g x {gphase(0.7);} qubit[2] q;bit[2] c;h q[0];ctrl @ g q[0],q[1];h q[0];"
        "c=measure q;",
        {"00": A0, "01": A1},
    ),
    Case(
        "aliases and slices",
        QASM3 + "qubit[4] q;bit[4] c;let a = q[1:2:3];x a;c[0:1]=measure q[0:1];c[3]=measure a[1];",
        {"1010": 1},
    ),
    Case("hardware qubits", QASM3 + "bit[2] c;x $1;c[0]=measure $1;c[1]=measure $0;", {"01": 1}),
]

DYNAMIC = [
    Case(
        "if of qasm2",
        QASM2 + "qreg q[2];creg c[2];ry(0.7) q[0];measure q[0]->c[0];if(c==1) x q[1];"
        "measure q[1]->c[1];",
        {"00": A0, "11": A1},
    ),
    Case(
        "if of a whole register",
        QASM2 + "qreg q[3];creg c[2];creg d[1];x q[1];ry(0.7) q[0];measure q[0]->c[0];"
        "measure q[1]->c[1];if(c==2) x q[2];measure q[2]->d[0];",
        {"110": A0, "011": A1},
    ),
    Case(
        "conditional measurement",
        QASM2 + "qreg q[2];creg c[2];ry(0.7) q[0];x q[1];measure q[0]->c[0];"
        "if(c==1) measure q[1]->c[1];",
        {"00": A0, "11": A1},
    ),
    Case(
        "if and else",
        QASM3 + "qubit[2] q;bit[2] c;ry(0.7) q[0];c[0]=measure q[0];"
        "if (c[0]) {x q[1];} else {ry(1.9) q[1];} c[1]=measure q[1];",
        {"00": A0 * B0, "10": A0 * B1, "11": A1},
    ),
    Case(
        "conditions with operators",
        QASM3 + "qubit[3] q;bit[3] c;ry(0.7) q[0];ry(1.9) q[1];c[0]=measure q[0];c[1]=measure q[1];"
        "if (c[0] && !c[1] || c == 2) {x q[2];} c[2]=measure q[2];",
        {"000": A0 * B0, "101": A1 * B0, "110": A0 * B1, "011": A1 * B1},
    ),
    Case(
        "comparisons",
        QASM3 + "qubit[3] q;bit[2] c;bit d;ry(0.7) q[0];ry(1.9) q[1];c[0]=measure q[0];"
        "c[1]=measure q[1];if (c >= 2) {x q[2];} if (c != 3) {y q[2];} d=measure q[2];",
        {"100": A0 * B0, "101": A1 * B0, "010": A0 * B1, "111": A1 * B1},
    ),
    Case(
        "reset in mid-circuit",
        QASM2 + "qreg q[2];creg c[2];ry(0.7) q[0];cx q[0],q[1];reset q[0];measure q->c;",
        {"00": A0, "10": A1},
    ),
    Case(
        "measured and used again",
        QASM2 + "qreg q[1];creg c[2];ry(0.7) q[0];measure q[0]->c[0];ry(1.9) q[0];"
        "measure q[0]->c[1];",
        {"00": A0 * B0, "10": A0 * B1, "01": A1 * B1, "11": A1 * B0},
    ),
    Case(
        "overwritten in mid-circuit",
        QASM2 + "qreg q[1];creg c[1];ry(0.7) q[0];measure q[0]->c[0];x q[0];measure q[0]->c[0];",
        {"1": A0, "0": A1},
    ),
    Case(
        "teleportation",
        QASM3 + "qubit[3] q;bit[2] m;bit out;ry(0.7) q[0];h q[1];cx q[1],q[2];cx q[0],q[1];h q[0];"
        "m[0]=measure q[0];m[1]=measure q[1];if(m[1]==true) x q[2];if(m[0]==true) z q[2];"
        "out=measure q[2];",
        {
            f"{out}{m}": weight / 4
            for out, weight in ((0, A0), (1, A1))
            for m in ("00", "01", "10", "11")
        },
    ),
    Case(
        "while loop",
        QASM3 + "qubit q;bit c;x q;c=measure q;while (c) {h q;c=measure q;}",
        {"0": 1},
    ),
    Case(
        "while with a count",
        QASM3 + "qubit q;bit[2] c;uint[4] n = 0;while (n < 7) {ry(0.1) q;n += 1;} c[1]=measure q;",
        {"00": A0, "10": A1},
    ),
    Case(
        "switch",
        QASM3 + "qubit[3] q;bit[2] c;bit d;ry(0.7) q[0];ry(1.9) q[1];c[0]=measure q[0];"
        "c[1]=measure q[1];int s = c;switch (s) {case 0, 3 {x q[2];} case 1 {ry(2.6) q[2];}"
        " default {}} d=measure q[2];",
        {
            "100": A0 * B0,
            "001": A1 * B0 * C0,
            "101": A1 * B0 * C1,
            "010": A0 * B1,
            "111": A1 * B1,
        },
    ),
    Case(
        "nested branches",
        QASM3 + "qubit[2] q;bit[2] c;ry(0.7) q[0];c[0]=measure q[0];if (c[0]) {ry(1.9) q[1];"
        "c[1]=measure q[1];if (c[1]) {reset q[0];} else {x q[1];}}"
        "bit[2] d;d=measure q;",
        {"0000": A0, "1101": A1 * B0, "1011": A1 * B1},
    ),
    Case(
        "bit assignment",
        QASM3 + 'qubit q;bit[3] c;c = "101";c[1] = 1;ry(0.7) q;c[0] = measure q;',
        {"110": A0, "111": A1},
    ),
    Case(
        "measured into no bit",
        QASM3 + "qubit q;bit c;h q;measure q;h q;c = measure q;",
        {"0": 0.5, "1": 0.5},
    ),
]

CASES = STATIC + DYNAMIC
