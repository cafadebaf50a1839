"""Who can reach the server, and when it refuses to be reached."""

from __future__ import annotations

import socket
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app.exposure import check_exposure, check_page_exposure, is_loopback
from app.settings import Settings, SettingsError
from page.__main__ import serve as serve_page
from rpc.__main__ import serve
from tests.world import make_settings

#: What is not looked up here: it would ask the network.
HOSTS = {
    "qdispatch.test": ["192.0.2.7"],
    "here.test": ["127.0.0.1", "::1"],
    "both.test": ["127.0.0.1", "192.0.2.7"],
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def found(host: str, *arguments: Any, **options: Any) -> list[Any]:
        if host == "nowhere.test":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        addresses = HOSTS.get(host)
        if addresses is None:
            return look_up(host, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:50051",
        "127.8.9.10:50051",
        "[::1]:50051",
        "[::ffff:127.0.0.1]:50051",
        "localhost:50051",
        "here.test:50051",
        "dns:///localhost:50051",
        "ipv4:127.0.0.1:50051,127.0.0.2:50051",
        "ipv6:[::1]:50051",
        "unix:/run/qdispatch.sock",
        "unix:///run/qdispatch.sock",
        "unix-abstract:qdispatch",
    ],
)
def test_what_only_this_machine_reaches(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:50051",
        "[::]:50051",
        "[::ffff:0.0.0.0]:50051",
        "0:50051",
        ":50051",
        "",
        "192.0.2.7:50051",
        "[2001:db8::1]:50051",
        "qdispatch.test:50051",
        # One of the two is enough.
        "both.test:50051",
        "ipv4:127.0.0.1:50051,192.0.2.7:50051",
        "nowhere.test:50051",
        "vsock:1:2",
        "*:50051",
    ],
)
def test_what_others_reach(address: str) -> None:
    assert not is_loopback(address)


def exposed(folder: Path, **values: Any) -> Settings:
    server = {"address": "0.0.0.0:0"} | values.pop("server", {})
    return make_settings(folder, server=server, **values)


TLS = {"certificate": "server.pem", "key": "server.key", "client_ca": "ca.pem"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, ["auth.mode", "allow_anonymous", "tls.certificate", "allow_unencrypted"]),
        ({"auth": {"mode": "token"}}, ["tls.certificate", "allow_unencrypted"]),
        ({"tls": TLS}, ["python -m app token create", "allow_anonymous"]),
        ({"server": {"allow_anonymous": True}}, ["allow_unencrypted"]),
        ({"server": {"allow_unencrypted": True}}, ["allow_anonymous"]),
    ],
    ids=["nothing", "tokens", "tls", "anonymous", "unencrypted"],
)
def test_a_server_does_not_listen_to_others_unawares(
    tmp_path: Path, values: dict[str, Any], says: list[str]
) -> None:
    # Before anything else: there is not even a database here.
    with pytest.raises(SettingsError) as caught:
        serve(exposed(tmp_path, **values), Event())
    text = str(caught.value)
    # Nor does the page.
    with pytest.raises(SettingsError) as caught:
        serve_page(exposed(tmp_path, **values, page={"address": "0.0.0.0:0"}))
    assert str(caught.value) == text.replace("server.address", "page.address")
    assert "0.0.0.0:0, which other machines can reach" in text
    assert "127.0.0.1:0" in text
    assert all(each in text for each in says)
    # What is right already is not asked for.
    assert ("allow_anonymous" in text) == ("allow_anonymous" in says)
    assert ("allow_unencrypted" in text) == ("allow_unencrypted" in says)


@pytest.mark.parametrize(
    "values",
    [
        {"auth": {"mode": "token"}, "tls": TLS},
        {"auth": {"mode": "certificate"}, "tls": TLS},
        {"auth": {"mode": "token"}, "server": {"allow_unencrypted": True}},
        {"server": {"allow_anonymous": True, "allow_unencrypted": True}},
        {"server": {"address": "127.0.0.1:0"}},
    ],
    ids=["tokens", "certificates", "behind-a-proxy", "in-plain-words", "loopback"],
)
def test_it_does_where_the_settings_say_so(tmp_path: Path, values: dict[str, Any]) -> None:
    check_exposure(exposed(tmp_path, **values))
    address = exposed(tmp_path, **values).server.address
    check_page_exposure(exposed(tmp_path, **values, page={"address": address}))
