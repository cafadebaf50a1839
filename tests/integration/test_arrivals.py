"""Consumers of the embedded broker are told by the kernel what has come.

Nothing looks again by itself here: who is not told waits until the test fails.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Producer
from kombu.asynchronous import Hub

from tasks import arrivals, transport
from tests.integration.consumers import EXCHANGE, connect, queue, receiving

# Far longer than a test may take.
_NEVER_S = 3600.0
# How often a loop turns before a test fails.
_TURNS = 400


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with connect(tmp_path / "broker") as connection:
        yield connection


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Connection]:
    with connect(tmp_path / "broker") as sender:
        yield sender


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    # A turn ends with a wait, however much has come: it is to be a short one.
    hub.call_repeatedly(0.05, lambda: None)
    yield hub
    hub.close()


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "POLL_S", _NEVER_S)
    monkeypatch.setattr(arrivals, "SLOW_S", _NEVER_S)
    monkeypatch.setattr(transport, "_DRAIN_S", _NEVER_S)


def _init_fails(**_options: Any) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


class _NoWatches(arrivals.INotify):  # type: ignore[misc]
    def add_watch(self, path: Any, mask: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(params=[_init_fails, _NoWatches], ids=["no instance", "no watch"])
def without_inotify(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "INotify", request.param)


def put(connection: Connection, value: object) -> None:
    with connection.channel() as channel:
        Producer(channel).publish(
            value, exchange=EXCHANGE, routing_key="aer", declare=[queue("aer")]
        )


def after_a_look(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Does something between the first look that finds nothing and what comes after it."""
    look = transport.Channel._get
    acted: list[bool] = []

    def looked(channel: Any, name: str, timeout: float | None = None) -> Any:
        try:
            return look(channel, name, timeout)
        except Empty:
            if not acted:
                acted.append(True)
                act()
            raise

    monkeypatch.setattr(transport.Channel, "_get", looked)


def turn_until(hub: Hub, done: Callable[[], bool]) -> bool:
    for _ in range(_TURNS):
        if done():
            return True
        hub.run_once()
    return done()


def payloads(received: list[Any]) -> list[object]:
    return [message.payload for message in received]


# -- who waits


@pytest.mark.usefixtures("never_looks")
def test_a_message_that_comes_between_a_look_and_the_wait_ends_the_wait(
    connection: Connection, sender: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(connection, queue("aer")) as received:
        after_a_look(monkeypatch, lambda: put(sender, 1))
        connection.drain_events(timeout=30)
        assert payloads(received) == [1]


@pytest.mark.usefixtures("never_looks")
def test_a_message_that_is_given_back_ends_the_wait(
    connection: Connection, sender: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(sender, 1)
    held = queue("aer")(sender.default_channel).get()
    with receiving(connection, queue("aer")) as received:
        after_a_look(monkeypatch, held.requeue)
        connection.drain_events(timeout=30)
        assert payloads(received) == [1]


@pytest.mark.usefixtures("never_looks")
def test_a_wait_ends_with_its_time(connection: Connection) -> None:
    with receiving(connection, queue("aer")) as received:
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.02)
        assert received == []


def test_a_queue_that_was_deleted_and_is_there_again_is_heard(
    connection: Connection, sender: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_DRAIN_S", _NEVER_S)

    def anew() -> None:
        queue("aer")(sender.default_channel).delete()
        put(sender, 1)

    with receiving(connection, queue("aer")) as received:
        after_a_look(monkeypatch, anew)
        connection.drain_events(timeout=30)
        # And it is watched again.
        monkeypatch.setattr(arrivals, "POLL_S", _NEVER_S)
        after_a_look(monkeypatch, lambda: put(sender, 2))
        connection.drain_events(timeout=30)
        assert payloads(received) == [1, 2]


@pytest.mark.usefixtures("without_inotify")
def test_without_inotify_who_waits_polls(
    connection: Connection,
    sender: Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING), receiving(connection, queue("aer")) as received:
        for value in (1, 2):
            after_a_look(monkeypatch, lambda value=value: put(sender, value))
            while len(received) < value:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=1)
        assert payloads(received) == [1, 2]
    # Said once.
    assert [record.name for record in caplog.records] == ["tasks.arrivals"]
    assert "fs.inotify" in caplog.text


# -- event loops


@pytest.mark.usefixtures("never_looks")
def test_an_event_loop_is_told(connection: Connection, sender: Connection, hub: Hub) -> None:
    connection.connect()
    connection.register_with_event_loop(hub)
    put(sender, 0)
    with receiving(connection, queue("aer")) as received:
        # What was there before it consumed.
        assert turn_until(hub, lambda: len(received) == 1)
        for value in (1, 2):
            put(sender, value)
            assert turn_until(hub, lambda value=value: len(received) > value)
        assert payloads(received) == [0, 1, 2]


@pytest.mark.usefixtures("never_looks")
def test_an_event_loop_takes_the_next_message_once_there_is_room(
    connection: Connection, sender: Connection, hub: Hub
) -> None:
    connection.connect()
    connection.register_with_event_loop(hub)
    with receiving(connection, queue("aer"), prefetch=1) as received:
        for value in range(3):
            put(sender, value)
        assert turn_until(hub, lambda: bool(received))
        # All words have been heard, and two messages left where they are.
        received[0].ack()
        assert turn_until(hub, lambda: len(received) == 2)
        received[0].channel.basic_qos(0, 2, False)
        assert turn_until(hub, lambda: len(received) == 3)
        assert payloads(received) == [0, 1, 2]


@pytest.mark.usefixtures("without_inotify")
def test_without_inotify_an_event_loop_polls(
    connection: Connection, sender: Connection, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "SLOW_S", _NEVER_S)
    connection.connect()
    connection.register_with_event_loop(hub)
    with receiving(connection, queue("aer")) as received:
        after_a_look(monkeypatch, lambda: put(sender, 1))
        # It sleeps for a moment, where it has no file to wait for.
        assert turn_until(hub, lambda: bool(received))


# -- what is left


def test_a_closed_connection_leaves_no_file_and_no_reader(connection: Connection, hub: Hub) -> None:
    connection.connect()
    connection.register_with_event_loop(hub)
    with receiving(connection, queue("aer")):
        [number] = hub.readers
        assert str(Path(f"/proc/self/fd/{number}").readlink()) == "anon_inode:inotify"
        assert not os.get_inheritable(number)
        connection.release()
        assert not hub.readers
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_a_fork_leaves_its_parent_its_words(connection: Connection, sender: Connection) -> None:
    with receiving(connection, queue("aer")) as received:
        child = os.fork()
        if child == 0:
            # As a slot does with what it has of the worker's main process.
            connection.transport.arrivals.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        put(sender, 1)
        connection.drain_events(timeout=30)
        assert payloads(received) == [1]
