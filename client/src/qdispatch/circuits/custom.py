"""A circuit of any other framework, or written by hand."""

from __future__ import annotations

from dataclasses import dataclass

from qdispatch.circuits.form import CircuitForm
from qdispatch.errors import CircuitError
from qdispatch.model import ProgramFormat


@dataclass(frozen=True, kw_only=True)
class CustomCircuit:
    """A program text and its metadata, all given by hand.

    The text is sent as it is; the server parses it, and a wrong ``n_qubits``
    is refused there.

    Attributes:
        program: The program text, not empty.
        program_format: "openqasm2" or "openqasm3".
        n_qubits: Number of qubits that the program declares, at least 1.
        depth: Longest path through the circuit, in operations, at least 0.
        framework: What the circuit was written in; any word.
        parameters: Names of the program's ``input`` variables, in any order;
            OpenQASM 3 only.

    Raises:
        CircuitError: One of these is not as said.
    """

    program: str
    program_format: ProgramFormat | str
    n_qubits: int
    depth: int
    framework: str
    parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.program, str) or not self.program.strip():
            raise CircuitError("program must be a text that is not empty")
        try:
            object.__setattr__(self, "program_format", ProgramFormat(self.program_format))
        except ValueError as error:
            allowed = ", ".join(repr(each.value) for each in ProgramFormat)
            raise CircuitError(
                f"program_format must be one of {allowed}, not {self.program_format!r}"
            ) from error
        for name, least in (("n_qubits", 1), ("depth", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise CircuitError(f"{name} must be a whole number from {least} on, not {value!r}")
        if not isinstance(self.framework, str) or not self.framework.strip():
            raise CircuitError("framework must be a word, such as the name of a library")
        object.__setattr__(self, "parameters", self._checked_parameters())

    def _checked_parameters(self) -> tuple[str, ...]:
        names = () if isinstance(self.parameters, str) else tuple(self.parameters)
        sound = all(isinstance(name, str) and name.isidentifier() for name in names)
        if isinstance(self.parameters, str) or not sound or len(set(names)) < len(names):
            raise CircuitError(
                "parameters must be a tuple of names of `input` variables, each once, not"
                f" {self.parameters!r}"
            )
        if names and self.program_format is not ProgramFormat.OPENQASM3:
            raise CircuitError("parameters need program_format 'openqasm3': it has `input`")
        return names


def describe(circuit: CustomCircuit) -> CircuitForm:
    """The form of a custom circuit; its qubits are called by their indices."""
    return CircuitForm(
        program=circuit.program,
        program_format=ProgramFormat(circuit.program_format),
        framework=circuit.framework,
        n_qubits=circuit.n_qubits,
        depth=circuit.depth,
        parameters=circuit.parameters,
        parameter_of={name: name for name in circuit.parameters},
        qubit_of={index: index for index in range(circuit.n_qubits)},
    )
