"""The embedded broker, with connections and processes as they are."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Producer, Queue
from kombu.exceptions import ChannelError

from tasks.connections import recover
from tests.integration.consumers import (
    EXCHANGE,
    LAST,
    connect,
    consume,
    drain,
    hold,
    publish,
    queue,
    receiving,
)
from tests.services.process import wait_until

SPAWN = multiprocessing.get_context("spawn")

Run = Callable[..., BaseProcess]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "broker"


@pytest.fixture
def connection(folder: Path) -> Iterator[Connection]:
    with connect(folder) as connection:
        yield connection


@pytest.fixture
def other(folder: Path) -> Iterator[Connection]:
    """Another client, as another process would be."""
    with connect(folder) as connection:
        yield connection


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a function in a process of its own."""
    with ExitStack() as stack:

        def start(function: Callable[..., None], *arguments: object) -> BaseProcess:
            process = SPAWN.Process(target=function, args=arguments, daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            return process

        yield start


def put(connection: Connection, name: str, *values: object, **options: Any) -> None:
    with connection.channel() as channel:
        for value in values:
            Producer(channel).publish(
                value, exchange=EXCHANGE, routing_key=name, declare=[queue(name)], **options
            )


def get(connection: Connection, name: str, **options: Any) -> Any:
    return queue(name)(connection.default_channel).get(**options)


def size(connection: Connection, name: str) -> int:
    return int(connection.default_channel.queue_declare(name, passive=True).message_count)


def files(folder: Path) -> list[str]:
    """Everything that is there, but for directories that hold nothing."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def until_it_comes(connection: Connection, received: list[Any], number: int) -> bool:
    def come() -> bool:
        drain(connection)
        return len(received) >= number

    return wait_until(come, 20)


# -- between processes


def test_every_message_goes_to_one_of_many_consumers(folder: Path, run: Run) -> None:
    producers, consumers, each = 3, 4, 800
    seen = [folder.parent / f"seen-{number}" for number in range(consumers)]
    takers = [run(consume, folder, "aer", path, seed) for seed, path in enumerate(seen)]
    givers = [run(publish, folder, "aer", start * each, each) for start in range(producers)]
    for giver in givers:
        giver.join(60)
        assert giver.exitcode == 0
    with connect(folder) as connection:
        put(connection, "aer", LAST, priority=0)

        def taken() -> list[int]:
            return [
                int(word) for path in seen if path.exists() for word in path.read_text().split()
            ]

        assert wait_until(lambda: len(taken()) >= producers * each, 60)
        for taker in takers:
            taker.join(30)
            assert taker.exitcode == 0
        assert Counter(taken()) == Counter(range(producers * each))
        # They did compete; one that a busy machine starts late may find nothing left.
        assert sum(path.exists() for path in seen) > 1
        # Only the last one is left, which nobody took.
        assert size(connection, "aer") == 1


def test_what_a_killed_consumer_held_comes_back(folder: Path, run: Run) -> None:
    with connect(folder) as connection:
        put(connection, "aer", *range(5))
        ready = folder.parent / "ready"
        holder = run(hold, folder, "aer", 3, ready)
        assert wait_until(ready.exists, 30)
        assert size(connection, "aer") == 2
        assert connection.default_channel._has_queue("reply.of.mine")
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        holder.join()
        with receiving(connection, queue("aer")) as received:
            assert until_it_comes(connection, received, 5)
            assert [message.payload for message in sorted(received, key=lambda m: m.payload)] == [
                0,
                1,
                2,
                3,
                4,
            ]
            for message in received:
                message.ack()
        # Its own queues went with it.
        assert not connection.default_channel._has_queue("reply.of.mine")
        assert "reply" not in str(files(folder))
    assert [name for name in files(folder) if not name.startswith("bindings/")] == ["owners"]


def test_of_those_who_clean_up_after_the_dead_none_gets_in_the_others_way(
    folder: Path, run: Run
) -> None:
    with connect(folder) as connection:
        put(connection, "aer", *range(20))
        ready = [folder.parent / f"ready-{number}" for number in range(4)]
        holders = [run(hold, folder, "aer", 5, path) for path in ready]
        assert wait_until(lambda: all(path.exists() for path in ready), 60)
        assert size(connection, "aer") == 0
        for holder in holders:
            holder.kill()
            holder.join()
        cleaners = [run(recover, folder) for _ in range(3)]
        for cleaner in cleaners:
            cleaner.join(30)
            assert cleaner.exitcode == 0
        assert sorted(get(connection, "aer", no_ack=True).payload for _ in range(20)) == list(
            range(20)
        )
        assert get(connection, "aer") is None


def test_messages_outlive_everybody(folder: Path) -> None:
    with connect(folder) as connection:
        put(connection, "aer", "kept")
    with connect(folder) as connection:
        message = get(connection, "aer")
        assert message.payload == "kept"
        message.ack()
    with connect(folder) as connection:
        assert get(connection, "aer") is None


# -- one message


def test_a_message_comes_as_it_was_sent(connection: Connection, other: Connection) -> None:
    body = {
        "text": "ü ✓ \0",
        "number": 1.5,
        "list": [None, True],
        "deep": {"a": {"b": "c" * 10**6}},
    }
    put(connection, "aer", body, headers={"task": "t"}, correlation_id="c")
    message = get(other, "aer")
    assert message.payload == body
    assert message.headers["task"] == "t"
    assert message.properties["correlation_id"] == "c"
    message.ack()


def test_a_message_that_was_acknowledged_is_gone(folder: Path) -> None:
    with connect(folder) as connection:
        put(connection, "aer", 1)
        get(connection, "aer").ack()
        assert get(connection, "aer") is None


def test_a_message_that_was_not_acknowledged_comes_back_when_its_connection_ends(
    folder: Path, other: Connection
) -> None:
    with connect(folder) as connection:
        put(connection, "aer", 1)
        assert get(connection, "aer").payload == 1
        assert get(other, "aer") is None
    message = get(other, "aer")
    assert message.payload == 1
    message.ack()


def test_without_acknowledgement_a_message_is_gone_once_it_was_taken(
    connection: Connection, folder: Path
) -> None:
    put(connection, "aer", 1)
    assert get(connection, "aer", no_ack=True).payload == 1
    assert not [name for name in files(folder) if "held" in name]


def test_a_rejected_message_is_gone_and_a_requeued_one_is_not(
    connection: Connection, other: Connection
) -> None:
    put(connection, "aer", 1, 2)
    get(connection, "aer").requeue()
    message = get(other, "aer")
    # It has kept its place.
    assert message.payload == 1
    message.reject()
    assert get(other, "aer").payload == 2
    assert get(connection, "aer") is None


def test_no_message_is_read_before_it_is_written(
    connection: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk: what is seen in the queue's folder is whole."""
    seen: list[int] = []
    write_text = Path.write_text

    def slow(path: Path, text: str, *arguments: Any, **options: Any) -> int:
        half = len(text) // 2
        write_text(path, text[:half], *arguments, **options)
        with connect(folder) as reader:
            assert get(reader, "aer") is None
            seen.append(half)
        return write_text(path, text, *arguments, **options)

    queue("aer")(connection.default_channel).declare()
    monkeypatch.setattr(Path, "write_text", slow)
    put(connection, "aer", "x" * 1000)
    monkeypatch.undo()
    assert seen
    assert get(connection, "aer", no_ack=True).payload == "x" * 1000


# -- order


def test_higher_priorities_come_first_and_equal_ones_in_order(connection: Connection) -> None:
    for number in range(30):
        put(connection, "aer", number, priority=number % 10)
    got = [get(connection, "aer", no_ack=True).payload for _ in range(30)]
    assert got == sorted(range(30), key=lambda number: (-(number % 10), number))


def test_without_a_priority_it_is_the_lowest(connection: Connection) -> None:
    put(connection, "aer", "none")
    put(connection, "aer", "one", priority=1)
    put(connection, "aer", "zero", priority=0)
    got = [get(connection, "aer", no_ack=True).payload for _ in range(3)]
    assert got == ["one", "none", "zero"]


def test_order_holds_over_connections(connection: Connection, other: Connection) -> None:
    for number in range(20):
        put((connection, other)[number % 2], "aer", number)
    assert [get(other, "aer", no_ack=True).payload for _ in range(20)] == list(range(20))


# -- queues


def test_a_queue_knows_its_size_and_can_be_purged(
    connection: Connection, other: Connection
) -> None:
    put(connection, "aer", *range(7))
    put(connection, "cirq", 0)
    held = get(connection, "aer")
    assert size(other, "aer") == 6
    assert queue("aer")(other.default_channel).purge() == 6
    assert (size(other, "aer"), size(other, "cirq")) == (0, 1)
    # What somebody is at work on is not in the queue.
    held.requeue()
    assert size(other, "aer") == 1


def test_a_queue_that_does_not_exist(connection: Connection) -> None:
    with pytest.raises(ChannelError, match="NOT_FOUND"):
        size(connection, "nobody")
    # A broker drops what it cannot route.
    with connection.channel() as channel:
        Producer(channel).publish(1, exchange="", routing_key="nobody")
    with pytest.raises(ChannelError, match="NOT_FOUND"):
        size(connection, "nobody")


def test_a_queue_that_was_deleted_can_be_declared_again(
    connection: Connection, other: Connection
) -> None:
    put(connection, "aer", 1)
    queue("aer")(other.default_channel).delete()
    with pytest.raises(ChannelError, match="NOT_FOUND"):
        size(connection, "aer")
    queue("aer")(connection.default_channel).declare()
    put(connection, "aer", 2)
    assert get(other, "aer", no_ack=True).payload == 2


@pytest.mark.parametrize(
    "name",
    ["a b", "../up", "a/b", ".hidden", "%2F", "ü✓", "a,b", "a@b.c", "*", "~", "x" * 60, "%", "A-_"],
)
def test_names_are_any_text(
    connection: Connection, other: Connection, folder: Path, name: str
) -> None:
    put(connection, name, name)
    put(connection, "plain", "plain")
    assert get(other, name, no_ack=True).payload == name
    assert size(other, "plain") == 1
    assert {path.name for path in folder.parent.iterdir()} == {"broker"}


def test_a_queue_of_ones_own_ends_with_its_connection(folder: Path, other: Connection) -> None:
    with connect(folder) as connection:
        queue("mine", durable=False)(connection.default_channel).declare()
        assert size(other, "mine") == 0
    with pytest.raises(ChannelError, match="NOT_FOUND"):
        size(other, "mine")


def test_a_queue_of_one_that_died_stays_with_who_has_taken_it_over(
    folder: Path, other: Connection
) -> None:
    """A worker that is started again under the same name has the same queue."""
    dead = connect(folder)
    queue("mine", durable=False)(dead.default_channel).declare()
    queue("mine", durable=False)(other.default_channel).declare()
    # As the kernel does when a process is killed.
    dead.transport.own.close()
    recover(folder)
    put(other, "mine", "a word")
    assert get(other, "mine").payload == "a word"
    other.close()
    assert not list((folder / "queues").iterdir())


# -- consumers


@pytest.mark.parametrize("prefetch", [1, 3])
def test_a_consumer_holds_no_more_than_its_prefetch(
    connection: Connection, other: Connection, prefetch: int
) -> None:
    put(other, "aer", *range(5))
    with receiving(connection, queue("aer"), prefetch=prefetch) as received:
        drain(connection)
        assert len(received) == prefetch
        assert size(other, "aer") == 5 - prefetch
        received[0].ack()
        drain(connection)
        assert len(received) == prefetch + 1


def test_a_busy_consumer_leaves_the_next_message_to_a_free_one(
    connection: Connection, other: Connection
) -> None:
    put(connection, "aer", 1, 2)
    with receiving(connection, queue("aer"), prefetch=1) as first:
        drain(connection)
        with receiving(other, queue("aer"), prefetch=1) as second:
            drain(other)
            assert [message.payload for message in (*first, *second)] == [1, 2]


def test_a_fanout_reaches_every_queue_that_is_bound(
    connection: Connection, other: Connection, folder: Path
) -> None:
    everybody = Exchange("everybody", type="fanout")
    queues = [Queue(f"q.{number}", everybody, durable=False) for number in range(3)]
    with ExitStack() as stack:
        boxes = [
            stack.enter_context(receiving(each, one))
            for each, one in zip((connection, other, other), queues, strict=True)
        ]
        with connect(folder) as sender, sender.channel() as channel:
            Producer(channel).publish("hello", exchange=everybody, declare=[everybody])
        drain(connection)
        drain(other)
        assert [[message.payload for message in box] for box in boxes] == [["hello"]] * 3


def test_a_direct_exchange_reaches_the_bound_queue_only(connection: Connection) -> None:
    put(connection, "aer", 1)
    put(connection, "cirq", 2)
    assert (size(connection, "aer"), size(connection, "cirq")) == (1, 1)


@pytest.mark.parametrize(
    "broken",
    [
        lambda _: b"",
        lambda _: b"\xff",
        lambda _: b"[" * 100_000,
        lambda text: text.replace(b'"base64"', b'"base65"'),
        lambda text: text.replace(b'"body": ', b'"body": 7, "other": '),
        lambda text: text.replace(b'"properties": {', b'"properties": 1, "other": {'),
        lambda text: text.replace(b'"delivery_tag": ', b'"delivery_tag": [], "other": '),
    ],
    ids=["empty", "bytes", "deep", "encoding", "body", "properties", "tag"],
)
def test_a_message_that_cannot_be_read_is_set_aside(
    connection: Connection, folder: Path, broken: Callable[[bytes], bytes]
) -> None:
    put(connection, "aer", "first")
    [path] = (folder / "queues" / "aer").iterdir()
    path.write_bytes(broken(path.read_bytes()))
    put(connection, "aer", "second")
    received = [get(connection, "aer") for _ in range(2)]
    assert [message.payload for message in received if message] == ["second"]
    assert [each.name for each in (folder / "unreadable").iterdir()] == [path.name]


# -- nothing grows


def test_nothing_is_left_but_durable_queues(folder: Path) -> None:
    reply = Exchange("reply", type="direct", durable=False)
    for number in range(3):
        with connect(folder) as connection, connect(folder) as peer:
            own = Queue(f"reply.{number}", reply, routing_key=str(number), durable=False)
            own(peer.default_channel).declare()
            put(connection, "aer", *range(20))
            with connection.channel() as channel:
                Producer(channel).publish(1, exchange=reply, routing_key=str(number))
            with receiving(connection, queue("aer")) as received:
                drain(connection)
                for message in received:
                    message.ack()
    assert list((folder / "connections").iterdir()) == []
    assert [path.name for path in (folder / "queues").iterdir()] == ["aer"]
    assert files(folder) == ["bindings/qdispatch/aer,%,aer", "owners"]


def test_a_connection_that_was_never_used_leaves_nothing(folder: Path) -> None:
    connect(folder).release()
    assert not folder.exists() or files(folder) == []
