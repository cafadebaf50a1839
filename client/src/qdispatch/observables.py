"""Observables in all the forms that people write them in, as Pauli sums.

Dense labels read the highest qubit on the left, as in Qiskit; letter k of a
sparse one acts on ``qubits[k]``. Operators of Cirq and PennyLane name their
own qubits and wires, which the form of the circuit translates.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from qdispatch.circuits.form import CircuitForm
from qdispatch.errors import InvalidJobError
from qdispatch.model import PauliSum, PauliTerm

_ALLOWED: Final = (
    'allowed are a PauliSum, a label such as "XIZ", {"XIZ": 0.5}, ("XIZ", 0.5), '
    '[("XZ", [0, 2], 0.5)], a SparsePauliOp, Pauli or SparseObservable of Qiskit, a PauliString '
    "or PauliSum of Cirq, and sums and products of Pauli operators of PennyLane"
)

_SDKS: Final = ("qiskit", "cirq", "pennylane")


def to_pauli_sum(observable: object, form: CircuitForm, *, index: int = 0) -> PauliSum:
    """Turns an observable into a Pauli sum on the qubits of a program.

    Args:
        observable: A `PauliSum` or `PauliTerm`; a dense label ("XIZ"); a
            mapping of labels to coefficients; (label, coefficient) or
            (letters, qubits, coefficient), or a list of such; or an operator
            of Qiskit, Cirq or PennyLane that is a real sum of Pauli strings.
        form: The circuit that it belongs to.
        index: Its place among the job's observables, for errors.

    Returns:
        The sum, with one term or more.

    Raises:
        InvalidJobError: It is none of these, a letter is not I, X, Y or Z, a
            coefficient is not real and finite, or its qubits are not those of
            the circuit; ``field`` is "observables[index]".
    """
    return _Reader(form, f"observables[{index}]").read(observable)


def _sdk_of(value: object) -> str | None:
    roots = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    return next((name for name in _SDKS if name in roots), None)


class _Reader:
    def __init__(self, form: CircuitForm, field: str) -> None:
        self._form = form
        self._field = field

    def _error(self, message: str) -> InvalidJobError:
        return InvalidJobError(message, field=self._field)

    def read(self, observable: object) -> PauliSum:
        """The whole observable."""
        terms = tuple(self._terms(observable))
        if not terms:
            raise self._error(f"needs at least one term; {_ALLOWED}")
        return PauliSum(terms=terms)

    def _terms(self, observable: object) -> Iterable[PauliTerm]:
        if isinstance(observable, PauliSum):
            return [self._checked(each) for each in observable.terms]
        if isinstance(observable, PauliTerm):
            return [self._checked(observable)]
        if isinstance(observable, str):
            return [self._dense(observable, 1.0)]
        sdk = _sdk_of(observable)
        if sdk is not None:
            return self._of_sdk(sdk, observable)
        if isinstance(observable, Mapping):
            return [self._dense(label, factor) for label, factor in observable.items()]
        if isinstance(observable, tuple) and observable and isinstance(observable[0], str):
            return [self._of_tuple(observable)]
        if isinstance(observable, Sequence):
            return [self._of_item(each) for each in observable]
        raise self._error(f"{type(observable).__name__!r} is no observable; {_ALLOWED}")

    def _of_item(self, item: object) -> PauliTerm:
        if isinstance(item, PauliTerm):
            return self._checked(item)
        if isinstance(item, Sequence) and item and not isinstance(item, str):
            return self._of_tuple(item)
        raise self._error(f"{item!r} is no term of an observable; {_ALLOWED}")

    def _of_tuple(self, parts: Sequence[Any]) -> PauliTerm:
        if len(parts) == 2:
            return self._dense(parts[0], parts[1])
        if len(parts) == 3:
            return self._sparse(parts[0], parts[1], parts[2])
        raise self._error(f"{tuple(parts)!r} is no term of an observable; {_ALLOWED}")

    def _checked(self, term: PauliTerm) -> PauliTerm:
        if term.qubits is None:
            return self._dense(term.paulis, term.coefficient)
        return self._sparse(term.paulis, term.qubits, term.coefficient)

    def _letters(self, letters: object) -> str:
        if not isinstance(letters, str) or not set(letters) <= set("IXYZ"):
            raise self._error(f"{letters!r} is no Pauli string; letters are I, X, Y and Z")
        return letters

    def _coefficient(self, value: Any) -> float:
        try:
            number = complex(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._error(f"the coefficient {value!r} is not a number") from error
        if number.imag != 0 or not math.isfinite(number.real):
            raise self._error(f"the coefficient {value} must be real and finite")
        return number.real

    def _dense(self, label: object, coefficient: object) -> PauliTerm:
        letters, n_qubits = self._letters(label), self._form.n_qubits
        if len(letters) != n_qubits:
            raise self._error(
                f"{letters!r} has {len(letters)} letters for a circuit of {n_qubits} qubits; "
                "give one a qubit, the highest qubit on the left"
            )
        return PauliTerm(paulis=letters, coefficient=self._coefficient(coefficient))

    def _sparse(self, label: object, places: Any, coefficient: object) -> PauliTerm:
        letters, factor = self._letters(label), self._coefficient(coefficient)
        qubits = self._qubits(places)
        if len(letters) != len(qubits):
            raise self._error(f"{letters!r} has {len(letters)} letters for {len(qubits)} qubits")
        if not qubits:
            # The wire has no other word for a term on no qubit at all.
            return PauliTerm(paulis="I" * self._form.n_qubits, coefficient=factor)
        return PauliTerm(paulis=letters, qubits=qubits, coefficient=factor)

    def _qubits(self, places: Any) -> tuple[int, ...]:
        try:
            qubits = tuple(place.__index__() for place in places)
        except (AttributeError, TypeError) as error:
            raise self._error(f"{places!r} is no list of qubit indices") from error
        if len(set(qubits)) != len(qubits):
            raise self._error(f"a qubit stands twice in {list(qubits)}")
        last = self._form.n_qubits - 1
        for qubit in qubits:
            if not 0 <= qubit <= last:
                raise self._error(f"qubit {qubit} is not in the circuit; indices are 0 to {last}")
        return qubits

    def _of_sdk(self, sdk: str, observable: Any) -> Iterable[PauliTerm]:
        try:
            if sdk == "qiskit":
                return self._of_qiskit(observable)
            if sdk == "cirq":
                from qdispatch.circuits.cirq import pauli_terms as terms_of
            else:
                from qdispatch.circuits.pennylane import pauli_terms as terms_of
            terms = terms_of(observable)
        except TypeError as error:
            name = " ".join(str(observable).split())
            raise self._error(f"{name!r} is no sum of Pauli strings; {_ALLOWED}") from error
        return [self._named(pairs, factor) for pairs, factor in terms] or [self._dense_zero()]

    def _of_qiskit(self, observable: Any) -> Iterable[PauliTerm]:
        from qdispatch.circuits.qiskit import pauli_terms

        n_qubits, terms = pauli_terms(observable)
        if n_qubits != self._form.n_qubits:
            raise self._error(
                f"it is on {n_qubits} qubits, the circuit has {self._form.n_qubits}; "
                "use apply_layout or a sparse list"
            )
        return [self._sparse(*term) for term in terms] or [self._dense_zero()]

    def _named(self, pairs: Iterable[tuple[Hashable, str]], factor: complex) -> PauliTerm:
        pairs = list(pairs)
        unknown = [qubit for qubit, _ in pairs if qubit not in self._form.qubit_of]
        if unknown:
            raise self._error(f"'{unknown[0]}' is not a qubit of the circuit")
        qubits = [self._form.qubit_of[qubit] for qubit, _ in pairs]
        return self._sparse("".join(letter for _, letter in pairs), qubits, factor)

    def _dense_zero(self) -> PauliTerm:
        # What cancels to nothing is still an observable: its value is 0.
        return self._dense("I" * self._form.n_qubits, 0.0)
