"""One form of lines: what a stranger wrote stays within its line, and secrets stay out."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from celery.app.trace import LOG_FAILURE
from hypothesis import given
from hypothesis import strategies as st

from app.log_lines import FIELD_CHARS, MESSAGE_CHARS, SAID_CHARS
from app.logs import event_logger, make_formatter
from app.settings import PROJECT
from tests.world import make_settings

NAME = "tests.logs"
FORGED = "x\n2026-01-02 03:04:05,678 CRITICAL forged\r\x1b[2J\u2028\u202e\x85end"
TOKEN = "qd_abcdefghij_" + "S3cret-_" * 5

Said = Callable[[logging.Logger], None]


def written(say: Said, form: str, **options: Any) -> list[str]:
    """The lines that come of it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(form, **({"times": False} | options)))
    logger = logging.getLogger(NAME)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        say(logger)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    return stream.getvalue().split("\n")[:-1]


def one(say: Said, form: str, **options: Any) -> str:
    (line,) = written(say, form, **options)
    return line


def parsed(say: Said, **options: Any) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(one(say, "json", **options))
    return line


def failing(error: Exception, cause: Exception | None = None) -> Said:
    def say(logger: logging.Logger) -> None:
        try:
            _fail(error, cause)
        except Exception:
            logger.exception("broken")

    return say


def _fail(error: Exception, cause: Exception | None) -> None:
    raise error from cause


def event(**fields: object) -> Said:
    return lambda _: event_logger(NAME).info("job.created", **fields)


def message(text: str) -> Said:
    return lambda logger: logger.info("said: %s", text)


def test_text_is_as_terse_as_it_was() -> None:
    assert one(lambda log: log.warning("job %s: %d", "a", 1), "text") == "WARNING job a: 1"
    timed = one(message("a"), "text", times=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO said: a", timed)


def test_an_event_in_text_has_its_fields_behind_it() -> None:
    assert (
        one(event(owner="alice", number=3, job_ids=["a", "b"], tag='two "words" owner=x'), "text")
        == "INFO job.created owner=alice number=3 job_ids=a,b"
        ' tag="two \\"words\\" owner=x"'
    )


def test_json_has_time_level_logger_event_and_fields() -> None:
    before = datetime.now(UTC)
    line = parsed(event(owner="alice", number=3, level="mine"))
    moment = datetime.fromisoformat(line.pop("time"))
    assert moment.utcoffset() == UTC.utcoffset(None)
    assert abs((moment - before).total_seconds()) < 60
    # What a line always has, no field replaces.
    assert line == {
        "level": "info",
        "logger": NAME,
        "event": "job.created",
        "owner": "alice",
        "number": 3,
    }


@pytest.mark.parametrize("say", [message(FORGED), event(tag=FORGED)], ids=["message", "field"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_nothing_in_a_line_ends_it_or_moves_what_is_shown(say: Said, form: str) -> None:
    line = one(say, form)
    assert line.isprintable()
    assert "forged" in line
    assert len(line.splitlines()) == 1


@given(text=st.text())
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_text_ends_its_line(text: str, form: str) -> None:
    for say in (message(text), event(tag=text)):
        line = one(say, form)
        assert line.isprintable()
        if form == "json":
            assert text[:FIELD_CHARS] in " ".join(map(str, json.loads(line).values()))


def test_what_an_exception_says_forges_no_line() -> None:
    lines = written(failing(ValueError(FORGED), RuntimeError(FORGED)), "text")
    assert lines[0] == "ERROR broken"
    assert all(each.startswith("    ") and each.isprintable() for each in lines[1:])
    assert lines[2].endswith("RuntimeError: x")
    assert lines[-1] == "    ValueError: x"


def test_an_exception_is_a_field_of_json() -> None:
    line = parsed(failing(ValueError("first\nsecond"), RuntimeError("cause")))
    assert line["event"] == "broken"
    assert "in say" in line["exception"]
    assert "\nRuntimeError: cause\n" in f"\n{line['exception']}"
    assert line["exception"].endswith("\nValueError: first")


def test_an_exception_may_be_told_without_what_it_says() -> None:
    line = parsed(failing(ValueError("the program")), texts=False)
    assert line["exception"].endswith("\nValueError")


def test_an_exception_that_cannot_say_what_it_is_does_no_harm() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert parsed(failing(Mute()))["exception"].endswith("(it cannot say what: ZeroDivisionError)")


def test_long_texts_are_cut() -> None:
    assert len(parsed(message("x" * 10**6))["event"]) == MESSAGE_CHARS + len("...")
    assert len(parsed(event(tag="x" * 10**6))["tag"]) == FIELD_CHARS + len("...")
    said = parsed(failing(ValueError("x" * 10**6)))["exception"].rpartition(": ")[2]
    assert len(said) == SAID_CHARS + len("...")


SECRETS = {
    "password of a URL": ("amqp://user:S3cret@broker/vhost", "amqp://user:***@broker/vhost"),
    "password alone": ("redis://:S3cret:x@host/0", "redis://:***@host/0"),
    "token": (f"given {TOKEN}.", "given qd_abcdefghij_***."),
    "header": ("Authorization: Bearer S3cret.S3cret", "Authorization: Bearer ***"),
    "connection string": ("host=db password=S3cret port=1", "host=db password=*** port=1"),
}


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(("given", "shown"), SECRETS.values(), ids=SECRETS)
def test_secrets_are_masked_wherever_they_are(given: str, shown: str, form: str) -> None:
    for say in (message(given), event(text=given), failing(ValueError(given))):
        text = "\n".join(written(say, form))
        assert shown in text
        assert "S3cret" not in text


def test_addresses_without_a_secret_are_left() -> None:
    assert one(message("http://host:80/a@b qd_x"), "text").endswith("http://host:80/a@b qd_x")


def test_celery_does_not_log_why_a_job_failed(tmp_path: Any) -> None:
    from tasks.logs import log_as_we_do

    log_as_we_do(make_settings(tmp_path))
    why = {"name": "job", "id": "1", "description": "raised expected", "exc": "E('program')"}
    trace = logging.getLogger("celery.app.trace")
    record = trace.makeRecord(trace.name, logging.INFO, "", 1, LOG_FAILURE, (why,), None)
    assert trace.filter(record)
    assert record.getMessage() == "Task job[1] raised expected: E"


_BROKEN = """
import logging, threading
from app.logs import set_up_logging, tell_end
set_up_logging({form!r}, times=False)
tell_end(ValueError("no amqp://me:S3cret@host\\nx"))
logging.getLogger("a").error("%d", "S3cret")
def fail(): raise ValueError("first\\nS3cret")
for target in (fail, lambda: exit(1)):
    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
fail()
"""


def test_what_nobody_catches_and_why_a_process_ends_are_lines_as_well() -> None:
    ran = _run(_BROKEN.format(form="json"))
    lines = [json.loads(each) for each in ran.stderr.splitlines()]
    assert ran.returncode == 1
    assert [each["event"] for each in lines] == [
        "no amqp://me:***@host\nx", "not caught", "not caught"
    ]  # fmt: skip
    assert all(each["exception"].endswith("\nValueError: first") for each in lines[1:])
    assert "S3cret" not in ran.stderr


def test_why_a_process_ends_is_said_to_who_started_it() -> None:
    first = _run(_BROKEN.format(form="text")).stderr.splitlines()[0]
    assert first == "qdispatch: no amqp://me:***@host\\nx"


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
