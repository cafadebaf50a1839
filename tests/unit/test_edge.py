"""What calls leave behind where they come in."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from app.identity import EVERYBODY
from qdispatch.errors import InvalidJobError
from qdispatch.v1 import qdispatch_pb2 as pb
from rpc.decoding import Form
from rpc.edge import OPEN, Edge
from rpc.load import Load

LONG_S = 20.0


class Request:
    """Stands for a message, which may be large."""


def test_a_call_that_is_given_up_while_it_waits_for_a_thread_leaves_no_message() -> None:
    busy, worked = Event(), []
    unused: Any = None

    def work(request: object, _caller: object) -> None:
        worked.append(type(request))

    async def story(threads: ThreadPoolExecutor) -> None:
        edge = Edge(
            unused,
            gate=OPEN,
            load=unused,
            to_send=unused,
            threads=threads,
            call_s=LONG_S,
            stream_s=LONG_S,
        )
        threads.submit(busy.wait, LONG_S)
        request: Any = Request()
        left = weakref.ref(request)
        call = asyncio.create_task(edge._in_thread(work, request, EVERYBODY))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        del request, call
        assert left() is None
        busy.set()
        await edge._in_thread(work, unused, EVERYBODY)

    with ThreadPoolExecutor(1) as threads:
        asyncio.run(story(threads))
    assert worked == [type(None)]


class Kept:
    """One call, as grpc has it: it keeps what it raises, and so whatever that keeps."""

    def __init__(self, message: Any) -> None:
        self._messages = [message]
        self.text = ""
        self.end: Exception | None = None

    async def read(self) -> Any:
        return self._messages.pop()

    def peer(self) -> str:
        return "here"

    async def abort(self, _code: object, text: str, _metadata: object) -> None:
        self.text = text
        self.end = RuntimeError("the call is ended")
        raise self.end


class Large(Request):
    """One that is decoded in a thread."""

    def __len__(self) -> int:
        return 2**20


@pytest.mark.parametrize("fails", ["counting", "serving"])
def test_a_call_that_is_refused_keeps_no_message(fails: str) -> None:
    unused: Any = None

    def refuse(_request: object, _caller: object = None) -> Any:
        raise InvalidJobError("no")

    async def story(threads: ThreadPoolExecutor) -> None:
        most = {"max_calls": 4, "max_bytes": 2**24, "max_message_bytes": 2**24}
        load = Load(unused, **most, tells_apart=False)
        edge = Edge(
            unused,
            gate=OPEN,
            load=load,
            to_send=unused,
            threads=threads,
            call_s=LONG_S,
            stream_s=LONG_S,
        )
        form: Any = Form(pb.CreateJobRequest.FromString, None)
        form.weigh = refuse if fails == "counting" else len
        form.decode = lambda data: data
        request = Large()
        left = weakref.ref(request)
        context: Any = Kept(request)
        del request
        with pytest.raises(RuntimeError, match="is ended"):
            await edge._call(refuse, form, bytes, "/x.X/Create")(None, context)
        assert context.text == "no"
        assert left() is None

    gc.disable()
    try:
        with ThreadPoolExecutor(1) as threads:
            asyncio.run(story(threads))
    finally:
        gc.enable()
