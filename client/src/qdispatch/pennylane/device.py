"""The device."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pennylane as qml
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support

from qdispatch.errors import CircuitError
from qdispatch.pennylane.plans import plan
from qdispatch.pennylane.preprocessing import pipeline
from qdispatch.pennylane.submission import Submission

if TYPE_CHECKING:
    from qdispatch.client import Client

_MCM_METHODS: Final = ("deferred", "one-shot")


@simulator_tracking
@single_tape_support
class QDispatchDevice(Device):  # type: ignore[misc]
    """A service of qdispatch.

    Executions without shots are exact; those with shots get single shots from
    the service. All tapes of one execution go out together, and those that
    differ only in angles are one job: a gradient is one or two.

    Args:
        wires: Their number, or their labels. None for any.
        shots: The deprecated way to say how many; use ``qml.set_shots``.
        target: Name of the target; empty lets the service pick.
        address: Host and port of the service; the environment variable
            QDISPATCH_ADDRESS, or else 127.0.0.1:50051, if None.
        client: A client to use instead of an own one.
        seed: Makes sampled results reproducible. Every execution draws new
            seeds from it for its jobs.
        timeout_s: How long an execution waits for its results, in seconds;
            then its jobs are canceled. None for as long as it takes.
        time_limit_s: What one job may take on the service, in seconds.
        extra: Simulator options, a JSON object as text.
        tags: Free words to find the jobs by.
        cache: Whether results of an equal job of the past will do: exact, or with
            the same seed.
        priority: Orders one's own jobs on a target: higher first, from -10 to 10.
    """

    def __init__(
        self,
        wires: Any = None,
        shots: Any = None,
        *,
        target: str = "",
        address: str | None = None,
        client: Client | None = None,
        seed: int | None = None,
        timeout_s: float | None = None,
        time_limit_s: float | None = None,
        extra: str = "",
        tags: Sequence[str] = (),
        cache: bool = True,
        priority: int = 0,
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        self._address = address
        self._client = client
        self._generator = None if seed is None else np.random.default_rng(seed)
        self._timeout_s = timeout_s
        self._options = {
            "target": target, "time_limit_s": time_limit_s, "extra": extra, "tags": tuple(tags),
            "cache": cache, "priority": priority,
        }  # fmt: skip

    @property
    def name(self) -> str:
        """What ``qml.device`` calls it."""
        return "qdispatch"

    @property
    def client(self) -> Client:
        """The client that jobs go through."""
        if self._client is None:
            from qdispatch.client import Client

            self._client = Client(self._address)
            weakref.finalize(self, self._client.close)
        return self._client

    def setup_execution_config(
        self, config: ExecutionConfig | None = None, circuit: Any = None
    ) -> ExecutionConfig:
        """Settles how mid-circuit measurements are carried.

        Args:
            config: As asked for.
            circuit: What is to be executed, if that is known.

        Returns:
            The same with the method filled in: as if on hardware with shots,
            deferred without.

        Raises:
            DeviceError: A method or an option is not known here.
        """
        config = config or ExecutionConfig()
        if config.device_options:
            raise qml.exceptions.DeviceError(
                f"device options {list(config.device_options)} are not known to qdispatch;"
                " give options to qml.device"
            )
        method = config.mcm_config.mcm_method
        if method in (None, "device"):
            method = "one-shot" if circuit is not None and circuit.shots else "deferred"
        if method not in _MCM_METHODS:
            raise qml.exceptions.DeviceError(
                f"mcm_method {method!r} is not supported by qdispatch; use one of {_MCM_METHODS}"
            )
        if config.mcm_config.postselect_mode == "fill-shots":
            raise qml.exceptions.DeviceError(
                "postselect_mode 'fill-shots' is not supported by qdispatch; use 'hw-like'"
            )
        return replace(config, mcm_config=replace(config.mcm_config, mcm_method=method))

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> Any:
        """What tapes go through before they are executed."""
        config = execution_config or self.setup_execution_config()
        return pipeline(self.wires, self.name, config)

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:  # noqa: ARG002
        """Executes tapes, all in one submission.

        Args:
            circuits: Tapes out of `preprocess_transforms`.
            execution_config: Not looked at any more.

        Returns:
            The results of each tape, in the forms that PennyLane wants.

        Raises:
            DeviceError: A tape cannot be carried.
            QDispatchError: The service refused a job, or a job failed.
        """
        try:
            plans = [plan(tape, self._generator) for tape in circuits]
        except CircuitError as error:
            raise qml.exceptions.DeviceError(f"not supported by qdispatch: {error}") from error
        submission = Submission(
            self.client, self._generator, timeout_s=self._timeout_s, options=self._options
        )
        results = submission.run([each.order for each in plans])
        return tuple(each.finish(result) for each, result in zip(plans, results, strict=True))
