"""The page, as a browser shows it: headless Chromium."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from tests.page.conftest import Exhibition, Served, Stage
from tests.services.packages import BROWSER, ensure_packages
from tests.world import World, finished

# Time of the page's own clock, in milliseconds: enough for two refreshes.
BUDGET_MS = 4000


@pytest.fixture(scope="session", autouse=True)
def _chromium() -> None:
    ensure_packages(BROWSER)


def chromium(folder: Path, url: str, *options: str, complaints: bool = False) -> str:
    """Opens an address; returns what was printed.

    Args:
        folder: For the browser's files.
        url: The address.
        options: Of the command line.
        complaints: Whether its console may have any.
    """
    # As root, chromium runs without its sandbox only; it opens nothing but the page.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [
            "/usr/bin/chromium",
            "--headless",
            *sandbox,
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'chromium'}",
            f"--virtual-time-budget={BUDGET_MS}",
            *options,
            url,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # A policy that is broken, or a script that fails, is told here.
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints or not said, said
    return done.stdout


def test_a_sweep_is_drawn(gallery: Exhibition, tmp_path: Path) -> None:
    picture = tmp_path / "sweep.png"
    dom = chromium(
        tmp_path,
        f"{gallery.served.url}/jobs/{gallery.jobs.sweep}?point=30",
        "--window-size=1280,1400",
        f"--screenshot={picture}",
        "--dump-dom",
    )
    assert len(re.findall(r'<path class="line" d="M', dom)) == 4
    assert dom.count('<td class="outcome"') >= 2
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    assert (width, height) == (1280, 1400)
    # An unstyled or empty page takes a fraction of this.
    assert picture.stat().st_size > 50_000


def test_a_page_follows_its_job_to_its_end(
    stage: tuple[Stage, Served], served: Served, world: World, tmp_path: Path
) -> None:
    claim = world.running(framework="<script>document.title='run'</script>")
    site = stage[0].site
    assert site is not None
    loads = 0

    async def finish_after_the_first(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal loads
        await site(scope, receive, send)
        if scope["path"].startswith("/jobs/"):
            loads += 1
            if loads == 1:
                world.work.finish(claim, finished())

    stage[0].site = finish_after_the_first
    dom = chromium(tmp_path, f"{served.url}/jobs/{claim.job_id}", "--dump-dom")
    assert '<span class="status finished">finished</span>' in dom
    assert "Counts" in dom
    assert "deleted when the job ended" in dom
    assert f"<title>Job {claim.job_id} - qdispatch</title>" in dom
    # A job that has ended needs no more of them.
    assert loads == 2


def test_a_page_says_when_nobody_answers_any_more(
    stage: tuple[Stage, Served], served: Served, world: World, tmp_path: Path
) -> None:
    world.submit(tags=("seen",))
    site = stage[0].site
    assert site is not None

    async def go_away_after_the_first(scope: Scope, receive: Receive, send: Send) -> None:
        await site(scope, receive, send)
        if scope["path"] == "/":
            world.store.away = True

    stage[0].site = go_away_after_the_first
    dom = chromium(tmp_path, f"{served.url}/", "--dump-dom", complaints=True)
    assert '<span id="stale">No answer since' in dom
    assert "seen" in dom
