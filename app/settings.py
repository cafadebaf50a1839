"""Typed settings: the only reader of settings.toml and of the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app import cores
from app.identity import is_owner
from app.secret_files import SecretFileError, SecretFiles
from app.settings_sources import DELIMITER, PREFIX, Environment, explained
from app.tls_urls import broker_link, redis_link
from qdispatch.errors import QDispatchError
from qdispatch.model import ProgramFormat, ResultType

#: Names the settings file to use instead of the one beside this project.
SETTINGS_VARIABLE = "QDISPATCH_SETTINGS"

#: The most jobs that a batch may have, whatever the settings.
MAX_BATCH_JOBS = 10_000

PROJECT = Path(__file__).resolve().parent.parent


class SettingsError(QDispatchError):
    """The settings do not fit together, or a key or a value is unknown."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _owner(name: str) -> str:
    if not is_owner(name):
        raise ValueError(f"{name!r} is no name of an owner")
    return name


class ServerSettings(_Section):
    """The gRPC front end."""

    address: str = "127.0.0.1:50051"
    published: str = ""
    allow_anonymous: bool = False
    allow_unencrypted: bool = False
    health: bool = True
    reflection: bool = True
    threads: PositiveInt = 16
    max_message_bytes: Annotated[ByteSize, Field(gt=0, lt=2**31)] = ByteSize(64 * 2**20)
    max_program_bytes: Annotated[ByteSize, Field(gt=0)] = ByteSize(16 * 2**20)
    max_shots: Annotated[int, Field(gt=0, lt=2**63)] = 10_000_000
    max_points: Annotated[int, Field(gt=0, le=100_000)] = 10_000
    max_batch_jobs: Annotated[int, Field(gt=0, le=MAX_BATCH_JOBS)] = MAX_BATCH_JOBS
    call_s: PositiveFloat = 120.0
    stream_s: Annotated[float, Field(gt=0, le=604_800)] = 3600.0
    max_calls: PositiveInt = 1000
    max_bytes_under_way: Annotated[ByteSize, Field(gt=0)] = ByteSize(512 * 2**20)
    max_streams: PositiveInt = 10_000
    max_bytes_to_send: Annotated[ByteSize, Field(gt=0)] = ByteSize(2**30)
    max_connections: PositiveInt = 5000
    max_connection_streams: PositiveInt = 4000
    max_jobs_in_flight: PositiveInt = 500_000
    watch_interval_s: PositiveFloat = 1.0
    grace_s: PositiveFloat = 5.0
    cancel_wait_s: NonNegativeFloat = 1.0

    @property
    def max_result_bytes(self) -> int:
        """What the results of a job may take, so that one message carries them."""
        # The job around them, with all its observables, needs room as well.
        return self.max_message_bytes * 15 // 16


class AuthSettings(_Section):
    """How the server knows who calls."""

    mode: Literal["none", "token", "certificate"] = "none"
    admins: tuple[Annotated[str, AfterValidator(_owner)], ...] = ()
    refresh_s: Annotated[float, Field(ge=0.1, le=30)] = 2.0


_Quota = Annotated[int, Field(ge=0, lt=2**53)]


class QuotaSettings(_Section):
    """What each owner may use; 0 is no limit."""

    jobs_in_flight: _Quota = 50_000
    submissions_per_minute: _Quota = 120_000
    program_bytes: Annotated[ByteSize, Field(ge=0, lt=2**53)] = ByteSize(0)
    qubits: _Quota = 0
    shots: _Quota = 0
    points: _Quota = 0
    cpu_s_per_day: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    streams: _Quota = 2000


class TlsSettings(_Section):
    """Files in PEM that the server is known by, and knows its clients by."""

    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    check_certificate: str = ""
    check_key: str = ""

    @property
    def is_on(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.certificate)

    @model_validator(mode="after")
    def _pairs_are_whole(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key need each other")
        if bool(self.check_certificate) != bool(self.check_key):
            raise ValueError("check_certificate and check_key need each other")
        if self.client_ca and not self.certificate:
            raise ValueError("client_ca needs certificate and key")
        return self

    def under(self, folder: Path) -> TlsSettings:
        """With relative paths counting from a folder."""
        paths = {name: str(folder / path) for name, path in self.model_dump().items() if path}
        return self.model_copy(update=paths)


class MessageSettings(_Section):
    """Signatures, where others use the broker too."""

    sign: bool = False
    key: str = ""
    certificate: str = ""
    certificates: str = ""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.sign and not (self.key and self.certificate and self.certificates):
            raise ValueError("sign needs key, certificate and certificates")
        return self

    def under(self, folder: Path) -> MessageSettings:
        """With relative paths counting from a folder."""
        paths = self.model_dump(exclude={"sign"}).items()
        return self.model_copy(update={name: str(folder / path) for name, path in paths if path})


class JobSettings(_Section):
    """The life of a job."""

    max_attempts: PositiveInt = 3
    lease_s: PositiveFloat = 30.0
    sweep_interval_s: PositiveFloat = 2.0
    resend_after_s: PositiveFloat = 5.0
    lost_after_s: PositiveFloat = 15.0
    retry_delay_s: PositiveFloat = 1.0
    stop_grace_s: PositiveFloat = 10.0
    orphan_after_s: PositiveFloat = 600.0
    max_result_bytes: Annotated[ByteSize, Field(gt=0, lt=2**30)] = ByteSize(256 * 2**20)


class HistorySettings(_Section):
    """How long, and how much of it, the history of final jobs is kept; 0 is for ever, and all."""

    max_age_days: Annotated[float, Field(ge=0, le=36_500)] = 0.0
    max_bytes: Annotated[ByteSize, Field(ge=0)] = ByteSize(0)


class CacheSettings(_Section):
    """Finished jobs that answer equal ones; 0 turns it off."""

    max_bytes: Annotated[ByteSize, Field(ge=0)] = ByteSize(2**30)


class PageSettings(_Section):
    """The page to look at jobs."""

    address: str = "127.0.0.1:5556"
    published: str = ""
    hosts: tuple[str, ...] = ("localhost",)

    @property
    def listens_on(self) -> tuple[str, int]:
        """Host and port of the address.

        Raises:
            SettingsError: It is not HOST:PORT.
        """
        host, _, port = self.address.rpartition(":")
        if not (host and port.isascii() and port.isdigit() and int(port) < 2**16):
            raise SettingsError(f"page.address is {self.address!r}; write it as 127.0.0.1:5556")
        return host.removeprefix("[").removesuffix("]"), int(port)


class MachineSettings(_Section):
    """What this machine bears."""

    max_simulations: NonNegativeInt = 0


#: 0 follows from the machine, and is a positive number once it has been read.
_Concurrency = Annotated[
    NonNegativeInt,
    AfterValidator(lambda given: given or cores.concurrency()),
    Field(validate_default=True),
]
_Threads = Annotated[
    NonNegativeInt,
    AfterValidator(lambda given: given or cores.threads()),
    Field(validate_default=True),
]


class TargetSettings(_Section):
    """A queue, a worker and a simulator."""

    simulator: str
    concurrency: _Concurrency = 0
    threads: _Threads = 0
    max_qubits: PositiveInt = 32
    max_unnamed_qubits: PositiveInt | None = None
    memory_limit: Annotated[ByteSize, Field(gt=0)] = ByteSize(4 * 2**30)
    time_limit_s: PositiveFloat = 600.0
    max_time_limit_s: PositiveFloat = 1500.0
    program_formats: tuple[ProgramFormat, ...] = tuple(ProgramFormat)
    result_types: tuple[ResultType, ...] = tuple(ResultType)
    cache: bool = True
    paths: tuple[Path, ...] = ()
    calls: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.time_limit_s > self.max_time_limit_s:
            raise ValueError(
                f"time_limit_s ({self.time_limit_s:g}) is above"
                f" max_time_limit_s ({self.max_time_limit_s:g})"
            )
        return self


class Settings(BaseSettings):
    """All settings. An empty URL means: embedded, under ``data_dir``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True
    )

    data_dir: Path = Path("var")
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    result_backend: SecretStr = SecretStr("")
    programs_url: SecretStr = SecretStr("")
    result_expires_s: PositiveFloat = 86400.0
    log_format: Literal["text", "json"] = "text"
    log_times: bool = True
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings = TlsSettings()
    quotas: QuotaSettings = QuotaSettings()
    messages: MessageSettings = MessageSettings()
    jobs: JobSettings = JobSettings()
    history: HistorySettings = HistorySettings()
    cache: CacheSettings = CacheSettings()
    machine: MachineSettings = MachineSettings()
    page: PageSettings = PageSettings()
    targets: Annotated[dict[str, TargetSettings], Field(min_length=1)]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment, and files that it names, over file; a test's arguments over all."""
        file = TomlConfigSettingsSource(settings_cls, settings_file())
        return init_settings, Environment(settings_cls), SecretFiles(settings_cls), file

    @field_validator("database_url", "broker_url", "result_backend", "programs_url")
    @classmethod
    def _urls_can_be_read(cls, url: SecretStr) -> SecretStr:
        # Whoever fails to read it later would show a piece of the password as its port.
        if not all(map(_can_be_read, url.get_secret_value().split(";"))):
            raise ValueError(
                "is no URL; in a password, write / as %2F, # as %23, ? as %3F, @ as %40, % as %25"
            )
        return url

    @field_validator("broker_url")
    @classmethod
    def _broker_is_clear(cls, url: SecretStr) -> SecretStr:
        broker_link(url.get_secret_value())
        return url

    @field_validator("result_backend")
    @classmethod
    def _results_are_clear(cls, url: SecretStr) -> SecretStr:
        redis_link(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _names_are_plain(self) -> Self:
        for name in self.targets:
            # A target's name is a queue, a node name and a file name.
            if not (name.isascii() and name.replace("-", "").isalnum() and name == name.lower()):
                raise ValueError(
                    f"target {name!r}: a name has lower-case letters, digits and hyphens only"
                )
        return self

    @model_validator(mode="after")
    def _clients_have_certificates(self) -> Self:
        if self.auth.mode == "certificate" and not self.tls.client_ca:
            raise ValueError(
                "auth.mode = certificate needs tls.certificate, tls.key and tls.client_ca"
            )
        return self

    @property
    def embedded_broker(self) -> bool:
        """Whether messages go through files under the data directory."""
        return not self.broker_url.get_secret_value()

    @property
    def database(self) -> str:
        """SQLAlchemy's URL of the database."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.data_dir / 'qdispatch.db'}"

    @property
    def programs(self) -> str:
        """The fsspec URL of the folder of program files."""
        return self.programs_url.get_secret_value() or (self.data_dir / "programs").as_uri()

    @property
    def max_simulations(self) -> int:
        """The most simulations that run on this machine at once."""
        return self.machine.max_simulations or sum(
            target.concurrency for target in self.targets.values()
        )

    def check_machine(self) -> None:
        """Checks that the workers of all targets fit this machine.

        Raises:
            SettingsError: Together they would run more simulations at once
                than the machine may.
        """
        wanted = {name: target.concurrency for name, target in self.targets.items()}
        if sum(wanted.values()) > self.max_simulations:
            each = " + ".join(f"{name} {number}" for name, number in wanted.items())
            raise SettingsError(
                f"the targets' concurrency adds up to {sum(wanted.values())} ({each}), but"
                f" machine.max_simulations is {self.max_simulations}:"
                " lower the one or raise the other"
            )


def _can_be_read(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    # A password of digits is cut off by its own slash, too.
    return not (":" in parts.netloc and "@" not in parts.netloc and "@" in url)


def settings_file() -> Path:
    """The settings file in use; it need not exist."""
    return Path(os.environ.get(SETTINGS_VARIABLE) or PROJECT / "settings.toml").resolve()


def load_settings() -> Settings:
    """Reads the settings; relative paths in them count from their file.

    Raises:
        SettingsError: A key is unknown or a value is wrong; the message names
            every one, with the file or the variable of the environment that has it.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(explained(error, settings_file())) from error
    except SecretFileError as error:
        raise SettingsError(str(error)) from error
    except ValueError as error:
        raise SettingsError(f"{settings_file()}: {error}") from error
    folder = settings_file().parent
    paths = {
        "data_dir": folder / settings.data_dir,
        "tls": settings.tls.under(folder),
        "messages": settings.messages.under(folder),
    }
    return settings.model_copy(update=paths)
