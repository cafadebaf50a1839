"""The filter of system calls, as the kernel would run it, for machines that are not this one."""

from __future__ import annotations

import errno
import struct

import pytest

from tasks.seccomp import Filter

OWN = 4711
THREAD = 0x003D0F00  # what glibc asks for; see pthread_create in its sources
FORK = 0x01200011
ALLOWED = 0x7FFF0000
KILLED = 0x80000000
REFUSED = 0x00050000 | errno.EPERM
UNKNOWN = 0x00050000 | errno.ENOSYS

X86_64 = (0xC000003E, {"read": 0, "socket": 41, "clone": 56, "fork": 57, "kill": 62, "fcntl": 72,
                       "prctl": 157, "prlimit64": 302})  # fmt: skip
AARCH64 = (0xC00000B7, {"read": 63, "socket": 198, "clone": 220, "kill": 129, "fcntl": 25,
                        "prctl": 167, "prlimit64": 261})  # fmt: skip
MACHINES = {"x86_64": X86_64, "aarch64": AARCH64}


def verdict(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What classic BPF returns; as much of it as the filter uses."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    code = list(struct.iter_unpack("=HBBI", program))
    held, place = 0, 0
    while True:
        kind, yes, no, value = code[place]
        place += 1
        if kind == 0x20:
            (held,) = struct.unpack_from("=I", data, value)
        elif kind == 0x54:
            held &= value
        elif kind == 0x15:
            place += yes if held == value else no
        elif kind == 0x25:
            place += yes if held > value else no
        else:
            assert kind == 0x06
            return value


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_refused(machine: str) -> None:
    architecture, numbers = MACHINES[machine]
    program = Filter(machine).program(OWN)

    def of(name: str, *arguments: int) -> int:
        return verdict(program, architecture, numbers[name], *arguments)

    assert of("read", 5) == ALLOWED
    assert of("socket", 1, 5) == REFUSED
    assert of("clone", THREAD) == ALLOWED
    assert of("clone", FORK) == REFUSED
    assert of("clone", THREAD | 0x40000000) == REFUSED  # a network of its own
    assert of("kill", OWN, 9) == ALLOWED
    assert of("kill", 1, 9) == REFUSED
    assert of("kill", 2**64 - 1, 9) == REFUSED
    assert of("prlimit64", 0, 7) == ALLOWED
    # The kernel takes the lower half for the number of a process.
    assert of("prlimit64", 2**32, 7) == ALLOWED
    assert of("prlimit64", OWN, 7) == REFUSED
    assert [of("fcntl", 3, each) for each in (4, 8, 10, 15)] == [ALLOWED, *[REFUSED] * 3]
    assert [of("prctl", each) for each in (15, 1)] == [ALLOWED, REFUSED]


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_kernel_may_not_know_is_unknown(machine: str) -> None:
    architecture, _ = MACHINES[machine]
    program = Filter(machine).program(OWN)
    # clone3, setxattrat, and read of x32.
    for number in (435, 463, 0x40000000):
        assert verdict(program, architecture, number) == UNKNOWN


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_machine_end_the_process(machine: str) -> None:
    """By their numbers they would be others': write of i386 is 4, stat of x86_64."""
    program = Filter(machine).program(OWN)
    known, _ = MACHINES[machine]
    for other in {0x40000003, 0x40000028, X86_64[0], AARCH64[0]} - {known}:
        assert verdict(program, other, 0) == KILLED


def test_calls_are_given_by_name() -> None:
    program = Filter("x86_64", ["clone", "fork"]).program(OWN)
    architecture, numbers = X86_64
    assert verdict(program, architecture, numbers["fork"]) == ALLOWED
    assert verdict(program, architecture, numbers["clone"], FORK) == ALLOWED
    assert verdict(program, architecture, numbers["socket"]) == REFUSED
    with pytest.raises(LookupError, match="no such calls are refused: read"):
        Filter("x86_64", ["read"])
