"""A private PostgreSQL cluster."""

import itertools
import os
import pwd
import signal
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from tests.services.process import LOOPBACK, Service, ServiceError

PROGRAMS = Path("/usr/lib/postgresql")


class PostgreSQL(Service):
    """PostgreSQL on a port of its own, over TCP on loopback only, without passwords.

    It refuses to run as root; root's run as `postgres`. The directory must
    then be one that `postgres` can reach.
    """

    user = "qdispatch"
    # "Fast": ends sessions instead of waiting for them.
    stop_signal = signal.SIGINT
    # "Immediate": takes its shared memory along, as SIGKILL does not.
    abandoned_signal = signal.SIGQUIT

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = False,
        remove: bool = False,
        timeout_s: float = 60,
    ) -> None:
        """Prepare, without starting.

        Args:
            directory: where everything the server writes goes.
            durable: whether commits wait for the disk. Without, they outlive
                the server's death but not the machine's.
            remove: whether the directory goes too when the owner dies.
            timeout_s: longest time a start or a stop may take.
        """
        super().__init__(directory, remove=remove, timeout_s=timeout_s)
        self.durable = durable
        self.account = account()
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """For SQLAlchemy, the maintenance database."""
        return self._url("postgres")

    @property
    def data(self) -> Path:
        """The cluster's files."""
        return self.directory / "data"

    def prepare(self) -> None:
        """Make the cluster, once."""
        if (self.data / "PG_VERSION").exists():
            return
        self.data.mkdir(mode=0o700, exist_ok=True)
        if self.account is not None:
            os.chown(self.data, *self.account)
            self._check_reachable(*self.account)
        self._initialise()

    def commands(self) -> list[list[str]]:
        """Run one server, with every file inside the directory."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            # The default leaves files in /dev/shm after SIGKILL.
            "dynamic_shared_memory_type": "mmap",
            "max_connections": "200",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [[program("postgres"), "-D", str(self.data), *flags]]

    def check(self) -> None:
        """Connect and ask."""
        with self._connect() as connection:
            connection.execute("SELECT 1")

    def create_database(self, name: str | None = None) -> str:
        """Make an empty database.

        Args:
            name: its name; a new one of its own when None.

        Returns:
            Its URL for SQLAlchemy.
        """
        name = name or f"test_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@{LOOPBACK}:{self.port}/{database}"

    def _connect(self) -> psycopg.Connection:
        plain = self.url.replace("+psycopg", "")
        return psycopg.connect(plain, autocommit=True, connect_timeout=5)

    def _initialise(self) -> None:
        user, group = self.account or (None, None)
        command = [program("initdb"), "-D", str(self.data), "-U", self.user]
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        done = subprocess.run(
            [*command, *options],
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            env=self.variables(),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=self._timeout_s,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"initdb: {done.stdout}{done.stderr}")

    def _check_reachable(self, user: int, group: int) -> None:
        done = subprocess.run(
            ["/usr/bin/test", "-w", str(self.data)],
            user=user,
            group=group,
            extra_groups=[],
            check=False,
        )
        if done.returncode:
            raise ServiceError(
                f"{self.data}: PostgreSQL does not run as root, and the user it runs as "
                "cannot reach this directory; give one whose parents all may search"
            )


def account() -> tuple[int, int] | None:
    """Whom root's server runs as; None when not root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def program(name: str) -> str:
    """Path of one of the newest installed version's programs."""
    versions = [path for path in PROGRAMS.glob("*/bin") if (path / name).exists()]
    if not versions:
        raise ServiceError(f"no {name} under {PROGRAMS}")
    return str(max(versions, key=lambda path: float(path.parent.name)) / name)
