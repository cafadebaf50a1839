"""HTTP/2, frame by frame: a client that does what no library would let it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple, Self

#: Types of frames; see RFC 9113, section 6.
DATA: Final = 0
HEADERS: Final = 1
RST_STREAM: Final = 3
SETTINGS: Final = 4
PING: Final = 6
GOAWAY: Final = 7

ACK: Final = 1
END_STREAM: Final = 1
END_HEADERS: Final = 4

#: Codes of errors; see section 7.
REFUSED_STREAM: Final = 7
ENHANCE_YOUR_CALM: Final = 11

#: A setting; see section 6.5.2.
MAX_CONCURRENT_STREAMS: Final = 3

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PATIENCE_S: Final = 20.0


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Connection:
    """A connection to a server; nothing is sent that is not asked for.

    Args:
        link: A connected socket.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._rest = b""

    @classmethod
    @contextmanager
    def to(cls, port: int, *, greets: bool = True) -> Iterator[Self]:
        """Connects to a port of this machine, and says what HTTP/2 begins with."""
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as link:
            connection = cls(link)
            if greets:
                # A server may have closed it by then.
                with suppress(ConnectionError):
                    link.sendall(_PREFACE)
                    connection.send(SETTINGS)
            yield connection

    def send(self, kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> None:
        """Sends a frame."""
        head = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream)
        self._link.sendall(head + payload)

    def call(self, stream: int, method: str, message: bytes | None = None) -> None:
        """Begins a call; with its only message if there is one, which then ends the request."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": method,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
        self.send(HEADERS, block, flags=END_HEADERS, stream=stream)
        if message is not None:
            framed = struct.pack(">BI", 0, len(message)) + message
            self.send(DATA, framed, flags=END_STREAM, stream=stream)

    def frames(self) -> Iterator[Frame]:
        """What the server sends, up to the end of the connection."""
        while True:
            head = self._read(9)
            if head is None:
                return
            size = int.from_bytes(head[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = self._read(size)
            if payload is None:
                return
            yield Frame(kind, flags, stream, payload)

    def first(self, kind: int) -> Frame | None:
        """The next frame of a type; None if the connection ends before."""
        return next((each for each in self.frames() if each.kind == kind), None)

    def ends(self) -> bool:
        """Waits for the end of the connection; False if it takes too long."""
        try:
            for _ in self.frames():
                pass
        except TimeoutError:
            return False
        return True

    def _read(self, size: int) -> bytes | None:
        while len(self._rest) < size:
            try:
                more = self._link.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self._rest += more
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def settings_of(frame: Frame) -> dict[int, int]:
    """The settings in a frame."""
    return dict(struct.iter_unpack(">HI", frame.payload))


def _text(text: str) -> bytes:
    # As HPACK has a text that is neither long nor compressed; see RFC 7541, section 5.2.
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()
