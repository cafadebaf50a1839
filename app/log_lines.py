"""How a line of the log is rendered, and what may not be in it.

Whatever a stranger may have put into a line stays within it, and secrets stay out of
it: this is the last of several lines of defense.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

#: The most characters of a message, of a field, and of what an exception says.
MESSAGE_CHARS: Final = 4_000
FIELD_CHARS: Final = 200
SAID_CHARS: Final = 200

# Of a traceback, from its end; and of exceptions that led to one another.
_FRAMES: Final = 40
_CAUSES: Final = 8

# What each of these begins with is what is looked for first.
_SIGNS: Final = ("://", "qd_", "assword=", "earer ")
_SECRETS: Final = re.compile(
    r"(://[^/@\s:]*:)[^/@\s]+(?=@)"
    r"|(\bqd_[0-9a-z]{4,16}_)[\w-]{8,}"
    r"|(password=)[^&\s\"']+"
    r"|(bearer )[\w.~+/=-]+",
    re.IGNORECASE,
)

# What structlog's formatter, and structlog itself, put beside the fields of an event.
_NO_FIELDS: Final = frozenset(("event", "_record", "_from_structlog", "exc_info", "stack_info"))

# A value that needs no quotes, to be told from the next key.
_BARE: Final = re.compile(r"[^\s\"=\\]+")

_encode: Final = json.JSONEncoder(default=str).encode


class Json:
    """A JSON object: time, level, logger, event, its fields, exception."""

    def __init__(self, texts: bool) -> None:
        self._texts = texts

    def __call__(self, _logger: object, _name: str, event: Mapping[str, Any]) -> str:
        """The line of an event, as one of structlog's processors."""
        record: logging.LogRecord = event["_record"]
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _cut(str(event["event"]), MESSAGE_CHARS),
        }
        for name, value in _fields(event):
            line.setdefault(name, _cut(value, FIELD_CHARS) if isinstance(value, str) else value)
        if event.get("exc_info"):
            line["exception"] = "\n".join(_explained(event["exc_info"], self._texts))
        return without_secrets(_encode(line))


class Text:
    """Time, level, event and its fields; what led to an exception below, indented."""

    def __init__(self, texts: bool, *, times: bool) -> None:
        self._texts = texts
        self._clock = logging.Formatter() if times else None

    def __call__(self, _logger: object, _name: str, event: Mapping[str, Any]) -> str:
        """The line of an event, as one of structlog's processors."""
        record: logging.LogRecord = event["_record"]
        words = [record.levelname, plain(str(event["event"]), MESSAGE_CHARS)]
        if self._clock is not None:
            words.insert(0, self._clock.formatTime(record))
        words += [f"{name}={_value(value)}" for name, value in _fields(event)]
        line = " ".join(words)
        if event.get("exc_info"):
            # No line of it can be taken for one of the log.
            line = "\n    ".join((line, *_explained(event["exc_info"], self._texts)))
        return without_secrets(line)


def plain(text: str, most: int = FIELD_CHARS) -> str:
    """A text that is cut, and in which nothing ends a line or moves what is shown.

    Args:
        text: Anything, maybe from a stranger.
        most: So many characters of it are kept.
    """
    text = _cut(text, most)
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _fields(event: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in event.items() if name not in _NO_FIELDS)


def _value(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(map(str, value))
        text = plain(value, len(value))
    else:
        text = plain(str(value))
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def without_secrets(line: str) -> str:
    """A line with passwords in URLs and tokens masked."""
    # Hardly any line has one; the look is quick.
    if any(sign in line for sign in _SIGNS):
        return _SECRETS.sub(lambda found: f"{found[found.lastindex or 0]}***", line)
    return line


def _explained(exc_info: Any, texts: bool) -> Iterator[str]:
    """The lines of a traceback, the first cause first."""
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    _, error, trace = exc_info if isinstance(exc_info, tuple) else sys.exc_info()
    for each in reversed(list(_causes(error))):
        frames = trace if each is error else each.__traceback__
        yield "Traceback (most recent call last):"
        for frame in traceback.format_tb(frames, limit=-_FRAMES):
            yield from frame.rstrip().splitlines()
        yield _named(each, texts)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _named(error: BaseException, texts: bool) -> str:
    """An exception, and the beginning of what it says.

    From the second line on, a database shows values, pydantic its input, and a parser
    the program.
    """
    name = type(error).__qualname__
    try:
        said = str(error).partition("\n")[0] if texts else ""
    except Exception as other:  # noqa: BLE001 - an exception of somebody else's making
        said = f"(it cannot say what: {type(other).__qualname__})"
    return f"{name}: {plain(said, SAID_CHARS)}" if said else name
