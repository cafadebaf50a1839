"""The private servers come up, serve real clients, and leave nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kombu
import psutil
import psycopg
import pytest
import redis

from tests.services import PostgreSQL, RabbitMQ, Redis, ServiceError, Services
from tests.services.packages import MissingPackagesError, ensure_packages
from tests.services.process import wait_until

ROOT = Path(__file__).parents[2]
SYSV_SEGMENTS = Path("/proc/sysvipc/shm")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A process as it was when it was listed."""

    process: psutil.Process
    name: str
    command: str


def descendants(pid: int) -> list[Seen]:
    seen = []
    for process in psutil.Process(pid).children(recursive=True):
        # Zombies have no command, and some workers of PostgreSQL end at once.
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            seen.append(Seen(process=process, name=process.name(), command=command))
    return seen


def names(servers: list[Seen]) -> set[str]:
    return {server.name for server in servers}


def alive(servers: list[Seen]) -> list[Seen]:
    found = []
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            if server.process.status() != psutil.STATUS_ZOMBIE and server.process.is_running():
                found.append(server)
    return found


def segments(servers: list[Seen]) -> set[str]:
    """Identifiers of the System V shared memory that these have made."""
    makers = {str(server.process.pid) for server in servers}
    lines = [line.split() for line in SYSV_SEGMENTS.read_text().splitlines()[1:]]
    return {words[1] for words in lines if words[4] in makers}


def plain(url: str) -> str:
    """What psycopg itself understands of SQLAlchemy's URL."""
    return url.replace("+psycopg", "")


class Owner:
    """A process of its own that starts all three and waits for its end."""

    def __init__(self, temporary: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.services"],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = [self._process.stdout.readline() for _ in range(3)]
        self.servers = descendants(self._process.pid)

    def send(self, number: int) -> int:
        self._process.send_signal(number)
        return self._process.wait(30)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def open_temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that PostgreSQL's account can reach, unlike pytest's own."""
    together = Services()
    yield together.directory
    together.stop()


@pytest.fixture
def owner(open_temporary: Path) -> Iterator[Owner]:
    owner = Owner(open_temporary)
    yield owner
    owner.close()


def test_rabbitmq_serves_kombu(rabbitmq: RabbitMQ) -> None:
    with kombu.Connection(rabbitmq.url) as connection:
        with connection.SimpleQueue("greetings") as queue:
            queue.put({"hello": 1})
            message = queue.get(timeout=5)
            message.ack()
    assert message.payload == {"hello": 1}


def test_rabbitmqctl_reaches_the_node(rabbitmq: RabbitMQ) -> None:
    assert rabbitmq.ctl("list_vhosts", "--no-table-headers").split().count(rabbitmq.vhost) == 1
    with pytest.raises(ServiceError, match="no_such_command"):
        rabbitmq.ctl("no_such_command")


def test_redis_serves_a_client(redis_server: Redis) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"


def test_postgresql_makes_a_database_per_test(postgresql: PostgreSQL) -> None:
    first, second = postgresql.create_database(), postgresql.create_database()
    with psycopg.connect(plain(first)) as connection:
        connection.execute("CREATE TABLE only_here ()")
    with psycopg.connect(plain(second)) as connection:
        count = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'"
        ).fetchone()
    assert count == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_rabbitmq_keeps_durable_messages(rabbitmq: RabbitMQ, end: str) -> None:
    confirmed = {"confirm_publish": True}
    with kombu.Connection(rabbitmq.url, transport_options=confirmed) as connection:
        with connection.SimpleQueue(f"kept-{end}") as queue:
            queue.put("kept")
    getattr(rabbitmq, end)()
    assert not rabbitmq.running
    rabbitmq.start()
    with kombu.Connection(rabbitmq.url) as connection:
        with connection.SimpleQueue(f"kept-{end}") as queue:
            message = queue.get(timeout=5)
            message.ack()
    assert message.payload == "kept"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_postgresql_keeps_rows(postgresql: PostgreSQL, end: str) -> None:
    url = plain(postgresql.create_database())
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    getattr(postgresql, end)()
    postgresql.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


@pytest.mark.parametrize(("appendonly", "expected"), [(False, None), (True, b"1")])
def test_redis_keeps_data_only_when_told_to(
    tmp_path: Path, appendonly: bool, expected: bytes | None
) -> None:
    with Redis(tmp_path / "redis", appendonly=appendonly) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("key", 1)
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") == expected


@pytest.mark.slow
def test_stop_leaves_nothing(open_temporary: Path) -> None:
    others = {server.process.pid for server in descendants(os.getpid())}
    together = Services(open_temporary / "mine").start()
    servers = [one for one in descendants(os.getpid()) if one.process.pid not in others]
    assert {"beam.smp", "epmd", "redis-server", "postgres"} <= names(servers)
    assert segments(servers)
    together.stop()
    assert alive(servers) == []
    assert not segments(servers)
    together.stop()


@pytest.mark.slow
def test_the_owner_killed_leaves_nothing(owner: Owner, open_temporary: Path) -> None:
    assert segments(owner.servers)
    assert {"beam.smp", "epmd", "redis-server", "postgres"} <= names(owner.servers)
    owner.send(signal.SIGKILL)
    assert wait_until(lambda: not alive(owner.servers), 20), alive(owner.servers)
    assert wait_until(lambda: not list(open_temporary.iterdir()), 20)
    assert not segments(owner.servers)


@pytest.mark.slow
def test_the_supervisors_killed_leave_nothing(owner: Owner) -> None:
    assert segments(owner.servers)
    for server in owner.servers:
        if "supervisor.py" in server.command:
            server.process.kill()
    assert wait_until(lambda: not alive(owner.servers), 20), alive(owner.servers)
    assert not segments(owner.servers)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_by_hand(owner: Owner, open_temporary: Path, number: int) -> None:
    assert [line.partition("=")[0] for line in owner.lines] == [
        "export QDISPATCH_BROKER_URL",
        "export QDISPATCH_RESULT_BACKEND",
        "export QDISPATCH_DATABASE_URL",
    ]
    assert owner.send(number) == 0
    assert alive(owner.servers) == []
    assert list(open_temporary.iterdir()) == []


@pytest.mark.slow
def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    server = RabbitMQ(tmp_path / "rabbitmq", settings={"no_such_setting": "1"})
    with pytest.raises(ServiceError, match="no_such_setting"):
        server.start()
    assert not server.running


def test_a_directory_that_postgresql_cannot_reach_is_named(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root's server runs as somebody else")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ServiceError, match="parents"):
        PostgreSQL(closed / "postgresql").start()


def test_missing_packages_are_named_when_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPackagesError, match=r"apt-get install .*no-such-package"):
        ensure_packages({"no-such-package": "no/such/file"})


def test_starting_twice_starts_once(redis_server: Redis) -> None:
    began = time.monotonic()
    with redis.Redis.from_url(redis_server.url) as client:
        before = client.info("server")["process_id"]
        redis_server.start()
        assert client.info("server")["process_id"] == before
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_rabbitmq_takes_the_configuration_of_the_deployment(tmp_path: Path) -> None:
    lines = (ROOT / "deploy" / "rabbitmq.conf").read_text().splitlines()
    pairs = [line.split(" = ") for line in lines if line and not line.startswith("#")]
    with RabbitMQ(tmp_path / "rabbitmq", settings=dict(pairs)) as node:
        timeout = node.ctl("eval", "application:get_env(rabbit, consumer_timeout).")
        assert timeout.strip() == "{ok,7200000}"
