"""Requests that are no valid messages: the answer names the field."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError

from qdispatch.errors import InvalidJobError
from qdispatch.v1 import qdispatch_pb2 as pb
from rpc.decoding import explain

BAD = b"\xff\xfe"


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field, as protobuf's encoding has it."""
    length = len(data)
    assert length < 128
    return bytes([number << 3 | 2, length]) + data


def refusal(data: bytes) -> InvalidJobError:
    descriptor = pb.CreateJobRequest.DESCRIPTOR
    with pytest.raises(DecodeError) as caught:
        pb.CreateJobRequest.FromString(data)
    return explain(data, descriptor, caught.value)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (field(1, BAD), "request_id"),
        (field(2, field(3, BAD)), "spec.target"),
        (field(2, field(4, BAD)), "spec.framework"),
        (field(2, field(12, BAD)), "spec.extra"),
        (field(2, field(14, b"good") + field(14, BAD)), "spec.tags"),
        (field(2, field(11, field(1, field(1, BAD)))), "spec.observables[0].terms[0].paulis"),
        (field(1, b"good") + field(2, field(3, b"aer") + field(4, BAD)), "spec.framework"),
        # A field that this version does not know may hold anything.
        (field(15, BAD) + field(2, field(3, BAD)), "spec.target"),
    ],
)
def test_text_that_is_no_utf_8_is_named(data: bytes, path: str) -> None:
    error = refusal(data)
    assert error.field == path
    assert error.message == "must be text in UTF-8"


@pytest.mark.parametrize("data", [BAD, b"\x0a\x7f", field(2, b"\x0a\x7f"), b"\x0b" * 200])
def test_what_is_no_message_at_all_is_said_to_be_none(data: bytes) -> None:
    error = refusal(data)
    assert error.field == ""
    assert "qdispatch.v1.CreateJobRequest" in error.message


def test_the_program_is_bytes_and_never_a_decoding_error() -> None:
    request = pb.CreateJobRequest.FromString(field(2, field(1, BAD)))
    assert request.spec.program == BAD
