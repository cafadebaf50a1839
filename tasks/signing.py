"""Messages that are signed, for brokers that others use as well; see decision 0032.

Celery's serializer of this name signs what a message says to a worker: its arguments,
and commands of remote control. It needs RSA, and trusts each certificate in a folder by
itself: no authority vouches for others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from celery import Celery
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from kombu.serialization import registry

from app.certificates import check_pair, read_certificates
from app.ports import utc_now
from app.settings import MessageSettings, SettingsError

#: Celery's name for it.
SIGNED: Final = "auth"

# Of what was signed, which form it has is outside the signature: nothing that could
# run something is to be there to be asked for.
_DANGEROUS: Final = ("pickle", "yaml", "msgpack")


def configuration() -> dict[str, Any]:
    """What Celery's configuration says where messages are signed."""
    return {
        "task_serializer": SIGNED,
        "accept_content": [SIGNED],
        # Records of tasks are for people, and do nothing.
        "result_accept_content": ["json"],
        "security_digest": "sha256",
    }


def sign_messages(celery: Celery, settings: MessageSettings) -> None:
    """Has an application sign what it sends, and believe what is signed.

    Args:
        celery: The application, with `configuration` in its own.
        settings: Where key and certificates are.

    Raises:
        SettingsError: A file is missing or wrong.
    """
    _check(settings)
    try:
        celery.setup_security(
            allowed_serializers=["json"],
            key=settings.key,
            cert=settings.certificate,
            store=settings.certificates,
            digest="sha256",
            serializer="json",
        )
    except Exception as error:
        raise SettingsError(f"messages: {error}") from error
    for name in _DANGEROUS:
        if name in registry.name_to_type:
            registry.unregister(name)
    # Who says nothing of how, is no part of this.
    registry._set_default_serializer("json")


def _check(settings: MessageSettings) -> None:
    """Says what is wrong with the files, which Celery would in words of its own."""
    (own, *_) = _certificates(Path(settings.certificate), "certificate")
    check_pair(settings.certificate, settings.key, "messages")
    folder = Path(settings.certificates)
    if not folder.is_dir():
        raise SettingsError(f"messages.certificates: {folder} is no folder")
    trusted = [
        each for file in sorted(folder.iterdir()) for each in _certificates(file, "certificates")
    ]
    if own not in trusted:
        raise SettingsError(
            f"messages.certificates: {folder} lacks {settings.certificate}, so that nobody"
            " would believe what is sent here: copy it there"
        )


def _certificates(file: Path, key: str) -> list[x509.Certificate]:
    found = list(read_certificates(str(file), f"messages.{key}"))
    for each in found:
        if not isinstance(each.public_key(), RSAPublicKey):
            raise SettingsError(f"messages.{key}: {file} is not of RSA, which Celery asks for")
        if each.not_valid_after_utc <= utc_now():
            raise SettingsError(f"messages.{key}: {file} has expired: renew it, or remove it")
    return found
