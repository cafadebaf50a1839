"""The results of a job, as the one who submitted it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, overload

from qdispatch.errors import QDispatchError
from qdispatch.model import JobInfo, JobSpec, Result, ResultType

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import RenderableType

    from qdispatch.arrays import Memory, Probabilities, Statevector

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, repr=False)
class PointResult:
    """The results of one point of a sweep, or of a job without one.

    Attributes:
        index: Of the point, from 0.
        results: One per result type.
        values: Of the program's ``input`` variables, here; empty without a sweep.
        spec: Of the job.
    """

    index: int
    results: tuple[Result, ...]
    values: Sequence[float]
    spec: JobSpec

    @cached_property
    def parameters(self) -> Mapping[str, float]:
        """The program's ``input`` variables -> their values here; empty without a sweep."""
        return dict(zip(self.spec.parameters, self.values, strict=False))

    @property
    def counts(self) -> Mapping[str, int]:
        """Outcome -> number of shots; the highest classical bit is on the left."""
        return _present(self._of(ResultType.COUNTS).counts)

    @property
    def quasi(self) -> Mapping[str, float]:
        """Outcome -> probability; outcomes that are absent have 0."""
        return _present(self._of(ResultType.QUASI).quasi)

    @property
    def expval(self) -> tuple[float, ...]:
        """One expectation value per observable, in their order."""
        return _present(self._of(ResultType.EXPVAL).expval)

    @property
    def standard_errors(self) -> tuple[float, ...]:
        """Standard error of each expectation value; 0 where it is exact."""
        return self._of(ResultType.EXPVAL).standard_errors or ()

    @property
    def variance(self) -> tuple[float, ...]:
        """One variance per observable, in their order."""
        return _present(self._of(ResultType.VARIANCE).variance)

    @property
    def memory(self) -> Memory:
        """The outcome of each shot, in their order; an array of uint8 for numpy."""
        return _present(self._of(ResultType.MEMORY).memory)

    @property
    def statevector(self) -> Statevector:
        """The state before the final measurements, global phase included.

        2**n_qubits amplitudes, complex128 for numpy, qubit 0 in the least
        significant bit of the index.
        """
        return _present(self._of(ResultType.STATEVECTOR).statevector)

    @property
    def probabilities(self) -> Probabilities:
        """The probability of each basis state before the final measurements.

        2**n_qubits values, float64 for numpy, qubit 0 in the least significant
        bit of the index.
        """
        return _present(self._of(ResultType.PROBABILITIES).probabilities)

    def plot(self, *, kind: ResultType | str | None = None, ax: Axes | None = None) -> Axes:
        """Draws this point, as bars; see `JobResult.plot`."""
        from qdispatch.plot import plot_point

        return plot_point(self, kind=kind, ax=ax)

    def __repr__(self) -> str:
        values = [f"{each.type}={getattr(each, each.type)!r}" for each in self.results]
        at = [f"{name}={value:g}" for name, value in self.parameters.items()]
        return f"PointResult({', '.join((*at, *values))})"

    def _of(self, kind: ResultType) -> Result:
        for result in self.results:
            if result.type is kind:
                return result
        asked = ", ".join(self.spec.result_types)
        raise QDispatchError(f"the job was not asked for {kind}, only for {asked}")


@dataclass(frozen=True, kw_only=True, repr=False)
class JobResult(Sequence[PointResult]):
    """The results of a finished job: one `PointResult` per point of its sweep.

    A job without a sweep has a single point, whose ``counts``, ``expval`` and
    so on are those of the whole.

    Attributes:
        info: The job: method, timings, peak memory and all else.
    """

    info: JobInfo

    @property
    def is_cached(self) -> bool:
        """Whether they are those of an equal job that was run before."""
        return bool(self.info.cached_from)

    @property
    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """The program's ``input`` variables -> their value at each point."""
        spec = self.info.spec
        columns = tuple(zip(*spec.parameter_values, strict=True))
        return dict(zip(spec.parameters, columns, strict=False))

    @property
    def counts(self) -> Mapping[str, int]:
        """Outcome -> number of shots; the highest classical bit is on the left."""
        return self._single("counts").counts

    @property
    def quasi(self) -> Mapping[str, float]:
        """Outcome -> probability; outcomes that are absent have 0."""
        return self._single("quasi").quasi

    @property
    def expval(self) -> tuple[float, ...]:
        """One expectation value per observable, in their order."""
        return self._single("expval").expval

    @property
    def standard_errors(self) -> tuple[float, ...]:
        """Standard error of each expectation value; 0 where it is exact."""
        return self._single("standard_errors").standard_errors

    @property
    def variance(self) -> tuple[float, ...]:
        """One variance per observable, in their order."""
        return self._single("variance").variance

    @property
    def memory(self) -> Memory:
        """The outcome of each shot, in their order; an array of uint8 for numpy."""
        return self._single("memory").memory

    @property
    def statevector(self) -> Statevector:
        """The state before the final measurements; see `PointResult.statevector`."""
        return self._single("statevector").statevector

    @property
    def probabilities(self) -> Probabilities:
        """The probability of each basis state; see `PointResult.probabilities`."""
        return self._single("probabilities").probabilities

    def plot(self, *, kind: ResultType | str | None = None, ax: Axes | None = None) -> Axes:
        """Draws the result; needs the extra ``plot``.

        Args:
            kind: Which result type; the first that was asked for if not given.
            ax: Where to draw; a figure of its own if not given.

        Returns:
            The matplotlib Axes: bars, or for a sweep curves over its parameter.
        """
        from qdispatch.plot import plot_result

        return plot_result(self, kind=kind, ax=ax)

    def __len__(self) -> int:
        return len(self._points)

    @overload
    def __getitem__(self, index: int) -> PointResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PointResult]: ...
    def __getitem__(self, index: int | slice) -> PointResult | Sequence[PointResult]:
        return self._points[index]

    def __rich__(self) -> RenderableType:
        from qdispatch.display.terminal import result_view

        return result_view(self)

    def _repr_html_(self) -> str:
        from qdispatch.display.html import result_html

        return result_html(self)

    def __repr__(self) -> str:
        if len(self) > 1:
            return f"<JobResult of {len(self)} points: {', '.join(self.info.spec.result_types)}>"
        return repr(self[0]).replace("PointResult", "JobResult", 1)

    @cached_property
    def _points(self) -> tuple[PointResult, ...]:
        spec = self.info.spec
        n_points = len(spec.parameter_values) or self.info.n_points or 1
        of_point: list[list[Result]] = [[] for _ in range(n_points)]
        for result in self.info.results:
            of_point[result.point].append(result)
        rows = spec.parameter_values or ((),) * n_points
        return tuple(
            PointResult(
                index=index,
                results=tuple(results),
                values=row,
                spec=spec,
            )
            for index, (results, row) in enumerate(zip(of_point, rows, strict=True))
        )

    def _single(self, name: str) -> PointResult:
        if len(self) > 1:
            raise QDispatchError(
                f"the job has {len(self)} points; take those of one: result[k].{name}, with k"
                f" from 0 to {len(self) - 1}"
            )
        return self._points[0]


def _present(value: _T | None) -> _T:
    if value is None:
        raise QDispatchError("the server sent a result without its value")
    return value
