"""The server's certificate: checked when it starts, and read again when it changes."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from app.certificates import Pems, Renewing
from app.settings import TlsSettings

#: gRPC reads certificates for each connection by this; it speaks TLS 1.2 and 1.3 only.
_Configuration: TypeAlias = grpc.ServerCertificateConfiguration


class ServerCertificates:
    """What the server is known by, and knows its clients by.

    Args:
        settings: Where the files are.

    Raises:
        SettingsError: A file is missing or wrong.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._renewing = Renewing(settings, _configuration, "the server")

    def credentials(self) -> grpc.ServerCredentials:
        """For the server's port."""
        # Asked for each connection, by a thread of gRPC's, whose types do not know that
        # None is for nothing new.
        renewed: Any = self._renewing.renewed
        return grpc.dynamic_ssl_server_credentials(
            self._renewing.first,
            renewed,
            require_client_authentication=bool(self._settings.client_ca),
        )


def _configuration(pems: Pems) -> _Configuration:
    return grpc.ssl_server_certificate_configuration(
        [(pems.key, pems.chain)], root_certificates=pems.client_ca
    )
