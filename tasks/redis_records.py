"""Celery's records in Redis; a module of its own, as not everybody has Redis."""

from __future__ import annotations

from celery.backends.redis import RedisBackend

from tasks.records import Forgiving


class RedisRecords(Forgiving, RedisBackend):
    """Records in Redis."""
