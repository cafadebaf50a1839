"""What is to be expected of a job, from a target's history."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import pairwise
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.estimates import Ahead, History, Line, Load, PastRun, Spread, outlook
from app.likeness import LONGEST_S
from qdispatch.updates import Estimate

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def load(
    n_qubits: int = 10,
    depth: int = 16,
    shots: int = 1024,
    n_points: int = 0,
    limit_s: float = LONGEST_S,
) -> Load:
    return Load(n_qubits=n_qubits, depth=depth, shots=shots, n_points=n_points, limit_s=limit_s)


def history(*runs: float, of: Load | None = None) -> History:
    """Runs of jobs that are alike."""
    return History([PastRun(load=of or load(), run_s=each) for each in runs])


def known(spread: Spread | None) -> Spread:
    assert spread is not None
    return spread


def seconds(estimate: Estimate | None) -> tuple[float, float, float]:
    """Lower, expected and upper, from now."""
    assert estimate is not None
    moments = (estimate.lower, estimate.expected, estimate.upper)
    return tuple((each - NOW).total_seconds() for each in moments)  # type: ignore[return-value]


def expect(
    past: History,
    *ahead: Ahead,
    of: Load | None = None,
    slots: int = 1,
    running_for_s: float | None = None,
    points_done: int = 0,
) -> tuple[Estimate | None, Estimate | None]:
    return outlook(
        past,
        load=of or load(),
        ahead=ahead,
        slots=slots,
        now=NOW,
        running_for_s=running_for_s,
        points_done=points_done,
    )


def waiting(number: int, of: Load | None = None) -> list[Ahead]:
    return [Ahead(load=of or load())] * number


# -- a run


def test_without_history_nothing_is_known() -> None:
    assert History([]).run_s(load()) is None


def test_one_run_gives_wide_bounds_around_it() -> None:
    spread = known(history(8.0).run_s(load()))
    assert (spread.lower, spread.expected, spread.upper) == (2.0, 8.0, 32.0)


def test_bounds_get_narrower_with_more_runs() -> None:
    widths = []
    for number in (1, 2, 5, 30):
        spread = known(history(*[8.0] * number).run_s(load()))
        assert spread.expected == 8.0
        widths.append(spread.upper - spread.lower)
    assert all(later < earlier for earlier, later in pairwise(widths))


def test_nine_in_ten_runs_are_between_the_bounds() -> None:
    source = random.Random(7)
    inside = below = 0
    rounds, each = 100, 20
    for _ in range(rounds):
        spread = known(history(*[source.lognormvariate(0, 0.7) for _ in range(30)]).run_s(load()))
        for _ in range(each):
            run_s = source.lognormvariate(0, 0.7)
            inside += spread.lower <= run_s <= spread.upper
            below += run_s < spread.expected
    # Bounds from 30 runs are off themselves, by far more than these 2,000 draws.
    assert 0.86 < inside / (rounds * each) < 0.96
    assert below / (rounds * each) == pytest.approx(0.5, abs=0.05)


def test_like_runs_count_more_than_others() -> None:
    runs = [PastRun(load=load(), run_s=1.0)] * 5
    runs += [PastRun(load=load(n_qubits=20), run_s=600.0)] * 100
    assert known(History(runs).run_s(load())).expected == pytest.approx(1.0, rel=0.01)
    assert known(History(runs).run_s(load(n_qubits=20))).expected == pytest.approx(600.0)


def test_the_first_of_equal_runs_count() -> None:
    latest = [2.0] * 30
    assert known(history(*latest, *[9.0] * 1000).run_s(load())).expected == 2.0


def test_sizes_between_known_ones_are_between_them() -> None:
    runs = [PastRun(load=load(n_qubits=n), run_s=2.0 ** (n - 10)) for n in (10, 20)] * 10
    assert 1 < known(History(runs).run_s(load(n_qubits=15))).expected < 1024


def test_qubits_beyond_the_known_ones_take_longer_and_are_less_sure() -> None:
    past = history(*[1.0] * 30, of=load(n_qubits=20))
    same, more, most = (known(past.run_s(load(n_qubits=n))) for n in (20, 24, 28))
    assert (more.expected, most.expected) == (4.0, 16.0)
    # A state vector doubles with each qubit; that of a stabilizer does not.
    assert more.lower == same.lower
    assert more.upper == pytest.approx(16 * same.upper)
    assert most.upper / most.lower > more.upper / more.lower > same.upper / same.lower


@pytest.mark.parametrize("axis", ["depth", "shots", "n_points"])
def test_more_work_takes_longer_but_not_out_of_proportion(axis: str) -> None:
    base = load(depth=64, shots=64, n_points=64)
    past = history(*[1.0] * 30, of=base)
    more = known(past.run_s(load(**{"depth": 64, "shots": 64, "n_points": 64, axis: 256})))
    assert more.expected == 2.0
    assert more.upper == pytest.approx(4 * known(past.run_s(base)).upper)


def test_zero_points_are_one_and_zero_shots_have_a_place() -> None:
    past = history(3.0, of=load(shots=0, depth=0, n_points=0))
    assert known(past.run_s(load(shots=0, depth=0, n_points=1))).expected == 3.0


def test_no_run_exceeds_the_limit() -> None:
    past = history(100.0)
    spread = known(past.run_s(load(n_qubits=1000, limit_s=150.0)))
    assert spread.expected == spread.upper == 150.0
    assert known(past.run_s(load(limit_s=50.0))).upper == 50.0
    assert known(past.run_s(load(n_qubits=10**9))).upper == LONGEST_S


def test_far_runs_do_not_widen_what_near_ones_say() -> None:
    near = PastRun(load=load(n_qubits=20), run_s=8.0)
    far = [PastRun(load=load(n_qubits=n), run_s=0.1) for n in (1, 2, 3)] * 10
    spread = known(History([near, *far]).run_s(load(n_qubits=20)))
    assert (spread.lower, spread.expected, spread.upper) == (2.0, 8.0, 32.0)


# -- a job that waits


def test_a_free_slot_means_now_even_without_history() -> None:
    start, finish = expect(History([]), slots=2)
    assert seconds(start) == (0, 0, 0)
    assert finish is None


def test_it_ends_a_run_after_its_start() -> None:
    start, finish = expect(history(8.0))
    assert seconds(start) == (0, 0, 0)
    assert seconds(finish) == (2.0, 8.0, 32.0)


def test_without_history_nobody_knows_when_those_ahead_have_ended() -> None:
    assert expect(History([]), *waiting(1)) == (None, None)
    assert expect(History([]), Ahead(load=load(), running_for_s=1.0)) == (None, None)
    start, _ = expect(History([]), Ahead(load=load(), running_for_s=1.0), slots=2)
    assert seconds(start) == (0, 0, 0)


def test_without_slots_nothing_is_known() -> None:
    assert expect(history(8.0), slots=0) == (None, None)
    assert expect(history(8.0), slots=0, running_for_s=3.0) == (None, None)


@pytest.mark.parametrize(("slots", "expected"), [(1, 60.0), (2, 30.0), (3, 20.0), (7, 0.0)])
def test_the_work_ahead_is_divided_over_the_slots(slots: int, expected: float) -> None:
    start, finish = expect(history(*[10.0] * 30), *waiting(6), slots=slots)
    assert seconds(start)[1] == pytest.approx(expected)
    assert seconds(finish)[1] == pytest.approx(expected + 10.0)


def test_what_runs_has_a_part_of_its_time_behind_it() -> None:
    past = history(*[10.0] * 30)
    start, _ = expect(past, Ahead(load=load(), running_for_s=6.0))
    assert seconds(start)[1] == pytest.approx(4.0)


def test_more_running_jobs_than_slots_must_end_first() -> None:
    past = history(*[10.0] * 30)
    running = [Ahead(load=load(), running_for_s=each) for each in (1.0, 2.0, 3.0)]
    start, _ = expect(past, *running, slots=1)
    assert seconds(start)[1] == pytest.approx(9.0)
    start, _ = expect(past, *running, slots=2)
    assert seconds(start)[1] == pytest.approx(8.0)


def test_the_spread_grows_slower_than_the_wait() -> None:
    source = random.Random(3)
    past = history(*[source.uniform(5, 15) for _ in range(30)])
    relative = []
    for number in (1, 4, 16, 64):
        lower, expected, upper = seconds(expect(past, *waiting(number))[0])
        relative.append((upper - lower) / expected)
    assert all(later < earlier for earlier, later in pairwise(relative))


def test_nine_in_ten_starts_are_between_the_bounds() -> None:
    source = random.Random(11)
    rounds, jobs, inside = 400, 40, 0
    for _ in range(rounds):
        past = history(*[source.lognormvariate(0, 0.7) for _ in range(30)])
        lower, _, upper = seconds(expect(past, *waiting(jobs))[0])
        inside += lower <= sum(source.lognormvariate(0, 0.7) for _ in range(jobs)) <= upper
    # The part of 400 rounds is uncertain by 0.015; that the bounds are rough is known.
    assert 0.86 < inside / rounds < 0.99


# -- a job that runs


def test_what_runs_has_no_start_to_come() -> None:
    start, finish = expect(history(8.0), running_for_s=3.0)
    assert start is None
    assert seconds(finish)[1] == pytest.approx(5.0)


def test_one_that_is_late_may_end_at_once_or_take_ever_longer() -> None:
    past = history(*[10.0] * 30)
    uppers = []
    for running_for_s in (30.0, 100.0, 1000.0):
        lower, expected, upper = seconds(expect(past, running_for_s=running_for_s)[1])
        assert lower == 0
        assert 0 < expected < upper
        uppers.append(upper)
    assert uppers == sorted(uppers)
    assert uppers[-1] > 900


def test_a_sweep_goes_by_its_own_pace() -> None:
    sweep = load(n_points=200)
    past = history(*[1000.0] * 30, of=sweep)
    _, finish = expect(past, of=sweep, running_for_s=10.0, points_done=50)
    lower, expected, upper = seconds(finish)
    assert expected == pytest.approx(30.0)
    assert 20 < lower < upper < 45


def test_a_sweep_gets_surer_with_each_point_and_needs_no_history() -> None:
    widths = []
    for done in (1, 10, 50, 150):
        _, finish = expect(
            History([]), of=load(n_points=200), running_for_s=done * 0.5, points_done=done
        )
        lower, expected, upper = seconds(finish)
        assert expected == pytest.approx((200 - done) * 0.5)
        widths.append((upper - lower) / expected)
    assert all(later < earlier for earlier, later in pairwise(widths))


def test_a_sweep_with_all_points_done_ends_now() -> None:
    lower, expected, upper = seconds(
        expect(History([]), of=load(n_points=10), running_for_s=5.0, points_done=10)[1]
    )
    assert lower == expected == 0
    assert 0 < upper < 1


@pytest.mark.parametrize("points_done", [0, 1])
def test_what_runs_ends_at_its_time_limit(points_done: int) -> None:
    of = load(n_points=1000, limit_s=600.0)
    _, finish = expect(history(1.0, of=of), of=of, running_for_s=580.0, points_done=points_done)
    assert seconds(finish)[2] == pytest.approx(20.0)
    _, finish = expect(history(1.0, of=of), of=of, running_for_s=601.0, points_done=points_done)
    assert seconds(finish) == (0, 0, 0)


def test_a_sweep_ahead_goes_by_its_own_pace() -> None:
    sweep = Ahead(load=load(n_points=200), running_for_s=10.0, points_done=50)
    start, _ = expect(History([]), sweep)
    assert seconds(start)[1] == pytest.approx(30.0)


def test_a_sweep_without_a_point_done_goes_by_history() -> None:
    sweep = load(n_points=200)
    _, finish = expect(history(*[100.0] * 30, of=sweep), of=sweep, running_for_s=10.0)
    assert seconds(finish)[1] == pytest.approx(90.0)


# -- always

_LOADS = st.builds(
    Load,
    n_qubits=st.integers(0, 2000),
    depth=st.integers(0, 10**9),
    shots=st.integers(0, 10**7),
    n_points=st.integers(0, 10**5),
)
_RUNS = st.builds(PastRun, load=_LOADS, run_s=st.floats(-1, 1e5))
_TIMES = st.one_of(st.none(), st.floats(0, 1e7))
_AHEAD = st.builds(Ahead, load=_LOADS, running_for_s=_TIMES)


@given(
    runs=st.lists(_RUNS, max_size=8),
    ahead=st.lists(_AHEAD, max_size=8),
    of=_LOADS,
    slots=st.integers(0, 4),
    running_for_s=_TIMES,
    points_done=st.integers(0, 10**5),
)
def test_the_bounds_are_in_order_and_not_in_the_past(
    runs: list[PastRun],
    ahead: list[Ahead],
    of: Load,
    slots: int,
    running_for_s: float | None,
    points_done: int,
) -> None:
    start, finish = expect(
        History(runs),
        *ahead,
        of=of,
        slots=slots,
        running_for_s=running_for_s,
        points_done=points_done,
    )
    for each in filter(None, (start, finish)):
        assert NOW <= each.lower <= each.expected <= each.upper
    if start and finish:
        assert start.lower <= finish.lower
        assert start.upper <= finish.upper


def test_a_line_says_the_same_of_each_job_in_one_go() -> None:
    past = history(*[10.0] * 30)
    running = [Ahead(load=load(), running_for_s=4.0)]
    line = Line(past, running=running, slots=2, now=NOW)
    for number in range(5):
        assert line.outlook(load()) == expect(past, *running, *waiting(number), slots=2)
        line.add(load())


def test_thousands_ahead_are_quickly_gone_through() -> None:
    source = random.Random(5)

    def some() -> Load:
        return load(source.randrange(2, 30), source.randrange(1, 5000), source.randrange(10_000), 0)

    past = History([PastRun(load=some(), run_s=source.random()) for _ in range(1000)])
    ahead = [Ahead(load=some()) for _ in range(5000)]
    expect(past, *ahead, slots=4)
    began = thread_time()
    start, _ = expect(past, *ahead, slots=4)
    # About 25 ms; the second time every load is known.
    assert thread_time() - began < 1.0
    assert seconds(start)[1] > 100
