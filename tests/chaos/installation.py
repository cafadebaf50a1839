"""The installation under test: on small disks, behind proxies, with a stub simulator."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Final

from tests.chaos.disk import Disk
from tests.chaos.mixture import STUB, TARGETS
from tests.chaos.plan import LINKS
from tests.chaos.proxy import Proxies
from tests.e2e.stack import PROJECT, Stack
from tests.services.together import Services

# Leases, sweeps and back-offs are quick, so that what they mend is mended
# within the run; a job survives more faults than will ever hit one.
SETTINGS: Final = """
data_dir = "{data_dir}"

[server]
address = "127.0.0.1:{port}"
max_shots = 1_000_000

[jobs]
max_attempts = 10
retry_delay_s = 0.05
lease_s = 6.0
sweep_interval_s = 0.5
resend_after_s = 1.0
lost_after_s = 3.0
orphan_after_s = 30.0

[machine]
max_simulations = 6

[targets.aer]
simulator = "aer"
concurrency = 2
max_qubits = 200
memory_limit = "2GiB"
time_limit_s = 300.0

[targets.cirq]
simulator = "cirq"
concurrency = 1
max_qubits = 32
memory_limit = "2GiB"
time_limit_s = 300.0

[targets.pennylane]
simulator = "pennylane"
concurrency = 1
max_qubits = 32
memory_limit = "2GiB"
time_limit_s = 300.0

[targets.stub]
simulator = "stub"
concurrency = 2
time_limit_s = 300.0
"""

#: Of the settings: so many faults end a job.
MAX_ATTEMPTS: Final = 10
#: How old a program file without a job gets before the sweep removes it.
ORPHAN_AFTER_S: Final = 30.0

_DATA_MIB: Final = 64
_POSTGRESQL_MIB: Final = 384
_VARIABLES: Final = {
    "postgresql": "QDISPATCH_DATABASE_URL",
    "rabbitmq": "QDISPATCH_BROKER_URL",
    "redis": "QDISPATCH_RESULT_BACKEND",
}


class Installation:
    """A whole installation, started.

    Args:
        folder: For everything. A Unix socket goes below, so its path is to be short.
        embedded: Whether it is the embedded default.
        disks: Whether disks of its own may be mounted.

    Attributes:
        stack: The processes of the project.
        services: RabbitMQ, Redis and PostgreSQL; None if embedded.
        proxies: The links between both.
        disks: What can be filled up, by name.
    """

    def __init__(self, folder: Path, *, embedded: bool, disks: bool) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.proxies = Proxies()
        self.services = None if embedded else Services(folder / "services")
        self.disks = self._make_disks() if disks else {}
        if self.services is not None:
            self.services.start()
        self.stack = Stack(folder, self.services, settings=SETTINGS, targets=(*TARGETS, STUB))
        self.stack.environment |= {
            "PYTHONPATH": os.pathsep.join(
                (str(install_stub(self.folder / "site")), os.environ.get("PYTHONPATH", ""))
            ),
            "TMPDIR": str(self.temporary),
            # What is answered from the cache puts nothing to the test.
            "QDISPATCH_CACHE__MAX_BYTES": "0",
        }
        self.stack.environment.pop("GRPC_ENABLE_FORK_SUPPORT", None)
        if self.services is not None:
            self._connect(self.services)
        self.stack.start()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the processes of the project."""
        return ("server", "sweep", *self.stack.targets)

    def close(self) -> None:
        """Takes away what outlives the processes of the project."""
        if self.services is not None:
            self.services.stop()
        self.proxies.close()
        for disk in self.disks.values():
            disk.unmount()

    def _make_disks(self) -> dict[str, Disk]:
        disks = {"data": Disk(self.folder / "data", _DATA_MIB)}
        if self.services is not None:
            disks["postgresql"] = Disk(self.services.postgresql.data, _POSTGRESQL_MIB)
        return disks

    def _connect(self, services: Services) -> None:
        """Gives every process URLs that lead through links of its own."""
        of_all: dict[str, dict[str, str]] = {}
        for link in LINKS:
            component, _, name = link.partition("-")
            server_port = getattr(services, name).port
            port = self.proxies.add(link, server_port)
            variable = _VARIABLES[name]
            url = re.sub(rf":{server_port}/", f":{port}/", self.stack.environment[variable])
            of_all.setdefault(component, {})[variable] = url
        self.stack.environments = {part: of_all.get(part, of_all["worker"]) for part in self.parts}


def install_stub(site: Path) -> Path:
    """Makes a folder with an installed distribution that names the stub simulator."""
    information = site / "qdispatch_stub-1.0.dist-info"
    information.mkdir(parents=True)
    shutil.copy(PROJECT / "tests" / "plugin" / "stub_simulator.py", site)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: qdispatch-stub\nVersion: 1.0\n"
    )
    (information / "entry_points.txt").write_text(
        "[qdispatch.simulators]\nstub = stub_simulator:StubSimulator\n"
    )
    return site
