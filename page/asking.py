"""Between the address of a page and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import urlencode
from uuid import UUID

from qdispatch.errors import QDispatchError
from qdispatch.model import JobStatus
from qdispatch.updates import JobFilter

_LONGEST: Final = 200


class AskingError(QDispatchError):
    """An address asks for what cannot be."""


class Parameters(Protocol):
    """The part of an address after the question mark."""

    def getlist(self, key: str) -> list[str]:
        """Every value of a key."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a list of jobs is asked for."""

    wanted: JobFilter = field(default_factory=JobFilter)
    before: UUID | None = None
    """The last job of the page before; None for the first page."""

    def address(self, path: str = "/") -> str:
        """The address that asks for this."""
        wanted = self.wanted
        pairs = [("status", status.value) for status in wanted.statuses]
        fields: Mapping[str, object] = {
            "target": wanted.target,
            "tag": wanted.tag,
            "batch": wanted.batch_id,
            "after": _typed(wanted.created_after),
            "until": _typed(wanted.created_before),
            "before": self.before,
        }
        pairs += [(key, str(value)) for key, value in fields.items() if value]
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def older(self, last: UUID) -> Asked:
        """The next page, after the last job of this one."""
        return replace(self, before=last)

    def first(self) -> Asked:
        """The first page."""
        return replace(self, before=None)

    def of_batch(self, batch_id: str) -> Asked:
        """The same, of one batch."""
        return replace(self, wanted=replace(self.wanted, batch_id=batch_id))


def asked(parameters: Parameters) -> Asked:
    """What an address asks for.

    Raises:
        AskingError: A value is no status, id or time.
    """
    statuses = tuple(_status(each) for each in parameters.getlist("status") if each)
    batch = _id(parameters, "batch")
    return Asked(
        wanted=JobFilter(
            statuses=tuple(dict.fromkeys(statuses)),
            target=_text(parameters, "target"),
            tag=_text(parameters, "tag"),
            batch_id="" if batch is None else str(batch),
            created_after=_moment(parameters, "after"),
            created_before=_moment(parameters, "until"),
        ),
        before=before(parameters),
    )


def before(parameters: Parameters) -> UUID | None:
    """The last entry of the page before; None for the first page.

    Raises:
        AskingError: It is no id.
    """
    return _id(parameters, "before")


def number(parameters: Parameters, key: str, most: int) -> int:
    """A whole number from 0 to ``most``, 0 if it is not there.

    Raises:
        AskingError: It is none, or out of range.
    """
    text = _text(parameters, key) or "0"
    if not (text.isascii() and text.isdigit() and int(text) <= most):
        raise AskingError(f"{key}: {text!r} is not a number from 0 to {most}")
    return int(text)


def _text(parameters: Parameters, key: str) -> str:
    text = "".join(parameters.getlist(key)[-1:]).strip()
    # PostgreSQL's text has no such character.
    if "\0" in text or len(text) > _LONGEST:
        raise AskingError(f"{key}: such a long or strange word is never used")
    return text


def _status(text: str) -> JobStatus:
    try:
        return JobStatus(text)
    except ValueError as error:
        known = ", ".join(JobStatus)
        raise AskingError(f"status: {text[:_LONGEST]!r} is none of {known}") from error


def _id(parameters: Parameters, key: str) -> UUID | None:
    text = _text(parameters, key)
    try:
        return UUID(text) if text else None
    except ValueError as error:
        raise AskingError(f"{key}: {text!r} is not an id; ids are UUIDs") from error


def _moment(parameters: Parameters, key: str) -> datetime | None:
    """As a browser's field gives it, in UTC; or with an offset."""
    text = _text(parameters, key)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        example = "2026-01-31T23:59"
        raise AskingError(f"{key}: {text!r} is not a time; write it as {example}") from error


def _typed(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S")
