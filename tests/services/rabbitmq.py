"""A private RabbitMQ node, with an epmd of its own."""

import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import amqp

from tests.services.authority import Authority
from tests.services.process import LOOPBACK, Service, ServiceError, free_port

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
# Keeps the node's and its tools' own traffic on loopback.
DISTRIBUTION = "-kernel inet_dist_use_interface {127,0,0,1}"
# Two threads that do not spin while there is nothing to do: others need the processors.
THREADS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"


class RabbitMQ(Service):
    """RabbitMQ on a port of its own, with one user and one virtual host.

    The node's name is `qdispatch@localhost`; Erlang finds it in a hosts file
    of ours and asks no resolver. epmd cannot be left out (the node asks it for
    nodes of its name before it boots), so each has its own, on its own port.
    """

    user = "qdispatch"
    vhost = "qdispatch"

    def __init__(
        self,
        directory: Path,
        *,
        management: bool = False,
        settings: Mapping[str, str] | None = None,
        remove: bool = False,
        timeout_s: float = 60,
    ) -> None:
        """Prepare, without starting.

        Args:
            directory: where everything the node writes goes.
            management: whether to enable the HTTP API that Flower's broker page reads.
            settings: further lines of rabbitmq.conf, such as `consumer_timeout`.
            remove: whether the directory goes too when the owner dies.
            timeout_s: longest time a start or a stop may take.
        """
        super().__init__(directory, remove=remove, timeout_s=timeout_s)
        self.password = secrets.token_hex(8)
        self.settings = dict(settings or {})
        self.management = management
        self.management_port = free_port()
        self.tls_port = free_port()
        self.authority = Authority(directory / "tls")
        self._epmd_port = free_port()
        self._distribution_port = free_port()

    @property
    def url(self) -> str:
        """For Celery's `broker_url`."""
        return f"amqp://{self.user}:{self.password}@{LOOPBACK}:{self.port}/{self.vhost}"

    @property
    def tls_url(self) -> str:
        """The same with encryption, which clients have to say whom they trust for."""
        there = f"{LOOPBACK}:{self.tls_port}"
        return f"amqps://{self.user}:{self.password}@{there}/{self.vhost}"

    @property
    def management_url(self) -> str:
        """For Flower's `--broker-api`."""
        return f"http://{self.user}:{self.password}@{LOOPBACK}:{self.management_port}/api/"

    def prepare(self) -> None:
        """Write the configuration."""
        certificate, key = self.authority.issue("server", LOOPBACK)
        settings = {
            "listeners.ssl.1": f"{LOOPBACK}:{self.tls_port}",
            "ssl_options.cacertfile": str(self.authority.file),
            "ssl_options.certfile": str(certificate),
            "ssl_options.keyfile": str(key),
            # Of clients that have a certificate, it has to be one of ours.
            "ssl_options.verify": "verify_peer",
            "ssl_options.fail_if_no_peer_cert": "false",
            "listeners.tcp.1": f"{LOOPBACK}:{self.port}",
            "default_user": self.user,
            "default_pass": self.password,
            "default_vhost": self.vhost,
            "disk_free_limit.absolute": "50MB",
            "log.console": "false",
        }
        if self.management:
            settings["management.tcp.ip"] = LOOPBACK
            settings["management.tcp.port"] = str(self.management_port)
        settings |= self.settings
        lines = [f"{key} = {value}\n" for key, value in settings.items()]
        (self.directory / "rabbitmq.conf").write_text("".join(lines))
        plugins = "rabbitmq_management" if self.management else ""
        (self.directory / "enabled_plugins").write_text(f"[{plugins}].\n")
        (self.directory / "inetrc").write_text(
            '{lookup, [file]}.\n{host, {127,0,0,1}, ["localhost"]}.\n'
        )

    def commands(self) -> list[list[str]]:
        """Run epmd in the foreground, then the node."""
        epmd = ["epmd", "-address", LOOPBACK, "-port", str(self._epmd_port)]
        return [epmd, [str(PROGRAMS / "rabbitmq-server")]]

    def environment(self) -> dict[str, str]:
        """Keep every path inside the directory."""
        here = self.directory
        return {
            "ERL_CRASH_DUMP": str(here / "erl_crash.dump"),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_INETRC": str(here / "inetrc"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "rabbitmq-env.conf"),
            "RABBITMQ_CTL_ERL_ARGS": DISTRIBUTION,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(here / "feature_flags"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_NODENAME": "qdispatch@localhost",
            "RABBITMQ_PID_FILE": str(here / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{DISTRIBUTION} {THREADS}",
            # The shell script then becomes the node instead of minding it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def check(self) -> None:
        """Log in."""
        with amqp.Connection(
            f"{LOOPBACK}:{self.port}", self.user, self.password, virtual_host=self.vhost
        ):
            pass

    def create_vhost(self) -> str:
        """Make a virtual host of its own; returns its URL."""
        vhost = f"vhost-{secrets.token_hex(4)}"
        self.ctl("add_vhost", vhost)
        self.ctl("set_permissions", "-p", vhost, self.user, ".*", ".*", ".*")
        return self.url.removesuffix(self.vhost) + vhost

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` against this node.

        Args:
            arguments: the command, such as `set_vm_memory_high_watermark`, `0`.

        Returns:
            What it printed.

        Raises:
            ServiceError: it failed.
        """
        done = subprocess.run(
            [str(PROGRAMS / "rabbitmqctl"), "--silent", *arguments],
            env=self.variables(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=self._timeout_s,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout
