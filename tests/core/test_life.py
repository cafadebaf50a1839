"""The whole life, and whose it is, against models: whatever happens in whatever order."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from app.settings import Settings
from app.store import Store
from tests.core.life import Life
from tests.core.ownership import Ownership
from tests.world import World, delete_rows, make_world

# How many histories, by database and by what the run may take.
EXAMPLES = {"fake": 20, "sqlite": 12, "postgresql": 6}
OWNED = {"fake": 6, "sqlite": 4, "postgresql": 2}
MANY_TIMES = 20
STEPS = 40


def fresh(settings: Settings) -> World:
    """The core, without a trace of the history before."""
    world = make_world(settings)
    if isinstance(world.store.inner, Store):
        delete_rows(world.store.inner)
    for each in world.files():
        world.programs.delete(each)
    return world


# To cut a failure down may take minutes.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [1, pytest.param(MANY_TIMES, marks=pytest.mark.long)])
def test_a_job_lives_as_the_model_says(settings: Settings, times: int) -> None:
    run_state_machine_as_test(
        lambda: Life(fresh(settings)), settings=histories(settings, EXAMPLES, times)
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [1, pytest.param(MANY_TIMES, marks=pytest.mark.long)])
def test_everybody_sees_and_ends_their_own_jobs_only(settings: Settings, times: int) -> None:
    with ExitStack() as ends:

        def ownership() -> Ownership:
            ends.close()
            world = fresh(settings)
            world.watchers.start()
            ends.callback(world.watchers.close)
            return Ownership(world)

        run_state_machine_as_test(ownership, settings=histories(settings, OWNED, times))


def histories(settings: Settings, examples: dict[str, int], times: int) -> hypothesis_settings:
    """How many of them, and what becomes of one that fails."""
    database = settings.database.partition(":")[0].partition("+")[0]
    return hypothesis_settings(
        max_examples=examples[database] * times,
        stateful_step_count=STEPS,
        # A history is cut down to what matters where that takes seconds.
        phases=tuple(Phase) if database == "fake" else (Phase.generate,),
    )
