"""What a target of qdispatch can do, in Qiskit's words."""

from __future__ import annotations

from typing import Any, Final

import qiskit.circuit.library as lib
from qiskit.circuit import (
    BoxOp,
    Delay,
    ForLoopOp,
    IfElseOp,
    Measure,
    Parameter,
    Reset,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.transpiler import Target

#: Gates that programs have words for, with how many parameters each has. All
#: others are expanded into these.
_GATES: Final = (
    (lib.IGate, 0), (lib.XGate, 0), (lib.YGate, 0), (lib.ZGate, 0), (lib.HGate, 0),
    (lib.SGate, 0), (lib.SdgGate, 0), (lib.TGate, 0), (lib.TdgGate, 0),
    (lib.SXGate, 0), (lib.SXdgGate, 0), (lib.RXGate, 1), (lib.RYGate, 1), (lib.RZGate, 1),
    (lib.PhaseGate, 1), (lib.UGate, 3),
    (lib.CXGate, 0), (lib.CYGate, 0), (lib.CZGate, 0), (lib.CHGate, 0), (lib.CSXGate, 0),
    (lib.SwapGate, 0), (lib.CRXGate, 1), (lib.CRYGate, 1), (lib.CRZGate, 1), (lib.CPhaseGate, 1),
    (lib.CUGate, 4), (lib.RXXGate, 1), (lib.RZZGate, 1), (lib.CCXGate, 0), (lib.CSwapGate, 0),
    (lib.GlobalPhaseGate, 1), (Delay, 1),
)  # fmt: skip

_CONTROL_FLOW: Final = {
    "if_else": IfElseOp,
    "for_loop": ForLoopOp,
    "while_loop": WhileLoopOp,
    "switch_case": SwitchCaseOp,
    "box": BoxOp,
}


def make_target(n_qubits: int, description: str) -> Any:
    """A ``Target`` where every operation is ideal, and possible on all qubits.

    Args:
        n_qubits: How many qubits it has.
        description: What it is, for people.
    """
    target = Target(description=description, num_qubits=n_qubits)
    for gate, n_parameters in _GATES:
        target.add_instruction(gate(*(Parameter(f"p{place}") for place in range(n_parameters))))
    target.add_instruction(Measure())
    target.add_instruction(Reset())
    for name, operation in _CONTROL_FLOW.items():
        target.add_instruction(operation, name=name)
    return target
