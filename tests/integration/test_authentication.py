"""Who calls, and who listens in: a real server, with tokens, with TLS, with both."""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from app import token_lookup, watching
from app.__main__ import main
from app.identity import Caller
from app.known_tokens import KnownTokens, TokenControl
from app.ports import utc_now
from app.readiness import answers
from app.settings import PROJECT, SETTINGS_VARIABLE, Settings, SettingsError, TlsSettings
from app.snapshot import PATIENCE_S
from app.up import wait_until_ready
from app.work import WorkService
from qdispatch import Client
from qdispatch.codec import encode_spec
from qdispatch.errors import AuthenticationError
from qdispatch.updates import JobFilter
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc import gate, health, limits, streams
from rpc.gate import make_gate
from rpc.server import SERVICE, Server
from rpc.tls import ServerCertificates
from tests.handshakes import VERSIONS, is_spoken
from tests.integration.servers import running
from tests.nameless import issue_nameless
from tests.specs import bell
from tests.waiting import wait_until
from tests.world import World, make_settings

Code = grpc.StatusCode
METHODS = pb.DESCRIPTOR.services_by_name["QDispatch"].methods_by_name
LONG_S = 20.0


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return make_settings(
        tmp_path,
        database_url=database_url,
        server={"address": "127.0.0.1:0", "cancel_wait_s": 0, "watch_interval_s": 0.05},
        auth={"mode": "token", "refresh_s": 0.3},
    )


@contextmanager
def serving(
    world: World, settings: Settings | None = None, *, patience_s: float = PATIENCE_S
) -> Iterator[int]:
    """A server as `rpc.__main__` puts it together; gives its port."""
    settings = settings or world.settings
    with ExitStack() as ends:
        tokens = KnownTokens(
            store=world.store,
            clock=world.clock,
            refresh_s=settings.auth.refresh_s,
            patience_s=patience_s,
        )
        tokens.start()
        ends.callback(tokens.close)
        certificates = ServerCertificates(settings.tls) if settings.tls.is_on else None
        server = Server(
            world.service,
            world.watchers,
            settings.server,
            gate=make_gate(settings.auth, tokens, world.clock),
            credentials=certificates.credentials() if certificates else None,
        )
        yield ends.enter_context(running(server)).port


@pytest.fixture
def port(world: World) -> Iterator[int]:
    with serving(world) as port:
        yield port


@pytest.fixture
def channel(port: int) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


@pytest.fixture
def control(world: World) -> TokenControl:
    return TokenControl(store=world.store, clock=world.clock)


def ended(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """How a call ends that is not answered."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code(), error.details()


def shown(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def bare(channel: grpc.Channel, method: str, *, service: str = SERVICE) -> bytes | None:
    """Calls a method without ever sending a message; gives the first answer."""
    call = channel.stream_stream(f"/{service}/{method}")
    over = Event()

    def nothing() -> Iterator[bytes]:
        over.wait(LONG_S)
        yield from ()

    try:
        return next(iter(call(nothing(), timeout=LONG_S)), None)
    finally:
        over.set()


# -- tokens


@pytest.mark.parametrize("method", METHODS)
def test_without_a_token_nothing_is_served_or_even_read(channel: grpc.Channel, method: str) -> None:
    code, text = ended(lambda: bare(channel, method))
    assert code is Code.UNAUTHENTICATED
    assert "authorization: Bearer TOKEN" in text


def bad_tokens(control: TokenControl, world: World) -> dict[str, str]:
    """What is shown, by what the refusal says of it."""
    soon = world.clock() + timedelta(seconds=1)
    expired, _ = control.create("me", expires_at=soon)
    revoked, kept = control.create("me")
    control.revoke([kept.id])
    right, _ = control.create("me")
    world.clock.advance(2)
    return {
        "malformed": "qd_x",
        "is none that was made here": "qd_" + "A" * 54,
        "no such token": right[:-1] + ("A" if right[-1] != "A" else "E"),
        "expired": expired,
        "was revoked": revoked,
    }


def test_a_token_that_is_not_valid_is_refused_with_what_to_do(
    channel: grpc.Channel, control: TokenControl, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stub = pb_grpc.QDispatchStub(channel)
    caplog.set_level(logging.DEBUG)
    for says, token in bad_tokens(control, world).items():
        code, text = ended(
            lambda each=token: stub.ListTargets(pb.ListTargetsRequest(), metadata=shown(each))
        )
        assert code is Code.UNAUTHENTICATED
        assert says in text
        assert "python -m app token create" in text or "copied as a whole" in text
        assert token[14:] not in text or token == "qd_x"
        assert len(token) < 20 or token[14:] not in caplog.text


def test_strangers_who_wait_are_so_many_at_the_most(
    channel: grpc.Channel, control: TokenControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_lookup, "MOST_LOOKUPS", 5)
    known, _ = control.create("me")
    stub = pb_grpc.QDispatchStub(channel)

    def call(token: str) -> Any:
        return stub.ListTargets.future(pb.ListTargetsRequest(), metadata=shown(token))

    assert len(call(known).result(LONG_S).targets) == 3
    calls = [call(f"qd_{'A' * 8}{a}{b}_{'a' * 43}") for a in "ABCDEFGH" for b in "ABCDEFGH"]
    # Who is known does not wait behind them.
    assert len(call(known).result(LONG_S).targets) == 3
    ends = Counter(each.exception(LONG_S).code() for each in calls)
    assert set(ends) == {Code.UNAUTHENTICATED, Code.UNAVAILABLE}


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "{}"),),
        (("authorization", "Basic {}"),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer {}"), ("authorization", "Bearer {}")),
        (("authorization-bin", b"Bearer {}"),),
        (("token", "{}"),),
    ],
    ids=["bare", "basic", "empty", "twice", "binary", "other-key"],
)
def test_a_token_comes_as_one_bearer_token(
    channel: grpc.Channel, control: TokenControl, metadata: tuple[tuple[str, Any], ...]
) -> None:
    token, _ = control.create("me")
    sent = tuple(
        (key, value.replace("{}", token) if isinstance(value, str) else token.encode())
        for key, value in metadata
    )
    stub = pb_grpc.QDispatchStub(channel)
    code, text = ended(lambda: stub.ListTargets(pb.ListTargetsRequest(), metadata=sent))
    assert code is Code.UNAUTHENTICATED
    assert token[14:] not in text


def test_a_token_is_good_at_once_and_no_more_once_revoked(
    channel: grpc.Channel, control: TokenControl
) -> None:
    stub = pb_grpc.QDispatchStub(channel)

    def call(token: str) -> object:
        return stub.ListTargets(pb.ListTargetsRequest(), metadata=shown(token))

    token, kept = control.create("me")
    other, _ = control.create("me")
    assert len(call(token).targets) == 3
    control.revoke([kept.id])

    def is_refused() -> bool:
        try:
            call(token)
        except grpc.RpcError as error:
            return error.code() is Code.UNAUTHENTICATED
        return False

    # Without a restart of the server, and without anybody who tells it.
    assert wait_until(is_refused, LONG_S)
    assert len(call(other).targets) == 3


def watched(channel: grpc.Channel, job_id: str, token: str) -> Iterator[Any]:
    stub = pb_grpc.QDispatchStub(channel)
    request = pb.WatchJobRequest(id=job_id)
    return iter(stub.WatchJob(request, metadata=shown(token), timeout=LONG_S))


def reflected(channel: grpc.Channel, _: str, token: str) -> Iterator[Any]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def asked() -> Iterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="*")
        Event().wait(LONG_S)

    return iter(stub.ServerReflectionInfo(asked(), metadata=shown(token), timeout=LONG_S))


@pytest.mark.parametrize("end", ["revoked", "expired"])
@pytest.mark.parametrize("open_one", [watched, reflected], ids=["watch", "reflection"])
def test_a_stream_ends_when_its_token_does(
    open_one: Callable[..., Iterator[Any]],
    end: str,
    channel: grpc.Channel,
    control: TokenControl,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nothing happens to the job, and nobody is told what to expect of it either.
    monkeypatch.setattr(watching, "_SOON_S", 10 * LONG_S)
    monkeypatch.setattr(streams, "AGAIN_S", 0.1)
    token, kept = control.create("me", expires_at=world.clock() + timedelta(hours=1))
    job_id = world.service.by(Caller(owner="me")).submit(bell(), request_id="r").id
    stream = open_one(channel, job_id, token)
    assert next(stream) is not None
    if end == "revoked":
        control.revoke([kept.id])
    else:
        world.clock.advance(3600)
    code, text = ended(lambda: next(stream))
    assert (code, end in text) == (Code.UNAUTHENTICATED, True)


def test_while_the_database_is_away_known_tokens_are_good(
    channel: grpc.Channel, control: TokenControl, world: World
) -> None:
    token, _ = control.create("me")
    new, _ = control.create("me")
    stub = pb_grpc.QDispatchStub(channel)
    asked = pb.GetJobRequest(id="no-uuid")
    assert ended(lambda: stub.GetJob(asked, metadata=shown(token)))[0] is Code.NOT_FOUND
    world.store.away = True
    # Let in, and then met by what is away.
    assert ended(lambda: stub.ListTargets(pb.ListTargetsRequest(), metadata=shown(token))) == (
        Code.UNAVAILABLE,
        "the database does not answer; try again",
    )
    other = "qd_AAAAAAAAAA_" + new[14:]
    code, text = ended(lambda: stub.ListTargets(pb.ListTargetsRequest(), metadata=shown(other)))
    assert (code, text) == (Code.UNAVAILABLE, "the tokens cannot be read for now; try again")


def test_when_the_database_was_away_for_long_nobody_is_let_in(
    world: World, control: TokenControl
) -> None:
    token, _ = control.create("me")
    asked = pb.GetJobRequest(id="no-uuid")
    with (
        serving(world, patience_s=0.8) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = pb_grpc.QDispatchStub(channel)

        def end() -> tuple[grpc.StatusCode, str]:
            return ended(lambda: stub.GetJob(asked, metadata=shown(token)))

        # Let in, it is told that there is no such job, for which no database is asked.
        assert wait_until(lambda: end()[0] is Code.NOT_FOUND, LONG_S)
        world.store.away = True
        away = (Code.UNAVAILABLE, "the tokens cannot be read for now; try again")
        assert wait_until(lambda: end() == away, LONG_S)
        world.store.away = False
        assert wait_until(lambda: end()[0] is Code.NOT_FOUND, LONG_S)


# -- whose jobs


def requests(job_id: str, batch_id: str) -> dict[str, Any]:
    """A request of each method, about somebody's job or batch."""
    return {
        "GetJob": pb.GetJobRequest(id=job_id, include_results=True),
        "GetResult": pb.GetResultRequest(id=job_id),
        "CancelJob": pb.CancelJobRequest(id=job_id),
        "DeleteJob": pb.DeleteJobRequest(id=job_id),
        "WatchJob": pb.WatchJobRequest(id=job_id, with_results=True),
        "GetBatch": pb.GetBatchRequest(id=batch_id),
        "CancelBatch": pb.CancelBatchRequest(id=batch_id),
        "WatchBatch": pb.WatchBatchRequest(id=batch_id),
        "CancelJobs": pb.CancelJobsRequest(ids=[job_id]),
        "ListJobs": pb.ListJobsRequest(),
        "ListTargets": pb.ListTargetsRequest(),
        "CreateJob": pb.CreateJobRequest(request_id="r", spec=encode_spec(bell())),
        "CreateJobs": pb.CreateJobsRequest(request_id="b", specs=[encode_spec(bell())]),
    }


#: What a stranger is told by those methods that do not say NOT_FOUND.
OPEN: dict[str, Callable[[Any, str, str], bool]] = {
    "CancelJobs": lambda answer, _job, _batch: (
        [each.verdict for each in answer.cancellations] == [pb.CANCEL_VERDICT_NOT_FOUND]
    ),
    "ListJobs": lambda answer, _job, _batch: not answer.jobs,
    "ListTargets": lambda answer, _job, _batch: len(answer.targets) == 3,
    # The same request_id is another's own.
    "CreateJob": lambda answer, job_id, _batch: answer.job.id not in ("", job_id),
    "CreateJobs": lambda answer, _job, batch_id: answer.batch.id not in ("", batch_id),
}


@pytest.mark.parametrize("method", METHODS)
def test_of_anothers_job_there_is_nothing(
    channel: grpc.Channel, control: TokenControl, world: World, method: str
) -> None:
    mine = world.service.by(Caller(owner="me"))
    job = mine.submit(bell(), request_id="r").id
    batch = mine.submit_many([bell()], request_id="b").batch.id
    every = requests(job, batch)
    assert set(every) == set(METHODS)
    token, _ = control.create("you")
    call = METHODS[method]
    kind = channel.unary_stream if call.server_streaming else channel.unary_unary
    send = kind(
        f"/{SERVICE}/{method}",
        request_serializer=lambda each: each.SerializeToString(),
        response_deserializer=getattr(pb, call.output_type.name).FromString,
    )

    def ask(request: Any) -> Any:
        answer = send(request, metadata=shown(token), timeout=LONG_S)
        return list(answer) if call.server_streaming else answer

    if method in OPEN:
        assert OPEN[method](ask(every[method]), job, batch)
    else:
        code, text = ended(lambda: ask(every[method]))
        assert code is Code.NOT_FOUND
        # In the very words for what there never was.
        nobody = str(uuid4())
        code, other = ended(lambda: ask(requests(nobody, nobody)[method]))
        assert code is Code.NOT_FOUND
        assert text.replace(batch, nobody).replace(job, nobody) == other
    assert mine.get(job).status == "pending"
    assert mine.batch(batch).batch.pending == 1


def test_an_admin_has_everybodys(
    channel: grpc.Channel, control: TokenControl, world: World
) -> None:
    mine = world.service.by(Caller(owner="me"))
    job = mine.submit(bell(), request_id="r").id
    stub = pb_grpc.QDispatchStub(channel)
    admin = shown(control.create("root", is_admin=True)[0])
    assert stub.GetJob(pb.GetJobRequest(id=job), metadata=admin).job.owner == "me"
    listed = stub.ListJobs(pb.ListJobsRequest(owner="me"), metadata=admin).jobs
    assert [each.id for each in listed] == [job]
    assert not stub.ListJobs(pb.ListJobsRequest(owner="root"), metadata=admin).jobs
    assert stub.CancelJob(pb.CancelJobRequest(id=job), metadata=admin).job.status == (
        pb.JOB_STATUS_CANCELED
    )
    stub.DeleteJob(pb.DeleteJobRequest(id=job), metadata=admin)
    assert mine.page(JobFilter()).jobs == ()


# -- health and reflection


def reflect(channel: grpc.Channel, **options: Any) -> list[Any]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="*")
    return list(stub.ServerReflectionInfo(iter([asked]), timeout=LONG_S, **options))


def check_health(channel: grpc.Channel, **options: Any) -> Any:
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Check(health_pb2.HealthCheckRequest(), timeout=LONG_S, **options).status


def test_health_needs_no_token_and_reflection_does(
    channel: grpc.Channel, control: TokenControl, world: World, port: int
) -> None:
    assert check_health(channel) == health_pb2.HealthCheckResponse.SERVING
    assert answers(world.settings, f"127.0.0.1:{port}", timeout_s=LONG_S)
    assert ended(lambda: reflect(channel))[0] is Code.UNAUTHENTICATED
    token, _ = control.create("me")
    (answer,) = reflect(channel, metadata=shown(token))
    assert SERVICE in [each.name for each in answer.list_services_response.service]


@pytest.mark.parametrize("method", ["Check", "Watch"])
def test_of_those_who_ask_for_health_nothing_is_read(channel: grpc.Channel, method: str) -> None:
    # Without a message it is answered as well; one of any size would not be looked at.
    answer = bare(channel, method, service="grpc.health.v1.Health")
    assert health_pb2.HealthCheckResponse.FromString(answer or b"").status == (
        health_pb2.HealthCheckResponse.SERVING
    )


def test_those_who_watch_how_the_server_is_are_so_many_at_the_most(
    channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MOST_WATCHERS", 2)
    stub = health_pb2_grpc.HealthStub(channel)

    def watch() -> Any:
        return stub.Watch(health_pb2.HealthCheckRequest(), timeout=LONG_S)

    first, second = watch(), watch()
    for each in (first, second):
        assert next(each).status == health_pb2.HealthCheckResponse.SERVING
    code, text = ended(lambda: next(watch()))
    assert (code, "ask by Check" in text) == (Code.RESOURCE_EXHAUSTED, True)
    assert check_health(channel) == health_pb2.HealthCheckResponse.SERVING
    # There is room again once one has left.
    first.cancel()

    def has_room() -> bool:
        try:
            return bool(next(watch()))
        except grpc.RpcError:
            return False

    assert wait_until(has_room, LONG_S)


def test_health_and_reflection_can_be_turned_off(world: World, control: TokenControl) -> None:
    server = world.settings.server.model_copy(update={"health": False, "reflection": False})
    settings = world.settings.model_copy(update={"server": server})
    token, _ = control.create("me")
    with serving(world, settings) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        # As every method that there is not, it is told to those only who are let in.
        assert ended(lambda: check_health(channel))[0] is Code.UNAUTHENTICATED
        assert ended(lambda: check_health(channel, metadata=shown(token)))[0] is Code.UNIMPLEMENTED
        assert ended(lambda: reflect(channel, metadata=shown(token)))[0] is Code.UNIMPLEMENTED
        # Any answer is a sign of life then.
        assert answers(settings, f"127.0.0.1:{port}", timeout_s=LONG_S)
    assert not answers(settings, f"127.0.0.1:{port}", timeout_s=1)


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write(path: Path, *blobs: trustme.Blob) -> str:
    path.write_bytes(b"".join(each.bytes() for each in blobs))
    return str(path)


def issue(folder: Path, authority: trustme.CA, name: str = "qdispatch.test") -> dict[str, str]:
    """A server's files, as [tls] names them."""
    made = authority.issue_cert(name)
    return {
        "certificate": write(folder / "server.pem", *made.cert_chain_pems),
        "key": write(folder / "server.key", made.private_key_pem),
    }


def with_tls(settings: Settings, mode: str = "none", **files: str) -> Settings:
    auth = settings.auth.model_copy(update={"mode": mode, "admins": ("root",)})
    return settings.model_copy(update={"tls": TlsSettings(**files), "auth": auth})


@contextmanager
def connected(
    port: int, roots: trustme.CA, *, name: str = "qdispatch.test", client: Any = None
) -> Iterator[pb_grpc.QDispatchStub]:
    chain = b"".join(each.bytes() for each in client.cert_chain_pems) if client else None
    credentials = grpc.ssl_channel_credentials(
        roots.cert_pem.bytes(), client.private_key_pem.bytes() if client else None, chain
    )
    options = (("grpc.ssl_target_name_override", name), ("grpc.enable_retries", 0))
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield pb_grpc.QDispatchStub(channel)


def targets(stub: pb_grpc.QDispatchStub, **options: Any) -> int:
    return len(stub.ListTargets(pb.ListTargetsRequest(), timeout=LONG_S, **options).targets)


def test_a_certificate_is_what_makes_a_server_known(
    world: World, tmp_path: Path, authority: trustme.CA
) -> None:
    settings = with_tls(world.settings, **issue(tmp_path, authority))
    with serving(world, settings) as port:
        with connected(port, authority) as stub:
            assert targets(stub) == 3
        for wrong in ({"roots": trustme.CA()}, {"roots": authority, "name": "other.test"}):
            with connected(port, **wrong) as stub:
                assert ended(lambda each=stub: targets(each))[0] is Code.UNAVAILABLE
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            plain = pb_grpc.QDispatchStub(channel)
            assert ended(lambda: targets(plain))[0] is Code.UNAVAILABLE
        # A health check knows it by its own settings.
        assert answers(settings, f"127.0.0.1:{port}", timeout_s=LONG_S)


def test_tls_is_1_2_at_least(world: World, tmp_path: Path, authority: trustme.CA) -> None:
    with serving(world, with_tls(world.settings, **issue(tmp_path, authority))) as port:
        assert {each: is_spoken(each, port) for each, _ in VERSIONS} == dict(VERSIONS)


def damaged(file: Path) -> Callable[[], None]:
    """Breaks a file; gives what mends it, of which its time of writing says nothing."""
    good = file.read_bytes()
    file.write_bytes(good.swapcase())
    written_at = file.stat().st_mtime_ns

    def mend() -> None:
        file.write_bytes(good)
        os.utime(file, ns=(written_at, written_at))

    return mend


def test_files_that_change_are_read_again(
    world: World, tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    files = issue(tmp_path, authority)
    other = trustme.CA()
    with serving(world, with_tls(world.settings, **files)) as port:
        with connected(port, authority) as before:
            assert targets(before) == 3
            # A key that is no key: the server goes on with what it has, and says why, once.
            (tmp_path / "server.key").write_text("no key")
            for _ in range(2):
                with connected(port, authority) as stub:
                    assert targets(stub) == 3
            told = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
            assert len(told) == 1
            assert "server.key is no private key in PEM" in told[0]
            assert "goes on with the certificate that it has" in told[0]
            issue(tmp_path, other)
            # Wrong once more, and put right as `chmod` does it: with the same length, in the
            # same file, last written when it was.
            mend = damaged(tmp_path / "server.key")
            with connected(port, authority) as stub:
                assert targets(stub) == 3
            mend()
            with connected(port, other) as stub:
                assert targets(stub) == 3
            with connected(port, authority) as stub:
                assert ended(lambda: targets(stub))[0] is Code.UNAVAILABLE
            # Who was connected goes on.
            assert targets(before) == 3


@pytest.mark.parametrize(
    "wrong", ["missing", "no-pem", "no-name", "other-key", "password", "no-authority"]
)
def test_wrong_files_are_refused_at_the_start(
    tmp_path: Path, authority: trustme.CA, wrong: str
) -> None:
    files = issue(tmp_path, authority)
    says = {
        "missing": "tls.certificate: cannot read",
        "no-pem": "is no certificate in PEM",
        "no-name": r"no name of a server \(subjectAltName\)",
        "other-key": "is not the key of the first certificate",
        "password": "tls.key: .* is no private key in PEM, or is one with a password",
        "no-authority": "tls.client_ca: .* is no certificate in PEM",
    }
    if wrong == "missing":
        (tmp_path / "server.pem").unlink()
    elif wrong == "no-pem":
        (tmp_path / "server.pem").write_text("-----BEGIN NOTHING-----")
    elif wrong == "no-name":
        for name, pem in zip(("pem", "key"), issue_nameless("qdispatch.test"), strict=True):
            (tmp_path / f"server.{name}").write_bytes(pem)
    elif wrong == "other-key":
        write(tmp_path / "server.key", authority.issue_cert("other").private_key_pem)
    elif wrong == "password":
        (tmp_path / "server.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    else:
        files["client_ca"] = write(tmp_path / "ca.pem")
    with pytest.raises(SettingsError, match=says[wrong]):
        ServerCertificates(TlsSettings(**files))


# -- certificates of clients


@pytest.fixture
def mutual(world: World, tmp_path: Path, authority: trustme.CA) -> Settings:
    """Clients are known by certificates of the same authority as the server."""
    check = authority.issue_cert("check@qdispatch.test", common_name="check")
    return with_tls(
        world.settings,
        mode="certificate",
        **issue(tmp_path, authority),
        client_ca=write(tmp_path / "ca.pem", authority.cert_pem),
        check_certificate=write(tmp_path / "check.pem", *check.cert_chain_pems),
        check_key=write(tmp_path / "check.key", check.private_key_pem),
    )


def test_an_owner_is_the_common_name_of_a_certificate(
    world: World, mutual: Settings, authority: trustme.CA
) -> None:
    jobs = {}
    with serving(world, mutual) as port:
        for owner in ("me", "you", "root"):
            client = authority.issue_cert("x@qdispatch.test", common_name=owner)
            with connected(port, authority, client=client) as stub:
                job = stub.CreateJob(requests("", "")["CreateJob"], timeout=LONG_S).job
                assert job.owner == owner
                jobs[owner] = job.id
                seen = {each.id for each in stub.ListJobs(pb.ListJobsRequest()).jobs}
                assert seen == (set(jobs.values()) if owner == "root" else {job.id})
        assert answers(mutual, f"127.0.0.1:{port}", timeout_s=LONG_S)


def test_another_authority_of_clients_takes_effect_without_a_restart(
    world: World, mutual: Settings, authority: trustme.CA
) -> None:
    old, new = authority, trustme.CA()
    clients = {each: each.issue_cert("x@y.z", common_name="me") for each in (old, new)}

    def is_let_in(port: int, signer: trustme.CA) -> bool:
        with connected(port, authority, client=clients[signer]) as stub:
            try:
                return targets(stub) == 3
            except grpc.RpcError:
                return False

    with serving(world, mutual) as port:
        assert (is_let_in(port, old), is_let_in(port, new)) == (True, False)
        write(Path(mutual.tls.client_ca), new.cert_pem)
        assert (is_let_in(port, old), is_let_in(port, new)) == (False, True)


def test_who_never_hangs_up_is_asked_for_a_certificate_again(
    world: World, mutual: Settings, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RENEWED_MS", 200)
    client = authority.issue_cert("x@y.z", common_name="me")
    mine = world.service.by(Caller(owner="me"))
    job_id = mine.submit(bell(), request_id="r").id
    with serving(world, mutual) as port, connected(port, authority, client=client) as stub:
        watch = stub.WatchJob(pb.WatchJobRequest(id=job_id), timeout=LONG_S)
        assert next(watch).job.id == job_id
        write(Path(mutual.tls.client_ca), trustme.CA().cert_pem)

        def is_out() -> bool:
            try:
                targets(stub)
            except grpc.RpcError as error:
                return error.code() is Code.UNAVAILABLE
            return False

        assert wait_until(is_out, LONG_S)
        # What was under way goes on to its end.
        mine.cancel(job_id)
        assert [each.job.status for each in watch][-1] == pb.JOB_STATUS_CANCELED


@pytest.mark.parametrize("client", ["none", "stranger", "no-name", "bad-name", "expired"])
def test_a_certificate_that_says_nothing_lets_nobody_in(
    world: World, mutual: Settings, authority: trustme.CA, client: str
) -> None:
    shown = {
        "none": lambda: None,
        "stranger": lambda: trustme.CA().issue_cert("x@y.z", common_name="me"),
        "no-name": lambda: authority.issue_cert("x@y.z"),
        "bad-name": lambda: authority.issue_cert("x@y.z", common_name="a b"),
        # After this connection is made: trustme's certificates last to the year 3000.
        "expired": lambda: authority.issue_cert("x@y.z", common_name="me"),
    }[client]()
    if client == "expired":
        world.clock.advance(1000 * 366 * 86400)
    with serving(world, mutual) as port, connected(port, authority, client=shown) as stub:
        code, text = ended(lambda: targets(stub))
    if client in ("none", "stranger"):
        assert code is Code.UNAVAILABLE
    else:
        assert code is Code.UNAUTHENTICATED
        assert ("has expired" if client == "expired" else "names no owner") in text


def test_a_certificate_that_cannot_be_read_lets_nobody_in(
    tmp_path: Path, authority: trustme.CA
) -> None:
    # What the encryption takes may still be more than what names an owner can be read from.
    lines = authority.issue_cert("a.example", common_name="me").cert_chain_pems[0].bytes()
    der = ssl.PEM_cert_to_DER_cert(lines.decode())
    version = b"\xa0\x03\x02\x01"
    strange = der.replace(version + b"\x02", version + b"\x07", 1)
    assert gate._subject(lines)[0] == "me"
    for pem in (ssl.DER_cert_to_PEM_cert(strange).encode(), lines[:200], b"none"):
        with pytest.raises(AuthenticationError, match="cannot be read"):
            gate._subject(pem)


def test_the_commands_know_a_server_with_tls_and_tokens(
    world: World,
    tmp_path: Path,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = with_tls(world.settings, mode="token", **issue(tmp_path, authority))
    work = WorkService(
        store=world.store, programs=world.programs, clock=utc_now, settings=settings.jobs
    )
    with serving(world, settings) as port:
        address = f"127.0.0.1:{port}"
        server = settings.server.model_copy(update={"address": address})
        for name in settings.targets:
            work.report(f"{name}@host", name, 1)
        # Readiness, which `up` waits for; it returns at once, or the test takes too long.
        wait_until_ready(settings.model_copy(update={"server": server}))
        # The command reads a file, in which paths count from it.
        file = tmp_path / "settings.toml"
        file.write_text(
            f'[server]\naddress = "{address}"\n[auth]\nmode = "token"\n'
            '[tls]\ncertificate = "server.pem"\nkey = "server.key"\n'
            '[targets.aer]\nsimulator = "aer"\n'
        )
        monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
        assert main(["health"]) == 0
    assert main(["health"]) == 1
    told = capsys.readouterr().out
    assert told == f"{address} is serving\n{address} is not serving\n"


def test_certificates_made_as_documented_are_good(world: World, tmp_path: Path) -> None:
    text = (PROJECT / "docs/administration.md").read_text()
    (block,) = re.findall(r"^```sh\n(umask [^`]*openssl x509 [^`]*)^```", text, re.MULTILINE)
    subprocess.run(["sh", "-euc", block], cwd=tmp_path, capture_output=True, check=True)
    ca_file = tmp_path / "ca.pem"
    settings = with_tls(
        world.settings,
        mode="certificate",
        certificate=str(tmp_path / "server.pem"),
        key=str(tmp_path / "server.key"),
        client_ca=str(ca_file),
    )
    own = {"cert_file": tmp_path / "alice.pem", "key_file": tmp_path / "alice.key"}
    with serving(world, settings) as port:
        for host in ("localhost", "127.0.0.1"):
            with Client(f"{host}:{port}", ca_file=ca_file, **own) as client:
                assert client.create_job(bell()).owner == "alice"
        # As strict as Python is from 3.13 on.
        strict = ssl.create_default_context(cafile=ca_file)
        strict.verify_flags |= ssl.VERIFY_X509_STRICT
        strict.load_cert_chain(own["cert_file"], own["key_file"])
        with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as plain:
            with strict.wrap_socket(plain, server_hostname="localhost") as encrypted:
                assert encrypted.version() == "TLSv1.3"


def test_a_health_check_of_such_a_server_needs_a_certificate(mutual: Settings) -> None:
    tls = mutual.tls.model_copy(update={"check_certificate": "", "check_key": ""})
    settings = mutual.model_copy(update={"tls": tls})
    with pytest.raises(SettingsError, match=r"tls\.check_certificate"):
        answers(settings, "127.0.0.1:1", timeout_s=1)


def test_tokens_and_tls_go_together(
    world: World, tmp_path: Path, authority: trustme.CA, control: TokenControl
) -> None:
    token, _ = control.create("me")
    settings = with_tls(world.settings, mode="token", **issue(tmp_path, authority))
    with serving(world, settings) as port, connected(port, authority) as stub:
        assert ended(lambda: targets(stub))[0] is Code.UNAUTHENTICATED
        assert targets(stub, metadata=shown(token)) == 3
        assert answers(settings, f"127.0.0.1:{port}", timeout_s=LONG_S)
