"""Flower, kept from those whom it is not for.

Whoever opens Flower can stop workers. By itself it listens on every address, and
without authentication only its API asks who is there: its pages answer everybody. And
with it, /metrics still does. This is the one place that knows Flower.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

from app.addresses import bracketed
from app.audit import LogAudit, RefusedCall, code_of_http, peer_name
from app.exposure import is_loopback
from app.logs import guard_logging, make_formatter
from app.settings import Settings, SettingsError

T = TypeVar("T")

_log = logging.getLogger(__name__)

# Tells at INFO what a request is made of that it cannot read.
_GENERAL: Final = "tornado.general"

#: Names a file with a USER:PASSWORD on each line.
CREDENTIALS_VARIABLE: Final = "FLOWER_BASIC_AUTH_FILE"

#: In a container: the host on which its port is published.
PUBLISHED_VARIABLE: Final = "FLOWER_PUBLISHED"

#: Names a file with the URL of RabbitMQ's HTTP API, which has a password in it.
BROKER_API_VARIABLE: Final = "FLOWER_BROKER_API_FILE"

#: Where it listens unless it is told.
ADDRESS: Final = "127.0.0.1"

_ASK: Final = (
    f"set {CREDENTIALS_VARIABLE} to a file that has USER:PASSWORD on each line (or"
    " FLOWER_BASIC_AUTH), or Flower's options for OAuth"
)


def credentials() -> list[str]:
    """Who may open Flower, by the file that the environment names; none without one.

    Raises:
        SettingsError: It cannot be read, or has none.
    """
    found = _lines(CREDENTIALS_VARIABLE)
    if found is None:
        return []
    check_credentials(found, CREDENTIALS_VARIABLE)
    return found


def broker_api() -> str | None:
    """RabbitMQ's HTTP API, by the file that the environment names; None without one.

    Raises:
        SettingsError: It cannot be read, or is empty.
    """
    found = _lines(BROKER_API_VARIABLE)
    if found is None:
        return None
    if len(found) != 1:
        raise SettingsError(f"{BROKER_API_VARIABLE}: its file has to have one line")
    return found[0]


def or_exit(read: Callable[[], T]) -> T:
    """What one of these gives; Flower would show a traceback of its error."""
    try:
        return read()
    except SettingsError as error:
        sys.exit(f"qdispatch: {error}")


def _lines(variable: str) -> list[str] | None:
    name = os.environ.get(variable)
    if not name:
        return None
    try:
        lines = [line.strip() for line in Path(name).read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"{variable}: cannot read {name}: {reason}") from error
    return [line for line in lines if line]


def check_credentials(found: list[str], where: str) -> None:
    """Checks that each is a name and a password.

    Raises:
        SettingsError: One is not, or there are none; the text has none of them.
    """
    if not found or not all(_is_whole(each) for each in found):
        raise SettingsError(
            f"{where}: each has to be USER:PASSWORD, both not empty, in letters of ASCII"
        )


def _is_whole(text: str) -> bool:
    # Flower fails at other characters, which it compares.
    user, _, password = text.partition(":")
    return text.isascii() and bool(user.strip()) and bool(password.strip())


def check(options: Any, settings: Settings) -> None:
    """Refuses to let others reach a Flower that knows nobody, or whose words all can read.

    Args:
        options: Flower's.
        settings: Of the installation.

    Raises:
        SettingsError: It would listen so.
    """
    if options.basic_auth:
        check_credentials(list(options.basic_auth), "Flower's basic_auth")
    # Of a container, what counts is where its port is published.
    address = os.environ.get(PUBLISHED_VARIABLE) or options.address
    if options.unix_socket or is_loopback(f"{bracketed(address)}:{options.port}"):
        return
    where = f"Flower's address is {address or 'every one of this machine'}"
    if not (options.basic_auth or options.auth):
        raise SettingsError(
            f"{where}, and without authentication it would let everybody stop workers:"
            f" {_ASK}, or use {ADDRESS}"
        )
    if not options.certfile and not settings.server.allow_unencrypted:
        raise SettingsError(
            f"{where}, and without TLS its passwords could be read on the way: set"
            " tls.certificate and tls.key, or server.allow_unencrypted = true, or use"
            f" {ADDRESS}"
        )


def warn(options: Any, settings: Settings) -> None:
    """Warns of a Flower that tells everybody of this machine what the server would not.

    Args:
        options: Flower's.
        settings: Of the installation.
    """
    if settings.auth.mode != "none" and not (options.basic_auth or options.auth):
        _log.warning(
            "Flower asks nobody for a password: every user of this machine sees the jobs of all"
            " owners there, and can stop workers; %s",
            _ASK,
        )


def guard(settings: Settings) -> None:
    """Has every Flower of this process checked before it listens; once is enough.

    Args:
        settings: Of the installation.
    """
    from flower.app import Flower
    from flower.views import BaseHandler
    from flower.views.error import NotFoundErrorHandler
    from flower.views.monitor import Metrics
    from tornado.web import HTTPError, RequestHandler, authenticated

    if getattr(Flower, "is_guarded", False):
        return
    Flower.is_guarded = True
    listen: Callable[[Any], Any] = Flower.start_http_server

    @wraps(listen)
    def checked(flower: Any) -> Any:
        try:
            check(flower.options, settings)
        except SettingsError as error:
            sys.exit(f"qdispatch: {error}")
        _log_as_we_do(settings)
        warn(flower.options, settings)
        return listen(flower)

    user: Callable[[Any], Any] = BaseHandler.get_current_user

    @wraps(user)
    def known(handler: Any) -> Any:
        try:
            return user(handler)
        except TypeError as error:
            # Its comparison takes no letters beyond ASCII.
            raise HTTPError(401) from error

    def noted(handler: Any, _kind: object, error: BaseException, _trace: object) -> None:
        # Its own lines would have the address that was asked for.
        if isinstance(error, HTTPError):
            call = RefusedCall(method="flower", code=code_of_http(error.status_code))
            audit.refused(None, _peer_of(handler), call)
        if not isinstance(error, HTTPError) or error.status_code >= 500:
            _log.error("a request to Flower failed", exc_info=error)

    audit = LogAudit()
    RequestHandler.log_exception = noted  # type: ignore[method-assign, assignment]
    Flower.start_http_server = checked
    BaseHandler.get_current_user = known
    Metrics.get = authenticated(Metrics.get)
    for name in ("get", "post"):
        unknown = getattr(NotFoundErrorHandler, name)
        setattr(NotFoundErrorHandler, name, authenticated(unknown))


def _log_as_we_do(settings: Settings) -> None:
    """Has Flower's lines, which it writes where it is told to, rendered as all others are."""
    formatter = make_formatter(settings.log_format, times=settings.log_times)
    for each in logging.getLogger().handlers:
        each.setFormatter(formatter)
    guard_logging()
    logging.getLogger(_GENERAL).setLevel(logging.WARNING)


def _peer_of(handler: Any) -> str:
    """Where a request came from; by a Unix socket it has no address."""
    address = handler.request.connection.context.address
    return peer_name(*address[:2]) if isinstance(address, tuple) else ""
