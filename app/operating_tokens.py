"""The commands by which operators say who may call: `python -m app token`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.operating import opened_store
from app.ports import utc_now
from app.settings import load_settings
from app.store_tokens import StoredToken
from app.tokens import token_id
from qdispatch.errors import RequestError

_PERIOD: Final = re.compile(r"([1-9][0-9]{0,4})([hd])")
_FORM: Final = "{:10}  {:7}  {:5}  {:10}  {:16}  {}\n"
# What is left of a line of 80.
_OWNER_WIDTH: Final = 22


def add_token_commands(commands: Any) -> None:
    """Adds them to the parser's.

    Args:
        commands: What argparse gave for the subcommands.
    """
    token = commands.add_parser("token", help="create, list or revoke tokens")
    actions = token.add_subparsers(required=True, metavar="ACTION")

    creation = actions.add_parser("create", help="make a token; it is shown once")
    creation.add_argument("--owner", required=True, metavar="NAME", help="whose jobs it submits")
    creation.add_argument("--admin", action="store_true", help="it sees everybody's jobs")
    creation.add_argument(
        "--expires",
        metavar="WHEN",
        help="30d or 12h from now, or the last day of it, in UTC: 2026-12-31 (default: never)",
    )
    creation.set_defaults(command=_create)

    listing = actions.add_parser("list", help="show all tokens, without what is secret of them")
    listing.add_argument("--owner", metavar="NAME", help="only those of one owner")
    listing.set_defaults(command=_list)

    revocation = actions.add_parser("revoke", help="let tokens in no more, for good")
    revocation.add_argument("ids", nargs="*", metavar="ID", help="as `list` shows them")
    revocation.add_argument("--owner", metavar="NAME", help="all tokens of one owner")
    revocation.set_defaults(command=_revoke)


def _create(options: argparse.Namespace) -> int:
    from app.known_tokens import TokenControl

    expires_at = None if options.expires is None else moment(options.expires, utc_now())
    settings = load_settings()
    with opened_store(settings) as store:
        control = TokenControl(store=store, clock=utc_now)
        text, token = control.create(options.owner, is_admin=options.admin, expires_at=expires_at)
    kind = "admin's token" if token.is_admin else "token"
    until = "does not expire" if expires_at is None else f"expires {expires_at:%Y-%m-%d %H:%M} UTC"
    # By itself on its stream, so that a script can keep it without the rest.
    sys.stdout.write(f"{text}\n")
    sys.stderr.write(
        f"{kind} {token.id} of {token.owner}; it {until}.\n"
        "Nobody can be shown it again. Clients find it in QDISPATCH_TOKEN.\n"
    )
    if settings.auth.mode != "token":
        sys.stderr.write('The server asks for no tokens so far: set auth.mode = "token".\n')
    return 0


def moment(text: str, now: datetime) -> datetime:
    """When a token is to end, of what was said on the command line.

    Args:
        text: 30d, 12h, or the last day as 2026-12-31, in UTC.
        now: The time.

    Raises:
        RequestError: It is none of these.
    """
    period = _PERIOD.fullmatch(text)
    if period is not None:
        number = int(period[1])
        return now + (timedelta(days=number) if period[2] == "d" else timedelta(hours=number))
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return day + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise RequestError(
            f"{text[:40]!r} is no time: write 30d, 12h, or a day as 2026-12-31", field="expires"
        ) from error


def _list(options: argparse.Namespace) -> int:
    from app.known_tokens import TokenControl

    with opened_store(load_settings()) as store:
        tokens = TokenControl(store=store, clock=utc_now).tokens(options.owner)
    sys.stdout.writelines(table(tokens, utc_now()))
    return 0


def table(tokens: Iterable[StoredToken], now: datetime) -> Iterator[str]:
    """The lines of a list of tokens, of at most 80 characters."""
    yield _FORM.format("ID", "STATE", "ADMIN", "CREATED", "EXPIRES (UTC)", "OWNER")
    for each in tokens:
        owner = each.owner
        yield _FORM.format(
            each.id,
            _state(each, now),
            "yes" if each.is_admin else "",
            f"{each.created_at:%Y-%m-%d}",
            "" if each.expires_at is None else f"{each.expires_at:%Y-%m-%d %H:%M}",
            owner if len(owner) <= _OWNER_WIDTH else f"{owner[: _OWNER_WIDTH - 1]}…",
        )


def _state(token: StoredToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def _revoke(options: argparse.Namespace) -> int:
    from app.known_tokens import TokenControl

    if bool(options.ids) == (options.owner is not None):
        raise RequestError("name tokens by their ids, or one owner with --owner")
    # A token that has leaked may be given as a whole; its text is not to be repeated.
    ids = [found for each in options.ids if (found := token_id(each))]
    if len(ids) != len(options.ids):
        raise RequestError(
            "an id has ten characters, of A to Z and 2 to 7, as `python -m app token list` shows"
            " it; or give the token as a whole"
        )
    with opened_store(load_settings()) as store:
        control = TokenControl(store=store, clock=utc_now)
        if options.owner is not None:
            revoked, unknown = control.revoke_owner(options.owner), set[str]()
            ids = sorted(revoked)
        else:
            revoked, unknown = control.revoke(ids)
    if not ids:
        sys.stdout.write(f"{options.owner[:64]} has no valid token\n")
    for each in dict.fromkeys(ids):
        if each in unknown:
            sys.stderr.write(f"qdispatch: there is no token {each}\n")
        else:
            sys.stdout.write(f"{'revoked' if each in revoked else 'was revoked before:'} {each}\n")
    return 1 if unknown else 0
