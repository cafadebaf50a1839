"""Connections to the broker, of one thread's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.celery import make_celery
from tasks.link import Link
from tasks.notices import Notices
from tests.world import make_settings


@pytest.mark.parametrize("results", [True, False])
def test_notices_do_not_wait_long_for_the_broker(tmp_path: Path, *, results: bool) -> None:
    # The application of a worker has no limits of its own: consumers wait.
    celery = make_celery(make_settings(tmp_path, broker_url="amqp://nowhere"), results=results)
    made: list[Any] = []

    def connect(connection: Any) -> None:
        made.append(connection)

    link: Link = Notices(celery)._link
    made_by = type(celery.connection_for_write())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_by, "connect", connect)
        patch.setattr(made_by, "collect", lambda *_: None)
        link.use(lambda _: None)
    options = made[0].transport_options
    assert 0 < options["read_timeout"] <= 2
    assert 0 < options["write_timeout"] <= 2
