"""Celery's application: made by a function, and once, for `celery -A tasks`."""

from __future__ import annotations

import logging
import ssl
import sys
from typing import Any, Final

from celery import Celery
from kombu import Exchange, Queue

from app.folders import make_private
from app.settings import Settings, SettingsError, load_settings
from app.tls_urls import LinkTls, broker_link, redis_link
from tasks import transport
from tasks.logs import log_as_we_do
from tasks.records import BACKENDS

_log = logging.getLogger(__name__)

#: Highest of a queue's priorities, 0 to this.
MAX_PRIORITY: Final = 9


def make_celery(settings: Settings, *, results: bool) -> Celery:
    """An application for one installation.

    Args:
        settings: Where broker and result backend are, and the targets.
        results: Whether it reads or writes results: workers and operators do.
            Without, publishing does not need the result backend.

    Raises:
        SettingsError: A file that a URL names cannot be used.
    """
    transport.register()
    celery = Celery("tasks", set_as_current=results)
    celery.loader.override_backends = BACKENDS
    celery.conf.update(
        **_broker(settings, consumes=results),
        **(_results(settings) if results else {"result_backend": "disabled://"}),
        # The task and the worker's set-up, loaded by workers only.
        include=["tasks.worker"],
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_queues=[_queue(name) for name in settings.targets],
        task_default_queue=next(iter(settings.targets)),
        task_create_missing_queues=False,
        # A message is acknowledged when its job has ended, and each slot holds
        # one: a busy worker leaves the next job to a free one.
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        worker_prefetch_multiplier=1,
        # A slot that has grown so large, in KiB, ends after its job, and another takes
        # its place: large results, and what an interpreter gathers in weeks, are no
        # reason to keep memory for good.
        worker_max_memory_per_child=500_000,
        worker_pool="tasks.pool:TaskPool",
        worker_consumer="tasks.consumer:Consumer",
        worker_send_task_events=True,
        task_send_sent_event=True,
        result_expires=settings.result_expires_s,
        broker_connection_retry_on_startup=True,
        # However long the broker is away.
        broker_connection_max_retries=None,
        enable_utc=True,
        # See tasks.logs for the form of lines.
        worker_hijack_root_logger=True,
    )
    if settings.messages.sign:
        # Only here: what signs is not small.
        from tasks import signing

        celery.conf.update(signing.configuration())
        signing.sign_messages(celery, settings.messages)
    return celery


def _queue(name: str) -> Queue:
    # These arguments can never change: RabbitMQ refuses to declare a queue
    # anew with others.
    return Queue(
        name,
        Exchange("qdispatch", type="direct", durable=True),
        routing_key=name,
        durable=True,
        queue_arguments={"x-max-priority": MAX_PRIORITY},
    )


def _broker(settings: Settings, *, consumes: bool) -> dict[str, Any]:
    if settings.embedded_broker:
        folder = settings.data_dir / "broker"
        return {
            "broker_url": f"{transport.SCHEME}://local",
            "broker_transport_options": {"folder": str(folder)},
            # The timer's thread sleeps for so long, and a stop waits for it.
            "worker_timer_precision": 0.2,
        }
    # A broker that is frozen, or cut off in silence, must not hold who sends jobs; a
    # consumer waits for long, and notices by its heartbeat. Confirmations are for
    # `tasks.confirms` to ask for: Celery would wait for each by itself.
    options: dict[str, Any] = {} if consumes else {"read_timeout": 10.0, "write_timeout": 10.0}
    url, tls = broker_link(settings.broker_url.get_secret_value())
    return {
        "broker_url": url,
        "broker_use_ssl": tls and _of_broker(_checked("broker_url", tls)),
        "broker_transport_options": options,
        "broker_connection_timeout": 3.0,
        "broker_heartbeat": 10,
    }


def _results(settings: Settings) -> dict[str, Any]:
    url = settings.result_backend.get_secret_value()
    if not url:
        folder = settings.data_dir / "celery-results"
        make_private(settings.data_dir)
        folder.mkdir(exist_ok=True)
        return {"result_backend": folder.as_uri()}
    url, tls = redis_link(url)
    return {
        "result_backend": url,
        "redis_backend_use_ssl": tls and _of_redis(_checked("result_backend", tls)),
        "redis_socket_connect_timeout": 2.0,
        "redis_socket_timeout": 2.0,
        "redis_backend_health_check_interval": 30,
        # A worker that cannot store Celery's record goes on without: the
        # database has the truth.
        "result_backend_transport_options": {"retry_policy": {"timeout": 2.0, "max_retries": 1}},
    }


def _checked(key: str, tls: LinkTls) -> LinkTls:
    try:
        tls.check_files()
    except ValueError as error:
        raise SettingsError(f"{key}: {error}") from error
    if tls.verify == "none":
        _log.warning("%s: whoever answers is believed, as it says that none be verified", key)
    return tls


def _of_broker(tls: LinkTls) -> dict[str, Any]:
    # Only here: who has the embedded broker does not load AMQP.
    from tasks import amqps

    amqps.register()
    return amqps.options(tls)


def _of_redis(tls: LinkTls) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": ssl.CERT_NONE if tls.verify == "none" else ssl.CERT_REQUIRED,
        "ssl_check_hostname": tls.verify == "full",
        "ssl_ca_certs": tls.cafile or None,
        "ssl_certfile": tls.certfile or None,
        "ssl_keyfile": tls.keyfile or None,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }


def _guard_dashboard() -> None:
    """Flower is started by Celery's command, from any folder, with any options."""
    if "flower" in sys.argv[1:]:
        from tasks.dashboard import guard

        guard(settings)


try:
    settings = load_settings()
    log_as_we_do(settings)
    app = make_celery(settings, results=True)
except SettingsError as error:
    # Celery's command line would show a traceback of this import.
    raise SystemExit(f"qdispatch: {error}") from error
_guard_dashboard()
