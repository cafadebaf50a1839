"""The page's certificate: the server's, read again when it changes."""

from __future__ import annotations

import ssl
from typing import Any

from app.certificates import Pems, Renewing
from app.settings import SettingsError, TlsSettings


class PageCertificate:
    """What the page is known by. Of browsers it asks for no certificate.

    Args:
        settings: Where the files are.

    Raises:
        SettingsError: One is missing or wrong.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings.model_copy(update={"client_ca": ""})
        self._renewing = Renewing(self._settings, self._checked, "the page")
        self._context = self._renewing.first

    def context(self) -> ssl.SSLContext:
        """For all connections; each takes the certificate that there is then."""
        outer = self._made()
        outer.sni_callback = self._choose
        return outer

    # Called for each connection, whatever name it asks for, or none.
    def _choose(self, connection: Any, _name: str | None, _outer: ssl.SSLContext) -> None:
        renewed = self._renewing.renewed()
        if renewed is not None:
            self._context = renewed
        connection.context = self._context

    # What was read says that the files fit; they are taken from their paths only.
    def _checked(self, _pems: Pems) -> ssl.SSLContext:
        return self._made()

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._settings.certificate, self._settings.key)
        except (OSError, ssl.SSLError) as error:
            # They are being replaced at this moment.
            raise SettingsError(f"tls.certificate and tls.key: {error}") from error
        return context
