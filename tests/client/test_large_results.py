"""Results at the size that the encoding is made for."""

from __future__ import annotations

from qdispatch import results_codec
from qdispatch.model import Result, ResultType


def test_a_million_outcomes_fit_well() -> None:
    counts = {format(value, "020b"): value + 1 for value in range(2**20)}
    result = Result(type=ResultType.COUNTS, n_bits=20, counts=counts)
    message = results_codec.encode_result(result)
    # Three bytes an outcome, and at most three for its number.
    assert message.ByteSize() < 6.5 * 2**20
    assert results_codec.decode_result(message) == result
