"""What URLs say about encryption, and what they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.tls_urls import LinkTls, broker_link, redis_link
from tests.world import make_settings

AMQPS = "amqps://me:hidden@broker:5671/q"
REDISS = "rediss://:hidden@results:6379/0"


@pytest.mark.parametrize(
    ("query", "tls"),
    {
        "nothing": ("", LinkTls()),
        "authority": ("?cafile=/ca.pem", LinkTls(cafile="/ca.pem")),
        "all": (
            "?cafile=/a&certfile=/b&keyfile=/c%20d&verify=ca",
            LinkTls(cafile="/a", certfile="/b", keyfile="/c d", verify="ca"),
        ),
        "none": ("?verify=none", LinkTls(verify="none")),
    }.values(),
    ids=["nothing", "authority", "all", "none"],
)
def test_a_broker_is_verified_unless_its_url_says_otherwise(query: str, tls: LinkTls) -> None:
    assert broker_link(AMQPS + query) == (AMQPS, tls)
    assert broker_link(f"{AMQPS}{query};{AMQPS}{query}") == (f"{AMQPS};{AMQPS}", tls)


def test_a_result_backend_is_verified_unless_its_url_says_otherwise() -> None:
    assert redis_link(REDISS) == (REDISS, LinkTls())
    query = "?ssl_ca_certs=/a&ssl_certfile=/b&ssl_keyfile=/c"
    assert redis_link(REDISS + query) == (
        REDISS,
        LinkTls(cafile="/a", certfile="/b", keyfile="/c"),
    )
    for words, verify in {
        "ssl_cert_reqs=required": "full",
        "ssl_cert_reqs=CERT_NONE": "none",
        "ssl_check_hostname=false": "ca",
    }.items():
        assert redis_link(f"{REDISS}?{words}")[1] == LinkTls(verify=verify)  # type: ignore[arg-type]


def test_a_plain_link_is_left_as_it_is() -> None:
    for url in ("", "amqp://me:hidden@broker/q", "amqp://a/q;amqp://b/q"):
        assert broker_link(url) == (url, None)
    for url in (
        "",
        "redis://:hidden@results/0?socket_timeout=1",
        "redis+socket:///run/redis.sock?virtual_host=1",
        "sentinel://:hidden@a:26379;sentinel://b:26379/0",
    ):
        assert redis_link(url) == (url, None)


def test_schemes_are_known_in_capitals_too() -> None:
    assert broker_link("AMQPS://a/Q?verify=ca") == ("amqps://a/Q", LinkTls(verify="ca"))
    assert broker_link("Amqp://a/Q") == ("amqp://a/Q", None)
    assert redis_link("REDISS://A/0") == ("rediss://A/0", LinkTls())


@pytest.mark.parametrize(
    ("key", "url", "said"),
    [
        ("broker_url", f"{AMQPS}?ca=/a", "unknown key 'ca'"),
        ("broker_url", f"{AMQPS}?ssl_ca_certs=/a", "are cafile, certfile, keyfile, verify"),
        ("broker_url", f"{AMQPS}?verify=no", "verify is full, ca, none"),
        ("broker_url", f"{AMQPS}?cafile=ca.pem", "whole path"),
        ("broker_url", f"{AMQPS}?cafile=", "whole path"),
        ("broker_url", f"{AMQPS}?cafile=/a&cafile=/b", "twice"),
        ("broker_url", f"{AMQPS}?certfile=/a", "need each other"),
        ("broker_url", f"{AMQPS};{AMQPS}?cafile=/a", "the same about encryption"),
        ("broker_url", f"{AMQPS};amqp://me:hidden@broker/q", "the same about encryption"),
        ("broker_url", "amqp://me:hidden@broker/q?cafile=/a", "an encrypted link is amqps://"),
        ("broker_url", "AMQP://me:hidden@broker/q?cafile=/a", "an encrypted link is amqps://"),
        ("broker_url", "pyamqp://me:hidden@broker/q?ssl=true", "begin with amqp:// or amqps://"),
        ("broker_url", "redis://:hidden@broker/0", "begin with amqp:// or amqps://"),
        ("broker_url", "amqp://me:hidden@broker/q;", "begin with amqp:// or amqps://"),
        ("broker_url", "hidden", "begin with amqp:// or amqps://"),
        ("result_backend", "rpc://", "begin with redis:// or rediss://"),
        ("result_backend", "sentinel://:hidden@a:1?ssl=true", "is rediss://"),
        ("result_backend", f"{REDISS}?cafile=/a", "unknown key 'cafile'"),
        ("result_backend", f"{REDISS}?ssl_cert_reqs=optional", "required or none"),
        ("result_backend", "redis://:hidden@results/0?ssl_ca_certs=/a", "is rediss://"),
    ],
)
def test_what_a_url_cannot_say_is_refused(tmp_path: Path, key: str, url: str, said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        make_settings(tmp_path, **{key: url})
    (error,) = refusal.value.errors()
    assert said in error["msg"]
    assert error["loc"] == (key,)
    assert "hidden" not in error["msg"]
