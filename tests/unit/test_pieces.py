"""Large results, cut to fit messages, and put together again."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdispatch.model import Result, ResultType
from qdispatch.results_codec import encode_result
from qdispatch.v1 import qdispatch_pb2 as pb
from rpc.pieces import PIECE_BYTES, Room, pieces


def results(*sizes: int) -> list[bytes]:
    """Encoded results, each with so many probabilities."""
    return [
        encode_result(
            Result(
                type=ResultType.QUASI,
                n_bits=24,
                point=point,
                quasi={format(each, "024b"): 0.5 for each in range(size)},
            )
        ).SerializeToString()
        for point, size in enumerate(sizes)
    ]


def whole(values: list[bytes]) -> bytes:
    return pb.ResultSet(results=map(pb.Result.FromString, values)).SerializeToString()


@given(
    st.lists(st.integers(0, 40), max_size=5),
    st.integers(0, 3000),
    st.integers(1, 200),
)
def test_all_data_are_the_rest_of_one_result_set(sizes: list[int], offset: int, most: int) -> None:
    values = results(*sizes)
    first, *others = pieces(values, offset, most)
    assert first.size == len(whole(values))
    assert first.data + b"".join(each.data for each in others) == whole(values)[offset:]
    assert all(0 < len(each.data) <= most for each in others)
    assert all(len(each.data) == most for each in others[:-1])


@pytest.mark.parametrize("offset", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 5])
def test_several_megabytes(offset: int) -> None:
    values = results(100_000, 1, 100_000)
    expected = whole(values)
    assert len(expected) > 2 * PIECE_BYTES
    answers = list(pieces(values, offset))
    assert b"".join(each.data for each in answers) == expected[offset:]
    assert max(each.ByteSize() for each in answers) < PIECE_BYTES + 100


@pytest.mark.parametrize("offset", [0, 5, 2**63])
def test_no_results_are_an_empty_set(offset: int) -> None:
    assert list(pieces([], offset)) == [pb.GetResultResponse(size=0)]


@given(st.lists(st.integers(0, 300), max_size=9), st.integers(0, 1000))
def test_a_list_fits_its_message(sizes: list[int], most: int) -> None:
    jobs = [pb.Job(id="x" * size) for size in sizes]
    room = Room[pb.Job](most)
    found = list(takewhile(room.take, jobs))
    assert room.messages == found == jobs[: len(found)]
    assert len(found) == min(1, len(jobs)) or _bytes(found) <= most
    # Not even one more would have room, but for what stands before each.
    assert len(found) == len(jobs) or _bytes(jobs[: len(found) + 1]) > most - 6 * len(jobs)


def _bytes(jobs: list[pb.Job]) -> int:
    return pb.ListJobsResponse(jobs=jobs).ByteSize()
