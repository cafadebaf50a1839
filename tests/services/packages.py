"""The Debian packages that the servers come from, installed when they are missing."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

# Package name -> a file that shows it is there.
PACKAGES = {
    "rabbitmq-server": "usr/lib/rabbitmq/bin/rabbitmq-server",
    "redis-server": "usr/bin/redis-server",
    "postgresql": "usr/lib/postgresql/*/bin/postgres",
}
# For tests that look at a page as a browser shows it.
BROWSER = {"chromium": "usr/bin/chromium"}
POLICY = Path("/usr/sbin/policy-rc.d")


class MissingPackagesError(RuntimeError):
    """Packages are not installed, and only root may install them."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f"missing: {', '.join(names)}. Install with: "
            f"sudo apt-get install --no-install-recommends {' '.join(names)}"
        )


def missing_packages(packages: Mapping[str, str] = PACKAGES) -> list[str]:
    """Names of the packages that are not installed."""
    return [name for name, shown_by in packages.items() if not any(Path("/").glob(shown_by))]


def ensure_packages(packages: Mapping[str, str] = PACKAGES) -> None:
    """Install what is missing.

    Args:
        packages: names, each with a file that shows it is there.

    Raises:
        MissingPackagesError: something is missing and this is not root.
    """
    names = missing_packages(packages)
    if not names:
        return
    if os.geteuid() != 0:
        raise MissingPackagesError(names)
    variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with no_system_services():
        for command in (["update"], ["install", "-y", "--no-install-recommends", *names]):
            subprocess.run(["apt-get", "-q", *command], env=variables, check=True, timeout=600)


@contextlib.contextmanager
def no_system_services() -> Iterator[None]:
    """Keep packages from starting their servers; Debian asks this file for leave."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
