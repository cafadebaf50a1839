"""Servers in this process, and channels to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import grpc

from rpc.server import Server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """A server, from its start to its end."""
    server.start()
    try:
        yield server
    finally:
        server.stop(0)


@contextmanager
def channels_apart(*options: tuple[str, int]) -> Iterator[Callable[[int], grpc.Channel]]:
    """Makes channels to ports that have connections of their own, and repeat nothing.

    Args:
        options: More of gRPC's.
    """
    apart = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0), *options)
    with ExitStack() as ends:
        yield lambda port: ends.enter_context(
            grpc.insecure_channel(f"127.0.0.1:{port}", options=apart)
        )
