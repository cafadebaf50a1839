"""The embedded broker: Celery's messages as files, for workers on one host.

kombu's own filesystem transport loses messages and reads half-written ones.
This one keeps its idea and rests on what a local file system does atomically:

- A message is written under a temporary name and renamed into the folder of
  its queue: it is there whole, or not at all.
- It is taken by renaming it into the folder of the connection that takes it:
  one consumer gets it, and the others see that it is gone.
- A binding is a file of its own, so that no table is ever rewritten.
- A consumer is told by the kernel what comes into its queues (`tasks.arrivals`).
- Each connection holds a lock (flock) on a file of its own. The kernel frees it
  when the process dies, however it dies; then others put back what it held,
  and remove the queues that were only its own.

Layout under the folder of the broker:

    queues/QUEUE/PRIORITY-TIME-UNIQUE     messages, in the order of their names
    bindings/EXCHANGE/BINDING             empty files; the name says it all
    unreadable/                           messages that are none
    owners                                locked while a queue's owner changes
    connections/ID/lock                   held as long as the connection lives
    connections/ID/held/QUEUE/...         taken, and not acknowledged yet
    connections/ID/owns/QUEUE             empty files: queues that end with it
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from queue import Empty
from typing import Any, Final
from urllib.parse import quote, unquote

from kombu.transport import TRANSPORT_ALIASES, virtual

from app.folders import make_private
from tasks.arrivals import Arrivals
from tasks.connections import LiveConnection, delete_queue, listing, move, owners, recover

_log = logging.getLogger(__name__)

#: The scheme of the embedded broker's URL.
SCHEME: Final = "embedded"

# How often a consumer looks for what dead connections held, in seconds.
_RECOVERY_S: Final = 1.0
# How old a listing of a queue may get while it still has names, in seconds:
# a message of higher priority waits at most this long behind a listed one.
_LISTING_S: Final = 0.05

# How long one wait for messages lasts, in seconds.
_DRAIN_S: Final = 0.2


def register() -> None:
    """Makes the scheme known to kombu."""
    TRANSPORT_ALIASES[SCHEME] = "tasks.transport:Transport"


def _name(text: str) -> str:
    # A leading dot would hide a file, or leave the folder.
    return quote(text, safe="@-_~+").replace(".", "%2E") or "%"


def _text(name: str) -> str:
    return "" if name == "%" else unquote(name)


class Channel(virtual.Channel):
    """A channel of the embedded broker."""

    supports_fanout = True

    def __init__(self, connection: Transport, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self._root: Path = connection.root
        self._queues = self._root / "queues"
        self._bindings = self._root / "bindings"
        self._own: LiveConnection = connection.own
        self._arrivals: Arrivals = connection.arrivals
        self._held: dict[str, Path] = {}
        self._listings: dict[str, tuple[float, deque[str]]] = {}
        self._recovered_at = 0.0

    # -- messages

    def _put(self, queue: str, message: dict[str, Any], **_kwargs: Any) -> None:
        priority = self._get_message_priority(message, reverse=True)
        name = f"{priority}-{time.time_ns():020d}-{next(_UNIQUE):06d}-{self._own.folder.name[:8]}"
        fresh = self._own.folder / name
        fresh.write_text(json.dumps(message))
        try:
            fresh.rename(self._queues / _name(queue) / name)
        except FileNotFoundError:
            # No such queue (any more): a broker drops what it cannot route.
            fresh.unlink()

    def _put_fanout(
        self, exchange: str, message: dict[str, Any], _routing_key: str, **kwargs: Any
    ) -> None:
        for _, _, queue in self.get_table(exchange):
            self._put(queue, message, **kwargs)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002
        self._recover()
        folder = self._queues / _name(queue)
        held = self._own.held / _name(queue)
        for name in self._names(queue, folder):
            try:
                (folder / name).rename(held / name)
            except FileNotFoundError:
                if not held.exists():
                    held.mkdir()
                    with suppress(FileNotFoundError):
                        (folder / name).rename(held / name)
                        return self._taken(held / name)
                continue  # another consumer was faster
            return self._taken(held / name)
        raise Empty

    def _taken(self, path: Path) -> dict[str, Any]:
        try:
            message: dict[str, Any] = json.loads(path.read_text())
            # As kombu will: what it cannot read then would come back for ever.
            tag = self.Message(message, channel=self).delivery_tag
            self._held[tag] = path
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            # A power failure may leave an empty file; it must not come back.
            _log.error("unreadable message set aside: %s: %s", path.name, error)
            aside = self._root / "unreadable"
            aside.mkdir(exist_ok=True)
            move(path, aside / path.name)
            raise Empty from error
        return message

    def _names(self, queue: str, folder: Path) -> Iterator[str]:
        listed_at, names = self._listings.get(queue, (0.0, deque()))
        if not names or time.monotonic() - listed_at > _LISTING_S:
            names = deque(listing(folder))
            self._listings[queue] = (time.monotonic(), names)
        while names:
            yield names.popleft()

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,
        callback: Callable[..., Any],
        consumer_tag: str,
        **kwargs: Any,
    ) -> None:
        """Consumes; what needs no acknowledgement is let go at once."""

        def release(message: Any) -> Any:
            if no_ack:
                self._release(message.delivery_tag)
            return callback(message)

        super().basic_consume(queue, no_ack, release, consumer_tag, **kwargs)
        self._arrivals.add(self._queues / _name(queue))

    def basic_cancel(self, consumer_tag: str) -> None:
        """Consumes no longer."""
        queue = self._tag_to_queue.get(consumer_tag)
        super().basic_cancel(consumer_tag)
        if queue is not None:
            self._arrivals.remove(self._queues / _name(queue))

    def basic_qos(
        self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False
    ) -> None:
        """Says how many messages may be held; what waits may have room now."""
        super().basic_qos(prefetch_size, prefetch_count, apply_global)
        self._arrivals.look_soon()

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """Takes one message."""
        message = super().basic_get(queue, no_ack=no_ack, **kwargs)
        if no_ack and message is not None:
            self._release(message.delivery_tag)
        return message

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledges a message: now it is gone."""
        super().basic_ack(delivery_tag, multiple=multiple)
        self._release(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Gives a message up, or back to its queue."""
        super().basic_reject(delivery_tag, requeue=requeue)
        self._release(delivery_tag)

    def _release(self, delivery_tag: str) -> None:
        path = self._held.pop(delivery_tag, None)
        if path is not None:
            path.unlink(missing_ok=True)
        # What waits may have room now.
        self._arrivals.look_soon()

    def _restore(self, message: Any) -> None:
        path = self._held.pop(message.delivery_tag, None)
        if path is not None:
            # Under its old name, it is at its old place.
            move(path, self._queues / path.parent.name / path.name)

    # -- queues

    def _new_queue(self, queue: str, durable: bool = True, **_kwargs: Any) -> None:
        # A worker that starts anew takes over the queue of the one that was
        # killed, whose end must not take it away.
        with owners(self._root):
            (self._queues / _name(queue)).mkdir(parents=True, exist_ok=True)
            if not durable:
                (self._own.owns / _name(queue)).touch()

    def _has_queue(self, queue: str, **_kwargs: Any) -> bool:
        return (self._queues / _name(queue)).is_dir()

    def _size(self, queue: str) -> int:
        return len(listing(self._queues / _name(queue)))

    def _purge(self, queue: str) -> int:
        removed = 0
        folder = self._queues / _name(queue)
        for name in listing(folder):
            with suppress(FileNotFoundError):
                (folder / name).unlink()
                removed += 1
        return removed

    def queue_delete(
        self,
        queue: str,
        if_unused: bool = False,  # noqa: ARG002 - the name is kombu's
        if_empty: bool = False,
        **_kwargs: Any,
    ) -> None:
        """Deletes a queue with its messages and bindings."""
        if if_empty and self._size(queue):
            return
        self.state.queue_bindings_delete(queue)
        delete_queue(self._root, _name(queue))
        (self._own.owns / _name(queue)).unlink(missing_ok=True)

    # -- bindings

    def queue_bind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: dict[str, Any] | None = None,
        **_kwargs: Any,
    ) -> None:
        """Binds a queue to an exchange.

        kombu would remember, and do nothing the second time; but another process
        may have deleted the queue meanwhile, with its bindings.
        """
        exchange = exchange or "amq.direct"
        binding = self.typeof(exchange).prepare_bind(queue, exchange, routing_key, arguments)
        folder = self._bindings / _name(exchange)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ",".join(_name(part or "") for part in binding)).touch()

    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        """The bindings of an exchange: (routing key, pattern, queue)."""
        table = []
        for name in listing(self._bindings / _name(exchange)):
            routing_key, pattern, queue = (_text(part) for part in name.split(","))
            table.append((routing_key, pattern, queue))
        return table

    # -- the dead

    def _recover(self) -> None:
        now = time.monotonic()
        if now - self._recovered_at < _RECOVERY_S:
            return
        self._recovered_at = now
        recover(self._root)


_UNIQUE = count()


class Transport(virtual.Transport):
    """The embedded broker, in the folder that ``transport_options["folder"]`` names."""

    Channel = Channel
    default_port = 0
    driver_type = driver_name = SCHEME
    # A worker so has the pool that gives each child a pipe of its own: a child
    # killed while it waits at the one they would share keeps its lock for good.
    implements = virtual.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self._own: LiveConnection | None = None
        self.arrivals = Arrivals()

    @property
    def root(self) -> Path:
        """The folder of the broker."""
        # Not before it is used: Celery makes transports only to print their URL.
        return Path(self.client.transport_options["folder"])

    @property
    def own(self) -> LiveConnection:
        """This connection's files, made when the first channel is."""
        if self._own is None:
            make_private(self.root.parent)
            for part in ("queues", "bindings", "connections"):
                (self.root / part).mkdir(parents=True, exist_ok=True)
            self._own = LiveConnection(self.root)
        return self._own

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Has a worker's event loop look for messages."""
        self.arrivals.attach(loop, partial(self._deliver_all, connection))

    def _deliver_all(self, connection: Any) -> None:
        with suppress(TimeoutError):
            while True:
                super().drain_events(connection, timeout=0)

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Delivers a message, or raises a timeout.

        Celery looks whether it is to stop only when this returns, and asks for
        seconds; less lets a worker stop as soon as it is told.
        """
        most = _DRAIN_S if timeout is None else min(timeout, _DRAIN_S)
        ends_at = time.monotonic() + most
        while True:
            try:
                super().drain_events(connection, timeout=0)
            except TimeoutError:
                left = ends_at - time.monotonic()
                if left <= 0:
                    raise
                self.arrivals.wait(left)
            else:
                return

    def close_connection(self, connection: Any) -> None:
        """Closes all channels; unacknowledged messages go back to their queues."""
        super().close_connection(connection)
        self.arrivals.close()
        if self._own is not None:
            own, self._own = self._own, None
            own.close()
            recover(self.root)

    def driver_version(self) -> str:
        """There is no driver."""
        return "1"
