"""RabbitMQ, Redis and PostgreSQL with passwords and TLS, by their URLs alone."""

from __future__ import annotations

import logging
import os
import secrets
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg
import pytest
import redis
from kombu import pools
from kombu.exceptions import OperationalError

from app.database import migrate, open_store
from app.settings import SettingsError
from qdispatch.errors import UnavailableError
from tasks.celery import make_celery
from tests.services import PostgreSQL, RabbitMQ, Redis
from tests.services.authority import Authority
from tests.services.process import LOOPBACK, free_port, wait_until
from tests.world import make_settings

PASSWORD: Final = secrets.token_hex(8)
# Who is refused and who is not is no matter of time.
PATIENCE_S: Final = 20.0
NOT_TRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Has signed the certificates of Redis and PostgreSQL, for 127.0.0.1."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """An authority that has signed nothing of ours."""
    return Authority(tmp_path / "stranger").file


# -- RabbitMQ


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Connects as the server and the workers do."""
    opened = []

    def connect(url: str) -> Any:
        celery = make_celery(make_settings(tmp_path, broker_url=url), results=False)
        celery.conf.broker_connection_timeout = PATIENCE_S
        connection = celery.connection_for_write()
        opened.append(connection)
        # Of several brokers, each is tried once.
        connection.ensure_connection(max_retries=1, interval_start=0)
        return connection

    yield connect
    for each in opened:
        each.release()
    pools.reset()


def test_the_broker_speaks_tls(connect: Callable[[str], Any], rabbitmq: RabbitMQ) -> None:
    connection = connect(f"{rabbitmq.tls_url}?cafile={rabbitmq.authority.file}")
    sock = connection.connection.sock
    assert isinstance(sock, ssl.SSLSocket)
    assert sock.version() in {"TLSv1.2", "TLSv1.3"}
    name = f"encrypted-{uuid4()}"
    with connection.SimpleQueue(name, queue_opts={"auto_delete": True}) as queue:
        queue.put("x" * 200_000)
        assert len(queue.get(timeout=10).payload) == 200_000


def test_the_broker_knows_its_clients_by_certificates(
    connect: Callable[[str], Any], rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    url = f"{rabbitmq.tls_url}?cafile={rabbitmq.authority.file}"
    ours = rabbitmq.authority.issue("client", "qdispatch")
    assert connect(f"{url}&certfile={ours[0]}&keyfile={ours[1]}").connected
    theirs = Authority(tmp_path / "theirs").issue("client", "qdispatch")
    with pytest.raises(OperationalError, match=r"unknown ca|closed|reset|EOF"):
        connect(f"{url}&certfile={theirs[0]}&keyfile={theirs[1]}")


def test_a_broker_that_nobody_vouches_for_is_refused(
    connect: Callable[[str], Any], rabbitmq: RabbitMQ, stranger: Path
) -> None:
    # Without a file, the system's authorities count.
    for query in ("", f"?cafile={stranger}", f"?cafile={stranger}&verify=ca"):
        with pytest.raises(OperationalError, match=NOT_TRUSTED) as refusal:
            connect(rabbitmq.tls_url + query)
        assert rabbitmq.password not in str(refusal.value)
    assert connect(f"{rabbitmq.tls_url}?verify=none").connected


def test_a_broker_by_another_name_is_refused(
    connect: Callable[[str], Any], rabbitmq: RabbitMQ
) -> None:
    url = rabbitmq.tls_url.replace(LOOPBACK, "localhost") + f"?cafile={rabbitmq.authority.file}"
    with pytest.raises(OperationalError, match="localhost"):
        connect(url)
    connection = connect(f"{url}&verify=ca")
    assert connection.connected
    # Of several brokers, the certificate of each has to be its own.
    assert connect(f"{url};{rabbitmq.tls_url}?cafile={rabbitmq.authority.file}").connected


@pytest.mark.parametrize("name", ["cafile", "certfile"])
def test_a_file_that_is_wrong_is_told_at_once(
    connect: Callable[[str], Any], rabbitmq: RabbitMQ, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "no.pem"
    query = f"?{name}={file}" + (f"&keyfile={file}" if name == "certfile" else "")
    with pytest.raises(SettingsError, match=f"broker_url: cannot read {file}: No such file"):
        connect(rabbitmq.tls_url + query)
    file.write_text("no PEM")
    with pytest.raises(SettingsError, match=f"broker_url: {file} .* in PEM"):
        connect(rabbitmq.tls_url + query)


# -- Redis


@pytest.fixture(scope="module")
def results_url(redis_server: Redis, authority: Authority) -> Iterator[str]:
    """Of a user with a password, over TLS."""
    port = free_port()
    certificate, key = authority.issue("redis", LOOPBACK)
    with redis.Redis.from_url(redis_server.url) as client:
        client.acl_setuser(
            "secured", enabled=True, passwords=f"+{PASSWORD}", keys="*", commands=["+@all"]
        )
        client.config_set(
            "tls-port",
            str(port),
            "tls-cert-file",
            str(certificate),
            "tls-key-file",
            str(key),
            "tls-ca-cert-file",
            str(authority.file),
            "tls-auth-clients",
            "optional",
        )
        yield f"rediss://secured:{PASSWORD}@{LOOPBACK}:{port}/0"
        client.config_set("tls-port", "0")
        client.acl_deluser("secured")


def answers(folder: Path, url: str) -> bool:
    """Whether a result backend answers the client that Celery makes for it."""
    celery = make_celery(make_settings(folder, result_backend=url), results=True)
    celery.conf.redis_socket_timeout = celery.conf.redis_socket_connect_timeout = PATIENCE_S
    client = celery.backend.client
    try:
        return bool(client.ping())
    finally:
        client.connection_pool.disconnect()


def test_results_go_over_tls(tmp_path: Path, results_url: str, authority: Authority) -> None:
    assert answers(tmp_path, f"{results_url}?ssl_ca_certs={authority.file}")
    other_name = results_url.replace(LOOPBACK, "localhost") + f"?ssl_ca_certs={authority.file}"
    assert answers(tmp_path, f"{other_name}&ssl_check_hostname=false")


def test_a_backend_that_nobody_vouches_for_is_refused(
    tmp_path: Path, results_url: str, authority: Authority, stranger: Path
) -> None:
    other_name = results_url.replace(LOOPBACK, "localhost") + f"?ssl_ca_certs={authority.file}"
    for url in (results_url, f"{results_url}?ssl_ca_certs={stranger}", other_name):
        with pytest.raises(redis.ConnectionError, match=NOT_TRUSTED) as refusal:
            answers(tmp_path, url)
        assert PASSWORD not in str(refusal.value)


# -- PostgreSQL


@pytest.fixture(scope="module")
def database_url(postgresql: PostgreSQL, authority: Authority) -> str:
    """Of a user with a password, who is let in by TLS only."""
    certificate, key = authority.issue("postgresql", LOOPBACK)
    for source, name in ((certificate, "server.crt"), (key, "server.key")):
        path = postgresql.data / name
        path.touch(mode=0o600)
        path.write_bytes(source.read_bytes())
        if postgresql.account is not None:
            os.chown(path, *postgresql.account)
    hba = postgresql.data / "pg_hba.conf"
    hba.write_text(
        "hostssl all secured 127.0.0.1/32 scram-sha-256\nhost all secured all reject\n"
        + hba.read_text()
    )
    url = postgresql.create_database()
    plain = url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE secured LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")
        assert wait_until(lambda: bool(is_on(plain)), 10)
    return url.replace(f"{postgresql.user}@", f"secured:{PASSWORD}@")


def is_on(url: str) -> bool:
    """Whether PostgreSQL has read its settings anew; a new connection sees that."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW ssl").fetchone()
    return row == ("on",)


def test_the_database_speaks_tls(tmp_path: Path, database_url: str, authority: Authority) -> None:
    url = f"{database_url}?sslmode=verify-full&sslrootcert={authority.file}"
    settings = make_settings(tmp_path, database_url=url)
    migrate(settings)
    open_store(settings).close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "certificate verify failed"),
        ({LOOPBACK: "localhost"}, 'server certificate for "127.0.0.1"'),
        ({PASSWORD: "guess"}, "password authentication failed"),
        ({"verify-full": "disable"}, "pg_hba.conf rejects connection"),
    ],
    ids=["authority", "name", "password", "plain"],
)
def test_a_database_is_refused_and_refuses(
    tmp_path: Path,
    database_url: str,
    authority: Authority,
    stranger: Path,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, str],
    said: str,
) -> None:
    trusted = authority.file if change else stranger
    url = f"{database_url}?sslmode=verify-full&sslrootcert={trusted}"
    for old, new in change.items():
        url = url.replace(old, new)
    settings = make_settings(tmp_path, database_url=url)
    with pytest.raises(UnavailableError):
        open_store(settings)
    assert said in caplog.text
    assert PASSWORD not in caplog.text


def test_who_has_not_thought_of_listeners_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # An address that is nobody's; nothing is sent there.
    url = "postgresql+psycopg://me:hidden@192.0.2.1:1/q"
    caplog.set_level(logging.WARNING)
    for query in ("?sslmode=disable", "", ""):
        settings = make_settings(tmp_path, database_url=url + query)
        with pytest.raises(UnavailableError):
            open_store(settings)
    warned = [each.getMessage() for each in caplog.records if "sslmode" in each.getMessage()]
    assert len(warned) == 1
    assert "192.0.2.1" in warned[0]
    assert "hidden" not in caplog.text
