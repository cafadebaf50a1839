"""Many messages on their way to the broker at once, and which of them it has confirmed.

Celery publishes one, waits for the broker's word, and publishes the next. Here all
that are to go are sent, and then their confirmations are waited for together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from kombu import Connection

T = TypeVar("T")

# How long one wait for the broker lasts, in seconds.
_DRAIN_S: Final = 1.0


class Confirms(Generic[T]):
    """A channel of a connection, on which the broker confirms what it has taken over.

    The embedded broker has no confirmations: what was published is in its place.

    Args:
        connection: Connected, and not set to wait for each confirmation by itself.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.channel: Any = connection.channel()
        self._published = 0
        self._open: dict[int, T] = {}
        self._confirmed: list[T] = []
        self._confirms = connection.transport.driver_type == "amqp"
        if self._confirms:
            self.channel.confirm_select()
            self.channel.events["basic_ack"].add(self._acked)
            self.channel.events["basic_nack"].add(self._nacked)
            self._publish = self.channel.basic_publish
            self.channel.basic_publish = self._counted

    def send(self, what: T, publish: Callable[[], object]) -> None:
        """Publishes, on this channel, a message about something, and maybe others behind it."""
        number = self._published + 1
        self._open[number] = what
        try:
            publish()
        except Exception:
            del self._open[number]
            raise
        if not self._confirms:
            self._confirmed.append(self._open.pop(number))

    def wait(self, timeout_s: float) -> None:
        """Waits until the broker has said of everything whether it has taken it over.

        Raises:
            TimeoutError: It has not said so of everything.
            OSError: The connection is lost.
        """
        until = time.monotonic() + timeout_s
        while self._open:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{len(self._open)} messages were not confirmed")
            with suppress(TimeoutError):
                self.connection.drain_events(timeout=min(left, _DRAIN_S))

    def confirmed(self) -> list[T]:
        """What the broker has taken over since this was last asked."""
        confirmed, self._confirmed = self._confirmed, []
        return confirmed

    def _counted(self, *args: Any, **kwargs: Any) -> Any:
        self._published += 1
        return self._publish(*args, **kwargs)

    def _acked(self, delivery_tag: int, multiple: bool) -> None:
        for number in self._meant(delivery_tag, multiple):
            self._confirmed.append(self._open.pop(number))

    def _nacked(self, delivery_tag: int, multiple: bool) -> None:
        for number in self._meant(delivery_tag, multiple):
            del self._open[number]

    def _meant(self, delivery_tag: int, multiple: bool) -> list[int]:
        # Numbers go up, and those of events, which nobody waits for, are not here.
        if multiple:
            return [each for each in self._open if each <= delivery_tag]
        return [delivery_tag] if delivery_tag in self._open else []
