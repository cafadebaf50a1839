"""Requests of all kinds for every method that a server has."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from qdispatch.codec import varint
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.fuzz.known import Known
from tests.fuzz.messages import Maker
from tests.fuzz.mutations import Mutator

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of a server."""

    path: str
    request: Descriptor | None
    response: Descriptor | None
    streams: bool
    weight: int = 10

    @property
    def name(self) -> str:
        """Without the service."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent."""

    method: Method
    source: str
    caller: str
    """An owner, or what is wrong with the token."""
    messages: tuple[bytes, ...]
    metadata: Metadata = ()
    timeout_s: float | None = None
    """None for one that no call should ever meet."""

    @property
    def body(self) -> bytes:
        """The first message."""
        return self.messages[0] if self.messages else b""

    @property
    def may_enter(self) -> bool:
        """Whether whoever sends it is to be let in."""
        return self.caller in ENTERING

    def decoded(self) -> Any:
        """The message that it carries; None if it is none."""
        if self.method.request is None or not self.messages:
            return None
        try:
            return message_factory.GetMessageClass(self.method.request).FromString(self.body)
        except DecodeError:
            return None

    def save(self, path: Path, finding: str) -> None:
        """Keeps what reproduces it; see `python -m tests.fuzz --replay`."""
        metadata = [
            [key, value if isinstance(value, str) else f"base64:{_text(value)}"]
            for key, value in self.metadata
            if key != "authorization"
        ]
        said = {
            "finding": finding,
            "method": self.method.path,
            "caller": self.caller,
            "source": self.source,
            "messages": [_text(each) for each in self.messages],
            "metadata": metadata,
            "reads": str(self.decoded())[:4000],
        }
        path.write_text(json.dumps(said, indent=1) + "\n")


def load(path: Path) -> Request:
    """A request that was saved."""
    said = json.loads(path.read_text())
    method = next(each for each in methods() if each.path == said["method"])
    return Request(
        method=method,
        source=said["source"],
        caller=said["caller"],
        messages=tuple(map(base64.b64decode, said["messages"])),
        metadata=tuple(
            (key, base64.b64decode(value[7:]) if value.startswith("base64:") else value)
            for key, value in said["metadata"]
        ),
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


#: Who is let in: by a token, or where none is asked for.
ENTERING: Final = ("ada", "bob", "root", "anonymous")
_REFUSED: Final = ("expired", "revoked", "none", "odd")

_WEIGHTS: Final = {"CreateJob": 30, "CreateJobs": 6, "WatchJob": 6, "WatchBatch": 4, "GetJob": 14}


def methods() -> list[Method]:
    """Every method, by the descriptors; and one that there is not."""
    found: list[Method] = []
    for service in (
        pb.DESCRIPTOR.services_by_name["QDispatch"],
        health_pb2.DESCRIPTOR.services_by_name["Health"],
        reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
    ):
        ours = service.name == "QDispatch"
        found += [
            Method(
                path=f"/{service.full_name}/{each.name}",
                request=each.input_type,
                response=each.output_type,
                streams=each.server_streaming,
                weight=_WEIGHTS.get(each.name, 10) if ours else 2,
            )
            for each in service.methods
        ]
    missing = Method(
        path="/qdispatch.v1.QDispatch/Nothing",
        request=None,
        response=None,
        streams=False,
        weight=1,
    )
    return [*found, missing]


_ODD_TOKENS: Final = (
    *("", "Bearer", "Bearer ", "bearer  ", "Basic YTpi", "Bearer qd_", "Token x", "Bearer a b"),
    *("Bearer qd_AAAAAAAAAA_" + "a" * 43, "Bearer qd_aaaaaaaaaa_" + "a" * 43),
    *(
        "Bearer " + "q" * 3_000,
        "Bearer qd_" + "_" * 60,
        "Bearer ../../x",
        "Bearer %00",
        "Bearer ,,",
    ),
)
_ODD_HEADERS: Final[Sequence[tuple[str, str | bytes]]] = (
    ("x-odd", "a" * 2_000),
    ("x-odd-bin", b"\0\xff" * 50),
    ("qdispatch-error-bin", b"\x0a\x01a"),
    ("grpc-accept-encoding", "nothing"),
    ("content-language", "~!@#$%^&*()_+`-={}[]|;':,./<>?"),
    ("x-forwarded-for", "127.0.0.1"),
    ("user-agent", "'\"><script>"),
    ("cookie", "owner=root; admin=1"),
    ("owner", "root"),
    ("authorization-bin", b"Bearer"),
)


# What a job, or another request, is made large with: each is little on the wire.
_PIECES: Final = (
    *(b"\x72\x00", b"\x40\x01", b"\x42\x02\x01\x02", b"\x5a\x00", b"\x5a\x02\x0a\x00", b"\x7a\x00"),
    *(b"\x0a\x00", b"\x12\x00", b"\x10\x01", b"\xc0\x3e\x01", b"\xc3\x3e\xc4\x3e", b"\xf2\x00\x00"),
    *(b"\x81\x01" + bytes(8), b"\x5a\x06\x0a\x04\x12\x02\x01\x01", b"\x72\x03\xff\xff\xff"),
)
_SIZES: Final = (5_000, 5_000, 70_000, 70_000, 2**20, 8 * 2**20)


class Requests:
    """An endless list of requests.

    Args:
        chance: Draws; the same seed gives the same requests, but for the ids that
            they have from answers.
        known: What is learned from answers.
        tokens: Of callers, good ones and bad ones.
    """

    def __init__(self, chance: random.Random, known: Known, tokens: Mapping[str, str]) -> None:
        self._chance = chance
        self._tokens = tokens
        self._maker = Maker(chance, known)
        self._mutator = Mutator(chance)
        self._methods = methods()
        self._weights = [each.weight for each in self._methods]

    def draw(self) -> Request:
        """The next one."""
        (method,) = self._chance.choices(self._methods, self._weights)
        caller = self._caller()
        source, body = self._body(method, caller)
        messages = (body,)
        if (fate := self._chance.random()) < 0.02:
            source, messages = "none or two", () if fate < 0.01 else (body, body)
        return Request(
            method=method,
            source=source,
            caller=caller,
            messages=messages,
            metadata=self._metadata(caller),
            timeout_s=0.002 if self._chance.random() < 0.005 else None,
        )

    def _caller(self) -> str:
        if self._chance.random() < 0.06:
            return self._chance.choice(_REFUSED)
        (caller,) = self._chance.choices(ENTERING, (4, 3, 1, 3))
        return caller

    def _body(self, method: Method, caller: str) -> tuple[str, bytes]:
        kind = self._chance.random()
        if method.request is None or kind < 0.08:
            return "random", self._random_bytes()
        body = self._maker.make(method.request, caller).SerializeToString()
        if kind < 0.083:
            return "large", body + self._large()
        if kind < 0.30:
            return "mutated", self._mutator.mutate(body)
        return "structured", body

    def _large(self) -> bytes:
        piece = self._chance.choice(_PIECES)
        many = piece * (self._chance.choice(_SIZES) // len(piece))
        if self._chance.random() < 0.3:
            return many
        # Field 2 is the job of a submission, and those of a batch.
        return b"\x12" + varint(len(many)) + many

    def _random_bytes(self) -> bytes:
        if self._chance.random() < 0.001:
            return bytes(3 * 2**20)
        return self._chance.randbytes(self._chance.choice((0, 1, 2, 8, 40, 300)))

    def _metadata(self, caller: str) -> Metadata:
        metadata: Metadata = ()
        if self._chance.random() < 0.05:
            metadata = (self._chance.choice(_ODD_HEADERS),)
        if caller == "odd":
            return (*metadata, ("authorization", self._chance.choice(_ODD_TOKENS)))
        if caller in self._tokens:
            return (*metadata, ("authorization", f"Bearer {self._tokens[caller]}"))
        return metadata
