"""The sampler for Cirq, against Cirq's own simulator."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import cirq
import duet
import numpy as np
import pytest
import scipy.stats
import sympy
from cirq.work.observable_measurement import RepetitionsStoppingCriteria, measure_observables

from qdispatch.cirq import Sampler
from qdispatch.client import Client
from qdispatch.errors import CircuitError, InvalidJobError, Quota, QuotaError
from qdispatch.model import JobStatus, ResultType
from tests.client.scripted import ScriptedServer
from tests.sdk.cirq_circuits import CERTAIN, UNCERTAIN, A, B, C, bell, ghz, joint, repeated_key
from tests.sdk.inprocess import Installation

SHOTS = 500
T, S = sympy.symbols("t s")


@pytest.fixture
def sampler(client: Client) -> Sampler:
    return Sampler(client, target="cirq", seed=11)


def alike(ours: Any, theirs: Any) -> None:
    """Whether two samples are of one distribution.

    The two-sample chi-squared statistic over K outcomes has K - 1 degrees of
    freedom; a wrong alarm at one seed in a million is allowed for.
    """
    assert ours.repetitions == theirs.repetitions
    assert {key: value.shape for key, value in ours.records.items()} == {
        key: value.shape for key, value in theirs.records.items()
    }
    both = np.concatenate([joint(ours), joint(theirs)])
    outcomes, which = np.unique(both, axis=0, return_inverse=True)
    which = which.reshape(2, -1)
    a, b = (np.bincount(each, minlength=len(outcomes)) for each in which)
    statistic = float(((a - b) ** 2 / (a + b)).sum())
    limit = scipy.stats.chi2.isf(1e-6, df=len(outcomes) - 1) if len(outcomes) > 1 else 0.0
    assert statistic <= limit


@pytest.mark.parametrize("make", UNCERTAIN.values(), ids=UNCERTAIN)
def test_samples_are_those_of_cirq(sampler: Sampler, make: Callable[[], Any]) -> None:
    circuit = make()
    ours = sampler.run(circuit, repetitions=SHOTS)
    alike(ours, cirq.Simulator(seed=3).run(circuit, repetitions=SHOTS))
    assert isinstance(ours, cirq.ResultDict)
    assert all(value.dtype == np.uint8 for value in ours.records.values())


@pytest.mark.parametrize("make", CERTAIN.values(), ids=CERTAIN)
def test_certain_outcomes_are_equal(sampler: Sampler, make: Callable[[], Any]) -> None:
    circuit = make()
    ours = sampler.run(circuit, repetitions=7)
    assert ours == cirq.Simulator().run(circuit, repetitions=7)


def test_a_sweep_is_one_job(sampler: Sampler, client: Client) -> None:
    circuit = cirq.Circuit(
        cirq.X(A) ** T, cirq.CX(A, B) ** (S + 0.25), cirq.ISWAP(A, B) ** (T * S), cirq.rx(2 * S)(C),
        cirq.measure(C, A, key="ca"), cirq.measure(B, key="b"),
    )  # fmt: skip
    sweep = cirq.Linspace("t", 0, 1, 3) * cirq.Points("s", [0.1, 0.7])
    ours = sampler.run_sweep(circuit, sweep, repetitions=SHOTS)
    theirs = cirq.Simulator(seed=5).run_sweep(circuit, sweep, repetitions=SHOTS)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.params == other.params
        alike(mine, other)
    info = client.get_job(newest(client))
    assert (info.n_points, info.spec.result_types) == (6, (ResultType.MEMORY,))
    assert not info.batch_id


def newest(client: Client) -> str:
    return next(iter(client.jobs(limit=1))).id


class Kicked(cirq.Gate):
    """X to a power, without a decomposition: it has no form while it is a symbol."""

    def __init__(self, exponent: Any) -> None:
        self.exponent = exponent

    def _num_qubits_(self) -> int:
        return 1

    def _is_parameterized_(self) -> bool:
        return cirq.is_parameterized(self.exponent)

    def _parameter_names_(self) -> Any:
        return cirq.parameter_names(self.exponent)

    def _resolve_parameters_(self, resolver: Any, recursive: bool) -> Kicked:
        return Kicked(resolver.value_of(self.exponent, recursive))

    def _unitary_(self) -> Any:
        if self._is_parameterized_():
            return NotImplemented
        return cirq.unitary(cirq.X**self.exponent)


def test_what_is_no_sweep_is_a_batch(sampler: Sampler, client: Client) -> None:
    circuit = cirq.Circuit(Kicked(T)(A), cirq.measure(A, key="a"))
    ours = sampler.run_sweep(circuit, cirq.Points("t", [0, 1, 2]), repetitions=5)
    assert [each.records["a"].sum() for each in ours] == [0, 5, 0]
    batch = client.batch(client.get_job(newest(client)).batch_id)
    assert len(batch) == 3


def test_a_sweep_over_nothing_repeats_the_circuit(sampler: Sampler) -> None:
    first, second = sampler.run_sweep(bell(), cirq.Points("unused", [1, 2]), repetitions=64)
    assert first.params != second.params
    assert not np.array_equal(joint(first), joint(second))


def test_a_batch_is_one_submission(sampler: Sampler, client: Client) -> None:
    turned = cirq.Circuit(cirq.X(A) ** T, cirq.measure(A, key="a"))
    asked = [bell(), turned, repeated_key(), turned]
    params = [None, cirq.Points("t", [0, 1]), None, {"t": 1}]
    ours = sampler.run_batch(asked, params, [SHOTS, 3, SHOTS, 0])
    theirs = cirq.Simulator(seed=3).run_batch(asked, params, [SHOTS, 3, SHOTS, 0])
    assert [len(each) for each in ours] == [1, 2, 1, 1]
    alike(ours[0][0], theirs[0][0])
    assert ours[1] == theirs[1]
    alike(ours[2][0], theirs[2][0])
    # No repetitions cost no job.
    assert ours[3] == theirs[3]
    info = client.get_job(newest(client))
    assert len(client.batch(info.batch_id)) == 3
    assert sampler.run_batch([]) == []


def test_samples_as_a_table(sampler: Sampler, client: Client) -> None:
    circuit = cirq.Circuit(
        cirq.X(A) ** T, cirq.CX(A, B), cirq.measure(A, B, C, key="out"), cirq.measure(C, key="c")
    )
    params = [{"t": 0}, {"t": 1}]
    before = newest(client) if list(client.jobs(limit=1)) else ""
    ours = sampler.sample(circuit, repetitions=3, params=params)
    theirs = cirq.Simulator().sample(circuit, repetitions=3, params=params)
    assert ours.equals(theirs.astype(ours.dtypes))
    assert [each.id for each in client.jobs(limit=2)][1:] in ([before], [])


def test_the_seed_makes_a_sequence_of_calls(client: Client) -> None:
    first, second = (Sampler(client, target="cirq", seed=4) for _ in range(2))
    runs = [[joint(each.run(ghz(), repetitions=32)) for _ in range(2)] for each in (first, second)]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])


def test_options_reach_the_job(client: Client) -> None:
    sampler = Sampler(
        client, target="cirq", extra={"precision": "double"}, time_limit_s=9, tags=["mine"]
    )
    sampler.run(bell())
    info = client.get_job(newest(client))
    assert (info.spec.target, info.spec.time_limit_s, info.spec.tags) == ("cirq", 9, ("mine",))
    assert "cirq" in info.method


def test_expectation_values(sampler: Sampler) -> None:
    circuit = cirq.Circuit(cirq.ry(T)(A), cirq.CX(A, B), cirq.rx(0.4)(B))
    observables = [
        cirq.Z(A) * cirq.Z(B) + 0.5 * cirq.X(A) * cirq.X(B), cirq.Y(B), 2.0, cirq.Z(C) - cirq.Z(A),
        cirq.PauliSum(),
    ]  # fmt: skip
    sweep = cirq.Linspace("t", 0, 3, 4)
    ours = sampler.sample_expectation_values(circuit, observables, num_samples=4000, params=sweep)
    theirs = cirq.Simulator(dtype=np.complex128).simulate_expectation_values_sweep(
        circuit + cirq.I(C), [cirq.PauliSum.wrap(each) for each in observables], sweep
    )
    # Each Pauli string has a variance of 1 / shots at the most; 5.5 of its roots.
    assert np.shape(ours) == (4, 5)
    assert np.abs(np.array(ours) - np.real(theirs)).max() < 5.5 * 1.5 / np.sqrt(4000)
    assert [each[2] for each in ours] == [2.0] * 4


def test_one_observable_and_one_point(sampler: Sampler) -> None:
    circuit = cirq.Circuit(cirq.X(A) ** T)
    values = sampler.sample_expectation_values(circuit, cirq.Z(A), num_samples=10, params={"t": 1})
    assert values == [[-1.0]]


def test_expectation_values_after_terminal_measurements(sampler: Sampler) -> None:
    circuit = cirq.Circuit(
        cirq.H(A), cirq.CX(A, B), cirq.measure(A, key="a", invert_mask=(True,)), cirq.H(C)
    )
    observables = [
        cirq.X(A) * cirq.X(B),
        cirq.Z(A) * cirq.Z(B),
        cirq.X(C),
        cirq.Y(A) - 0.5 * cirq.Z(A) * cirq.Z(B) * cirq.X(C),
    ]
    with pytest.raises(ValueError, match="permit_terminal_measurements=True"):
        sampler.sample_expectation_values(circuit, observables, num_samples=10)
    (ours,) = sampler.sample_expectation_values(
        circuit, observables, num_samples=100, permit_terminal_measurements=True
    )
    (theirs,) = cirq.Simulator(seed=1).sample_expectation_values(
        circuit, observables, num_samples=400, permit_terminal_measurements=True
    )
    assert ours == [0.0, 1.0, 1.0, -0.5]
    assert np.abs(np.array(theirs) - ours).max() < 5.5 / np.sqrt(400)


def test_expectation_values_after_a_measurement_in_the_middle(sampler: Sampler) -> None:
    circuit = cirq.Circuit(cirq.H(A), cirq.measure(A, key="a"), cirq.H(A))
    ((value,),) = sampler.sample_expectation_values(circuit, cirq.Z(A), num_samples=4000)
    assert abs(value) < 5.5 / np.sqrt(4000)


def test_calls_of_asyncio(sampler: Sampler) -> None:
    async def work() -> Any:
        circuit = cirq.Circuit(cirq.X(A) ** T, cirq.measure(A, key="a"))
        return await asyncio.gather(
            sampler.run_async(circuit, {"t": 1}, 2),
            sampler.run_sweep_async(circuit, cirq.Points("t", [0, 1]), 2),
            sampler.run_batch_async([circuit], [{"t": 1}], 2),
        )

    one, sweep, batch = asyncio.run(work())
    assert one == sweep[1] == batch[0][0]
    assert one.records["a"].tolist() == [[[1]], [[1]]]


def test_calls_of_duet(sampler: Sampler) -> None:
    circuit = cirq.Circuit(cirq.X(A) ** T, cirq.measure(A, key="a"))
    assert duet.run(sampler.run_async, circuit, {"t": 1}, 2).records["a"].sum() == 2
    # Cirq's own collectors run everything by duet.
    collector = cirq.PauliSumCollector(
        cirq.Circuit(cirq.X(A)), cirq.Z(A) + 0.5 * cirq.Z(B), samples_per_term=10
    )
    collector.collect(sampler)
    assert collector.estimated_energy() == -0.5


def test_a_measured_observable_of_cirq_itself(sampler: Sampler) -> None:
    (measured,) = measure_observables(
        cirq.Circuit(cirq.X(A)),
        [cirq.Z(A) * 1.0],
        sampler,
        RepetitionsStoppingCriteria(50),
    )
    assert measured.mean == -1


@pytest.mark.parametrize(
    ("circuit", "repetitions", "message"),
    [
        (cirq.Circuit(cirq.X(A)), 1, "no measurements to sample"),
        (bell(), -1, "cannot be negative"),
        (cirq.Circuit(cirq.X(A) ** T, cirq.measure(A)), 1, "no value in the sweep: t"),
    ],
    ids=["unmeasured", "negative", "unresolved"],
)
def test_wrong_values(sampler: Sampler, circuit: Any, repetitions: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler.run(circuit, repetitions=repetitions)


def test_wrong_expectation_values(sampler: Sampler) -> None:
    circuit = cirq.Circuit(cirq.X(A))
    with pytest.raises(ValueError, match="at least one sample"):
        sampler.sample_expectation_values(circuit, cirq.Z(A), num_samples=0)
    with pytest.raises(ValueError, match="At least one observable"):
        sampler.sample_expectation_values(circuit, [], num_samples=1)
    with pytest.raises(InvalidJobError, match="must be real"):
        sampler.sample_expectation_values(circuit, 1j * cirq.Z(A), num_samples=1)


def test_what_cannot_be_carried(sampler: Sampler) -> None:
    three = cirq.LineQid(0, 3)
    qudit = cirq.Circuit(cirq.IdentityGate(qid_shape=(3,))(three), cirq.measure(three, key="k"))
    with pytest.raises(CircuitError, match="3 levels"):
        sampler.run(qudit)
    confused = cirq.measure(A, key="k", confusion_map={(0,): np.array([[0.9, 0.1], [0.1, 0.9]])})
    with pytest.raises(CircuitError, match="confusion_map is noise"):
        sampler.run(cirq.Circuit(confused))


def test_an_interrupted_call_leaves_no_job(installation: Installation, client: Client) -> None:
    def interrupt() -> None:
        while not list(client.jobs(tag="interrupted", status="pending")):
            poll.wait(0.005)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    poll, watcher = threading.Event(), threading.Thread(target=interrupt)
    installation.dispatcher.held.set()
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            Sampler(client, target="cirq", tags=["interrupted"]).run(bell())
    finally:
        watcher.join()
        installation.dispatcher.release()
    (info,) = client.jobs(tag="interrupted")
    assert info.status is JobStatus.CANCELED


def test_who_interrupts_the_waiting_for_room_waits_no_longer() -> None:
    quota = Quota(name="jobs_in_flight", limit=1, use=1, retry_after_s=200)

    def refuse(*_: object) -> QuotaError:
        if len(server.requests) == 1:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return QuotaError("no room", quota=quota)

    server = ScriptedServer()
    server.say("CreateJob", refuse)
    with Client(server.address) as client, pytest.raises(KeyboardInterrupt):
        Sampler(client, target="cirq").run(bell())
    first, second = server.asked("CreateJob")
    assert first.request_id == second.request_id
    server.stop()


def test_no_other_sdk_is_imported() -> None:
    code = (
        "import sys, qdispatch.cirq\n"
        "print([each for each in ('qiskit', 'pennylane') if each in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_connections(address: str, client: Client) -> None:
    assert Sampler(address=address).client.address == address
    assert Sampler().client.address == address
    with pytest.raises(ValueError, match="not both"):
        Sampler(client, address=address)
