"""Exact matrices of the neutral gates.

They follow OpenQASM 3's stdgates.inc, phases included, so that a controlled
gate has the right relative phase. The first qubit of a gate is the most
significant bit of a row's index.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tasks.circuit import Gate

Matrix: TypeAlias = npt.NDArray[np.complex128]

_R: Final = 1 / math.sqrt(2)


def _m(*rows: list[complex]) -> Matrix:
    return np.array(rows, dtype=np.complex128)


def _u(theta: float, phi: float, lam: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return _m(
        [c, -cmath.exp(1j * lam) * s],
        [cmath.exp(1j * phi) * s, cmath.exp(1j * (phi + lam)) * c],
    )


def _p(angle: float) -> Matrix:
    return np.diag([1, cmath.exp(1j * angle)])


def _rz(angle: float) -> Matrix:
    return np.diag([cmath.exp(-0.5j * angle), cmath.exp(0.5j * angle)])


def _rotation(pauli: Matrix, angle: float) -> Matrix:
    identity: Matrix = np.eye(len(pauli), dtype=np.complex128)
    return math.cos(angle / 2) * identity - 1j * math.sin(angle / 2) * pauli


def _controlled(matrix: Matrix) -> Matrix:
    size = len(matrix)
    result: Matrix = np.eye(2 * size, dtype=np.complex128)
    result[size:, size:] = matrix
    return result


def _cu(theta: float, phi: float, lam: float, gamma: float) -> Matrix:
    return _controlled(cmath.exp(1j * gamma) * _u(theta, phi, lam))


_X: Final = _m([0, 1], [1, 0])
_Y: Final = _m([0, -1j], [1j, 0])
_Z: Final = _m([1, 0], [0, -1])
_H: Final = _m([_R, _R], [_R, -_R])
_SX: Final = _m([0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j])
_SWAP: Final = _m([1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1])

_XX: Final[Matrix] = np.kron(_X, _X).astype(np.complex128)
_YY: Final[Matrix] = np.kron(_Y, _Y).astype(np.complex128)
_ZZ: Final[Matrix] = np.kron(_Z, _Z).astype(np.complex128)

_FIXED: Final[dict[str, Matrix]] = {
    "id": np.eye(2, dtype=np.complex128),
    "x": _X, "y": _Y, "z": _Z, "h": _H,
    "s": np.diag([1, 1j]), "sdg": np.diag([1, -1j]),
    "t": np.diag([1, _R + _R * 1j]), "tdg": np.diag([1, _R - _R * 1j]),
    "sx": _SX, "sxdg": _SX.conj().T,
    "cx": _controlled(_X), "cy": _controlled(_Y), "cz": _controlled(_Z),
    "ch": _controlled(_H), "csx": _controlled(_SX), "swap": _SWAP,
    "ccx": _controlled(_controlled(_X)), "ccz": _controlled(_controlled(_Z)),
    "cswap": _controlled(_SWAP),
}  # fmt: skip

_BY_ANGLE: Final[dict[str, Callable[..., Any]]] = {
    "rx": lambda a: _rotation(_X, a),
    "ry": lambda a: _rotation(_Y, a),
    "rz": _rz,
    "p": _p,
    "u": _u,
    "crx": lambda a: _controlled(_rotation(_X, a)),
    "cry": lambda a: _controlled(_rotation(_Y, a)),
    "crz": lambda a: _controlled(_rz(a)),
    "cp": lambda a: _controlled(_p(a)),
    "cu": _cu,
    "rxx": lambda a: _rotation(_XX, a),
    "ryy": lambda a: _rotation(_YY, a),
    "rzz": lambda a: _rotation(_ZZ, a),
}


def matrix(gate: Gate) -> Matrix:
    """The matrix of a gate; complex128 of shape (2**k, 2**k); not to be changed."""
    return _FIXED[gate.name] if gate.name in _FIXED else _computed(gate.name, gate.params)


@lru_cache(maxsize=4096)
def _computed(name: str, params: tuple[float, ...]) -> Matrix:
    result: Matrix = _BY_ANGLE[name](*params)
    return result
