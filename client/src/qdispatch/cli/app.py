"""The command and its parts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from qdispatch.cli import looking, submitting
from qdispatch.cli.config import Flags
from qdispatch.cli.exits import EPILOG, Exit
from qdispatch.cli.session import before_the_command

app = typer.Typer(
    name="qdispatch",
    help="Run quantum circuits on your own machines.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 80},
)
for command in (
    submitting.submit,
    looking.status,
    looking.result,
    looking.watch,
    looking.jobs,
    looking.cancel,
    looking.targets,
    submitting.batch,
):
    app.command(epilog=EPILOG)(command)


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"qdispatch {version('qdispatch')}")
        except PackageNotFoundError:
            typer.echo("qdispatch, not installed as a package")
        raise typer.Exit


@app.callback()
def root(
    *,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST:PORT", help="Where the server is."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Has the token. Else QDISPATCH_TOKEN, QDISPATCH_TOKEN_FILE, the configuration "
            "file.",
        ),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option("--tls/--no-tls", help="Whether to encrypt.", show_default=False),
    ] = None,
    ca_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Authorities of the server's certificate, PEM."),
    ] = None,
    cert_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A certificate of your own, PEM.")
    ] = None,
    key_file: Annotated[str | None, typer.Option(metavar="FILE", help="Its key, PEM.")] = None,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_version
        ),
    ] = False,
) -> None:
    """Run quantum circuits on your own machines."""
    # That has ended the command, if it was wanted.
    del show_version
    flags = Flags(
        address=address,
        token_file=token_file,
        tls=tls,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
    )
    before_the_command.set(flags)


def run() -> int:
    """Runs the command line of this process.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # Where an encoding lacks a character there is to be a ?, not an error.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    try:
        app(prog_name="qdispatch")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:  # noqa: BLE001 - a defect; users see no traceback
        typer.echo(
            f"qdispatch: a defect of this command: {type(error).__name__}: {error}", err=True
        )
        return Exit.DEFECT
    return Exit.OK
