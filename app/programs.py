"""Program files: one for each job that is not final yet, named by its id.

Every object store's library has errors of its own, of no common root, so this
edge catches all of them.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from app.folders import make_private
from qdispatch.errors import QDispatchError, UnavailableError

SUFFIX = ".qasm"
# Of a file that is being written.
_FRESH = ".new"
# Files that are written at the same time, and that are open.
_WRITERS: Final = 16
_TOGETHER: Final = 64

# What file systems say that know no second name of a file, or not so many.
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})

# Of a URL that somebody's error names.
_QUERY: Final = re.compile(r"(?<=\S)\?[^\s'\"<>]+")

_log = logging.getLogger(__name__)


class ProgramLostError(QDispatchError):
    """The file of a job is not there."""


class Programs:
    """A folder, local or in an object store, that server and workers share.

    Args:
        url: An fsspec URL. A local folder is made when missing.

    Raises:
        UnavailableError: The folder cannot be reached or made.
    """

    def __init__(self, url: str) -> None:
        self._fs: fsspec.AbstractFileSystem
        # It starts threads when they are needed, so that a process may fork before.
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="programs")
        try:
            self._fs, self._folder = url_to_fs(url, use_listings_cache=False)
            # fsspec's layers cost more than the file itself.
            self._is_local = isinstance(self._fs, LocalFileSystem)
            if self._is_local:
                make_private(Path(self._folder).parent)
            self._fs.makedirs(self._folder, exist_ok=True)
        except (OSError, ValueError, ImportError) as error:
            # Unknown protocols are a ValueError, and uninstalled ones an ImportError.
            raise UnavailableError(f"programs_url cannot be used: {error}") from error

    def _path(self, job_id: UUID) -> str:
        return f"{self._folder}/{job_id}{SUFFIX}"

    def write(self, programs: Mapping[UUID, str]) -> None:
        """Stores programs before their jobs are committed: all, or none.

        Raises:
            UnavailableError: The folder cannot be written to.
        """
        try:
            self._store_all(programs)
            self._keep_names()
        except Exception as error:
            # A full disk may leave half a file behind.
            for job_id in programs:
                self.delete(job_id)
            raise _away("the program cannot be stored", error) from error

    def _store_all(self, programs: Mapping[UUID, str]) -> None:
        files = [
            ([self._path(job_id) for job_id in job_ids], data)
            for data, job_ids in self._contents(programs)
        ]
        for at in range(0, len(files), _TOGETHER):
            some = files[at : at + _TOGETHER]
            if self._is_local:
                self._store_files(some)
            else:
                # It is there whole, or not at all.
                self._side_by_side(self._fs.pipe_file, [(path, data) for (path,), data in some])

    def _contents(self, programs: Mapping[UUID, str]) -> Iterator[tuple[bytes, list[UUID]]]:
        """What is to be in a file each, and the jobs that share it.

        Those that come together often have the same program, and in a folder a second
        name costs less than a file.
        """
        if not self._is_local:
            yield from ((program.encode(), [job_id]) for job_id, program in programs.items())
            return
        alike: dict[str, list[UUID]] = {}
        for job_id, program in programs.items():
            alike.setdefault(program, []).append(job_id)
        yield from ((program.encode(), job_ids) for program, job_ids in alike.items())

    def _store_files(self, files: Sequence[tuple[Sequence[str], bytes]]) -> None:
        with ExitStack() as opened:
            numbers = []
            for (path, *others), data in files:
                fresh = Path(f"{path}{_FRESH}")
                file = opened.enter_context(fresh.open("wb"))
                file.write(data)
                file.flush()
                numbers.append((file.fileno(),))
                # Names first, so that what makes the file last does so for them, too, as
                # far as the file system can. Nobody looks for them before the commit.
                fresh.rename(path)
                for name in others:
                    self._link(path, name)
            # What was acknowledged outlives a loss of power, like the database.
            self._side_by_side(os.fsync, numbers)

    @staticmethod
    def _link(path: str, name: str) -> None:
        try:
            os.link(path, name)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(path, name)
            with Path(name).open("rb") as file:
                os.fsync(file.fileno())

    def _side_by_side(self, store: Callable[..., object], arguments: Sequence[Any]) -> None:
        """Disks and object stores make many files last in hardly more time than one."""
        first, *others = arguments
        waiting = [self._writers.submit(store, *each) for each in others]
        try:
            store(*first)
        finally:
            # None of them goes on when this returns.
            wait(waiting)
        for each in waiting:
            each.result()

    def _keep_names(self) -> None:
        if not self._is_local:
            return
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def read(self, job_id: UUID) -> str:
        """The program of a job.

        Raises:
            ProgramLostError: It is not there.
            UnavailableError: The folder cannot be read.
        """
        try:
            data: bytes = (
                Path(self._path(job_id)).read_bytes()
                if self._is_local
                else self._fs.cat_file(self._path(job_id))
            )
        except FileNotFoundError as error:
            raise ProgramLostError(f"the program file of job {job_id} is gone") from error
        except Exception as error:
            raise _away("the program cannot be read", error) from error
        return data.decode()

    def delete(self, job_id: UUID) -> None:
        """Removes the file of a final job; a missing one is fine.

        What cannot be removed now is litter, and the sweep's to remove.
        """
        try:
            if self._is_local:
                # It has one of these names.
                Path(self._path(job_id)).unlink(missing_ok=True)
                Path(f"{self._path(job_id)}{_FRESH}").unlink(missing_ok=True)
            else:
                self._fs.rm_file(self._path(job_id))
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001 - the job has ended, whatever becomes of its file
            _log.warning("the program of job %s stays for now: %s", job_id, _cause(error))

    def stored(self) -> Iterator[tuple[UUID, datetime]]:
        """Every file: its job's id, and when it was written.

        Raises:
            UnavailableError: The folder cannot be read.
        """
        try:
            entries = self._fs.ls(self._folder, detail=True)
        except Exception as error:
            raise _away("the programs cannot be listed", error) from error
        for entry in entries:
            name = str(entry["name"]).rpartition("/")[2]
            try:
                job_id = UUID(name.removesuffix(_FRESH).removesuffix(SUFFIX))
            except ValueError:
                continue
            yield job_id, _written_at(entry)


def _away(said: str, error: Exception) -> UnavailableError:
    """What a caller is told: of the cause, which has paths and hosts, only the log has a word."""
    _log.warning("%s: %s", said, _cause(error))
    return UnavailableError(f"{said} for now; try again")


def _cause(error: Exception) -> str:
    # Requests to object stores are signed in their queries.
    return f"{type(error).__name__}: {_QUERY.sub('?***', str(error))}"


def _written_at(entry: dict[str, object]) -> datetime:
    for key in ("mtime", "LastModified", "last_modified", "created"):
        moment = entry.get(key)
        if isinstance(moment, datetime):
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(moment, int | float):
            return datetime.fromtimestamp(moment, UTC)
    return datetime.now(UTC)
