"""Settings: file, environment, and what is refused."""

from __future__ import annotations

import os
import re
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
    for section in ("server", "auth", "jobs", "history", "machine", "result_expires_s"):
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


def test_secrets_come_from_files_that_the_environment_names(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f'database_url = "sqlite:///other"\nbroker_url = "amqp://other"\n{TARGET}')
    file = tmp_path / "database"
    file.write_text("postgresql+psycopg://me:hidden@db/q\n")
    monkeypatch.setenv("QDISPATCH_DATABASE_URL_FILE", str(file))
    # Compose gives what is not set as empty.
    monkeypatch.setenv("QDISPATCH_BROKER_URL_FILE", "")
    settings = load_settings()
    assert settings.database == "postgresql+psycopg://me:hidden@db/q"
    assert settings.broker_url.get_secret_value() == "amqp://other"


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot read"), ("", "one line"), ("hidden\nhidden", "one line"), ("x", "both set")],
    ids=["missing", "empty", "lines", "twice"],
)
def test_a_file_of_a_secret_that_is_wrong_is_told(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    write(TARGET)
    file = tmp_path / "broker"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("QDISPATCH_BROKER_URL_FILE", str(file))
    if said == "both set":
        monkeypatch.setenv("QDISPATCH_BROKER_URL", "amqp://me:hidden@broker/q")
    with pytest.raises(SettingsError, match=said) as refusal:
        load_settings()
    assert str(refusal.value).startswith("QDISPATCH_BROKER_URL")
    assert "QDISPATCH_BROKER_URL_FILE" in str(refusal.value)
    assert "hidden" not in str(refusal.value)


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


def test_paths_of_certificates_count_from_the_file(write: Write, tmp_path: Path) -> None:
    write(f'[tls]\ncertificate = "tls/a.pem"\nkey = "/etc/a.key"\n{TARGET}')
    tls = load_settings().tls
    assert (tls.certificate, tls.key) == (f"{tmp_path}/tls/a.pem", "/etc/a.key")
    assert (tls.client_ca, tls.check_certificate) == ("", "")


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
        ('[auth]\nmode = "password"', "auth.mode"),
        ('[auth]\nmode = "certificate"', "tls.client_ca"),
        ('[auth]\nadmins = ["a b"]', "auth.admins"),
        ("[auth]\nrefresh_s = 3600", "auth.refresh_s"),
        ('[tls]\ncertificate = "a.pem"', "certificate and key need each other"),
        ('[tls]\nkey = "a.key"', "certificate and key need each other"),
        ('[tls]\ncheck_key = "a.key"', "check_certificate and check_key"),
        ('[tls]\nclient_ca = "a.pem"', "client_ca needs certificate"),
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


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AUTH__MODE", "tokens", "(auth.mode): Input should be 'none', 'token' or"),
        ("AUTH__ADMINS", "root", '(auth.admins): is a list, and written as ["root"]'),
        ("AUTH__ADMINS", "[root, al]", '(auth.admins): is a list, and written as ["root", "al"]'),
        ("AUTH__ADMINS", '["a b"]', "(auth.admins.0): Value error, 'a b' is no name"),
        ("AUTH__NO_SUCH", "1", "(auth.no_such): Extra inputs"),
        ("AUTH", "root", "(auth): is a section: each of its keys has a variable, QDISPATCH_AUTH__"),
        ("AUTH", '{"mode": "x"}', "(auth.mode): Input should be"),
        ("TARGETS", '{"aer": {"paths": 1}}', "(targets.aer.paths): "),
    ],
)
def test_what_the_environment_has_wrong_is_not_blamed_on_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    path = write(TARGET)
    monkeypatch.setenv(f"QDISPATCH_{variable}", value)
    message = refusal()
    assert message.startswith(f"QDISPATCH_{variable} {said}")
    assert str(path) not in message


def test_what_file_and_environment_have_wrong_is_told_of_each(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(f"[server]\nthreads = 0\n{TARGET}threads = -1\n")
    monkeypatch.setenv("QDISPATCH_TARGETS", '{"aer": {"concurrency": -1}}')
    assert re.fullmatch(
        rf"{re.escape(str(path))}: server\.threads: [^;]+; targets\.aer\.threads: [^;]+; "
        r"QDISPATCH_TARGETS \(targets\.aer\.concurrency\): [^;]+",
        refusal(),
    )


@pytest.mark.parametrize(
    "url",
    [
        "amqp://me:S3cret/@host/q",
        "amqp://me:S3cret#@host/q",
        "amqp://me:123/456@host/q",
        "amqp://a;amqp://me:S3cret?@host/q",
        "amqp://host:port/q",
        "amqp://[host/q",
    ],
    ids=["slash", "hash", "digits", "second of two", "port", "bracket"],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_shown(write: Write, url: str) -> None:
    write(f'broker_url = "{url}"\n{TARGET}')
    message = refusal()
    assert "broker_url" in message
    assert "%2F" in message
    assert not any(each in message for each in ("S3cret", "123", "456", "host"))


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("broker_url", "amqp://me:S3%2Fcret@[::1]:5671//"),
        ("result_backend", "sentinel://:x@a:26379;sentinel://b:26379/0"),
        ("database_url", "postgresql+psycopg://me:x@/q?host=/run/postgresql"),
        ("programs_url", "simplecache::s3://bucket/a@b"),
    ],
    ids=["broker", "several", "socket", "programs"],
)
def test_urls_of_every_kind_are_taken(write: Write, key: str, url: str) -> None:
    write(f'{key} = "{url}"\n{TARGET}')
    assert getattr(load_settings(), key).get_secret_value() == url


def test_the_clients_variables_are_no_settings_of_the_server() -> None:
    """On a machine with both, one would be taken for the other."""
    sources = (PROJECT / "client" / "src" / "qdispatch").rglob("*.py")
    names = {
        name for file in sources for name in re.findall(r"QDISPATCH_[A-Z_]+", file.read_text())
    }
    assert "QDISPATCH_ADDRESS" in names
    assert not names & {f"QDISPATCH_{field.upper()}" for field in Settings.model_fields}


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
