"""stim called directly, on a program of OpenQASM 2 that has Clifford gates only."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import numpy as np

# The programs of this benchmark have one register of qubits and one of bits.
_STATEMENT: Final = re.compile(r"^(\w+)\s+([^;]+);$", re.MULTILINE)
_INDEX: Final = re.compile(r"\[(\d+)\]")
_NAMES: Final = {"h": "H", "s": "S", "x": "X", "z": "Z", "cx": "CX", "cz": "CZ", "reset": "R"}


def stim_text(program: str) -> str:
    """The same circuit in stim's own language, its measurements in the order of their bits.

    Args:
        program: OpenQASM 2, its registers called q and c, with a measurement a line, in
            the order of the bits, or one of all qubits.

    Raises:
        ValueError: A gate is not known, or the bits are in another order.
    """
    lines = []
    bits: list[int] = []
    n_qubits = 0
    for name, operands in _STATEMENT.findall(program):
        found = [int(index) for index in _INDEX.findall(operands)]
        if name == "qreg":
            n_qubits = found[0]
        elif name == "measure" and found:
            lines.append(f"M {found[0]}")
            bits.append(found[1])
        elif name == "measure":
            lines.append("M " + " ".join(map(str, range(n_qubits))))
            bits += range(n_qubits)
        elif name in _NAMES:
            lines.append(f"{_NAMES[name]} {' '.join(map(str, found))}")
        elif name not in ("creg", "barrier", "OPENQASM", "include"):
            raise ValueError(f"{name} is no gate that this benchmark knows")
    if bits != list(range(len(bits))):
        raise ValueError("the bits are not measured in their order")
    return "\n".join(lines)


def stim_counts(program: str, shots: int, _threads: int) -> dict[str, int]:
    """Counts of a Clifford circuit: text to stim's circuit, samples, a dict.

    Args:
        program: OpenQASM 2.
        shots: How many samples.

    Returns:
        Outcome, the highest bit on the left -> number of shots.
    """
    import stim

    samples = stim.Circuit(stim_text(program)).compile_sampler().sample(shots)
    n_bits = samples.shape[1]
    text = (samples[:, ::-1] + np.uint8(ord("0"))).astype(np.uint8).tobytes().decode("ascii")
    return dict(Counter(text[at : at + n_bits] for at in range(0, len(text), n_bits)))
