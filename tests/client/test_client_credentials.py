"""What a client shows to the server, and what it wants to see of it."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from qdispatch import AsyncClient, Client, credentials
from qdispatch.codec import ERROR_DETAIL_KEY
from qdispatch.credentials import Credentials
from qdispatch.errors import (
    AuthenticationError,
    ConfigurationError,
    HandshakeError,
    QDispatchError,
    UnavailableError,
)
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.answers import LIFE, RESULT, created, job_id, packed, pieces, told
from tests.client.blocking import Blocking
from tests.client.papers import Papers
from tests.client.scripted import ScriptedServer
from tests.specs import bell

TOKEN = "qd_abc_sEcReT"


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes clients of either kind, and closes them."""
    made: list[Any] = []
    if request.param == "sync":

        def plain(*args: Any, **options: Any) -> Any:
            made.append(Client(*args, **options))
            return made[-1]

        yield plain
        for each in made:
            each.close()
        return
    with asyncio.Runner() as runner:

        def blocking(*args: Any, **options: Any) -> Any:
            made.append(AsyncClient(*args, **options))
            return Blocking(runner, made[-1])

        yield blocking
        for each in made:
            runner.run(each.close())


def test_a_token_goes_with_every_call(server: ScriptedServer, make: Callable[..., Any]) -> None:
    server.say("CreateJob", created(LIFE[0]))
    server.say("WatchJob", [grpc.StatusCode.UNAVAILABLE], [told(*LIFE, since=1)])
    server.say("GetResult", pieces(packed(RESULT)))
    client = make(server.address, token=f"{TOKEN}\n")
    client.create_job(bell())
    for _ in client.watch_job(job_id()):
        pass
    client.get_result(job_id())
    assert client.is_serving()
    methods = ["CreateJob", "WatchJob", "WatchJob", "GetResult", "Check"]
    assert server.tokens == [(method, f"Bearer {TOKEN}") for method in methods]


def test_a_token_of_the_environment(
    server: ScriptedServer,
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text("qd_file\n")
    monkeypatch.setenv("QDISPATCH_TOKEN_FILE", str(file))
    server.say("ListTargets", pb.ListTargetsResponse())
    make(server.address).targets()
    monkeypatch.setenv("QDISPATCH_TOKEN", "qd_variable")
    make(server.address).targets()
    make(server.address, token=TOKEN).targets()
    make(server.address, token="").targets()
    bearers = [given for _, given in server.tokens]
    assert bearers == ["Bearer qd_file", "Bearer qd_variable", f"Bearer {TOKEN}", None]


@pytest.mark.parametrize(
    ("token", "said"),
    [("", r"QDISPATCH_TOKEN.*python -m app token create"), (TOKEN, "make another token")],
    ids=["none", "other"],
)
def test_who_is_not_known_is_told_what_to_do_and_asks_once(
    server: ScriptedServer, make: Callable[..., Any], token: str, said: str
) -> None:
    server.say("CreateJob", AuthenticationError("no valid token"))
    with pytest.raises(AuthenticationError, match=f"no valid token; .*{said}") as caught:
        make(server.address, token=token).create_job(bell())
    assert len(server.asked("CreateJob")) == 1
    assert TOKEN not in str(caught.value)


def test_a_token_is_shown_to_nobody_else(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    found = credentials.find("127.0.0.1:1", token=TOKEN)
    assert found.token == TOKEN
    assert TOKEN not in repr(found) + str(found)
    for carry in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            carry(found)
    server.say("ListTargets", AuthenticationError("no"), grpc.StatusCode.INTERNAL)
    with caplog.at_level(logging.DEBUG), Client(server.address, token=TOKEN) as client:
        assert TOKEN not in repr(client) + repr(vars(client))
        for _ in range(2):
            with pytest.raises(QDispatchError) as caught:
                client.targets()
            chain = (caught.value, caught.value.__cause__)
            assert not any(TOKEN in repr(each) + str(each) for each in chain)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("address", "options", "environment", "is_refused"),
    [
        ("there:1", {}, {}, True),
        ("10.0.0.1:1", {}, {}, True),
        ("[2001:db8::1]:1", {}, {}, True),
        ("dns:///there:1", {}, {}, True),
        ("localhost.there:1", {}, {}, True),
        ("there:1", {"tls": False}, {}, False),
        ("there:1", {"tls": True}, {}, False),
        ("there:1", {}, {"QDISPATCH_USE_TLS": "0"}, False),
        ("there:1", {}, {"QDISPATCH_USE_TLS": "yes"}, False),
        ("localhost:1", {}, {}, False),
        ("127.9.9.9:1", {}, {}, False),
        ("[::1]:1", {}, {}, False),
        ("ipv4:127.0.0.1:1", {}, {}, False),
        ("unix:/run/q.sock", {}, {}, False),
    ],
)
def test_a_token_is_sent_unencrypted_to_this_machine_only(
    address: str, options: dict[str, Any], environment: dict[str, str], is_refused: bool
) -> None:
    def find() -> Credentials:
        return credentials.find(address, token=TOKEN, environment=environment, **options)

    if is_refused:
        with pytest.raises(ConfigurationError, match=r"unencrypted.*tls=True.*tls=False") as caught:
            find()
        assert TOKEN not in str(caught.value)
    else:
        assert find().token == TOKEN


def test_what_is_sent_to_this_machine_goes_through_no_proxy(
    server: ScriptedServer, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.say("ListTargets", pb.ListTargetsResponse())
    assert make(server.address, timeout_s=5, token=TOKEN).targets() == []


@pytest.mark.parametrize(
    "address", ["localhost", "::1", "[::1]", "a:b", "host:0", "host:70000", "http://host:1", " a:1"]
)
@pytest.mark.parametrize("kind", [Client, AsyncClient], ids=["sync", "async"])
def test_an_address_without_its_parts_is_refused_at_once(kind: Any, address: str) -> None:
    with pytest.raises(ValueError, match=r"is not HOST:PORT; write one such as localhost:50051"):
        kind(address)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token": f"{TOKEN} x"}, "as `python -m app token create` wrote it"),
        ({"token": f"{TOKEN}\u00e9"}, "as `python -m app token create` wrote it"),
        ({"tls": False, "ca_file": "x"}, "leave one of them out"),
        ({"key_file": "x.key"}, "x.key is a key without its certificate"),
        ({"ca_file": "none.pem"}, "none.pem cannot be read"),
        ({"ca_file": __file__}, "is of no use for TLS"),
        ({"environment": {"QDISPATCH_USE_TLS": "perhaps"}}, "write 1 or 0"),
        ({"environment": {"QDISPATCH_TOKEN_FILE": "none"}}, "token cannot be read: none"),
        ({"environment": {"QDISPATCH_TOKEN_FILE": "/dev/null"}}, "there is no token in /dev/null"),
    ],
    ids=["space", "letter", "both", "key", "no-file", "no-pem", "switch", "no-token", "empty"],
)
def test_what_cannot_be_used_is_said_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        credentials.find("127.0.0.1:1", **({"environment": {}} | options))
    assert TOKEN not in str(caught.value)


def test_a_certificate_without_its_key_is_said_at_once(papers: Papers) -> None:
    file = papers.own()["cert_file"]
    with pytest.raises(ConfigurationError, match=rf"no key in {file}.*key_file=.*QDISPATCH_KEY"):
        credentials.find("there:1", cert_file=file)


def test_a_key_of_another_certificate_is_said_at_once(papers: Papers) -> None:
    own = papers.own()
    with pytest.raises(ConfigurationError, match="is of no use for TLS"):
        credentials.find("there:1", cert_file=own["cert_file"], key_file=papers.ca_file)
    other = papers.file("other.key", papers.authority.issue_cert("x").private_key_pem)
    with pytest.raises(ConfigurationError, match="the key is that of the certificate"):
        credentials.find("there:1", cert_file=own["cert_file"], key_file=other)


def test_the_connection_is_encrypted(papers: Papers, make: Callable[..., Any]) -> None:
    server = ScriptedServer(papers.serve())
    server.say("ListTargets", pb.ListTargetsResponse())
    client = make(server.address, token=TOKEN, ca_file=papers.ca_file)
    assert client.targets() == []
    assert client.is_serving()
    assert server.tokens[0] == ("ListTargets", f"Bearer {TOKEN}")
    server.stop()


def test_a_certificate_of_the_environment_is_shown(
    papers: Papers, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    server = ScriptedServer(papers.serve(clients=True))

    def answer(_request: object, context: grpc.ServicerContext) -> pb.ListTargetsResponse:
        seen.append(context.auth_context()["x509_common_name"])
        return pb.ListTargetsResponse()

    server.say("ListTargets", answer)
    own = papers.own()
    for name, file in {"CA_FILE": papers.ca_file, "CERT_FILE": own["cert_file"]}.items():
        monkeypatch.setenv(f"QDISPATCH_{name}", str(file))
    monkeypatch.setenv("QDISPATCH_KEY_FILE", str(own["key_file"]))
    make(server.address).targets()
    assert seen == [[b"alice"]]
    server.stop()


def test_what_the_server_says_of_others_is_not_about_its_own_connections(
    papers: Papers, make: Callable[..., Any]
) -> None:
    def away(_request: object, context: grpc.ServicerContext) -> None:
        detail = pb.ErrorDetail().SerializeToString()
        context.set_trailing_metadata(((ERROR_DETAIL_KEY, detail),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "the broker: CERTIFICATE_VERIFY_FAILED")

    server = ScriptedServer(papers.serve())
    server.say("ListTargets", away, away, pb.ListTargetsResponse())
    assert make(server.address, ca_file=papers.ca_file).targets() == []
    server.stop()


def wrong_authority(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return papers.serve(), {"ca_file": papers.file("o.pem", trustme.CA().cert_pem)}


def no_authority(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return papers.serve(), {"tls": True}


def wrong_name(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return papers.serve("elsewhere.example"), {"ca_file": papers.ca_file}


def no_name(papers: Papers) -> tuple[Any, dict[str, Any]]:
    secrets, authority = papers.serve_nameless("127.0.0.1")
    return secrets, {"ca_file": authority}


def plain_server(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return None, {"ca_file": papers.ca_file}


def plain_client(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return papers.serve(), {}


def plain_client_where_certificates_are_shown(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return papers.serve(clients=True), {}


def no_certificate(papers: Papers) -> tuple[Any, dict[str, Any]]:
    return papers.serve(clients=True), {"ca_file": papers.ca_file}


def other_certificate(papers: Papers) -> tuple[Any, dict[str, Any]]:
    own = papers.own(trustme.CA())
    return papers.serve(clients=True), {"ca_file": papers.ca_file, **own}


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (wrong_authority, r"of no authority in .*o\.pem"),
        (no_authority, r"of no authority that is trusted here.*ca_file"),
        (wrong_name, "not made out to this host"),
        (no_name, "not made out to this host"),
        (plain_server, r"does not encrypt, but this client does.*QDISPATCH_USE_TLS=0"),
        (plain_client, r"encrypts, but this client does not.*tls=True"),
        (plain_client_where_certificates_are_shown, "encrypts, but this client does not"),
        (no_certificate, r"wants a certificate of the client.*cert_file"),
        (other_certificate, "does not accept the client's certificate"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_wrong_with_the_encryption_is_said_at_once(
    papers: Papers, make: Callable[..., Any], case: Callable[..., Any], said: str
) -> None:
    secrets, options = case(papers)
    server = ScriptedServer(secrets)
    client = make(server.address, timeout_s=1e6, **options)
    with pytest.raises(UnavailableError, match=said) as caught:
        client.create_job(bell())
    assert isinstance(caught.value, HandshakeError)
    with pytest.raises(HandshakeError, match=said):
        list(client.watch_job(job_id()))
    assert server.requests == []
    server.stop()
