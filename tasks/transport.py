"""The embedded broker: Celery's messages as files, for workers on one host.

kombu's own filesystem transport loses messages and reads half-written ones.
This one keeps its idea and rests on what a local file system does atomically:

- A message is written under a temporary name and renamed into the folder of
  its queue: it is there whole, or not at all.
- It is taken by renaming it into the folder of the connection that takes it:
  one consumer gets it, and the others see that it is gone.
- A binding is a file of its own, so that no table is ever rewritten.
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

import fcntl
import glob
import json
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from queue import Empty
from typing import Any, Final
from urllib.parse import quote, unquote
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, virtual

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


class _Connection:
    """The files of one live connection."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "connections" / uuid4().hex
        self.held = self.folder / "held"
        self.owns = self.folder / "owns"
        self.held.mkdir(parents=True)
        self.owns.mkdir()
        # Locked before it gets its name: nobody takes a new one for dead.
        fresh = self.folder / "fresh"
        self._lock = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.folder / "lock")

    def close(self) -> None:
        """Frees the lock; what is left is for others to clean up."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class Channel(virtual.Channel):
    """A channel of the embedded broker."""

    supports_fanout = True

    def __init__(self, connection: Transport, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self._root: Path = connection.root
        self._queues = self._root / "queues"
        self._bindings = self._root / "bindings"
        self._own: _Connection = connection.own
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
            self._held[message["properties"]["delivery_tag"]] = path
        except (ValueError, LookupError, TypeError) as error:
            # A power failure may leave an empty file; it must not come back.
            _log.error("unreadable message set aside: %s: %s", path.name, error)
            aside = self._root / "unreadable"
            aside.mkdir(exist_ok=True)
            _move(path, aside / path.name)
            raise Empty from error
        return message

    def _names(self, queue: str, folder: Path) -> Iterator[str]:
        listed_at, names = self._listings.get(queue, (0.0, deque()))
        if not names or time.monotonic() - listed_at > _LISTING_S:
            names = deque(_listing(folder))
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

    def _restore(self, message: Any) -> None:
        path = self._held.pop(message.delivery_tag, None)
        if path is not None:
            # Under its old name, it is at its old place.
            _move(path, self._queues / path.parent.name / path.name)

    # -- queues

    def _new_queue(self, queue: str, durable: bool = True, **_kwargs: Any) -> None:
        # A worker that starts anew takes over the queue of the one that was
        # killed, whose end must not take it away.
        with _owners(self._root):
            (self._queues / _name(queue)).mkdir(parents=True, exist_ok=True)
            if not durable:
                (self._own.owns / _name(queue)).touch()

    def _has_queue(self, queue: str, **_kwargs: Any) -> bool:
        return (self._queues / _name(queue)).is_dir()

    def _size(self, queue: str) -> int:
        return len(_listing(self._queues / _name(queue)))

    def _purge(self, queue: str) -> int:
        removed = 0
        folder = self._queues / _name(queue)
        for name in _listing(folder):
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
        _delete_queue(self._root, _name(queue))
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
        for name in _listing(self._bindings / _name(exchange)):
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


def recover(root: Path) -> None:
    """Puts back what dead connections held, and removes what was only theirs.

    Args:
        root: The folder of the broker.
    """
    connections = root / "connections"
    for name in _listing(connections):
        folder = connections / name
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # it is being made, or has just been removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # alive
        else:
            _bury(root, folder)
        finally:
            os.close(lock)


@contextmanager
def _owners(root: Path) -> Iterator[None]:
    """Nobody else takes or ends the ownership of a queue meanwhile."""
    lock = os.open(root / "owners", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _bury(root: Path, folder: Path) -> None:
    with _owners(root):
        for queue in _listing(folder / "owns"):
            (folder / "owns" / queue).unlink(missing_ok=True)
            if not any((root / "connections").glob(f"*/owns/{glob.escape(queue)}")):
                _delete_queue(root, queue)
    for queue in _listing(folder / "held"):
        for name in _listing(folder / "held" / queue):
            _move(folder / "held" / queue / name, root / "queues" / queue / name)
    shutil.rmtree(folder, ignore_errors=True)


def _delete_queue(root: Path, queue: str) -> None:
    for exchange in _listing(root / "bindings"):
        for binding in _listing(root / "bindings" / exchange):
            if binding.split(",")[2] == queue:
                (root / "bindings" / exchange / binding).unlink(missing_ok=True)
    shutil.rmtree(root / "queues" / queue, ignore_errors=True)


def _listing(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is needed
    except FileNotFoundError:
        return []


def _move(source: Path, destination: Path) -> None:
    # The queue may have been deleted, and the message with it.
    with suppress(FileNotFoundError):
        source.rename(destination)


_UNIQUE = count()


class Transport(virtual.Transport):
    """The embedded broker, in the folder that ``transport_options["folder"]`` names."""

    Channel = Channel
    default_port = 0
    driver_type = driver_name = SCHEME
    polling_interval = 0.01
    # A worker so has the pool that gives each child a pipe of its own: a child
    # killed while it waits at the one they would share keeps its lock for good.
    implements = virtual.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset(["direct", "topic", "fanout"])
    )

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self._own: _Connection | None = None

    @property
    def root(self) -> Path:
        """The folder of the broker."""
        # Not before it is used: Celery makes transports only to print their URL.
        return Path(self.client.transport_options["folder"])

    @property
    def own(self) -> _Connection:
        """This connection's files, made when the first channel is."""
        if self._own is None:
            for part in ("queues", "bindings", "connections"):
                (self.root / part).mkdir(parents=True, exist_ok=True)
            self._own = _Connection(self.root)
        return self._own

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Has a worker's event loop look for messages."""
        loop.call_repeatedly(self.polling_interval, self._deliver_all, connection)

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
        super().drain_events(connection, timeout=most)

    def close_connection(self, connection: Any) -> None:
        """Closes all channels; unacknowledged messages go back to their queues."""
        super().close_connection(connection)
        if self._own is not None:
            own, self._own = self._own, None
            own.close()
            recover(self.root)

    def driver_version(self) -> str:
        """There is no driver."""
        return "1"
