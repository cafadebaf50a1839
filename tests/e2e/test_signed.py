"""A broker that others can write to: what is not signed by us changes nothing."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from celery.security.certificate import Certificate
from celery.security.key import PrivateKey
from celery.security.serialization import SecureSerializer
from kombu import Connection

from app.tls_urls import broker_link
from qdispatch import Client
from qdispatch.model import JobStatus
from tasks import amqps
from tests.e2e import circuits
from tests.e2e.stack import SETTINGS, Stack, wait_for_status
from tests.services.process import wait_until
from tests.services.rsa import make_signer
from tests.services.together import Services

MESSAGES: Final = """
[messages]
sign = true
key = "ours.key"
certificate = "ours.pem"
certificates = "trusted"
"""
SIGNED: Final = "application/data"
REFUSED: Final = re.compile(
    r"Received invalid task message|Can't decode message body|a message makes no sense"
)
PICKLE: Final = "application/x-python-serialize"


def signer(certificate: Path, key: Path) -> SecureSerializer:
    """Signs as Celery does."""
    return SecureSerializer(
        key=PrivateKey(key.read_text()),
        cert=Certificate(certificate.read_text()),
        digest="sha256",
    )


@dataclass(frozen=True, kw_only=True)
class Shared:
    """An installation that signs, with one worker still to be started."""

    stack: Stack
    url: str
    ours: SecureSerializer
    theirs: SecureSerializer

    def put(self, body: Any, content_type: str, *, exchange: str = "", **headers: Any) -> str:
        """Puts a message where the worker takes its own from; returns its task's id."""
        url, tls = broker_link(self.url)
        assert tls is not None
        task_id = str(uuid4())
        binary = isinstance(body, bytes)
        with Connection(url, ssl=amqps.options(tls)) as connection:
            connection.Producer(auto_declare=False).publish(
                body,
                exchange=exchange,
                routing_key="" if exchange else "aer",
                content_type=content_type,
                content_encoding="binary" if binary else "utf-8",
                headers={"id": task_id, **headers} if headers else {},
                correlation_id=task_id,
                serializer=None,
                retry=False,
            )
        return task_id

    def refusals(self) -> int:
        """How many messages the worker has refused, as its log says."""
        return len(REFUSED.findall((self.stack.folder / "aer.log").read_text()))

    def check_refused(self, *message: Any, **options: Any) -> None:
        """Puts a message, and waits until the worker has refused it."""
        before = self.refusals()
        self.put(*message, **options)
        assert wait_until(lambda: self.refusals() == before + 1, 30), self.stack.log("aer")


@pytest.fixture(scope="module")
def shared(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """On a RabbitMQ by TLS."""
    services.start()
    folder = tmp_path_factory.mktemp("signed")
    ours, theirs = make_signer(folder, "ours"), make_signer(folder / "theirs", "theirs")
    (folder / "trusted").mkdir()
    shutil.copy(ours[0], folder / "trusted")
    settings = SETTINGS.partition("[targets.cirq]")[0].replace(
        "resend_after_s = 1.0", "resend_after_s = 1.0\nlost_after_s = 2.0"
    )
    stack = Stack(folder, services, settings=settings + MESSAGES, targets=["aer"])
    vhost = services.rabbitmq.create_vhost().rpartition("/")[2]
    base = services.rabbitmq.tls_url.rpartition("/")[0]
    url = f"{base}/{vhost}?cafile={services.rabbitmq.authority.file}"
    stack.environment["QDISPATCH_BROKER_URL"] = url
    amqps.register()
    try:
        stack.run("app", "migrate")
        for name in ("server", "sweep"):
            stack.start_part(name)
        yield Shared(stack=stack, url=url, ours=signer(*ours), theirs=signer(*theirs))
    finally:
        stack.stop()


RUN: Final = {"task": "qdispatch.run_job", "lang": "py"}


def body(job_id: str) -> list[Any]:
    """What the message of a job says."""
    return [[job_id], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]


def test_a_forged_message_does_not_run_a_job_and_the_sweep_sends_another(shared: Shared) -> None:
    stack = shared.stack
    with stack.client() as client:
        assert wait_until(lambda: answers(client), 60), stack.logs()
        job = client.submit(circuits.qiskit_circuit(), target="aer", shots=10)
        # Its message is thrown away, and another one takes its place.
        assert wait_until(lambda: "1 message" in stack.celery("purge", "-f", "-Q", "aer"), 30)
        shared.put(json.dumps(body(job.id)), "application/json", **RUN)
        stack.start_part("aer")
        assert wait_until(lambda: "sent again: 1" in stack.log("sweep"), 60), stack.logs()
        job.wait(60)
        assert job.status() is JobStatus.FINISHED
        assert shared.refusals() == 1


def answers(client: Client) -> bool:
    """Whether the server does."""
    try:
        return bool(client.targets())
    except Exception:  # noqa: BLE001 - it is starting
        return False


def test_what_is_not_signed_by_us_is_refused_and_the_worker_lives(
    shared: Shared, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    bomb = pickle.dumps(_Bomb(trap))
    some_id = str(uuid4())
    good = shared.ours.serialize(body(some_id))
    # As only we could: the form in which it is read is outside of the signature.
    packed = shared.ours._pack(
        bomb,
        content_type=PICKLE,
        content_encoding="binary",
        signer=shared.ours._cert.get_id(),
        signature=shared.ours._key.sign(bomb, shared.ours._digest),
    )
    for message in (
        (json.dumps(body(some_id)), "application/json"),
        (bomb, PICKLE),
        ("- [a]\n- {}\n- {}\n", "application/x-yaml"),
        (b"\x93\x90\x80\x80", "application/x-msgpack"),
        (shared.theirs.serialize(body(some_id)), SIGNED),
        (good[:40] + ("A" if good[40] != "A" else "B") + good[41:], SIGNED),
        (packed, SIGNED),
        ("?", SIGNED),
    ):
        shared.check_refused(*message, **RUN)
        assert not trap.exists()
    # In the form of before, without headers; and commands that everybody would obey.
    shutdown = {"method": "shutdown", "arguments": {}, "destination": None}
    shared.check_refused(bomb, PICKLE)
    shared.check_refused(json.dumps({"task": "x", "id": "y"}), "application/json")
    for message in (
        (bomb, PICKLE),
        (json.dumps(shutdown), "application/json"),
        (shared.theirs.serialize(shutdown), SIGNED),
    ):
        shared.check_refused(*message, exchange="celery.pidbox")
    # Signed by us, it is obeyed: what operators do goes on.
    assert "pong" in shared.stack.ask("aer", "inspect", "ping")
    active = json.loads(shared.stack.ask("aer", "inspect", "active", "--json"))
    assert active == {shared.stack.node("aer"): []}
    with shared.stack.client() as client:
        job = client.submit(circuits.slow(), target="aer", shots=10)
        wait_for_status(client, [job.id], JobStatus.RUNNING)
        # A chunk of many, too.
        batch = client.submit_batch([circuits.qiskit_circuit()] * 20, target="aer", shots=10)
        batch.wait(60)
        job.cancel()
        wait_for_status(client, [job.id], JobStatus.CANCELED)
    assert shared.stack.exit_code("aer") is None
    assert "Traceback" not in shared.stack.log("server")


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)
