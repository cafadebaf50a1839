"""The command ``qdispatch``."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Runs the command; see `qdispatch.cli.exits.Exit` for what it returns."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        sys.stderr.write(
            f"The command qdispatch needs {error.name}, which is not installed.\n"
            "Install the client with its command line: pip install 'qdispatch[cli]'\n"
        )
        return 2
    # Its native part asks for this when it is imported: what is wrong with a connection
    # is in the command's own message.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from qdispatch.cli.app import run

    return run()
