"""A certificate authority of one's own, and what it signs, as files."""

from pathlib import Path

import trustme


class Authority:
    """Signs certificates; nothing is made before it is asked for.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca: trustme.CA | None = None

    @property
    def file(self) -> Path:
        """Its own certificate, for those who trust it."""
        path = self._folder / "ca.pem"
        self._made().cert_pem.write_to_path(path)
        return path

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """A certificate for some hosts, and its key.

        Args:
            name: Of the files.
            hosts: Names or addresses.
        """
        issued = self._made().issue_cert(*hosts)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return certificate, key

    def _made(self) -> trustme.CA:
        if self._ca is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._ca = trustme.CA()
        return self._ca
