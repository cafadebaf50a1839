"""The commands by which operators give owners quotas of their own: `python -m app quota`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, Final

from app.identity import check_owner
from app.operating import opened_store
from app.ports import utc_now
from app.settings import QuotaSettings, load_settings
from qdispatch.errors import RequestError

_OWN: Final = "{:22}  {:>17}  {}\n"
# What is left of a line of 80.
_OWNER_WIDTH: Final = 37
_ALL: Final = "{:22}  {:>17}  {:>17}  {}\n"


def add_quota_commands(commands: Any) -> None:
    """Adds them to the parser's.

    Args:
        commands: What argparse gave for the subcommands.
    """
    quota = commands.add_parser("quota", help="list, set or unset quotas of single owners")
    actions = quota.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="show owners' own quotas, or all of one owner")
    listing.add_argument("--owner", metavar="NAME", help="all of this owner, and what is used")
    listing.set_defaults(command=_list)

    setting = actions.add_parser("set", help="give an owner quotas of their own")
    setting.add_argument("--owner", required=True, metavar="NAME", help="whose")
    setting.add_argument(
        "quotas",
        nargs="+",
        metavar="KEY=VALUE",
        help="as in [quotas] of the settings, such as jobs_in_flight=100; 0 is no limit",
    )
    setting.set_defaults(command=_set)

    unsetting = actions.add_parser("unset", help="have the settings' quotas be an owner's again")
    unsetting.add_argument("--owner", required=True, metavar="NAME", help="whose")
    unsetting.add_argument("keys", nargs="*", metavar="KEY", help="which (default: all)")
    unsetting.set_defaults(command=_unset)


def _list(options: argparse.Namespace) -> int:
    settings = load_settings()
    with opened_store(settings) as store, store.read() as tx:
        own = tx.usage.quotas()
        if options.owner is None:
            sys.stdout.writelines(owners_table(own))
            return 0
        check_owner(options.owner)
        today = utc_now().astimezone(UTC).date()
        used = {
            "jobs_in_flight": float(tx.usage.in_flight().get(options.owner, 0)),
            "cpu_s_per_day": tx.usage.cpu_s(today).get(options.owner, 0.0),
        }
    sys.stdout.writelines(owner_table(settings.quotas, own.get(options.owner, {}), used))
    return 0


def owners_table(own: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """The lines of a list of owners' own quotas, of at most 80 characters."""
    yield _OWN.format("QUOTA", "VALUE", "OWNER")
    for owner, quotas in own.items():
        shown = owner if len(owner) <= _OWNER_WIDTH else f"{owner[: _OWNER_WIDTH - 1]}…"
        for name, value in quotas.items():
            yield _OWN.format(name, _limit(value), shown)


def owner_table(
    settings: QuotaSettings, own: Mapping[str, float], used: Mapping[str, float]
) -> Iterator[str]:
    """The lines of a list of all quotas of one owner, of at most 80 characters.

    Args:
        settings: Quotas of everybody.
        own: Those that are the owner's own.
        used: What is used of some.
    """
    yield _ALL.format("QUOTA", "VALUE", "USED", "FROM")
    for name, value in settings.model_dump().items():
        limit = own.get(name, value)
        yield _ALL.format(
            name,
            _limit(limit),
            _figure(used[name]) if name in used else "",
            "owner" if name in own else "settings",
        )


def _set(options: argparse.Namespace) -> int:
    from app.known_quotas import QuotaControl

    quotas = dict(map(_pair, options.quotas))
    with opened_store(load_settings()) as store:
        values = QuotaControl(store).give(options.owner, quotas)
    for name, value in values.items():
        sys.stdout.write(f"{name} of {options.owner}: {_limit(value)}\n")
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RequestError(f"{text[:40]!r} is not KEY=VALUE, such as jobs_in_flight=100")
    return key.strip(), value.strip()


def _unset(options: argparse.Namespace) -> int:
    from app.known_quotas import QuotaControl

    with opened_store(load_settings()) as store:
        unset = QuotaControl(store).take_back(options.owner, options.keys)
    for name in options.keys or sorted(unset):
        how = "as in the settings again" if name in unset else "was as in the settings"
        sys.stdout.write(f"{name} of {options.owner}: {how}\n")
    if not (options.keys or unset):
        sys.stdout.write(f"{options.owner} has no quotas of their own\n")
    return 0


def _limit(value: float) -> str:
    return _figure(value) if value else "no limit"


def _figure(value: float) -> str:
    return f"{value:,.12g}"
