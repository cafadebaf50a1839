"""A target of a qdispatch server as a backend of Qiskit."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2, Options

from qdispatch.client import Client
from qdispatch.errors import InvalidJobError
from qdispatch.model import JobSpec, ResultType, TargetInfo
from qdispatch.qiskit import seeds
from qdispatch.qiskit.gates import make_target
from qdispatch.qiskit.job import Job, retrieve_job
from qdispatch.qiskit.preparing import prepare
from qdispatch.qiskit.results import extra_of, header_of

#: The most circuits that a server takes in one run, unless it is set otherwise.
MAX_CIRCUITS: Final = 10_000


class Backend(BackendV2):  # type: ignore[misc]
    """An ideal simulator, where every gate is possible on all qubits.

    Args:
        client: The connection.
        info: The target, as the server lists it.
        provider: Whom it comes from.

    Attributes:
        client: As given.
        info: As given.
        target_name: Name of the target; the backend's name.
    """

    def __init__(self, client: Client, info: TargetInfo, provider: Any = None) -> None:
        super().__init__(
            provider=provider,
            name=info.name,
            description=f"target {info.name} of qdispatch, simulated by {info.simulator}",
            backend_version="1",
        )
        self.client = client
        self.info = info
        self.target_name = info.name

    @cached_property
    def target(self) -> Any:
        """Qiskit's ``Target``: gates, measurements, resets and control flow on all qubits."""
        return make_target(self.info.max_qubits, self.description)

    @property
    def max_circuits(self) -> int:
        """The most circuits that one run may have."""
        return MAX_CIRCUITS

    @classmethod
    def _default_options(cls) -> Any:
        return Options(
            shots=1024,
            memory=False,
            seed_simulator=None,
            method=None,
            parameter_binds=None,
            time_limit_s=None,
            tags=(),
            cache=True,
            priority=0,
        )

    def run(self, run_input: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> Job:
        """Submits circuits, as one batch.

        Args:
            run_input: A circuit, or a list of them.
            options: ``shots`` (1024), ``memory`` (False; whether
                ``Result.get_memory`` has the single shots), ``seed_simulator``
                (from 0; the circuits of a list get seeds as Aer gives them, so
                that the target "aer" counts as ``qiskit_aer.AerSimulator``
                does where a circuit is static),
                ``method`` (of the target "aer"), ``parameter_binds`` (of each
                circuit, parameter -> list of values; each set of values is an
                experiment of the result), ``time_limit_s`` (wall time of each
                circuit, in seconds), ``tags``, ``cache`` (True; whether
                results of an equal job with the same seed will do) and
                ``priority`` (0; orders one's own jobs, higher first, from -10
                to 10). What is not given, or None, is as in
                ``backend.options``.

        Raises:
            CircuitError: A circuit cannot be carried; the message says which.
            RequestError: The server refuses them; nothing runs.
            UnavailableError: The server does not answer.
        """
        for name in options.keys() - dict(self.options).keys():
            warnings.warn(f"option {name} is not known to qdispatch", UserWarning, stacklevel=2)
        given = {name: value for name, value in options.items() if value is not None}
        chosen = {**dict(self.options), **given}
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        specs = list(self._specs(circuits, chosen))
        return Job(self, self.client.submit_batch(specs))

    def retrieve_job(self, job_id: str) -> Job:
        """Finds a run again, also one of an earlier process.

        Raises:
            RequestError: There is no such run.
        """
        return retrieve_job(self.client, job_id, self)

    def __repr__(self) -> str:
        return f"<Backend {self.name} of {self.client.address}>"

    def _specs(
        self, circuits: Sequence[QuantumCircuit], options: Mapping[str, Any]
    ) -> Iterable[JobSpec]:
        binds = _binds(circuits, options["parameter_binds"])
        seed = seeds.of_run(options["seed_simulator"])
        kinds = (ResultType.COUNTS, ResultType.MEMORY)
        n_before = 0
        for index, (circuit, values) in enumerate(zip(circuits, binds, strict=True)):
            spec = prepare(
                self.client,
                circuit,
                f"circuit {index}",
                target=self.target_name,
                shots=options["shots"],
                result_types=kinds if options["memory"] else kinds[:1],
                parameters=values or None,
                extra=extra_of(
                    header_of(circuit), {"method": options["method"]} if options["method"] else {}
                ),
                time_limit_s=options["time_limit_s"],
                tags=tuple(options["tags"]),
                cache=options["cache"],
                priority=options["priority"],
            )
            yield replace(spec, seed=seeds.nth(seed, n_before))
            n_before += max(1, len(spec.parameter_values))


def _binds(circuits: Sequence[QuantumCircuit], given: Any) -> Sequence[Mapping[Any, Any]]:
    if given is None:
        return [{}] * len(circuits)
    if isinstance(given, Mapping):
        given = [given]
    if len(given) != len(circuits):
        raise InvalidJobError(
            f"there are {len(circuits)} circuits and {len(given)} sets of values; give one each",
            field="parameter_binds",
        )
    return list(given)
