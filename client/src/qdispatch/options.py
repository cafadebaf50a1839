"""What a submission may say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from qdispatch.model import ResultType


class SubmitOptions(TypedDict, total=False):
    """Options of `Client.submit`, `Client.prepare` and `Client.submit_batch`."""

    target: str
    """Name of a target; empty lets the server pick the least loaded one that fits."""
    shots: int | None
    """Samples to take; 0 means exact, where the result type allows it. If not
    given: what the circuit itself says, else 1024 for counts and memory and 0
    without them."""
    seed: int | None
    """From 0 to 2**63 - 1; makes sampled results reproducible on the same
    target and version."""
    result_types: Iterable[ResultType | str] | None
    """One or more of "counts", "quasi", "expval", "memory", "statevector",
    "probabilities" and "variance". If not given: what the circuit itself asks
    for, else expval if there are observables, else counts."""
    observables: object | None
    """For expval and variance: a list of observables, or just one. Each is a
    label such as "XIZ" (the highest qubit on the left), a mapping of labels to
    real coefficients, a list of (label, coefficient) or, sparse, (letters,
    qubits, coefficient), a `PauliSum`, or a Pauli observable of Qiskit, Cirq or
    PennyLane. If not given: those of the circuit."""
    parameters: Mapping[Any, Any] | None
    """Makes the job a sweep, with one result per point: parameter (its name, or
    the SDK's own object) -> a number, or a sequence of numbers (a list, an
    array), one per point. All sequences are of one length; a number is the
    same at every point. All numbers: a sweep of one point. A vector of
    parameters takes a sequence with a number for each, or an array of shape
    (points, length)."""
    args: Sequence[object]
    """Positional arguments of a QNode."""
    kwargs: Mapping[str, object] | None
    """Keyword arguments of a QNode."""
    extra: Mapping[str, object] | str
    """Options of the simulator: an object that JSON can carry, or its JSON text."""
    time_limit_s: float | None
    """Wall time that the run may take, in seconds."""
    tags: Iterable[str]
    """Free words to find the job by."""
    cache: bool
    """Whether the results of an equal job of the past will do (exact, or with
    the same seed), and those of this one for equal jobs to come. If not given:
    yes, where the service has its cache on."""
    priority: int
    """Orders one's own jobs on a target: higher first, from -10 to 10; 0 if not given.
    It gives no advantage over the jobs of others."""
