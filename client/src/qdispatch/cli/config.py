"""Where the server is: flag, environment, configuration file, default; in this order."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from qdispatch.cli.exits import InputError

ADDRESS_VARIABLE: Final = "QDISPATCH_ADDRESS"
DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
_KEYS: Final = ("address",)


def config_file(environment: Mapping[str, str]) -> Path:
    """The configuration file, by the XDG Base Directory Specification 0.8."""
    folder = environment.get("XDG_CONFIG_HOME", "")
    # Relative paths are to be ignored, says the specification.
    home = Path(folder) if folder.startswith("/") else Path("~/.config").expanduser()
    return home / "qdispatch" / "config.toml"


def find_address(flag: str | None, environment: Mapping[str, str] | None = None) -> str:
    """Host and port of the server.

    Args:
        flag: What ``--address`` says.
        environment: In place of that of the process.

    Raises:
        InputError: The configuration file is wrong, or a port is missing.
    """
    known = os.environ if environment is None else environment
    address = flag or known.get(ADDRESS_VARIABLE)
    if not address:
        address = _read(config_file(known)).get("address", DEFAULT_ADDRESS)
    if ":" not in address:
        # gRPC would take that of HTTPS.
        raise InputError(f"the address {address!r} has no port; write HOST:PORT")
    return address


def _read(path: Path) -> dict[str, str]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error
    for key, value in values.items():
        if key not in _KEYS:
            raise InputError(f"{path}: {key!r} is not known; there is {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value:
            raise InputError(f'{path}: {key} must be a text, such as {key} = "{DEFAULT_ADDRESS}"')
    return values
