"""Authorities and certificates, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme

from tests.nameless import issue_nameless


@dataclass(frozen=True)
class Papers:
    """An authority, and what comes from it."""

    authority: trustme.CA
    folder: Path

    def file(self, name: str, *blobs: trustme.Blob) -> Path:
        path = self.folder / name
        path.write_bytes(b"".join(each.bytes() for each in blobs))
        return path

    @property
    def ca_file(self) -> Path:
        return self.file("ca.pem", self.authority.cert_pem)

    def own(self, authority: trustme.CA | None = None) -> dict[str, Path]:
        """The arguments of a client that has a certificate."""
        made = (authority or self.authority).issue_cert("alice", common_name="alice")
        return {
            "cert_file": self.file("alice.pem", *made.cert_chain_pems),
            "key_file": self.file("alice.key", made.private_key_pem),
        }

    def serve_nameless(self, host: str) -> tuple[grpc.ServerCredentials, Path]:
        """What a server encrypts with whose certificate has the host as its common name only.

        Returns:
            That, and the file of its authority.
        """
        certificate, key = issue_nameless(host)
        file = self.folder / "nameless.pem"
        file.write_bytes(certificate)
        return grpc.ssl_server_credentials([(key, certificate)]), file

    def serve(self, *names: str, clients: bool = False) -> grpc.ServerCredentials:
        """What a server of these names encrypts with.

        Args:
            names: Else this machine's.
            clients: Whether clients have to show a certificate.
        """
        made = self.authority.issue_cert(*(names or ("127.0.0.1",)))
        chain = b"".join(each.bytes() for each in made.cert_chain_pems)
        return grpc.ssl_server_credentials(
            [(made.private_key_pem.bytes(), chain)],
            self.authority.cert_pem.bytes() if clients else None,
            clients,
        )
