"""Who may look at the page, and at whose jobs."""

from __future__ import annotations

import logging
import re
import shutil
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen
from uuid import UUID

import pytest

from app import token_lookup
from app.audit import AUDIT
from app.identity import Caller
from app.known_tokens import KnownTokens, TokenControl
from app.readiness import page_answers, page_url
from app.settings import SettingsError, TlsSettings
from app.token_lookup import TokenLookup
from page.__main__ import make_server
from page.reading import Reader
from page.tls import PageCertificate
from tests.handshakes import VERSIONS, is_spoken
from tests.page.conftest import Answer, Served, Stage
from tests.page.test_site import listed, plain
from tests.services.authority import Authority
from tests.services.process import wait_until
from tests.specs import bell
from tests.world import World, make_settings

SECRET: Final = "S3CR3T"

PATHS: Final = ("/", "/batches", "/targets", "/jobs/1", "/batches/1", "/static/style.css", "/none")


@pytest.fixture
def control(world: World) -> TokenControl:
    return TokenControl(store=world.store, clock=world.clock)  # type: ignore[arg-type]


@pytest.fixture
def guarded(stage: tuple[Stage, Served], world: World) -> Iterator[Served]:
    """The page of the test's own world, which asks who is there."""
    tokens = KnownTokens(store=world.store, clock=world.clock, refresh_s=0.3)  # type: ignore[arg-type]
    tokens.start()
    stage[0].show(world, TokenLookup(tokens))
    yield stage[1]
    tokens.close()


def basic(password: str, user: str = "me") -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def seen(served: Served, path: str, token: str) -> Answer:
    return served.get(path, Authorization=basic(token))


# -- who


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_to_strangers(guarded: Served, path: str) -> None:
    answer = guarded.get(path)
    assert answer.code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "asks for a token" in answer.text
    assert guarded.get(path, method="POST").code == 401


def test_the_health_check_is_for_everybody(guarded: Served) -> None:
    assert guarded.get("/health").text == "ok\n"


def test_a_token_is_the_password_whatever_the_name(guarded: Served, control: TokenControl) -> None:
    # Made after the page had read them.
    token, stored = control.create("alice")
    assert seen(guarded, "/", token).code == 200
    for user in ("", "bob"):
        assert guarded.get("/targets", Authorization=basic(token, user)).code == 200
    control.revoke([stored.id])
    assert wait_until(lambda: seen(guarded, "/", token).code == 401, 10)
    assert "was revoked" in seen(guarded, "/", token).text


def test_what_is_no_valid_token_is_refused_and_noted(
    guarded: Served, control: TokenControl, caplog: pytest.LogCaptureFixture
) -> None:
    token, _ = control.create("alice")
    assert seen(guarded, "/", token).code == 200
    caplog.set_level(logging.INFO)
    other = f"qd_{'A' * 10}_{'a' * 43}"
    wrong = [basic(each) for each in ("", "alice", token[:-1], token[:-4] + "AAAA", other)]
    wrong += [f"Bearer {token}", "Basic", "Basic ?", "Basic /w==", f"Basic {token}"]
    for header in wrong:
        answer = guarded.get("/", Authorization=header)
        assert answer.code == 401, header
        assert token[14:] not in answer.text
    events = [each.msg for each in caplog.records if each.name == "qdispatch.audit"]
    assert len(events) == len(wrong)
    for event in events:
        assert isinstance(event, dict)
        assert (event["event"], event["code"]) == ("call.refused", "UNAUTHENTICATED")
        assert event["method"] == "page"
        assert event["peer"].startswith("ipv4:127.0.0.1:")
    assert token[14:] not in caplog.text


def test_strangers_who_wait_are_so_many_at_the_most(
    guarded: Served, control: TokenControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = control.create("alice")
    assert seen(guarded, "/", token).code == 200
    monkeypatch.setattr(token_lookup, "MOST_LOOKUPS", 0)
    answer = seen(guarded, "/", f"qd_{'A' * 10}_{'a' * 43}")
    assert (answer.code, answer.headers["retry-after"]) == (503, "3")
    assert seen(guarded, "/", token).code == 200


# -- what the audit has of it


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The records of the audit, without where the calls came from."""
    found = [each.msg for each in caplog.records if each.name == AUDIT]
    records = [dict(each) for each in found if isinstance(each, dict)]
    assert len(records) == len(found)
    for each in records:
        assert each.pop("peer").startswith("ipv4:127.0.0.1:")
        assert each.pop("event") == "call.refused"
        assert each.pop("method") == "page"
    return records


def test_where_a_request_comes_from_is_not_for_the_caller_to_say(
    guarded: Served, caplog: pytest.LogCaptureFixture
) -> None:
    # Its server believes this, unless told not to, of whoever is on the same machine.
    assert guarded.get("/", **{"X-Forwarded-For": f"{SECRET} owner=root"}).code == 401
    assert told(caplog) == [{"code": "UNAUTHENTICATED"}]
    assert SECRET not in caplog.text


def test_every_request_that_is_refused_is_noted(
    guarded: Served, control: TokenControl, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    token, stored = control.create("alice")
    assert seen(guarded, "/", token).code == 200
    # None of these is known of by who calls.
    strange = {"Host": f"{SECRET}.example", "Authorization": basic(token)}
    assert guarded.get(f"/{SECRET}", **strange).code == 400
    assert guarded.get("/health", method="POST").code == 405
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert guarded.get("/", **upgrade, **{"Sec-WebSocket-Key": "x"}).code == 401
    # All of these are.
    mine = {"Authorization": basic(token)}
    job_id = str(UUID(int=7))
    asked = {
        f"/{SECRET}": 404, f"/static/{SECRET}": 404, f"/jobs/{SECRET}": 404,
        f"/jobs/{job_id}": 404, f"/batches/{job_id}": 404, f"/?status={SECRET}": 400,
    }  # fmt: skip
    for path, code in asked.items():
        assert guarded.get(path, **mine).code == code, path
    assert guarded.get(f"/jobs/{job_id}", method="DELETE", **mine).code == 405
    world.store.away = True
    assert guarded.get("/targets", **mine).code == 503
    assert guarded.get("/health").code == 503
    world.store.away = False
    who = {"owner": "alice", "token_id": stored.id}
    assert told(caplog) == [
        {"code": "INVALID_ARGUMENT", "field": "host"},
        {"code": "UNIMPLEMENTED"},
        {"code": "UNAUTHENTICATED"},
        *[who | {"code": "NOT_FOUND"}] * 3,
        *[who | {"code": "NOT_FOUND", "id": job_id}] * 2,
        who | {"code": "INVALID_ARGUMENT"},
        who | {"code": "UNIMPLEMENTED", "id": job_id},
        who | {"code": "UNAVAILABLE"},
    ]
    assert SECRET not in caplog.text


def test_a_defect_is_noted_and_names_no_path_that_is_no_id(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Reader, "job", fail)
    assert served.get(f"/jobs/{SECRET}").code == 500
    assert told(caplog) == [{"owner": "anonymous", "code": "INTERNAL"}]
    assert "page: RuntimeError" in caplog.text
    assert SECRET not in caplog.text


# -- whose


def test_each_sees_their_own_jobs_and_admins_all(
    guarded: Served, control: TokenControl, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shown, jobs, batches = {}, {}, {}
    for name in ("alice", "bob"):
        shown[name], _ = control.create(name)
        theirs = world.service.by(Caller(owner=name))
        jobs[name] = theirs.submit(bell(tags=("x",)), request_id="1").id
        made = theirs.submit_many([bell()], request_id="2")
        batches[name] = (made.batch.id, made.job_ids[0])
    root, _ = control.create("root", is_admin=True)
    for name, other in (("alice", "bob"), ("bob", "alice")):
        token = shown[name]
        assert set(listed(seen(guarded, "/", token).text)) == {jobs[name], batches[name][1]}
        assert listed(seen(guarded, "/?tag=x", token).text) == [jobs[name]]
        assert seen(guarded, f"/jobs/{jobs[name]}", token).code == 200
        assert name in plain(seen(guarded, f"/jobs/{jobs[name]}", token).text)
        text = seen(guarded, "/batches", token).text
        assert batches[name][0] in text
        assert batches[other][0] not in text
        assert seen(guarded, f"/batches/{batches[name][0]}", token).code == 200
        assert listed(seen(guarded, f"/?batch={batches[other][0]}", token).text) == []
        for path in (f"/jobs/{jobs[other]}", f"/batches/{batches[other][0]}"):
            answer = seen(guarded, path, token)
            assert answer.code == 404
            # In the words for what there never was.
            never = path.rpartition("/")[0] + f"/{UUID(int=7)}"
            assert unnamed(answer.text) == unnamed(seen(guarded, never, token).text)
    refused = [each.msg for each in caplog.records if each.name == "qdispatch.audit"]
    assert {(each["owner"], each["id"]) for each in refused if each["id"] == jobs["bob"]} == {
        ("alice", jobs["bob"])
    }
    assert len(listed(seen(guarded, "/", root).text)) == 4
    for name in ("alice", "bob"):
        assert seen(guarded, f"/jobs/{jobs[name]}", root).code == 200
        assert seen(guarded, f"/batches/{batches[name][0]}", root).code == 200


def unnamed(text: str) -> str:
    """What does not depend on the time and on which id was asked for."""
    text = re.sub(r"<time.*?</time>", "", text)
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)


# -- TLS


def issue(authority: Authority, name: str) -> TlsSettings:
    certificate, key = authority.issue(name, "127.0.0.1")
    return TlsSettings(certificate=str(certificate), key=str(key))


def test_the_page_speaks_tls_and_its_certificate_can_be_replaced(
    stage: tuple[Stage, Served], world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stage[0].show(world)
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    tls, later = issue(old, "page"), issue(new, "page")
    server = make_server(stage[0], PageCertificate(tls).context())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert wait_until(lambda: server.started, 20)
            settings = make_settings(tmp_path, page={"address": address}, tls=tls)
            assert page_url(settings) == f"https://{address}"
            assert page_answers(settings, timeout_s=10)
            assert not page_answers(make_settings(tmp_path, page={"address": address}), timeout_s=3)
            assert trusted(address, old)
            port = listener.getsockname()[1]
            assert {each: is_spoken(each, port) for each, _ in VERSIONS} == dict(VERSIONS)
            # Half replaced, it goes on with what it has.
            shutil.copy(later.key, tls.key)
            assert trusted(address, old)
            assert "goes on with the certificate that it has" in caplog.text
            shutil.copy(later.certificate, tls.certificate)
            assert trusted(address, new)
            assert not trusted(address, old)
        finally:
            server.should_exit = True
            thread.join(20)


def trusted(address: str, authority: Authority) -> bool:
    """Whether a browser that believes an authority gets an answer."""
    context = ssl.create_default_context(cafile=str(authority.file))
    try:
        with urlopen(f"https://{address}/health", timeout=10, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_certificate_that_is_wrong_ends_the_start(tmp_path: Path) -> None:
    tls = issue(Authority(tmp_path), "page")
    other = issue(Authority(tmp_path / "other"), "page")
    with pytest.raises(SettingsError, match=r"tls\.key: .* is not the key"):
        PageCertificate(tls.model_copy(update={"key": other.key}))
