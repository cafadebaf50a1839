"""Celery's records are for people: a worker goes on without."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from tasks.celery import make_celery
from tests.world import make_settings


@pytest.mark.parametrize("backend", ["", "redis://127.0.0.1:1/0"], ids=["file", "redis"])
def test_a_record_that_cannot_be_stored_is_only_logged(
    tmp_path: Path, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    celery = make_celery(make_settings(tmp_path, result_backend=backend), results=True)
    try:
        folder = tmp_path / "celery-results"
        if folder.exists():
            # As good as a full disk, also for root.
            shutil.rmtree(folder)
            folder.touch()
        celery.backend.store_result("a-job", None, "REVOKED")
        celery.backend.mark_as_revoked("a-job", "canceled")
    finally:
        celery.close()
    assert "Celery's record of job a-job (REVOKED) is lost" in caplog.text
