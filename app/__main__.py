"""`python -m app`: starts the service and looks after it."""

from __future__ import annotations

import app.native_log  # noqa: F401 - before all that imports grpc

# isort: split
import argparse
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from signal import pause
from typing import Final

from app.database import migrate
from app.logs import set_up_logging, tell_end
from app.operating import add_commands
from app.operating_quotas import add_quota_commands
from app.operating_tokens import add_token_commands
from app.readiness import answers, page_answers, page_url, server_address
from app.settings import SettingsError, load_settings
from qdispatch.client import ADDRESS_VARIABLE
from qdispatch.errors import QDispatchError

# How long a health check may take, in seconds.
_HEALTH_S: Final = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except QDispatchError as error:
        tell_end(error)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start server, workers and sweep, until Ctrl-C")
    up.add_argument(
        "--flower",
        nargs="?",
        const="127.0.0.1:5555",
        metavar="HOST:PORT",
        help="start the dashboard too (default address: %(const)s)",
    )
    up.add_argument("--page", action="store_true", help="start the page to look at jobs too")
    _add_run(up)
    up.set_defaults(command=_up)

    ready = commands.add_parser("ready", help="wait until every target has a worker")
    ready.add_argument("--page", action="store_true", help="wait for the page as well")
    _add_run(ready)
    ready.set_defaults(command=_ready)

    page = commands.add_parser("page", help="start the page to look at jobs, until Ctrl-C")
    page.set_defaults(command=_page)

    schema = commands.add_parser("migrate", help="bring the database to the current schema")
    schema.set_defaults(command=_migrate)

    health = commands.add_parser("health", help="exit with 0 if the server is serving")
    health.add_argument("--address", help="HOST:PORT (default: server.address)")
    health.add_argument("--page", action="store_true", help="ask the page instead")
    health.set_defaults(command=_health)

    add_commands(commands)
    add_token_commands(commands)
    add_quota_commands(commands)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="CMD", help="run a command once all is ready")
    parser.add_argument("--exit", action="store_true", help="stop when that has ended")


def _up(options: argparse.Namespace) -> int:
    from app.up import up

    return up(
        load_settings(),
        flower=options.flower,
        page=options.page,
        run=options.run,
        leave=options.exit,
    )


def _page(_options: argparse.Namespace) -> int:
    # A process of its own, which this one becomes: app imports nothing above it.
    os.execv(sys.executable, [sys.executable, "-m", "page"])  # noqa: S606 - no shell is meant


def _ready(options: argparse.Namespace) -> int:
    from app.up import wait_for_page, wait_until_ready

    settings = load_settings()
    wait_until_ready(settings)
    targets = [f"{name} ({each.max_qubits} qubits)" for name, each in settings.targets.items()]
    address = server_address(settings)
    _say(f"ready on {address}: {', '.join(targets)}")
    if options.page:
        _say(f"page on {wait_for_page(settings)}")
    code = 0
    if options.run:
        environment = os.environ | {ADDRESS_VARIABLE: address}
        code = subprocess.run(shlex.split(options.run), env=environment, check=False).returncode
    if options.exit:
        return code
    if code:
        _say(f"the command ended with exit code {code}; the service goes on")
    _say("serving; Ctrl-C stops")
    while True:
        pause()


def _migrate(_options: argparse.Namespace) -> int:
    migrate(load_settings())
    _say("the database is at the current schema")
    return 0


def _health(options: argparse.Namespace) -> int:
    settings = load_settings()
    if options.page:
        address, serving = page_url(settings), page_answers(settings, timeout_s=_HEALTH_S)
    else:
        address = options.address or server_address(settings)
        serving = answers(settings, address, timeout_s=_HEALTH_S)
    _say(f"{address} is {'' if serving else 'not '}serving")
    return 0 if serving else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _set_up_logging() -> None:
    # The command that needs the settings says what is wrong with them.
    with suppress(SettingsError):
        settings = load_settings()
        set_up_logging(settings.log_format, times=settings.log_times)


if __name__ == "__main__":
    _set_up_logging()
    raise SystemExit(main())
