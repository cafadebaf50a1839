"""A third party's simulator: does what the job's extra says, to its engine if need be."""

from __future__ import annotations

import ctypes
import mmap
import os
import stat
import struct
import time
from contextlib import suppress

from qdispatch.model import ErrorKind, Result, ResultType
from tasks.circuit import Circuit
from tasks.simulators import Request, Simulation, SimulationError


def _say(what: object) -> None:
    raise SimulationError(ErrorKind.UNSUPPORTED, repr(what))


class StubSimulator:
    """Counts nothing but zeros, unless it is told something else."""

    version = "stub 1.0"
    _asked = 0

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        action = str(request.options.get("do", "count"))
        size = int(str(request.options.get("size", 0)))
        if "tell" in request.options:
            # Appends who runs this to a file.
            with open(str(request.options["tell"]), "a") as file:  # noqa: PTH123
                file.write(f"{os.getpid()}\n")
        while "until" in request.options and not os.path.exists(str(request.options["until"])):  # noqa: PTH110
            time.sleep(0.01)
        if action == "captured":
            _say(eval(str(request.options["code"])))  # what a hole in native code might allow
        if action == "quasi":
            return self._quasi(size)
        getattr(self, f"_{action}")(size)
        zeros = "0" * circuit.n_qubits
        counts = Result(
            type=ResultType.COUNTS, n_bits=circuit.n_qubits, counts={zeros: request.shots}
        )
        return Simulation(results=(counts,), method="stub", method_reason="there is no other")

    def _quasi(self, n_bits: int) -> Simulation:
        """All outcomes of so many bits."""
        quasi = {format(key, f"0{n_bits}b"): 2.0**-n_bits for key in range(2**n_bits)}
        result = Result(type=ResultType.QUASI, n_bits=n_bits, quasi=quasi)
        return Simulation(results=(result,), method="stub")

    def _count(self, _size: int) -> None:
        return

    def _refuse(self, _size: int) -> None:
        raise SimulationError(ErrorKind.UNSUPPORTED, "no such gate")

    def _crash(self, _size: int) -> None:
        ctypes.string_at(0)

    def _exit(self, _size: int) -> None:
        os._exit(3)

    def _babble(self, size: int) -> None:
        """Answers what is none; with a size, begins one of so many bytes and does not go on."""
        nonsense = b'{"kind": "sorry"}'
        head = struct.pack("!i", size or len(nonsense))
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            with suppress(OSError):
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    os.write(int(name), head + nonsense)
        time.sleep(600)

    def _sleep(self, _size: int) -> None:
        # Native, and with the interpreter's lock held: no signal handler of
        # Python's would ever run.
        ctypes.PyDLL(None).sleep(600)

    def _nap(self, size: int) -> None:
        time.sleep(size / 1000)

    def _burn(self, size: int) -> None:
        """Takes so many milliseconds of the processor."""
        end = time.process_time() + size / 1000
        while time.process_time() < end:
            pass

    def _burn_and_crash(self, size: int) -> None:
        self._burn(size)
        self._crash(size)

    def _refuse_later(self, size: int) -> None:
        """Refuses what has been asked so many times before."""
        self._asked += 1
        if self._asked > size:
            self._asked = 0
            raise SimulationError(ErrorKind.UNSUPPORTED, "no such gate")

    def _no_memory(self, _size: int) -> None:
        raise MemoryError

    def _too_deep(self, _size: int) -> None:
        raise RecursionError

    def _fail(self, _size: int) -> None:
        raise ZeroDivisionError("details that are nobody's business")

    def _map(self, size: int) -> None:
        """Asks for so many MiB, and touches none of it."""
        with mmap.mmap(-1, size * 2**20):
            pass

    def _ask(self, size: int) -> None:
        """As Python's own objects do."""
        bytearray(size * 2**20)

    def _spin(self, _size: int) -> None:
        while True:
            pass

    def _write(self, size: int) -> None:
        """Leaves a file of so many MiB."""
        with open("left", "wb") as file:  # noqa: PTH123
            file.truncate(size * 2**20)

    def _take(self, size: int) -> None:
        """Touches so many MiB."""
        bytearray(size * 2**20)

    def _grow(self, size: int) -> None:
        """Takes 10 MiB after the other, up to so many, keeps them and goes on for long."""
        held = [bytes(1) * (10 * 2**20) for _ in range(size // 10)]
        ctypes.PyDLL(None).sleep(600)
        held.clear()

    def _imported(self, _size: int) -> None:
        """Names the databases and brokers that this process knows."""
        import sys

        foreign = {"celery", "kombu", "sqlalchemy", "grpc"} & set(sys.modules)
        raise SimulationError(ErrorKind.UNSUPPORTED, " ".join(sorted(foreign)))
