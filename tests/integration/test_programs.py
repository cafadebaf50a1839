"""Program files, in a local folder and in a store behind fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from app.programs import ProgramLostError, Programs
from qdispatch.errors import QDispatchError, UnavailableError
from tests.specs import BELL


@pytest.fixture(params=["file", "path", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield f"memory://{uuid4()}/programs"
        fsspec.filesystem("memory").store.clear()
    else:
        folder = tmp_path / "deep" / "programs"
        yield folder.as_uri() if request.param == "file" else str(folder)


@pytest.mark.parametrize("program", [BELL, "", "ü ✓\n\r\n\0", "x" * 5_000_000])
def test_a_program_comes_back(url: str, program: str) -> None:
    job_id = uuid4()
    Programs(url).write({job_id: program})
    # Of another process, which shares nothing but the URL.
    assert Programs(url).read(job_id) == program


def test_a_file_is_named_by_its_job(tmp_path: Path) -> None:
    job_id = uuid4()
    Programs(str(tmp_path)).write({job_id: BELL})
    assert [path.name for path in tmp_path.iterdir()] == [f"{job_id}.qasm"]
    assert (tmp_path / f"{job_id}.qasm").read_text() == BELL


def test_a_program_that_is_deleted_is_lost(url: str) -> None:
    programs, job_id, kept = Programs(url), uuid4(), uuid4()
    programs.write({job_id: BELL})
    programs.write({kept: BELL})
    programs.delete(job_id)
    programs.delete(job_id)
    with pytest.raises(ProgramLostError, match=str(job_id)):
        programs.read(job_id)
    assert [job for job, _ in programs.stored()] == [kept]


def test_files_tell_when_they_were_written(url: str) -> None:
    programs, job_id = Programs(url), uuid4()
    before = datetime.now(UTC) - timedelta(seconds=2)
    programs.write({job_id: BELL})
    ((stored, written_at),) = programs.stored()
    assert stored == job_id
    assert before < written_at < datetime.now(UTC) + timedelta(seconds=2)


def test_another_process_sees_what_came_later(url: str) -> None:
    writer, reader = Programs(url), Programs(url)
    assert list(reader.stored()) == []
    job_id = uuid4()
    writer.write({job_id: BELL})
    assert [job for job, _ in reader.stored()] == [job_id]


class Away(MemoryFileSystem):
    """An object store that refuses, in words that are nobody's but the operator's."""

    protocol = "away"

    @staticmethod
    def pipe_file(*_: Any, **__: Any) -> None:
        # As the libraries of some do: an error of no common root, and all that was asked.
        raise RuntimeError("403 of http://10.0.0.7:9000/programs/x?X-Signature=5ec2e7&a=b: denied")

    cat_file = ls = pipe_file


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_what_is_wrong_is_told_to_the_operator_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    fsspec.register_implementation("away", Away, clobber=True)
    folder = tmp_path / "programs"
    programs = Programs(str(folder) if kind == "folder" else "away://programs")
    for call, said in {
        lambda: list(programs.stored()): "the programs cannot be listed",
        lambda: programs.write({uuid4(): BELL}): "the program cannot be stored",
        lambda: programs.read(uuid4()): "the program cannot be read",
    }.items():
        caplog.clear()
        if folder.is_dir():
            folder.rmdir()
        elif kind == "folder":
            # Not even root can find a file in a file.
            folder.write_text("in the way")
        with pytest.raises(UnavailableError) as refusal:
            call()
        assert str(refusal.value) == f"{said} for now; try again"
        told = caplog.records[-1].getMessage()
        assert told.startswith(f"{said}: ")
        assert (str(folder) if kind == "folder" else "http://10.0.0.7:9000/programs/x?***") in told
        assert "5ec2e7" not in caplog.text


def test_a_folder_that_is_away_can_be_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    programs = Programs(str(folder))
    folder.rmdir()
    with pytest.raises(UnavailableError):
        list(programs.stored())
    # Not even root can make a file in a file.
    folder.write_text("in the way")
    with pytest.raises(UnavailableError):
        programs.write({uuid4(): BELL})
    folder.unlink()
    folder.mkdir()
    programs.write({uuid4(): BELL})
    assert len(list(programs.stored())) == 1


@pytest.mark.parametrize("url", ["no-such-protocol://x", "{tmp}/file/programs"])
def test_a_url_that_cannot_be_used_is_said_at_once(tmp_path: Path, url: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(QDispatchError, match="programs_url"):
        Programs(url.format(tmp=tmp_path))
