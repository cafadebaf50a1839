from __future__ import annotations

import math

import pytest

from qdispatch.circuits.template import dissect, merge
from qdispatch.circuits.writer import Expression, ProgramWriter


def program(*angles: float, phase: float = 0.0, dynamic: bool = False) -> str:
    writer = ProgramWriter(2, [("c", 2)], keep_phase=True)
    writer.phase(phase)
    writer.gate("h", [0])
    for angle in angles:
        writer.gate("rx", [0], [angle])
    writer.gate("U", [1], [0.5, *angles[:1], -0.25])
    writer.gate("rxx", [0, 1], [angles[-1]])
    writer.measure(0, 0)
    if dynamic:
        writer.branch("c[0]", lambda: writer.gate("ry", [1], [angles[0]]), lambda: None)
    return writer.text()


def filled(text: str, names: tuple[str, ...], values: tuple[float, ...]) -> list[str]:
    """The statements of a template, with values for its parameters."""
    for name, value in zip(names, values, strict=True):
        text = text.replace(f"input float[64] {name};\n", "")
        text = text.replace(f"({name})", f"({value!r})").replace(f", {name}, ", f", {value!r}, ")
    return text.splitlines()


@pytest.mark.parametrize("dynamic", [False, True], ids=["openqasm2", "openqasm3"])
def test_every_program_comes_back_to_the_last_bit(dynamic: bool) -> None:
    angles = [(0.1, 0.2), (0.1 + 0.2, math.nextafter(1, 2)), (-1e-17, 1e300), (5e-324, -math.pi)]
    texts = [program(*each, phase=each[1], dynamic=dynamic) for each in angles]
    template = merge([dissect(each) for each in texts])
    assert template.program.startswith('OPENQASM 3.0;\ninclude "stdgates.inc";\n')
    assert template.values == tuple((second, first) for first, second in angles)
    for text, values in zip(texts, template.values, strict=True):
        rest = filled(template.program, template.parameters, values)
        statements = text[text.index("gphase") :].splitlines()
        assert [each.replace(".0e", "e") for each in rest[-len(statements) :]] == [
            each.replace(".0e", "e") for each in statements
        ]


def test_a_template_declares_what_it_uses() -> None:
    template = merge([dissect(program(0.1, 0.2)), dissect(program(0.1, 0.3))])
    assert template.program.splitlines()[2:6] == [
        "gate rxx(w) a, b { h a; h b; cx a, b; rz(w) b; cx a, b; h a; h b; }",
        "input float[64] p0;",
        "qubit[2] q;",
        "bit[2] c;",
    ]
    assert template.parameters == ("p0",)
    assert template.values == ((0.2,), (0.3,))


def test_angles_that_agree_everywhere_stay() -> None:
    template = merge([dissect(program(0.1, 0.2)), dissect(program(0.4, 0.2))])
    # U has the first angle too.
    assert template.parameters == ("p0",)
    assert "U(0.5, p0, -0.25) q[1];" in template.program
    assert "rx(0.2) q[0];" in template.program


def test_equal_programs_need_no_parameter() -> None:
    template = merge([dissect(program(0.1))] * 3)
    assert (template.parameters, template.values) == ((), ((), (), ()))


@pytest.mark.parametrize(
    "other",
    [program(0.1, 0.2, 0.3), program(0.1, 0.2, dynamic=True), program(0.1, 0.2, phase=1.0)],
    ids=["gates", "branches", "phase"],
)
def test_other_differences_are_in_the_frame(other: str) -> None:
    assert dissect(other).frame != dissect(program(0.1, 0.2)).frame


def test_formulas_and_definitions_are_left_alone() -> None:
    writer = ProgramWriter(2, parameters=["p0"])
    writer.gate("csx", [0, 1])
    writer.gate("rx", [0], [Expression("2 * p0 + 3")])
    writer.gate("p", [0], [7])
    assert dissect(writer.text()).angles == ("7.0",)
    template = merge([dissect(writer.text()), dissect(writer.text().replace("7.0", "8.0"))])
    # p0 is taken.
    assert template.parameters == ("pp0",)
    assert "rx(2 * p0 + 3) q[0];\np(pp0) q[0];" in template.program
