"""Settings: file, environment, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cores import cores
from app.settings import PROJECT, SETTINGS_VARIABLE, Settings, SettingsError, load_settings

TARGET = '[targets.aer]\nsimulator = "aer"\n'

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("QDISPATCH_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the settings file that is then read."""

    def write(text: str) -> Path:
        path = tmp_path / "my.toml"
        path.write_text(text)
        monkeypatch.setenv(SETTINGS_VARIABLE, str(path))
        return path

    return write


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


def test_the_settings_that_are_shipped_fit_and_are_the_defaults(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    shipped = load_settings()
    shipped.check_machine()
    assert list(shipped.targets) == ["aer", "cirq", "pennylane"]
    assert shipped.data_dir == PROJECT / "var"
    assert shipped.embedded_broker
    write(TARGET)
    bare = load_settings()
    for section in ("server", "jobs", "history", "machine", "result_expires_s"):
        assert getattr(shipped, section) == getattr(bare, section)


def test_a_file_is_read(write: Write) -> None:
    write(
        'data_dir = "/somewhere"\n[server]\nthreads = 3\nmax_message_bytes = "1MiB"\n'
        '[targets.one-2]\nsimulator = "mine"\nmemory_limit = "512MiB"\n'
        'program_formats = ["openqasm2"]\nresult_types = ["counts"]\n'
    )
    settings = load_settings()
    assert settings.data_dir == Path("/somewhere")
    assert (settings.server.threads, settings.server.max_message_bytes) == (3, 2**20)
    target = settings.targets["one-2"]
    assert (target.simulator, target.memory_limit) == ("mine", 512 * 2**20)
    assert [*target.program_formats, *target.result_types] == ["openqasm2", "counts"]


def test_how_long_the_history_is_kept(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(TARGET)
    kept = load_settings().history
    assert (kept.max_age_days, kept.max_bytes) == (0, 0)
    write(f'[history]\nmax_age_days = 0.5\nmax_bytes = "50GiB"\n{TARGET}')
    kept = load_settings().history
    assert (kept.max_age_days, kept.max_bytes) == (0.5, 50 * 2**30)
    monkeypatch.setenv("QDISPATCH_HISTORY__MAX_AGE_DAYS", "90")
    assert load_settings().history.max_age_days == 90


def test_the_environment_goes_before_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("result_expires_s = 5\n[server]\nthreads = 3\nmax_shots = 7\n" + TARGET)
    monkeypatch.setenv("QDISPATCH_RESULT_EXPIRES_S", "6")
    monkeypatch.setenv("QDISPATCH_SERVER__THREADS", "4")
    monkeypatch.setenv("QDISPATCH_TARGETS__AER__CONCURRENCY", "5")
    monkeypatch.setenv("QDISPATCH_TARGETS__EXTRA__SIMULATOR", "cirq")
    settings = load_settings()
    assert settings.result_expires_s == 6
    # What the environment does not say stays as the file has it.
    assert (settings.server.threads, settings.server.max_shots) == (4, 7)
    assert settings.targets["aer"].concurrency == 5
    assert settings.targets["aer"].simulator == "aer"
    assert settings.targets["extra"].simulator == "cirq"


def test_secrets_come_from_the_environment_and_are_not_shown(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(TARGET)
    urls = {
        "DATABASE_URL": "postgresql+psycopg://me:hidden@db/q",
        "BROKER_URL": "amqp://me:hidden@broker/q",
        "RESULT_BACKEND": "redis://:hidden@results/0",
    }
    for name, url in urls.items():
        monkeypatch.setenv(f"QDISPATCH_{name}", url)
    settings = load_settings()
    assert settings.database == urls["DATABASE_URL"]
    assert settings.broker_url.get_secret_value() == urls["BROKER_URL"]
    assert settings.result_backend.get_secret_value() == urls["RESULT_BACKEND"]
    assert not settings.embedded_broker
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings.model_dump())


def test_without_urls_everything_is_under_the_data_directory(write: Write, tmp_path: Path) -> None:
    write(f'data_dir = "data"\n{TARGET}')
    settings = load_settings()
    # Relative to the file, wherever the process runs.
    assert settings.data_dir == tmp_path / "data"
    assert settings.database == f"sqlite:///{tmp_path}/data/qdispatch.db"
    assert settings.programs == f"file://{tmp_path}/data/programs"
    assert settings.embedded_broker


def test_a_relative_data_directory_counts_from_the_file_from_the_environment_too(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(TARGET)
    monkeypatch.setenv("QDISPATCH_DATA_DIR", "other")
    monkeypatch.chdir("/")
    assert load_settings().data_dir == tmp_path / "other"


def test_programs_may_be_elsewhere(write: Write) -> None:
    write(f'programs_url = "memory://somewhere"\n{TARGET}')
    assert load_settings().programs == "memory://somewhere"


def test_a_file_that_is_not_there_is_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "none.toml"))
    assert "targets: Field required" in refusal()
    monkeypatch.setenv("QDISPATCH_TARGETS", '{"aer": {"simulator": "aer"}}')
    assert list(load_settings().targets) == ["aer"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no_such_key = 1", "no_such_key"),
        ("[server]\nno_such_key = 1", "server.no_such_key"),
        ("[jobs]\nlease = 1", "jobs.lease"),
        ("[targets.aer]\nqubits = 3", "targets.aer.qubits"),
        ("[targets.cirq]\nconcurrency = 2", "targets.cirq.simulator"),
        ("[targets.aer]\nconcurrency = -1", "targets.aer.concurrency"),
        ("[targets.aer]\nthreads = -1", "targets.aer.threads"),
        ("[targets.aer]\nconcurrency = 1.5", "targets.aer.concurrency"),
        ('[targets.aer]\nmemory_limit = "much"', "targets.aer.memory_limit"),
        ('[targets.aer]\nresult_types = ["samples"]', "targets.aer.result_types.0"),
        ('[targets.aer]\nprogram_formats = ["quil"]', "targets.aer.program_formats.0"),
        ("[targets.aer]\ntime_limit_s = 2000", "max_time_limit_s (1500)"),
        ('[server]\nthreads = "many"', "server.threads"),
        ('[server]\nmax_message_bytes = "3GiB"', "server.max_message_bytes"),
        ("[machine]\nmax_simulations = -1", "machine.max_simulations"),
        ("[history]\nmax_age_days = -1", "history.max_age_days"),
        ("[history]\nmax_age_days = inf", "history.max_age_days"),
        ('[history]\nmax_bytes = "-1"', "history.max_bytes"),
        ('[history]\nmax_bytes = "all"', "history.max_bytes"),
        ("[history]\nmax_age = 1", "history.max_age"),
        ("result_expires_s = -1", "result_expires_s"),
        ('[targets.Aer]\nsimulator = "aer"', "target 'Aer'"),
        ('[targets."a b"]\nsimulator = "aer"', "target 'a b'"),
        ('[targets."a/b"]\nsimulator = "aer"', "target 'a/b'"),
        ('[targets.""]\nsimulator = "aer"', "target ''"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(write: Write, text: str, named: str) -> None:
    without = "" if "[targets.aer]" in text else TARGET
    if "[targets.aer]" in text:
        text = text.replace("[targets.aer]", TARGET)
    path = write(f"{text}\n{without}")
    message = refusal()
    assert named in message
    assert str(path) in message


def test_everything_that_is_wrong_is_named_at_once(write: Write) -> None:
    write(f"one = 1\n[server]\nthreads = 0\n{TARGET}")
    message = refusal()
    assert "one" in message
    assert "server.threads" in message


def test_a_bad_value_in_the_environment_is_named(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(TARGET)
    monkeypatch.setenv("QDISPATCH_SERVER__THREADS", "few")
    assert "server.threads" in refusal()


def test_no_targets_are_refused(write: Write) -> None:
    write("[targets]")
    assert "targets" in refusal()


def test_a_file_that_is_no_toml_is_refused(write: Write) -> None:
    path = write("[server\n")
    assert str(path) in refusal()


@pytest.mark.parametrize("most", [5, 6])
def test_the_targets_must_fit_the_machine(write: Write, most: int) -> None:
    targets = "".join(
        f'[targets.{name}]\nsimulator = "{name}"\nconcurrency = {number}\n'
        for name, number in (("aer", 1), ("cirq", 2), ("pennylane", 3))
    )
    write(f"[machine]\nmax_simulations = {most}\n{targets}")
    settings = load_settings()
    if most == 6:
        settings.check_machine()
        return
    with pytest.raises(SettingsError) as caught:
        settings.check_machine()
    message = str(caught.value)
    assert "adds up to 6 (aer 1 + cirq 2 + pennylane 3)" in message
    assert "machine.max_simulations is 5" in message


def test_what_is_left_to_the_machine_follows_from_its_cores(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = '[targets.cirq]\nsimulator = "cirq"\nconcurrency = 3\nthreads = 5\n'
    write(f"{TARGET}concurrency = 0\n{other}")
    for n_cores, expected in ((1, (2, 1)), (4, (4, 4)), (64, (8, 64))):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=n_cores: set(range(n)))
        settings = load_settings()
        settings.check_machine()
        aer, cirq = settings.targets["aer"], settings.targets["cirq"]
        assert (aer.concurrency, aer.threads) == expected
        assert (cirq.concurrency, cirq.threads) == (3, 5)
        assert settings.max_simulations == aer.concurrency + 3


@pytest.mark.parametrize(
    ("told", "expected"),
    [("150000 100000\n", 2), ("20000 100000\n", 1), ("max 100000\n", 6), ("6400000 100000\n", 6)],
    ids=["one-and-a-half", "a-fifth", "no-limit", "more-than-there-are"],
)
def test_a_container_has_the_cores_of_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    limit = tmp_path / "cpu.max"
    assert cores(limit) == 6
    limit.write_text(told)
    assert cores(limit) == expected


def test_settings_do_not_change(write: Write) -> None:
    write(TARGET)
    settings: Settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.server.threads = 1  # type: ignore[misc]
