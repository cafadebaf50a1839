"""Options of the primitives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from qdispatch.errors import QDispatchError

_OTHER_NAMES: Final = {"seed_simulator": "seed", "max_execution_time": "time_limit_s"}


class Unused:
    """Options for the errors of a real machine; all may be set, and have no effect here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = Unused()
        setattr(self, name, value)
        return value


@dataclass(kw_only=True)
class PrimitiveOptions:
    """What both primitives know.

    A program that was written for Qiskit Runtime may set what that has for the
    errors of a real machine; an ideal simulation has none to mend.
    """

    seed: Any = None
    """A number, or a ``numpy.random.Generator``; makes results reproducible."""
    method: str | None = None
    """How the target "aer" simulates: "statevector", "stabilizer" or "matrix_product_state"."""
    time_limit_s: float | None = None
    """Wall time of one job, in seconds; None means the target's."""
    tags: tuple[str, ...] = ()
    """Free words to find the jobs by."""
    cache: bool = True
    """Whether results of an equal job of the past will do: exact, or with the same seed."""
    priority: int = 0
    """Orders one's own jobs on a target: higher first, from -10 to 10."""
    simulator: Unused = field(default_factory=Unused)
    """Of this, ``seed_simulator`` is used if there is no ``seed``."""
    dynamical_decoupling: Unused = field(default_factory=Unused)
    twirling: Unused = field(default_factory=Unused)
    resilience: Unused = field(default_factory=Unused)
    execution: Unused = field(default_factory=Unused)
    environment: Unused = field(default_factory=Unused)
    experimental: Unused = field(default_factory=Unused)
    resilience_level: int | None = None
    optimization_level: int | None = None

    @classmethod
    def of(cls, given: Self | Mapping[str, Any] | None) -> Self:
        """Options as they are given to a primitive."""
        if isinstance(given, cls):
            return given
        options = cls()
        options.update(**dict(given or {}))  # type: ignore[arg-type]
        return options

    def update(self, **values: Any) -> None:
        """Sets some of them.

        Raises:
            QDispatchError: There is no such option.
        """
        known = [each.name for each in fields(self)]
        for given, value in values.items():
            name = _OTHER_NAMES.get(given, given)
            if name not in known:
                raise QDispatchError(f"there is no option {given!r}; there are {', '.join(known)}")
            if isinstance(getattr(self, name), Unused) and isinstance(value, Mapping):
                vars(getattr(self, name)).update(value)
            else:
                setattr(self, name, value)

    def seed_of_run(self) -> Any:
        """The seed, wherever it was set."""
        return self.seed if self.seed is not None else vars(self.simulator).get("seed_simulator")

    def submission(self) -> dict[str, Any]:
        """The options of `Client.prepare` that follow from these."""
        return {
            "time_limit_s": self.time_limit_s,
            "tags": tuple(self.tags),
            "cache": self.cache,
            "priority": self.priority,
            "extra": {"method": self.method} if self.method else "",
        }


@dataclass(kw_only=True)
class SamplerOptions(PrimitiveOptions):
    """Options of `SamplerV2`."""

    default_shots: int = 1024
    """Samples of each point, where neither ``run`` nor the pub says."""


@dataclass(kw_only=True)
class EstimatorOptions(PrimitiveOptions):
    """Options of `EstimatorV2`."""

    default_precision: float = 0.0
    """Standard error to aim at, where neither ``run`` nor the pub says; 0 is exact."""
    default_shots: int | None = None
    """The precision by another name: 1 / sqrt(shots), where there is none."""
    abelian_grouping: bool = True
    """Known to Qiskit's estimator on backends; without effect here."""

    def precision(self) -> float:
        """The precision where nobody says."""
        if not self.default_precision and self.default_shots:
            return float(self.default_shots**-0.5)
        return self.default_precision
