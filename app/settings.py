"""Typed settings: the only reader of settings.toml and of the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

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
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app import cores
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


class ServerSettings(_Section):
    """The gRPC front end."""

    address: str = "127.0.0.1:50051"
    threads: PositiveInt = 16
    max_message_bytes: Annotated[ByteSize, Field(gt=0, lt=2**31)] = ByteSize(64 * 2**20)
    max_program_bytes: Annotated[ByteSize, Field(gt=0)] = ByteSize(16 * 2**20)
    max_shots: Annotated[int, Field(gt=0, lt=2**63)] = 10_000_000
    max_points: Annotated[int, Field(gt=0, le=100_000)] = 10_000
    max_batch_jobs: Annotated[int, Field(gt=0, le=MAX_BATCH_JOBS)] = MAX_BATCH_JOBS
    watch_interval_s: PositiveFloat = 1.0
    grace_s: PositiveFloat = 5.0
    cancel_wait_s: NonNegativeFloat = 1.0

    @property
    def max_result_bytes(self) -> int:
        """What the results of a job may take, so that one message carries them."""
        # The job around them, with all its observables, needs room as well.
        return self.max_message_bytes * 15 // 16


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
        env_prefix="QDISPATCH_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Path("var")
    database_url: SecretStr = SecretStr("")
    broker_url: SecretStr = SecretStr("")
    result_backend: SecretStr = SecretStr("")
    programs_url: SecretStr = SecretStr("")
    result_expires_s: PositiveFloat = 86400.0
    log_times: bool = True
    server: ServerSettings = ServerSettings()
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
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file; a test's arguments over both."""
        file = TomlConfigSettingsSource(settings_cls, settings_file())
        return init_settings, env_settings, file

    @model_validator(mode="after")
    def _names_are_plain(self) -> Self:
        for name in self.targets:
            # A target's name is a queue, a node name and a file name.
            if not (name.isascii() and name.replace("-", "").isalnum() and name == name.lower()):
                raise ValueError(
                    f"target {name!r}: a name has lower-case letters, digits and hyphens only"
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


def settings_file() -> Path:
    """The settings file in use; it need not exist."""
    return Path(os.environ.get(SETTINGS_VARIABLE) or PROJECT / "settings.toml").resolve()


def load_settings() -> Settings:
    """Reads the settings; a relative ``data_dir`` counts from their file.

    Raises:
        SettingsError: A key is unknown or a value is wrong; the message names
            every one.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'settings'}: {each['msg']}"
            for each in error.errors()
        )
        raise SettingsError(f"{settings_file()}: {wrong}") from error
    except ValueError as error:
        raise SettingsError(f"{settings_file()}: {error}") from error
    data_dir = settings_file().parent / settings.data_dir
    return settings.model_copy(update={"data_dir": data_dir})
