"""The files of a deployment hold together, as far as that shows without a Docker engine."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema

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
SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|AUTH|COOKIE")


def uncommented(text: str) -> str:
    return "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#"))


REFERENCES = list(REFERENCE.finditer(uncommented(COMPOSE)))
REQUIRED = {one[1] for one in REFERENCES if one[2] == ":?"}


def interpolated() -> Any:
    """The file as Compose sees it, with `x` for what the environment must give."""

    def value(one: re.Match[str]) -> str:
        return one[3] if one[2] == ":-" else "x"

    return yaml.safe_load(REFERENCE.sub(value, uncommented(COMPOSE)))


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
    file = ROOT / "compose.yaml"
    given = dict.fromkeys(REQUIRED, "x")
    done = run(docker, "compose", "--file", file, "config", "--quiet", **given)
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


def test_the_network_of_the_broker_leads_nowhere() -> None:
    networks = yaml.safe_load(COMPOSE)["networks"]
    assert networks["backend"] == {"internal": True}
    for name in ("rabbitmq", "redis", "postgres", *WORKERS):
        assert SERVICES[name]["networks"] == ["backend"]


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


def test_a_secret_is_required_and_has_no_default() -> None:
    secrets = [one for one in REFERENCES if SECRET_NAME.search(one[1] or one[4])]
    assert secrets
    for one in secrets:
        assert one[2] == ":?", one[0]


def test_no_password_is_written_down() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            given = REFERENCE.sub("", str(value))
            if SECRET_NAME.search(variable):
                assert given == "", f"{name}: {variable}"
            for user in re.findall(r"//([^/@]*)@", given):
                assert user in {":", "qdispatch:", "qdispatch"}, f"{name}: {variable}"


def test_flower_is_never_open() -> None:
    assert SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"].startswith(
        "${FLOWER_BASIC_AUTH:?"
    )


def test_the_page_is_there_only_when_asked_for() -> None:
    assert {name for name, one in SERVICES.items() if "profiles" in one} == {"page"}
    assert SETTINGS["page"]["address"].startswith("127.0.0.1:")


def test_every_variable_is_explained_and_empty() -> None:
    explained = dict(re.findall(r"^(\w+)=(.*)$", ENVIRONMENT, re.MULTILINE))
    assert explained.keys() == {one[1] or one[4] for one in REFERENCES}
    assert set(explained.values()) == {""}
    required, _, optional = ENVIRONMENT.partition("# --- Optional")
    assert {name for name in explained if f"\n{name}=" in required} == REQUIRED
    for one in REFERENCES:
        assert (one[2] == ":-") == (f"\n{one[1]}=" in optional), one[0]


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
    assert service["EnvironmentFile"] == "/etc/qdispatch/environment"


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
