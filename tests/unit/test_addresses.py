"""Where clients find who listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.addresses import address_for_clients, host_for_clients
from app.readiness import page_url, server_address
from tests.world import make_settings


@pytest.mark.parametrize(
    ("listens_on", "found_at"),
    [
        ("0.0.0.0:50051", "127.0.0.1:50051"),
        ("[::]:50051", "[::1]:50051"),
        ("[0:0::0]:50051", "[::1]:50051"),
        ("ipv4:0.0.0.0:50051", "127.0.0.1:50051"),
        ("ipv6:[::]:50051", "[::1]:50051"),
        ("127.0.0.1:50051", "127.0.0.1:50051"),
        ("10.0.0.7:50051", "10.0.0.7:50051"),
        ("[2001:db8::1]:50051", "[2001:db8::1]:50051"),
        ("simulators.example:50051", "simulators.example:50051"),
        ("dns:///simulators.example:50051", "dns:///simulators.example:50051"),
        ("unix:/run/qdispatch.sock", "unix:/run/qdispatch.sock"),
    ],
)
def test_every_address_is_none_to_connect_to(listens_on: str, found_at: str) -> None:
    assert address_for_clients(listens_on) == found_at


def test_a_host_without_a_port() -> None:
    assert [host_for_clients(each) for each in ("0.0.0.0", "::", "::1", "localhost")] == [
        "127.0.0.1",
        "::1",
        "::1",
        "localhost",
    ]


def test_server_and_page_are_told_so_that_they_can_be_reached(tmp_path: Path) -> None:
    settings = make_settings(
        tmp_path, server={"address": "0.0.0.0:50051"}, page={"address": "[::]:5556"}
    )
    assert server_address(settings) == "127.0.0.1:50051"
    assert page_url(settings) == "http://[::1]:5556"
