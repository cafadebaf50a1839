"""Whatever comes over the wire is a request, or is refused by a field that there is."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from qdispatch.errors import RequestError
from qdispatch.v1 import qdispatch_pb2 as pb
from rpc.decoding import Form
from tests.fuzz.known import Known
from tests.fuzz.messages import Maker
from tests.fuzz.mutations import Mutator
from tests.fuzz.verdict import has_field

METHODS = pb.DESCRIPTOR.services_by_name["QDispatch"].methods
REQUESTS = {each.input_type.name: each.input_type for each in METHODS}


def damaged(name: str, chance: random.Random) -> bytes:
    """A request with a few damages, for hypothesis to make fewer."""
    made = Maker(chance, Known(chance)).make(REQUESTS[name], "ada")
    return Mutator(chance).mutate(made.SerializeToString())


@pytest.mark.parametrize("name", REQUESTS)
@given(data=st.data())
def test_a_refusal_names_a_field_that_there_is(name: str, data: st.DataObject) -> None:
    descriptor = REQUESTS[name]
    kind = message_factory.GetMessageClass(descriptor)
    chance = st.randoms(use_true_random=False)
    body = data.draw(st.binary(max_size=60) | chance.map(lambda each: damaged(name, each)))
    field = refused(kind.FromString, body).field
    assert not field or has_field(descriptor, field)


def refused(decode: Callable[[bytes], Message], body: bytes) -> RequestError:
    """The refusal; one without words if it is taken."""
    form = Form(decode, None)
    try:
        form.weigh(body)
        form.decode(body)
    except RequestError as error:
        return error
    return RequestError("")


@pytest.mark.parametrize("name", REQUESTS)
@given(data=st.data())
def test_what_is_a_message_can_be_counted(name: str, data: st.DataObject) -> None:
    kind = message_factory.GetMessageClass(REQUESTS[name])
    chance = st.randoms(use_true_random=False)
    body = data.draw(st.binary(max_size=60) | chance.map(lambda each: damaged(name, each)))
    try:
        kind.FromString(body)
    except DecodeError:
        return
    # It may be refused for its counts, and not for being none.
    assert "the request is no" not in refused(kind.FromString, body).message
