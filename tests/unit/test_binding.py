"""Sweeps: circuits bound to the values of their points."""

from __future__ import annotations

import pytest

from tasks import binding
from tasks.binding import Sweep
from tasks.circuit import Bits, Branch, Circuit, Gate, Loop, Measure
from tasks.formula import Formula, Input
from tasks.points import check_inputs, point_seed
from tasks.simulators import SimulationError

THETA, PHI = Input("theta"), Input("phi")
BIT = Bits((0,))


def rx(angle: float | Formula) -> Gate:
    return Gate("rx", (0,), (angle,))


def circuit(*ops: Gate | Measure | Branch | Loop, phase: float | Formula = 0.0) -> Circuit:
    return Circuit(n_qubits=1, n_clbits=1, ops=ops, global_phase=phase, parameters=("theta", "phi"))


def test_each_point_has_its_values() -> None:
    h = Gate("h", (0,))
    source = circuit(h, rx(2 * THETA), Gate("u", (0,), (PHI, 0.5, THETA)), Measure(0, 0), phase=PHI)
    sweep = Sweep(source, ("phi", "theta"), [(0.1, 1.0), (0.2, 2.0)])
    first, second = sweep
    assert len(sweep) == 2
    assert first.ops == (h, rx(2.0), Gate("u", (0,), (0.1, 0.5, 1.0)), Measure(0, 0))
    assert second.ops == (h, rx(4.0), Gate("u", (0,), (0.2, 0.5, 2.0)), Measure(0, 0))
    assert (first.global_phase, second.global_phase) == (0.1, 0.2)
    assert first.parameters == ()
    assert (first.n_qubits, first.n_clbits) == (1, 1)
    # What does not depend on the point is shared.
    assert first.terminal is second.terminal is source.terminal
    assert first.ops[0] is second.ops[0] is h
    assert source.ops[1] == rx(2 * THETA)


def test_gates_in_branches_and_loops_are_bound() -> None:
    plain = Branch(BIT, (rx(0.25),))
    ops = (
        Branch(BIT, (rx(THETA),), (rx(1.0), rx(-THETA))),
        Loop(BIT, (Branch(BIT, (), (rx(THETA),)), Measure(0, 0))),
        plain,
    )
    (bound,) = Sweep(circuit(*ops), ("theta", "phi"), [(3.0, 0.0)])
    assert bound.ops == (
        Branch(BIT, (rx(3.0),), (rx(1.0), rx(-3.0))),
        Loop(BIT, (Branch(BIT, (), (rx(3.0),)), Measure(0, 0))),
        plain,
    )
    assert bound.ops[2] is plain
    assert bound.terminal is None


def test_many_points_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two formulas and their input: three numbers for each point.
    monkeypatch.setattr(binding, "_AT_ONCE", 10)
    sweep = Sweep(circuit(rx(THETA), rx(2 * THETA)), ("theta", "phi"), [(k, 0) for k in range(8)])
    assert list(sweep.rows()) == [[k, 2 * k] for k in range(8)]
    with pytest.raises(SimulationError, match="point 7: a parameter of gate rx is not a finite"):
        Sweep(circuit(rx(1 / (THETA - 7))), ("theta", "phi"), [(k, 0) for k in range(8)])


def test_inputs_that_are_not_used_change_nothing() -> None:
    source = circuit(rx(0.5))
    first, second = Sweep(source, ("theta", "phi"), [(1.0, 2.0), (3.0, 4.0)])
    assert first.ops is second.ops is source.ops


@pytest.mark.parametrize(
    ("declared", "given", "says"),
    [
        (("theta", "phi"), (), r"has inputs \(theta, phi\): give their values"),
        (("theta", "phi"), ("phi",), "no values: theta"),
        (("theta",), ("phi", "theta"), "no inputs of these names: phi"),
        ((), ("phi",), "no inputs of these names: phi"),
    ],
    ids=["none", "missing", "unknown", "no inputs"],
)
def test_values_must_be_those_of_the_inputs(
    declared: tuple[str, ...], given: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SimulationError, match=says) as caught:
        check_inputs(declared, given)
    assert caught.value.kind == "program_invalid"


def test_inputs_may_be_given_in_any_order() -> None:
    check_inputs(("theta", "phi"), ("phi", "theta"))
    check_inputs((), ())
    assert [point_seed(None, point) for point in range(2)] == [None, None]


def test_seeds_of_points_are_their_own_and_stay() -> None:
    seeds = {(seed, k): point_seed(seed, k) for seed in (0, 1, 2113, 2**63 - 1) for k in range(500)}
    assert len(set(seeds.values())) == len(seeds)
    assert all(seed is not None and 0 <= seed < 2**63 for seed in seeds.values())
    # As documented; whoever kept results can reproduce a point.
    assert point_seed(1, 3) == 3_717_377_837_946_364_354
