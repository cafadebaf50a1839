"""What an engine may answer, and what its slot does not take from it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import Any

import pytest

from app.jobs import Failed, Finished
from qdispatch.v1 import qdispatch_pb2 as pb
from tasks.answers import AnswerError
from tasks.engine import Progress, _read_answer

RESULT = pb.Result(type=pb.RESULT_TYPE_COUNTS).SerializeToString()
GOOD: dict[str, Any] = {
    "simulator_version": "stub 1.0",
    "peak_memory_bytes": 5,
    "cpu_s": 0.2,
    "shared": False,
    "method": "stub",
    "method_reason": "",
    "parsing_s": 0.1,
    "simulating_s": 2,
    "results": {"types": ["counts"], "points": [0], "sizes": [len(RESULT)]},
}
FAILED: dict[str, Any] = {
    "simulator_version": "stub 1.0",
    "peak_memory_bytes": 5,
    "cpu_s": 0.2,
    "kind": "unsupported",
    "message": "no such gate",
}


@pytest.fixture
def pipe() -> Iterator[tuple[Connection, Connection]]:
    ours, theirs = Pipe()
    with ours, theirs:
        yield ours, theirs


Pair = tuple[Connection, Connection]


def answered(pipe: Pair, header: bytes | dict[str, Any], payload: bytes = RESULT) -> Any:
    ours, theirs = pipe
    theirs.send_bytes(header if isinstance(header, bytes) else json.dumps(header).encode())
    theirs.send_bytes(payload)
    return _read_answer(ours, "fingerprint")


def test_answers(pipe: Pair) -> None:
    assert answered(pipe, b'{"progress": 3}') == Progress(points_done=3)
    ours, _ = pipe
    ours.recv_bytes()
    finished = answered(pipe, GOOD)
    assert isinstance(finished, Finished)
    assert [each.value for each in finished.results] == [RESULT]
    failed = answered(pipe, FAILED)
    assert isinstance(failed, Failed)
    assert failed.message == "no such gate"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"7",
        b"{}",
        {"progress": -1},
        {"progress": "3"},
        {"progress": True},
        {"progress": 2**31},
        FAILED | {"kind": "sorry"},
        FAILED | {"message": 7},
        FAILED | {"parsing_s": "long"},
        FAILED | {"simulator_version": None},
        GOOD | {"peak_memory_bytes": 2**63},
        GOOD | {"peak_memory_bytes": 1.5},
        GOOD | {"parsing_s": -1},
        GOOD | {"parsing_s": None},
        GOOD | {"simulating_s": float("nan")},
        GOOD | {"simulating_s": float("inf")},
        GOOD | {"method": []},
        GOOD | {"results": None},
        GOOD | {"results": {"types": ["counts"], "points": [0], "sizes": [-1]}},
        GOOD | {"results": {"types": ["counts"], "points": [0], "sizes": ["1"]}},
        GOOD | {"results": {"types": ["counts"], "points": [0], "sizes": [2**31, 2**31]}},
        GOOD | {"results": {"types": ["counts"], "points": [-1], "sizes": [len(RESULT)]}},
        GOOD | {"results": {"types": ["other"], "points": [0], "sizes": [len(RESULT)]}},
        GOOD | {"results": {"types": [], "points": [0], "sizes": [len(RESULT)]}},
        GOOD | {"results": {"types": ["counts"], "points": [0], "sizes": [1]}},
        # No file comes with it.
        GOOD | {"shared": True},
    ],
    ids=str,
)
def test_what_is_no_answer(pipe: Pair, header: bytes | dict[str, Any]) -> None:
    with pytest.raises(AnswerError):
        answered(pipe, header)


def test_shared_memory_is_read_as_far_as_is_said(pipe: Pair) -> None:
    ours, theirs = pipe
    theirs.send_bytes(json.dumps(GOOD | {"shared": True}).encode())
    with tempfile.TemporaryFile() as file:
        file.write(RESULT + b"more" * 1000)
        file.flush()
        send_handle(theirs, file.fileno(), os.getpid())
        answer = _read_answer(ours, "fingerprint")
    assert isinstance(answer, Finished)
    assert [each.value for each in answer.results] == [RESULT]


def test_what_is_no_memory_is_not_read(pipe: Pair) -> None:
    ours, theirs = pipe
    theirs.send_bytes(json.dumps(GOOD | {"shared": True}).encode())
    # It has no end.
    with open("/dev/zero", "rb") as endless:  # noqa: PTH123
        send_handle(theirs, endless.fileno(), os.getpid())
        with pytest.raises(AnswerError):
            _read_answer(ours, "fingerprint")
