"""Qiskit's sampler, on qdispatch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from qiskit.primitives import BaseSamplerV2
from qiskit.primitives.containers import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qdispatch.client import Client
from qdispatch.model import JobSpec, ResultType
from qdispatch.qiskit import seeds
from qdispatch.qiskit.connection import connect
from qdispatch.qiskit.options import SamplerOptions
from qdispatch.qiskit.points import by_parameter, split
from qdispatch.qiskit.preparing import prepare
from qdispatch.qiskit.primitive_job import PrimitiveJob
from qdispatch.result import JobResult

#: What the single shots of one job may take, in bytes; more points go into more jobs.
_JOB_BYTES: Final = 32 * 2**20
#: Bytes of single shots whose registers are picked out at once.
_AT_ONCE: Final = 2**20


class SamplerV2(BaseSamplerV2):  # type: ignore[misc]
    """Samples circuits: each pub is a sweep, and all pubs of a call one batch.

    Args:
        mode: A `Backend`, a `Provider`, a `Client` or the address of a server.
            If not given: QDISPATCH_ADDRESS, and a target that the server picks.
        backend: The same as ``mode``, under another name.
        target: Name of a target, if not the backend's.
        options: A `SamplerOptions`, or a mapping of such options.
        default_shots: As the option.
        seed: As the option. On the target "aer" the single shots of static
            circuits are those of Aer's own sampler.

    Attributes:
        options: May be changed between calls.
        target: Name of the target; empty for whichever the server picks.
    """

    def __init__(
        self,
        mode: Any = None,
        *,
        backend: Any = None,
        target: str = "",
        options: SamplerOptions | Mapping[str, Any] | None = None,
        default_shots: int | None = None,
        seed: Any = None,
    ) -> None:
        self._client, self.target = connect(mode if backend is None else backend, target)
        self.options = SamplerOptions.of(options)
        if default_shots is not None:
            self.options.default_shots = default_shots
        if seed is not None:
            self.options.seed = seed

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> PrimitiveJob:
        """Submits pubs.

        Args:
            pubs: Each a circuit, or (circuit, parameter values, shots), with
                values of any shape.
            shots: Samples of each point, where the pub does not say.

        Returns:
            A job whose result has, for each pub and classical register, a
            ``BitArray`` of the pub's shape, with the shots in their order.

        Raises:
            CircuitError: A circuit cannot be carried.
            RequestError: The server refuses a pub; nothing runs.
            ValueError: The values do not fit the circuit.
        """
        default = self.options.default_shots if shots is None else shots
        seed = seeds.of_run(self.options.seed_of_run())
        specs: list[JobSpec] = []
        parts: list[_Part] = []
        n_before = 0
        for index, like in enumerate(pubs):
            pub = SamplerPub.coerce(like, default)
            if not pub.circuit.cregs:
                _warn_of_nothing(index)
            options = {**self._submission(), "seed": seeds.nth(seed, n_before)}
            jobs = _specs(self._client, pub, f"pub {index}", options)
            parts.append(_Part(pub, len(jobs)))
            specs += jobs
            n_before += pub.size
        batch = self._client.submit_batch(specs) if specs else None
        return PrimitiveJob(batch, lambda results: _collect(parts, results))

    def _submission(self) -> dict[str, Any]:
        return {**self.options.submission(), "target": self.target}


@dataclass(frozen=True)
class _Part:
    """A pub, and how many jobs it has come to."""

    pub: Any
    n_jobs: int


def _warn_of_nothing(index: int) -> None:
    warnings.warn(
        f"The {index}-th pub's circuit has no output classical registers and so the result "
        "will be empty. Did you mean to add measurement instructions?",
        UserWarning,
        stacklevel=3,
    )


def _specs(client: Client, pub: Any, name: str, options: dict[str, Any]) -> list[JobSpec]:
    """The jobs of a pub; none if there is nothing to sample."""
    if not pub.size or not any(len(register) for register in pub.circuit.cregs):
        return []
    spec = prepare(
        client,
        pub.circuit,
        name,
        shots=pub.shots,
        result_types=(ResultType.MEMORY,),
        parameters=by_parameter(pub),
        **options,
    )
    if "\nmeasure " not in spec.program:
        # Registers that nothing is written into are 0.
        return []
    if not spec.parameters:
        return [replace(spec, seed=seeds.nth(spec.seed, each)) for each in range(pub.size)]
    width = (pub.circuit.num_clbits + 7) // 8
    return split(spec, _JOB_BYTES // (pub.shots * width))


def _collect(parts: Sequence[_Part], results: Sequence[JobResult]) -> Any:
    collected = []
    rest = iter(results)
    for part in parts:
        points = [point for _ in range(part.n_jobs) for point in next(rest)]
        collected.append(_pub_result(part.pub, [np.asarray(each.memory) for each in points]))
    return PrimitiveResult(collected, metadata={"version": 2})


def _pub_result(pub: Any, memory: Sequence[npt.NDArray[np.uint8]]) -> Any:
    """The result of a pub.

    Args:
        pub: The pub.
        memory: Of each of its points, uint8 of shape (shots, bytes), as
            `qdispatch.arrays.Memory` has it; empty if nothing was sampled.
    """
    arrays = {}
    for register in pub.circuit.cregs:
        bits = [pub.circuit.find_bit(bit).index for bit in register]
        width = (len(bits) + 7) // 8
        array: npt.NDArray[np.uint8] = np.zeros((pub.size, pub.shots, width), np.uint8)
        if memory and bits == list(range(pub.circuit.num_clbits)):
            array[:] = memory
        elif memory and bits:
            _pick(np.stack(memory), bits, array)
        arrays[register.name] = BitArray(array.reshape(*pub.shape, pub.shots, width), len(bits))
    metadata = {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}
    return SamplerPubResult(DataBin(**arrays, shape=pub.shape), metadata=metadata)


def _pick(memory: npt.NDArray[np.uint8], bits: Sequence[int], into: npt.NDArray[np.uint8]) -> None:
    """Picks bits out of packed outcomes.

    Args:
        memory: Shape (points, shots, bytes), bit 0 lowest in the last byte.
        bits: Which, the lowest first.
        into: Takes them, packed alike.
    """
    rows, packed = into.reshape(-1, into.shape[-1]), memory.reshape(-1, memory.shape[-1])
    padding = 8 * into.shape[-1] - len(bits)
    step = max(1, _AT_ONCE // memory.shape[-1])
    for start in range(0, len(rows), step):
        lowest_first = np.unpackbits(packed[start : start + step], axis=-1)[:, ::-1]
        highest_first = np.pad(lowest_first[:, bits][:, ::-1], ((0, 0), (padding, 0)))
        rows[start : start + step] = np.packbits(highest_first, axis=-1)
