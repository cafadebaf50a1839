"""The files of a deployment hold together, as far as that shows without a Docker engine."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

from app.exposure import check_exposure, check_page_exposure
from app.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENVIRONMENT = (ROOT / "deploy" / "env.example").read_text()
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SETTINGS = tomllib.loads((ROOT / "settings.toml").read_text())

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("${QDISPATCH_IMAGE")}
WORKERS = {name: one for name, one in OURS.items() if name.startswith("worker-")}
# Runs once; and answers nothing.
WITHOUT_HEALTHCHECK = {"migrate", "sweep"}

# ${NAME}, ${NAME:-default}, ${NAME:?message}, and $NAME; $$ is a plain $.
REFERENCE = re.compile(r"(?<!\$)\$(?:\{(\w+)(?:(:?[-?+])([^}]*))?\}|(\w+))")
# How callers are known is no secret, nor is where the file with one is.
SECRET_NAME = re.compile(r"(PASS|SECRET|TOKEN|AUTH(?!__MODE)|COOKIE|_URL|BACKEND|API)(?!.*_FILE$)")
# What may stand there though it is called so.
NO_SECRET = {"QDISPATCH_PROGRAMS_URL": "file:///var/lib/qdispatch/programs"}
TLS = yaml.safe_load((ROOT / "deploy" / "compose.tls.yaml").read_text())


def uncommented(text: str) -> str:
    return "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#"))


REFERENCES = list(REFERENCE.finditer(uncommented(COMPOSE)))


def interpolated() -> Any:
    """The file as Compose sees it, with an empty environment."""
    return yaml.safe_load(REFERENCE.sub(lambda one: one[3], uncommented(COMPOSE)))


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def limits(service: dict[str, Any]) -> dict[str, Any]:
    return service["deploy"]["resources"]["limits"]


# --- compose.yaml ----------------------------------------------------------------


def test_compose_follows_the_compose_specification() -> None:
    jsonschema.validate(interpolated(), get_builtin_schema("vendor.compose-spec"))


def test_the_compose_plugin_agrees() -> None:
    docker = shutil.which("docker")
    if docker is None or run(docker, "compose", "version").returncode:
        pytest.skip("no docker compose here")
    files = [ROOT / "compose.yaml"], [ROOT / "compose.yaml", ROOT / "deploy" / "compose.tls.yaml"]
    for each in files:
        named = [word for file in each for word in ("--file", file)]
        done = run(docker, "compose", *named, "config", "--quiet")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_kept_up_and_kept_in(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert {"memory", "pids"} <= limits(service).keys()
    assert not {"privileged", "network_mode", "pid", "devices", "cap_add"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_healthcheck(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name in WITHOUT_HEALTHCHECK:
        assert check == {"disable": True}
    else:
        assert check["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


def test_all_but_the_broker_have_a_root_file_system_that_is_read_only() -> None:
    assert {name for name, one in SERVICES.items() if not one.get("read_only")} == {"rabbitmq"}


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_can_be_met(name: str) -> None:
    for other, link in SERVICES[name].get("depends_on", {}).items():
        if link["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert link["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", sorted(OURS.keys() - {"migrate"}))
def test_ours_wait_for_the_others_and_for_the_schema(name: str) -> None:
    conditions = {other: link["condition"] for other, link in OURS[name]["depends_on"].items()}
    assert conditions == {
        "rabbitmq": "service_healthy",
        "redis": "service_healthy",
        "postgres": "service_healthy",
        "migrate": "service_completed_successfully",
    }


def test_images_are_pinned_to_a_version() -> None:
    for name in SERVICES.keys() - OURS.keys():
        tag = SERVICES[name]["image"].partition(":")[2]
        assert re.match(r"\d", tag), name


def test_only_server_flower_and_page_are_published_and_on_loopback() -> None:
    ports = {
        name: one["ports"] for name, one in interpolated()["services"].items() if "ports" in one
    }
    assert ports == {
        "server": ["127.0.0.1:50051:50051"],
        "flower": ["127.0.0.1:5555:5555"],
        "page": ["127.0.0.1:5556:5556"],
    }
    assert not [name for name, one in SERVICES.items() if "expose" in one]


def test_flower_and_page_are_there_only_when_asked_for() -> None:
    assert {name: one["profiles"] for name, one in SERVICES.items() if "profiles" in one} == {
        "flower": ["flower"],
        "page": ["page"],
    }
    # What runs by default needs neither.
    for one in SERVICES.values():
        assert not {"flower", "page"} & one.get("depends_on", {}).keys()


def test_the_network_of_the_broker_leads_nowhere() -> None:
    networks = yaml.safe_load(COMPOSE)["networks"]
    assert networks == {"backend": {"internal": True}, "frontend": {}}
    published = {"server", "flower", "page"}
    for name, service in SERVICES.items():
        expected = ["backend", "frontend"] if name in published else ["backend"]
        assert service["networks"] == expected, name


@pytest.mark.parametrize(
    ("name", "section"), [("server", "server"), ("page", "page")], ids=["server", "page"]
)
def test_who_is_published_beyond_loopback_needs_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, section: str
) -> None:
    check = {"server": check_exposure, "page": check_page_exposure}[name]
    load = partial(load_as_in_compose, monkeypatch, tmp_path, name)
    check(load())
    listens = SERVICES[name]["ports"][0].partition(":-")[0].removeprefix("${")
    with pytest.raises(SettingsError, match=f"{section}.published is 0.0.0.0:") as refusal:
        check(load({listens: "0.0.0.0"}))
    # Tokens are asked for as it is.
    assert "tls.certificate" in str(refusal.value)
    assert "auth.mode" not in str(refusal.value)
    check(load({listens: "0.0.0.0"}, TLS["services"][name]["environment"]))


def load_as_in_compose(
    patch: pytest.MonkeyPatch,
    folder: Path,
    name: str,
    dotenv: dict[str, str] | None = None,
    more: dict[str, str] | None = None,
) -> Settings:
    """The settings of a service's process."""
    made = make_secrets(folder / "secrets")
    for variable in [each for each in os.environ if each.startswith("QDISPATCH_")]:
        patch.delenv(variable)
    for variable, value in (SERVICES[name]["environment"] | (more or {})).items():
        text = REFERENCE.sub(lambda one: (dotenv or {}).get(one[1], one[3]), value)
        patch.setenv(variable, text.replace("/run/secrets", str(made)))
    return load_settings()


def make_secrets(folder: Path) -> Path:
    """What the script makes."""
    done = run(sys.executable, "-I", "-S", ROOT / "deploy" / "make_secrets.py", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_volumes_are_declared_and_used() -> None:
    used = {
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == yaml.safe_load(COMPOSE)["volumes"].keys()


def test_what_is_mounted_from_here_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                source, _, rest = volume.partition(":")
                assert (ROOT / source).is_file()
                assert rest.endswith(":ro")


# --- secrets ---------------------------------------------------------------------


def used_secrets(service: dict[str, Any]) -> dict[str, str]:
    """The secrets of a service, and where it sees them."""
    each = [{"source": one} if isinstance(one, str) else one for one in service.get("secrets", [])]
    return {one["source"]: one.get("target", f"/run/secrets/{one['source']}") for one in each}


def test_every_secret_is_a_file_that_the_script_makes(tmp_path: Path) -> None:
    declared = yaml.safe_load(COMPOSE)["secrets"]
    used = {name for one in SERVICES.values() for name in used_secrets(one)}
    assert used == declared.keys()
    made = make_secrets(tmp_path / "secrets")
    names = set()
    for one in declared.values():
        folder, _, name = one.pop("file").rpartition("/")
        assert (folder, one) == ("./deploy/secrets", {})
        names.add(name)
    assert {file.name for file in made.iterdir()} == names
    assert "/deploy/secrets/\n" in (ROOT / ".gitignore").read_text()


def test_secrets_are_long_and_each_is_another(tmp_path: Path) -> None:
    made = make_secrets(tmp_path / "a")
    assert made.stat().st_mode & 0o777 == 0o700
    texts = {file.name: file.read_text() for file in made.iterdir()}
    words = {name: set(re.findall(r"[0-9a-f]{64}", text)) for name, text in texts.items()}
    assert all(len(each) == 1 for each in words.values())
    # Of PostgreSQL, RabbitMQ, Redis and Flower.
    assert len(set().union(*words.values())) == 4
    for service, others in {
        "postgres_password": ["database_url"],
        "rabbitmq.conf": ["broker_url", "flower_broker_api"],
        "redis.conf": ["result_backend"],
    }.items():
        assert all(words[other] == words[service] for other in others)
    # Run again, it changes nothing, and mends what is missing.
    (made / "broker_url").unlink()
    make_secrets(made)
    assert {file.name: file.read_text() for file in made.iterdir()} == texts
    assert (make_secrets(tmp_path / "b") / "flower_users").read_text() != texts["flower_users"]


def test_each_service_is_told_what_it_needs_and_no_more() -> None:
    told = {name: set(used_secrets(one)) for name, one in SERVICES.items()}
    worker = {"database_url", "broker_url", "result_backend"}
    assert told == {
        "rabbitmq": {"rabbitmq_conf"},
        "redis": {"redis_conf"},
        "postgres": {"postgres_password"},
        "migrate": {"database_url"},
        "server": {"database_url", "broker_url"},
        "sweep": {"database_url", "broker_url"},
        "page": {"database_url"},
        "flower": {"broker_url", "result_backend", "flower_users", "flower_broker_api"},
        **dict.fromkeys(WORKERS, worker),
    }


@pytest.mark.parametrize("name", SERVICES)
def test_files_of_secrets_are_where_a_service_looks(name: str) -> None:
    service = SERVICES[name]
    there = set(used_secrets(service).values())
    text = " ".join(
        map(str, [*service.get("command", []), *service.get("environment", {}).values()])
    )
    looked = set(re.findall(r"/run/secrets/\w+", text))
    assert looked == {each for each in there if each.startswith("/run/secrets/")}


def test_no_secret_is_in_an_environment_or_an_argument() -> None:
    for name, service in interpolated()["services"].items():
        for variable, value in service.get("environment", {}).items():
            if SECRET_NAME.search(variable):
                assert value == NO_SECRET.get(variable), f"{name}: {variable}"
        words = [*service.get("command", []), *service["healthcheck"].get("test", [])]
        for word in [*words, *service.get("environment", {}).values()]:
            assert not re.search(r"//[^/@]*@|--requirepass|--basic-auth", str(word)), name
    assert "?" not in {(one[2] or "")[-1:] for one in REFERENCES}


def test_flower_is_never_open() -> None:
    flower = SERVICES["flower"]
    assert flower["environment"]["FLOWER_BASIC_AUTH_FILE"] == "/run/secrets/flower_users"
    assert flower["environment"]["FLOWER_PUBLISHED"] == "${FLOWER_LISTEN:-127.0.0.1}"
    assert "--conf=/etc/qdispatch/flowerconfig.py" in flower["command"]


def test_tokens_are_asked_for() -> None:
    for name in ("server", "page"):
        environment = SERVICES[name]["environment"]
        assert environment["QDISPATCH_AUTH__MODE"] == "token"
        assert not [each for each in environment if "ALLOW_" in each]
    assert SETTINGS["page"]["address"].startswith("127.0.0.1:")


def test_tls_is_one_more_file() -> None:
    assert TLS["services"].keys() == {name for name, one in SERVICES.items() if "ports" in one}
    for service in TLS["services"].values():
        assert set(service["environment"].values()) == set(used_secrets(service).values())
        # Lists are added to one another, and values by their names.
        assert service.keys() == {"environment", "secrets"}
    assert {one["file"] for one in TLS["secrets"].values()} == {
        "./deploy/secrets/tls.pem",
        "./deploy/secrets/tls.key",
    }


def test_every_variable_is_explained_and_empty() -> None:
    explained = dict(re.findall(r"^(\w+)=(.*)$", ENVIRONMENT, re.MULTILINE))
    assert explained.keys() == {one[1] or one[4] for one in REFERENCES}
    assert set(explained.values()) == {""}
    assert {one[2] for one in REFERENCES} == {":-"}


# --- what runs ---------------------------------------------------------------------


def test_every_target_has_a_worker() -> None:
    assert {f"worker-{target}" for target in SETTINGS["targets"]} == WORKERS.keys()
    for target in SETTINGS["targets"]:
        worker = WORKERS[f"worker-{target}"]
        expected = f"python -m tasks -Q {target} -n {target}@%h"
        assert " ".join(worker["command"]) == expected
        assert worker["healthcheck"]["test"][1].endswith(f"-d {target}@$$HOSTNAME")


def test_a_worker_has_memory_for_its_simulations() -> None:
    for target in SETTINGS["targets"].values():
        each = re.fullmatch(r"(\d+)GiB", target["memory_limit"])
        assert each is not None
        needed = target["concurrency"] * int(each[1]) + 1
        for worker in interpolated()["services"].items():
            if worker[0] in WORKERS:
                assert int(limits(worker[1])["memory"].removesuffix("g")) >= needed


def test_the_broker_waits_longer_than_any_job_may_run() -> None:
    text = (ROOT / "deploy" / "rabbitmq.conf").read_text()
    found = re.search(r"^consumer_timeout = (\d+)$", text, re.MULTILINE)
    assert found is not None
    longest_s = max(target["max_time_limit_s"] for target in SETTINGS["targets"].values())
    assert int(found[1]) / 1000 > 2 * longest_s


def commands() -> list[list[str]]:
    """Every command line of ours, in whichever file it stands."""
    found = [service["command"] for service in OURS.values()]
    for unit in UNITS:
        found += [
            line.split() for line in re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
        ]
    tail = re.search(r"^CMD \[(.*)\]$", DOCKERFILE, re.MULTILINE)
    assert tail is not None
    found.append([word.strip('" ') for word in tail[1].split(",")])
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_names_a_module_that_exists(command: list[str]) -> None:
    program, flag, module = command[0].rpartition("/")[2], command[1], command[2]
    assert (program, flag) in {("python", "-m"), ("celery", "-A")}
    path = ROOT.joinpath(*module.split("."))
    if program == "celery":
        assert (path / "celery.py").is_file()
    else:
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


def test_a_new_interpreter_finds_the_programs_of_the_image() -> None:
    programs = Path(sys.executable).parent
    for command in commands():
        assert (programs / command[0].rpartition("/")[2]).exists()


# --- Dockerfile --------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", uncommented(DOCKERFILE))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in lines]


def test_the_image_has_a_pinned_base() -> None:
    bases = [what.split()[0] for word, what in instructions() if word == "FROM"]
    assert bases == ["python:3.11-slim-bookworm"] * 2


def test_the_image_does_not_run_as_root() -> None:
    last = dict(instructions())
    assert last["USER"] == "10001:10001"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert {OURS[name]["user"] for name in OURS} == {last["USER"]}


def test_the_image_adds_nothing_unseen() -> None:
    words = {word for word, _ in instructions()}
    assert not {"ADD", "HEALTHCHECK", "VOLUME"} & words
    assert not SECRET_NAME.search(" ".join(what for word, what in instructions() if word == "ENV"))


def test_what_is_copied_is_in_the_build_context() -> None:
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = {
        source
        for word, what in instructions()
        if word == "COPY" and not what.startswith("--from")
        for source in what.split()[:-1]
    }
    assert copied == set(kept)


def test_dependencies_come_before_the_code() -> None:
    text = [f"{word} {what}" for word, what in instructions()]
    lock = next(i for i, line in enumerate(text) if "requirements.lock" in line)
    code = next(i for i, line in enumerate(text) if line.startswith("COPY app"))
    assert lock < code


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("no hadolint here")
    done = run(hadolint, ROOT / "Dockerfile")
    assert done.returncode == 0, done.stdout


# --- systemd -----------------------------------------------------------------------


class Unit(configparser.RawConfigParser):
    """A unit file; its keys may repeat and keep their case."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False)
        self.read(path)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_hardened(path: Path) -> None:
    service = Unit(path)["Service"]
    assert service["User"] == "qdispatch"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert service["LimitCORE"] == "0"
    assert service["UMask"] == "0077"
    closed = """AmbientCapabilities= ProtectHome=yes PrivateTmp=yes PrivateDevices=yes
        DevicePolicy=closed PrivateUsers=yes ProtectProc=invisible ProtectClock=yes
        ProtectHostname=yes ProtectKernelTunables=yes ProtectKernelModules=yes
        ProtectKernelLogs=yes ProtectControlGroups=yes RestrictNamespaces=yes
        RestrictRealtime=yes RestrictSUIDSGID=yes LockPersonality=yes RemoveIPC=yes
        KeyringMode=private SystemCallArchitectures=native StateDirectoryMode=0700"""
    for line in closed.split():
        name, _, value = line.partition("=")
        assert service[name] == value, name
    # The last of several is what is kept here.
    assert service["SystemCallFilter"] == "~@privileged"
    assert service["RestrictAddressFamilies"] == "AF_INET AF_INET6 AF_UNIX"


def test_engines_may_shut_themselves_in() -> None:
    text = (UNITS[0].parent / "qdispatch-worker@.service").read_text()
    allowed = " ".join(re.findall(r"^SystemCallFilter=([^~\n]+)$", text, re.MULTILINE)).split()
    assert {
        "@system-service",
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    } == set(allowed)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_take_secrets_as_files(path: Path) -> None:
    lines = path.read_text().splitlines()
    loaded = dict(
        re.fullmatch(r"LoadCredential=(\w+):/etc/qdispatch/credentials/(\w+)", line).groups()  # type: ignore[union-attr]
        for line in lines
        if line.startswith("LoadCredential=")
    )
    assert all(name == file for name, file in loaded.items())
    assert set(re.findall(r"_FILE=%d/(\w+)", path.read_text())) == loaded.keys()
    role = path.stem.removeprefix("qdispatch-")
    # As in Compose, but where the broker's HTTP API is there is nobody's business here.
    name = "worker-aer" if role == "worker@" else role
    expected = set(used_secrets(SERVICES[name])) - {"flower_broker_api"}
    assert loaded.keys() - {"programs_url"} == expected
    given = " ".join(line for line in lines if line.startswith("Environment="))
    assert not any(SECRET_NAME.search(each) for each in re.findall(r"([A-Z_]+)=", given))
    assert "EnvironmentFile=-/etc/qdispatch/environment" in lines


def test_every_role_has_a_unit() -> None:
    assert [path.stem.removeprefix("qdispatch-") for path in UNITS] == [
        "flower",
        "migrate",
        "page",
        "server",
        "sweep",
        "worker@",
    ]


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    for path in UNITS:
        # It asks whether the programs are there.
        text = re.sub(r"/opt/qdispatch/bin/\w+", "/bin/true", path.read_text())
        (tmp_path / path.name.replace("@", "@aer")).write_text(text)
    written = sorted(tmp_path.iterdir())
    paths = f"{tmp_path}:/lib/systemd/system"
    done = run(analyze, "verify", "--man=no", *written, SYSTEMD_UNIT_PATH=paths)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if str(tmp_path) in line], done.stderr
