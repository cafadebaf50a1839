"""What grpc itself sees to: how large, how many, how often, and how long in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.settings import ServerSettings
from qdispatch.v1 import qdispatch_pb2 as pb

#: What comes with a call beside its message, such as its token, in bytes. Between the
#: two, grpc refuses the more of them the larger they are.
METADATA_BYTES: Final = 16 * 2**10
MOST_METADATA_BYTES: Final = 32 * 2**10

#: What requests may take that carry no program, in bytes; and, by the method, those
#: with many ids or numbers.
REQUEST_BYTES: Final = 64 * 2**10
LIST_BYTES: Final = 2**20
_SERVICE: Final = pb.DESCRIPTOR.services_by_name["QDispatch"].full_name
MOST_REQUEST_BYTES: Final[Mapping[str, int | None]] = {
    f"/{_SERVICE}/CreateJob": None,
    f"/{_SERVICE}/CreateJobs": None,
    f"/{_SERVICE}/CancelJobs": LIST_BYTES,
    f"/{_SERVICE}/WatchBatch": LIST_BYTES,
}

#: A connection without a call is closed after so long, in milliseconds; clients make
#: another one when they need it.
IDLE_MS: Final = 300_000

#: How long a connection may take until it can be used, in milliseconds.
HANDSHAKE_MS: Final = 20_000

#: A client that says nothing is asked for a sign of life after so long, and is gone if
#: there is none for so long, in milliseconds.
KEEPALIVE_MS: Final = 30_000
KEEPALIVE_TIMEOUT_MS: Final = 10_000

#: It is not asked while an earlier question is open, such as one that measures the
#: connection: so that is waited for so long, in milliseconds. Unlike the above, it is
#: no sign of life that data come; behind many on a slow line, an answer may take long.
PING_TIMEOUT_MS: Final = 30_000

#: Clients ask for signs of life as well. Who does so more often than this, in
#: milliseconds, for so many times, is told to go.
PING_MS: Final = 5_000
PING_STRIKES: Final = 2

# Of grpc's algorithms of compression: none.
_UNPACKED: Final = 1

#: Who a client is, and by what certificate, is asked as a connection is made. So none
#: is used for new calls for longer than this, in milliseconds; those under way go on.
RENEWED_MS: Final = 600_000

#: A client that takes nothing, and does not leave, keeps what is on its way to it, and
#: the word that its stream has ended waits behind. So after so many times what a stream
#: may take, its connection is closed.
OUTLIVES: Final = 1.25


def options(settings: ServerSettings) -> list[tuple[str, int]]:
    """The options of a server, by grpc's names."""
    longest_s = OUTLIVES * settings.stream_s + settings.call_s
    given = {
        "grpc.max_receive_message_length": int(settings.max_message_bytes),
        "grpc.max_send_message_length": int(settings.max_message_bytes),
        "grpc.max_metadata_size": METADATA_BYTES,
        "grpc.absolute_max_metadata_size": MOST_METADATA_BYTES,
        "grpc.max_allowed_incoming_connections": settings.max_connections,
        "grpc.max_concurrent_streams": settings.max_connection_streams,
        "grpc.max_connection_idle_ms": IDLE_MS,
        "grpc.server_handshake_timeout_ms": HANDSHAKE_MS,
        # A few bytes unpack to as many as a message may have: who is refused nothing
        # else for it could fill the memory by a slow line. Nobody is served who packs,
        # and nothing is unpacked.
        "grpc.compression_enabled_algorithms_bitset": _UNPACKED,
        "grpc.per_message_decompression": 0,
        # Two servers on one port would share its calls unnoticed.
        "grpc.so_reuseport": 0,
        "grpc.http2.min_ping_interval_without_data_ms": PING_MS,
        "grpc.http2.max_ping_strikes": PING_STRIKES,
        # A client that is gone in silence is not told things for ever.
        "grpc.keepalive_time_ms": KEEPALIVE_MS,
        "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
        "grpc.http2.ping_timeout_ms": PING_TIMEOUT_MS,
        "grpc.max_connection_age_ms": RENEWED_MS,
        "grpc.max_connection_age_grace_ms": round(1000 * longest_s),
    }
    return list(given.items())
