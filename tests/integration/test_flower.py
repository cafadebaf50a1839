"""Flower, which shows nothing to strangers and does not listen to them by accident."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from flower.options import default_options
from flower.urls import handlers

from app.audit import AUDIT
from app.settings import PROJECT, SettingsError
from tasks.dashboard import PUBLISHED_VARIABLE, check, credentials, warn
from tests.handshakes import VERSIONS, is_spoken
from tests.services.authority import Authority
from tests.services.process import free_port, wait_until
from tests.world import make_settings

USER: Final = "me:0f2a9d71c4"

# Nothing of ours is there.
OPEN: Final = {"/healthcheck", "/static/x", "/logout"}
CHANGING: Final = {"/api/worker/shutdown/x", "/api/task/revoke/x", "/api/task/send-task/x"}


def routes() -> list[str]:
    """A path for each of Flower's routes, and one that it has not."""
    patterns = [getattr(each, "regex", None) or re.compile(each[0]) for each in handlers]
    paths = [each.pattern.rstrip("$").replace("/?", "") for each in patterns]
    return ["/" + re.sub(r"\\?\(?\.[+*]\)?", "x", each).lstrip("/") for each in paths]


@contextmanager
def flower(folder: Path, *options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process of Flower's, started where it finds no configuration of ours unless told."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QDISPATCH_", "FLOWER_"))
    }
    paths = {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "client" / "src")])}
    with subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "tasks", "flower", *options],
        env=environment | paths | {"QDISPATCH_DATA_DIR": str(folder)} | variables,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def code(url: str, user: bytes = b"", method: str = "GET", **headers: str) -> int:
    """What a request is answered with; 0 for nothing."""
    if user:
        headers["Authorization"] = f"Basic {b64encode(user).decode()}"
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_every_path_asks_who_is_there(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"other:ffffff\n\n{USER}\n")
    port = free_port()
    conf = f"--conf={PROJECT / 'flowerconfig.py'}"
    variables = {"FLOWER_BASIC_AUTH_FILE": str(file), "QDISPATCH_LOG_FORMAT": "json"}
    with flower(tmp_path, conf, f"--port={port}", **variables) as process:
        url = f"http://127.0.0.1:{port}"
        assert wait_until(lambda: code(f"{url}/healthcheck") == 200, 60)
        found = set(routes())
        assert {"/", "/workers", "/tasks", "/broker", "/metrics", "/api/workers"} <= found
        assert {"/api/worker/shutdown/x", "/x", "/login", *OPEN, *CHANGING} <= found
        refused: Counter[int] = Counter()
        for path in sorted(found - OPEN):
            answers = [code(url + path, method=method) for method in ("GET", "POST")]
            # What a path has no method for is 405.
            assert set(answers) in ({401}, {401, 405}), path
            refused.update(answers)
        for path in CHANGING:
            assert code(url + path, method="POST") == 401, path
            refused[401] += 1
        for path in ("/", "/tasks", "/metrics"):
            assert code(url + path, USER.encode()) == 200, path
            for wrong in (b"me:", b"me:0f2a9d71c5", b"", "me:\u00e9".encode(), b"\xff"):
                assert code(url + path, wrong) == 401, path
                refused[401] += 1
        # From a page of somebody else's, for a path that may be any text.
        origin = {"Origin": "http://evil.example"}
        assert code(f"{url}/api/SECRET", method="POST", **origin) == 403
        listening = Path(f"/proc/{process.pid}/net/tcp").read_text()
        assert f"0100007F:{port:04X} 00000000:0000 0A" in listening
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    # Of what is wrong, too, and of the paths, nothing is in its log.
    assert USER.partition(":")[2][:-1] not in said
    assert "/tasks" not in said
    assert "SECRET" not in said
    lines = [json.loads(each) for each in said.splitlines()]
    records = [each for each in lines if each["logger"] == AUDIT]
    assert Counter(each["code"] for each in records) == {
        "UNAUTHENTICATED": refused[401],
        "UNIMPLEMENTED": refused[405],
        "PERMISSION_DENIED": 1,
    }
    for each in records:
        assert (each["event"], each["method"]) == ("call.refused", "flower")
        assert each["peer"].startswith("ipv4:127.0.0.1:")


def test_it_does_not_listen_to_others_without_authentication(tmp_path: Path) -> None:
    # From a folder without flowerconfig.py, Flower's own default is every address.
    with flower(tmp_path, f"--port={free_port()}") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "every one of this machine" in said
    assert "set FLOWER_BASIC_AUTH_FILE" in said
    assert "Traceback" not in said


def options(**given: Any) -> Any:
    """Flower's, as far as they matter here."""
    return SimpleNamespace(
        **(
            {
                "address": "",
                "port": 5555,
                "unix_socket": "",
                "basic_auth": None,
                "auth": "",
                "certfile": None,
            }
            | given
        )
    )


TLS: Final = {"certfile": "server.pem"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "without authentication"),
        ({"address": "192.0.2.1", **TLS}, "without authentication"),
        ({"address": "::", **TLS}, "without authentication"),
        ({"address": "192.0.2.1", "basic_auth": [USER]}, "without TLS"),
        ({"address": "192.0.2.1", "auth": ".*@example.org"}, "without TLS"),
        ({"address": "127.0.0.1", "basic_auth": ["me"]}, "USER:PASSWORD"),
        ({"address": "127.0.0.1", "basic_auth": [USER, "me:"]}, "USER:PASSWORD"),
    ],
    ids=["nothing", "address", "everywhere", "plain", "oauth-plain", "name-only", "empty"],
)
def test_what_is_not_safe_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refusal:
        check(options(**given), make_settings(tmp_path))
    assert USER not in str(refusal.value)


@pytest.mark.parametrize(
    "given",
    [
        {"address": "127.0.0.1"},
        {"address": "::1"},
        {"unix_socket": "/run/flower"},
        {"address": "192.0.2.1", "basic_auth": [USER], **TLS},
        {"address": "192.0.2.1", "auth": ".*@example.org", **TLS},
    ],
    ids=["loopback", "ipv6", "unix", "passwords", "oauth"],
)
def test_what_is_safe_is_not(tmp_path: Path, given: dict[str, Any]) -> None:
    check(options(**given), make_settings(tmp_path))


@pytest.mark.parametrize(
    ("mode", "given", "is_told"),
    [
        ("token", {}, True),
        ("none", {}, False),
        ("token", {"basic_auth": [USER]}, False),
        ("token", {"auth": ".*@example.org"}, False),
    ],
    ids=["tokens", "nobody-is-known", "passwords", "oauth"],
)
def test_who_asks_for_tokens_is_warned_of_a_flower_without_passwords(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    given: dict[str, Any],
    is_told: bool,
) -> None:
    warn(options(**given), make_settings(tmp_path, auth={"mode": mode}))
    told = "every user of this machine sees the jobs of all owners" in caplog.text
    assert (told, "set FLOWER_BASIC_AUTH_FILE" in caplog.text) == (is_told, is_told)


def test_in_a_container_what_counts_is_where_it_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, settings = options(address="0.0.0.0", basic_auth=[USER]), make_settings(tmp_path)
    monkeypatch.setenv(PUBLISHED_VARIABLE, "127.0.0.1")
    check(given, settings)
    monkeypatch.setenv(PUBLISHED_VARIABLE, "0.0.0.0")
    with pytest.raises(SettingsError, match="without TLS"):
        check(given, settings)


def test_it_speaks_tls_1_2_at_least(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("server", "127.0.0.1")
    files = {"QDISPATCH_TLS__CERTIFICATE": str(certificate), "QDISPATCH_TLS__KEY": str(key)}
    port = free_port()
    with flower(tmp_path, f"--conf={PROJECT / 'flowerconfig.py'}", f"--port={port}", **files):
        assert wait_until(lambda: is_spoken("TLSv1_3", port), 60)
        assert {each: is_spoken(each, port) for each, _ in VERSIONS} == dict(VERSIONS)


def test_behind_a_proxy_it_needs_no_tls(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, server={"allow_unencrypted": True})
    check(options(basic_auth=[USER]), settings)
    with pytest.raises(SettingsError, match="without authentication"):
        check(options(), settings)


@pytest.mark.parametrize("text", ["", "\n", "me\n", ":pw", "me:\n", "me:é\n"])
def test_a_file_of_users_that_is_wrong_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file = tmp_path / "users"
    monkeypatch.setenv("FLOWER_BASIC_AUTH_FILE", str(file))
    with pytest.raises(SettingsError, match="cannot read"):
        credentials()
    file.write_text(text)
    with pytest.raises(SettingsError, match="USER:PASSWORD"):
        credentials()


def test_cookies_are_signed_by_another_secret_at_each_start() -> None:
    command = [
        sys.executable,
        "-c",
        "from flower.options import options as o; print(o.cookie_secret)",
    ]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    secret = default_options.cookie_secret
    assert other != secret
    assert min(len(other), len(secret)) >= 64
    assert "cookie_secret" not in (PROJECT / "flowerconfig.py").read_text()
