"""What follows a commit: jobs are handed to the dispatcher, and what is not needed is removed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from app.ports import Chunk, Dispatch, Dispatcher
from app.programs import Programs
from app.rows import JobRow
from app.store_dispatch import label
from qdispatch.model import TargetState


class Sending:
    """Sends jobs that were just accepted.

    Jobs of a paused target are for the sweep, after the pause.

    Args:
        programs: The program files.
        dispatcher: Tells the workers.
    """

    def __init__(self, programs: Programs, dispatcher: Dispatcher) -> None:
        self._programs = programs
        self._dispatcher = dispatcher

    def send_chunks(
        self,
        chunks: Iterable[Chunk],
        states: Mapping[str, TargetState],
        *,
        among: Container[UUID] | None = None,
    ) -> None:
        """Sends jobs that one message carries.

        Args:
            chunks: The jobs.
            states: Of targets.
            among: Only those of the jobs that are among these.
        """
        for chunk in chunks:
            job_ids = tuple(each for each in chunk.job_ids if among is None or each in among)
            if job_ids and states.get(chunk.target) is not TargetState.PAUSED:
                self._dispatcher.send_chunk(replace(chunk, job_ids=job_ids))

    def send(self, rows: Iterable[JobRow], states: Mapping[str, TargetState]) -> None:
        """Sends jobs that have messages of their own; of those that are final, the files go."""
        for row in rows:
            if row.status.is_final:
                self._programs.delete(row.id)
            elif states.get(row.target) is not TargetState.PAUSED:
                text = label(row.target, row.n_qubits, row.shots)
                self._dispatcher.send(
                    Dispatch(job_id=row.id, target=row.target, label=text, owner=row.owner)
                )
