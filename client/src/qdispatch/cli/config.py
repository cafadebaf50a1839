"""Where the server is and what it is shown: flag, environment, file, default; in this order."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qdispatch import credentials
from qdispatch.cli.exits import InputError

ADDRESS_VARIABLE: Final = "QDISPATCH_ADDRESS"
DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
_KEYS: Final = ("address", "token", "token_file", "tls", "ca_file", "cert_file", "key_file")
# The environment is asked by the client itself, about what is not given here.
_FILES: Final[Mapping[str, str]] = {
    "ca_file": credentials.CA_FILE_VARIABLE,
    "cert_file": credentials.CERT_FILE_VARIABLE,
    "key_file": credentials.KEY_FILE_VARIABLE,
}
_TOKENS: Final = (credentials.TOKEN_VARIABLE, credentials.TOKEN_FILE_VARIABLE)


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What the command line says."""

    address: str | None = None
    """Host and port."""
    token_file: str | None = None
    """A file with nothing but the token. There is no flag for a token itself: everybody on
    this machine may read the command lines of all its processes."""
    tls: bool | None = None
    """Whether to encrypt."""
    ca_file: str | None = None
    """Of the authorities that are trusted."""
    cert_file: str | None = None
    """Of the client's certificate."""
    key_file: str | None = None
    """Of its key."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to make a `Client`."""

    address: str
    """Host and port."""
    options: Mapping[str, Any]
    """Its other arguments; not shown anywhere, for one of them may be a token."""
    left_out: str = ""
    """The file whose credentials are not shown, since they are for another server."""

    def __repr__(self) -> str:
        return f"<Connection {self.address}>"


def config_file(environment: Mapping[str, str]) -> Path:
    """The configuration file, by the XDG Base Directory Specification 0.8."""
    folder = environment.get("XDG_CONFIG_HOME", "")
    # Relative paths are to be ignored, says the specification.
    home = Path(folder) if folder.startswith("/") else Path("~/.config").expanduser()
    return home / "qdispatch" / "config.toml"


def find_connection(flags: Flags, environment: Mapping[str, str] | None = None) -> Connection:
    """How to reach the server.

    Args:
        flags: Of the command line.
        environment: In place of that of the process.

    Raises:
        InputError: The configuration file is wrong, or others may read its token.
        ConfigurationError: The token cannot be read.
    """
    known = os.environ if environment is None else environment
    path = config_file(known)
    file = _read(path)
    home = file.pop("address", DEFAULT_ADDRESS)
    address = flags.address or known.get(ADDRESS_VARIABLE) or home
    left_out = str(path) if file and address != home else ""
    if left_out:
        # Another server must not learn the token of this one.
        file = {}
    return Connection(
        address=address, options=_options(flags, file, path.parent, known), left_out=left_out
    )


def _options(
    flags: Flags, file: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> dict[str, Any]:
    tls = flags.tls
    if tls is None and not environment.get(credentials.TLS_VARIABLE):
        tls = file.get("tls")
    options: dict[str, Any] = {"token": _token(flags, file, folder, environment), "tls": tls}
    for name, variable in _FILES.items():
        given = getattr(flags, name)
        if given is None and not environment.get(variable) and name in file and tls is not False:
            given = _path(folder, file[name])
        options[name] = given
    return options


def _token(
    flags: Flags, file: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> str | None:
    if flags.token_file is not None:
        return credentials.token_of_file(Path(flags.token_file).expanduser())
    if any(environment.get(each) for each in _TOKENS):
        return None
    if "token_file" in file:
        return credentials.token_of_file(_path(folder, file["token_file"]))
    return file.get("token")


def _path(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            values = tomllib.loads(file.read().decode("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    for key, value in values.items():
        _check(path, key, value)
    if "token" in values and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(
            f"{path} holds a token, and others may read it: chmod 600 {path}, or put the token"
            " into a file of its own that you name here with token_file"
        )
    if "token" in values and "token_file" in values:
        raise InputError(f"{path}: there is a token and a token_file; leave one of them out")
    return values


def _check(path: Path, key: str, value: object) -> None:
    if key not in _KEYS:
        raise InputError(f"{path}: {key!r} is not known; there is {', '.join(_KEYS)}")
    if key == "tls":
        if not isinstance(value, bool):
            raise InputError(f"{path}: tls must be true or false")
    elif not isinstance(value, str) or not value:
        example = f'address = "{DEFAULT_ADDRESS}"' if key == "address" else f'{key} = "..."'
        raise InputError(f"{path}: {key} must be a text, such as {example}")
