"""Chunks: small jobs of a batch, or that came together, in one message.

A message, a task and a few transactions cost as much as a small simulation. Jobs
that are small by what is known of them before they run share these; should one
turn out to be large, what is left of its chunk is shared by other slots (see
`tasks.run_chunk`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from app.ids import new_id
from app.ports import Chunk, Dispatch, Sent
from app.rows import JobRow
from app.store import Store
from app.store_dispatch import label
from app.store_feeding import Waiting

T = TypeVar("T")

#: Jobs in one chunk at the most.
MOST_JOBS: Final = 100
# The same of those that came together by chance; and what jobs of chunks may be like.
_MOST_TOGETHER: Final = 8
_MOST_QUBITS: Final = 16
_MOST_SHOTS: Final = 100_000
# Chunks that each slot should get of a batch, so that none is left with the last; but
# a few jobs are never worth messages of their own.
_PER_SLOT: Final = 4
_FEWEST_JOBS: Final = 4


def cut_into_chunks(rows: Sequence[JobRow], slots: Mapping[str, int]) -> list[Chunk]:
    """Puts the small jobs of a batch into chunks, as their ``chunk_id`` then says.

    Args:
        rows: The jobs, in the order in which they are to run.
        slots: How many simulations run at once, by target.
    """
    return _cut(rows, slots, per_slot=_PER_SLOT, fewest=_FEWEST_JOBS, most=MOST_JOBS)


def cut_a_group(rows: Sequence[JobRow], slots: Mapping[str, int]) -> list[Chunk]:
    """As `cut_into_chunks`, of jobs that have nothing in common but the moment.

    They are for a slot each as long as there are enough; on a busy machine they would
    wait for each other anyway. Those who sent them wait for each by itself, so that
    few share a chunk.
    """
    return _cut(rows, slots, per_slot=1, fewest=1, most=_MOST_TOGETHER)


def _cut(
    rows: Sequence[JobRow], slots: Mapping[str, int], *, per_slot: int, fewest: int, most: int
) -> list[Chunk]:
    small: dict[tuple[str, str], list[JobRow]] = defaultdict(list)
    for row in rows:
        if _is_small(row):
            # What is one owner's is no other's to wait for.
            small[row.target, row.owner].append(row)
    chunks = []
    for (target, _), some in small.items():
        even = -(-len(some) // (per_slot * max(1, slots.get(target, 1))))
        size = min(most, max(fewest, even))
        # One job alone has a message of its own.
        chunks += [_chunk(target, part) for part in _parts(some, size) if len(part) > 1]
    return chunks


def cut_waiting(
    waiting: Sequence[Waiting], slots: int, *, most: int, alone: Container[UUID] = ()
) -> list[Sent]:
    """Puts jobs that waited for their owner's turn into messages, in their order.

    Args:
        waiting: The jobs of one owner at one target.
        slots: How many simulations run at once there.
        most: Messages; what does not go into these waits on.
        alone: Those that are to have messages of their own: they were in a chunk that
            took too long. So has each that was begun before.
    """
    small = [each for each in waiting if _is_small(each) and not each.attempt]
    small = [each for each in small if each.id not in alone]
    size = min(MOST_JOBS, max(_FEWEST_JOBS, -(-len(small) // (_PER_SLOT * max(1, slots)))))
    parts = {part[0].id: part for part in _parts(small, size) if len(part) > 1}
    carried = {each.id for part in parts.values() for each in part}
    messages: list[Sent] = []
    for each in waiting:
        if each.id in parts:
            messages.append(_chunk_of(parts[each.id]))
        elif each.id not in carried:
            messages.append(_dispatch_of(each))
    return messages[:most]


def _chunk_of(part: Sequence[Waiting]) -> Chunk:
    return Chunk(
        chunk_id=new_id(),
        target=part[0].target,
        job_ids=tuple(each.id for each in part),
        label=f"target={part[0].target} jobs={len(part)}",
        owner=part[0].owner,
    )


def _dispatch_of(job: Waiting) -> Dispatch:
    return Dispatch(
        job_id=job.id,
        target=job.target,
        label=label(job.target, job.n_qubits, job.shots),
        attempt=job.attempt,
        owner=job.owner,
    )


def note_sent(store: Store, sent: Sequence[Sent], now: datetime) -> None:
    """Notes what the broker has confirmed: single jobs, and chunks.

    In a transaction for each kind: within one, jobs are locked in the order of their
    ids, and in a batch both kinds are mixed.
    """
    singles = [each for each in sent if isinstance(each, Dispatch)]
    if singles:
        with store.write() as tx:
            tx.mark_sent(singles, now)
    chunk_ids = [each.chunk_id for each in sent if isinstance(each, Chunk)]
    if chunk_ids:
        with store.write() as tx:
            tx.chunks.mark_sent(chunk_ids, now)


def _is_small(row: JobRow | Waiting) -> bool:
    return not row.n_points and row.n_qubits <= _MOST_QUBITS and row.shots <= _MOST_SHOTS


def _parts(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[at : at + size] for at in range(0, len(rows), size))


def _chunk(target: str, rows: Sequence[JobRow]) -> Chunk:
    chunk_id = new_id()
    batch = f" batch={rows[0].batch_id}" if rows[0].batch_id else ""
    for row in rows:
        row.chunk_id = chunk_id
    return Chunk(
        chunk_id=chunk_id,
        target=target,
        job_ids=tuple(row.id for row in rows),
        label=f"target={target} jobs={len(rows)}{batch}",
        owner=rows[0].owner,
    )
