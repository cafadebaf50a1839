"""Where processes can be reached, as the kernel has it: what a scan of ports would find."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_LISTENS: Final = "0A"
_ACCEPTS: Final = 0x10000
_MAPPED: Final = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, kw_only=True, order=True)
class Listener:
    """A socket at which something may come in."""

    kind: str
    """tcp, udp or unix."""
    place: str
    """HOST:PORT; of unix, its path, or @ and its name if it has none in the file system."""


def listeners(processes: Iterable[psutil.Process]) -> set[Listener]:
    """Those of some processes."""
    processes = list(processes)
    inodes = {inode for each in processes for inode in _inodes(each.pid)}
    # All are in one network, which any of them shows.
    net = Path(f"/proc/{processes[0].pid}/net")
    found = {*_inet(net / "tcp", "tcp"), *_inet(net / "tcp6", "tcp")}
    found |= {*_inet(net / "udp", "udp"), *_inet(net / "udp6", "udp"), *_unix(net / "unix")}
    return {each for inode, each in found if inode in inodes}


def _inodes(pid: int) -> Iterator[str]:
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(fd.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]


def _inet(table: Path, kind: str) -> Iterator[tuple[str, Listener]]:
    for line in table.read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        # A datagram's socket hears everybody unless it has one whom it speaks to.
        open_ = state == _LISTENS if kind == "tcp" else remote.endswith(":0000")
        if open_:
            yield rest[5], Listener(kind=kind, place=_place(local))


def _place(text: str) -> str:
    """The kernel writes an address as words in the machine's order."""
    address, _, port = text.partition(":")
    words = [int(address[i : i + 8], 16) for i in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(words) == 1 or packed.startswith(_MAPPED):
        # gRPC listens to IPv4 by a socket of IPv6.
        return f"{socket.inet_ntop(socket.AF_INET, packed[-4:])}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"


def _unix(table: Path) -> Iterator[tuple[str, Listener]]:
    for line in table.read_text().splitlines()[1:]:
        _, _, _, flags, _, _, inode, *path = line.split(maxsplit=7)
        if int(flags, 16) & _ACCEPTS:
            yield inode, Listener(kind="unix", place=path[0] if path else "")


def check_fork_servers(found: set[Listener], number: int) -> None:
    """Checks that sockets are those of workers' fork servers, which nobody else can reach."""
    assert {each.kind for each in found} == {"unix"}
    assert len(found) == number
    for each in found:
        path = Path(each.place)
        # One with a name only would be for everybody.
        assert path.is_absolute()
        assert path.name == "fork-server"
        assert path.parent.stat().st_mode & 0o777 == 0o700
