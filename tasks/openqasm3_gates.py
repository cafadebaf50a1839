"""Gates of OpenQASM 3: the standard ones, defined ones, and their modifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from tasks.circuit import GATES, Gate
from tasks.formula import Param
from tasks.lowering import (
    ALIASES,
    MAX_OPERATIONS,
    Expander,
    Expansion,
    invalid,
    unsupported,
)
from tasks.openqasm3_values import at, fail
from tasks.symbols import Symbols, refused

#: The most qubits of a gate that is raised to a power that is not whole; that
#: takes its matrix.
_MAX_POWER_QUBITS: Final = 6

#: The most controls of one gate, over all its modifiers.
_MAX_CONTROLS: Final = 64

#: Names in stdgates.inc, qelib1.inc and exporters that differ from Qiskit's.
_OTHER_NAMES: Final = {
    "U": "u", "CX": "cx", "phase": "p", "cphase": "cp", "c3x": "mcx", "c3sqrtx": "c3sx",
    "rc3x": "rcccx", "cnot": "cx",
}  # fmt: skip


class Standard:
    """A gate that needs no definition."""

    def __init__(self, make: Callable[..., Any], n_params: int, n_qubits: int) -> None:
        self.make = make
        self.n_params = n_params
        self.n_qubits = n_qubits


@cache
def standard_gates() -> dict[str, Standard]:
    """Every gate that can be used without a definition, by name."""
    from qiskit.circuit import Gate as QiskitGate
    from qiskit.circuit.library import C4XGate, IGate, get_standard_gate_name_mapping

    found = {
        name: Standard(type(gate), len(gate.params), gate.num_qubits)
        for name, gate in get_standard_gate_name_mapping().items()
        if isinstance(gate, QiskitGate) and gate.num_qubits
    }
    found["c4x"] = Standard(C4XGate, 0, 5)
    # A pause, in the library of OpenQASM 2.
    found["u0"] = Standard(lambda _length: IGate(), 1, 1)
    found |= {other: found[name] for other, name in _OTHER_NAMES.items() if name in found}
    return found


def fast_form(name: str, n_params: int, n_qubits: int) -> bool:
    """Whether `neutral` takes a standard gate as it is."""
    name = ALIASES.get(name, name)
    if name in {"u2", "cu3"}:
        return (n_params, n_qubits) == ((2, 1) if name == "u2" else (3, 2))
    return GATES.get(name) == (n_params, n_qubits)


@dataclass(frozen=True, slots=True)
class Definition:
    """A gate that the program defines."""

    params: tuple[str, ...]
    """Names of the parameters."""
    qubits: tuple[str, ...]
    """Names of the qubits."""
    body: Sequence[Any]
    """Statements."""
    size: int
    """Operations that it expands to."""


Modifiers: TypeAlias = tuple[tuple[str, float], ...]
"""Name and argument of each, as written from left to right."""


class Library:
    """The gates of one program; each distinct one is expanded once.

    Args:
        run_body: Runs the body of a definition with these parameters.
    """

    def __init__(self, run_body: Callable[[Definition, tuple[Param, ...]], Expansion]) -> None:
        self._run_body = run_body
        self._definitions: dict[str, Definition] = {}
        self._expansions: dict[object, Expansion] = {}
        self._symbols = Symbols()
        self._expander = Expander(self._symbols.leave)

    def define(self, node: Any) -> None:
        """Takes a definition in."""
        name = node.name.name
        if name in self._definitions:
            fail(node, f"gate {name!r} is already defined")
        size = 0
        for each in node.body:
            kind = type(each).__name__
            if kind == "QuantumBarrier":
                continue
            if kind not in {"QuantumGate", "QuantumPhase"}:
                raise unsupported(f"{at(each)}only gates are supported in the body of a gate")
            inner = each.name.name if kind == "QuantumGate" else ""
            size += self._definitions[inner].size if inner in self._definitions else 1
        self._definitions[name] = Definition(
            tuple(each.name for each in node.arguments),
            tuple(each.name for each in node.qubits),
            node.body,
            size,
        )

    def is_direct(self, name: str, n_params: int, n_qubits: int) -> bool:
        """Whether `neutral` takes this gate as it is."""
        return name not in self._definitions and fast_form(name, n_params, n_qubits)

    def modified(self, gate: Any) -> Expansion:
        """What a Qiskit gate comes down to."""
        gates: list[Gate] = []
        phase = self._expander.lower(_alone(gate), tuple(range(gate.num_qubits)), gates)
        return Expansion(tuple(gates), phase)

    def expansion(
        self, node: Any, name: str, params: tuple[Param, ...], modifiers: Modifiers
    ) -> Expansion:
        """What a gate comes down to at the node that calls it."""
        key = (name, params, modifiers, len(node.qubits))
        found = self._expansions.get(key)
        if found is None:
            found = self._expansions[key] = self._expand(node, name, params, modifiers)
        return found

    def phase(self, node: Any, angle: Param, modifiers: Modifiers) -> Expansion:
        """What a global phase comes down to at its node.

        Args:
            node: With as many qubits as the modifiers make of it.
            angle: In radians.
            modifiers: As written from left to right.
        """
        gate: Any = None
        what = f"{at(node)}{' @ '.join([*(each for each, _ in modifiers), 'gphase'])}"
        with refused(what, iter([angle])):
            for modifier, argument in reversed([each for each in modifiers if not _controls(each)]):
                angle = -angle if modifier == "inv" else argument * angle
            controls = [each for each in modifiers if _controls(each)]
            if controls:
                modifier, argument = controls.pop()
                gate = self._phase_gate(angle, on_zero=modifier == "negctrl")
                rest = [(modifier, argument - 1)] if argument != 1 else []
                gate = modified(gate, (*controls, *rest))
            n_qubits = 0 if gate is None else gate.num_qubits
            if len(node.qubits) != n_qubits:
                fail(node, f"gphase needs {n_qubits} qubits here, not {len(node.qubits)}")
            return Expansion((), angle) if gate is None else self.modified(gate)

    def _phase_gate(self, angle: Param, *, on_zero: bool) -> Any:
        """A global phase under its first control, which is at 1 or at 0."""
        phase, flip = Gate("p", (0,), (angle,)), Gate("x", (0,))
        gates = (flip, phase, flip) if on_zero else (phase,)
        return self.as_qiskit("gphase", 1, Expansion(gates, 0.0))

    def as_qiskit(self, name: str, n_qubits: int, expansion: Expansion) -> Any:
        """A Qiskit gate with that expansion as its definition."""
        from qiskit import QuantumCircuit

        enter = self._symbols.enter
        definition = QuantumCircuit(n_qubits, global_phase=enter(expansion.phase))
        for gate in expansion.gates:
            getattr(definition, gate.name)(*map(enter, gate.params), *gate.qubits)
        return definition.to_gate(label=name)

    def _expand(
        self, node: Any, name: str, params: tuple[Param, ...], modifiers: Modifiers
    ) -> Expansion:
        definition = self._definitions.get(name)
        if definition is None:
            gate = self._standard(node, name, params)
        else:
            expansion = self._defined(node, name, definition, params)
            if not modifiers:
                _check_arity(node, name, len(definition.qubits))
                return expansion
            params = tuple(_params(expansion))
            gate = self.as_qiskit(name, len(definition.qubits), expansion)
        what = f"{at(node)}{' @ '.join([*(each for each, _ in modifiers), name])}"
        with refused(what, iter(params)):
            gate = modified(gate, modifiers)
            _check_arity(node, name, gate.num_qubits)
            return self.modified(gate)

    def _standard(self, node: Any, name: str, params: tuple[Param, ...]) -> Any:
        standard = standard_gates().get(name)
        if standard is None:
            fail(node, f"gate {name!r} is not defined")
        _check_params(node, name, standard.n_params, params)
        return standard.make(*map(self._symbols.enter, params))

    def _defined(
        self, node: Any, name: str, definition: Definition, params: tuple[Param, ...]
    ) -> Expansion:
        key = (name, params)
        known = self._expansions.get(key)
        if known is not None:
            return known
        _check_params(node, name, len(definition.params), params)
        if definition.size > MAX_OPERATIONS:
            raise unsupported(
                f"gate {name} expands to {definition.size:,} operations;"
                f" at most {MAX_OPERATIONS:,} are run"
            )
        found = self._expansions[key] = self._run_body(definition, params)
        return found


def _params(expansion: Expansion) -> Iterator[Param]:
    """All parameters in an expansion, and its phase."""
    yield expansion.phase
    for gate in expansion.gates:
        yield from gate.params


def _check_params(node: Any, name: str, n_params: int, params: tuple[Param, ...]) -> None:
    if len(params) != n_params:
        fail(node, f"gate {name} takes {n_params} parameters, not {len(params)}")


def _check_arity(node: Any, name: str, n_qubits: int) -> None:
    if len(node.qubits) != n_qubits:
        fail(node, f"gate {name} acts on {n_qubits} qubits here, not on {len(node.qubits)}")


def _alone(gate: Any) -> Any:
    """A gate as the only instruction of a circuit, which tells more about it."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, range(gate.num_qubits))
    return circuit.data[0]


def modified(gate: Any, modifiers: Modifiers) -> Any:
    """A Qiskit gate under modifiers.

    Controls commute with inverses and powers, so they are added last, and all at
    once: a control of a control of a control is much larger than the same in one.
    """
    for modifier, argument in reversed(modifiers):
        if modifier == "inv":
            gate = gate.inverse()
        elif modifier == "pow":
            gate = _power(gate, argument)
    n_controls = state = 0
    for modifier, argument in filter(_controls, reversed(modifiers)):
        number = int(argument)
        if number != argument or number < 1:
            raise invalid(f"{modifier} needs a positive whole number of controls")
        n_controls += number
        if n_controls > _MAX_CONTROLS:
            raise unsupported(f"more than {_MAX_CONTROLS} controls are not supported")
        # Those further left are the lower bits.
        state = state << number | ((1 << number) - 1 if modifier == "ctrl" else 0)
    return _controlled(gate, n_controls, state) if n_controls else gate


def _controls(modifier: tuple[str, float]) -> bool:
    return modifier[0] in {"ctrl", "negctrl"}


def _controlled(gate: Any, n_controls: int, state: int) -> Any:
    size = max(1, Expander().instruction_size(_alone(gate)))
    # What it comes down to grows about as the square of the number of controls.
    if size * n_controls**2 > MAX_OPERATIONS:
        raise unsupported(
            f"{n_controls} controls of gate {gate.name}, of {size:,} operations, are too large"
        )
    return gate.control(n_controls, ctrl_state=state, annotated=False)


def _power(gate: Any, exponent: float) -> Any:
    if exponent != int(exponent):
        if gate.num_qubits > _MAX_POWER_QUBITS:
            raise unsupported(
                f"pow({exponent:g}) of a gate on {gate.num_qubits} qubits is not supported;"
                f" the most is {_MAX_POWER_QUBITS}"
            )
        return gate.power(exponent, annotated=False)
    from qiskit import QuantumCircuit

    times = abs(int(exponent))
    once = gate.inverse() if exponent < 0 else gate
    if times * max(1, Expander().instruction_size(_alone(once))) > MAX_OPERATIONS:
        raise unsupported(f"pow({exponent:g}) of gate {gate.name} is too large")
    repeated = QuantumCircuit(gate.num_qubits)
    for _ in range(times):
        repeated.append(once, range(gate.num_qubits))
    return repeated.to_gate()
