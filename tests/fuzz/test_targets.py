"""The short form of `make fuzz TARGET=all`: each target on its seeds, and on damaged ones."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.mutations import Mutator
from tests.fuzz.parsers import Watched
from tests.fuzz.targets import TARGETS, Target

# Of the seeds, and of what is made of them.
_SEEDS = 40
_DAMAGED = 60


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    # It imports two SDKs, and tests/conformance runs what it runs.
    [pytest.param(name, marks=[pytest.mark.slow] if name == "engine" else []) for name in TARGETS],
)
def test_nothing_is_found_at_a_glance(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    watched = Watched(target, tmp_path)
    chance = random.Random(name)
    mutator = Mutator(chance)
    seeds = list(target.seeds())
    for seed in chance.sample(seeds, min(_SEEDS, len(seeds))):
        watched(seed)
    for _ in range(_DAMAGED):
        watched(mutator.mutate(chance.choice(seeds)))
    assert not watched.kinds, watched.said()
    assert watched.count > _DAMAGED


def test_what_is_found_is_kept(tmp_path: Path) -> None:
    def read(data: bytes) -> None:
        if b"x" in data:
            raise KeyError(data)

    watched = Watched(Target(read=read, seeds=lambda: [b""]), tmp_path)
    for data in (b"a", b"xa", b"xb"):
        watched(data)
    assert list(watched.kinds.values()) == [2]
    assert [each.read_bytes() for each in tmp_path.iterdir() if not each.suffix] == [b"xa"]
    assert "3 inputs" in watched.said()
