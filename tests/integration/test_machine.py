"""The machine's places, over workers that know nothing of each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.settings import PROJECT, SettingsError
from tasks.machine import reserve

# Holds places until it is killed.
HOLDER = """
import sys
from pathlib import Path
from tasks.machine import reserve
held = reserve(Path(sys.argv[1]), wanted=int(sys.argv[2]), most=4, worker=sys.argv[3])
print("held", len(held), flush=True)
sys.stdin.read()
"""

Hold = Callable[[int, str], subprocess.Popen[str]]


def take(folder: Path, wanted: int, *, most: int = 4, worker: str = "w@here") -> list[int]:
    return reserve(folder, wanted=wanted, most=most, worker=worker)


def release(places: list[int]) -> None:
    for place in places:
        os.close(place)


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Has another process hold places."""
    with ExitStack() as processes:

        def start(wanted: int, worker: str) -> subprocess.Popen[str]:
            process = processes.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", HOLDER, str(tmp_path), str(wanted), worker],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=PROJECT,
                )
            )
            processes.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == f"held {wanted}\n"
            return process

        yield start


def test_as_many_as_there_are(tmp_path: Path) -> None:
    places = take(tmp_path, 4)
    assert len(set(places)) == 4
    release(places)


def test_too_many_are_refused_and_none_is_kept(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        take(tmp_path, 5)
    assert "w@here is to run 5 simulations at once" in str(caught.value)
    assert "of the 4" in str(caught.value)
    assert "machine.max_simulations" in str(caught.value)
    release(take(tmp_path, 4))


def test_workers_share_what_there_is(tmp_path: Path) -> None:
    first = take(tmp_path, 3, worker="aer@here")
    with pytest.raises(SettingsError, match=r"only 1 are free; held: aer@here 3"):
        take(tmp_path, 2)
    second = take(tmp_path, 1)
    release(first)
    third = take(tmp_path, 3)
    release(second + third)


def test_places_are_free_once_their_holder_is_killed(tmp_path: Path, hold: Hold) -> None:
    one, other = hold(2, "aer@one"), take(tmp_path, 1, worker="cirq@other")
    with pytest.raises(SettingsError, match=r"only 1 are free; held: aer@one 2, cirq@other 1\."):
        take(tmp_path, 2)
    one.kill()
    one.wait()
    release([*take(tmp_path, 3), *other])


def test_programs_that_a_holder_starts_hold_nothing(tmp_path: Path) -> None:
    places = take(tmp_path, 4)
    with subprocess.Popen(
        ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, close_fds=False
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        # Its answer shows that it has got past its start.
        program.stdin.write(b"!")
        assert program.stdout.read(1) == b"!"
        release(places)
        places = take(tmp_path, 4)
        program.kill()
    release(places)
