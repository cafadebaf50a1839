"""Builds the gRPC server: the service, health, reflection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from app.service import JobService
from app.settings import ServerSettings, SettingsError
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc.decoding import DecodingInterceptor
from rpc.servicer import QDispatchServicer

SERVICE: Final = pb.DESCRIPTOR.services_by_name["QDispatch"].full_name


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is bound and not started."""

    grpc_server: grpc.Server
    port: int
    """The port it is bound to; useful if 0 was asked for."""
    health: health.HealthServicer

    def start(self) -> None:
        """Serves, and says so to health checks."""
        self.grpc_server.start()
        for name in ("", SERVICE):
            self.health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float) -> None:
        """Takes no more calls, lets those under way end for so long, and returns."""
        self.health.enter_graceful_shutdown()
        self.grpc_server.stop(grace_s).wait()


def build_server(service: JobService, settings: ServerSettings) -> Server:
    """Binds a server.

    Raises:
        SettingsError: The address cannot be bound to.
    """
    pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="call")
    server = grpc.server(
        pool,
        interceptors=[DecodingInterceptor()],
        options=(
            ("grpc.max_receive_message_length", int(settings.max_message_bytes)),
            ("grpc.max_send_message_length", int(settings.max_message_bytes)),
            # Two servers on one port would share its calls unnoticed.
            ("grpc.so_reuseport", 0),
            # Clients ask for signs of life while a call is under way.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
        ),
    )
    pb_grpc.add_QDispatchServicer_to_server(
        QDispatchServicer(service, max_result_bytes=settings.max_result_bytes), server
    )
    checks = health.HealthServicer(experimental_non_blocking=True, experimental_thread_pool=pool)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    try:
        port = server.add_insecure_port(settings.address)
    except RuntimeError as error:
        raise SettingsError(
            f"cannot listen on {settings.address} (server.address): is another server running?"
        ) from error
    return Server(grpc_server=server, port=port, health=checks)
