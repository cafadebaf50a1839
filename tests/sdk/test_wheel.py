"""The client's wheel, by itself, in an environment that holds nothing else."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

from tests.sdk.pages import PROJECT, blocks, without_ids

pytestmark = pytest.mark.slow

CLIENT = PROJECT / "client"
METADATA = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]


def uv(*words: object) -> None:
    here = Path(sys.executable).parent
    found = shutil.which("uv", path=f"{here}{os.pathsep}{os.environ['PATH']}")
    assert found, "no uv; `make install` brings it"
    done = subprocess.run(
        [found, *map(str, words)], capture_output=True, text=True, check=False, cwd=CLIENT
    )
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A fresh environment."""

    folder: Path
    wheel: Path

    def install(self, extra: str = "") -> None:
        """Installs the wheel, with an extra."""
        what = f"{self.wheel}[{extra}]" if extra else self.wheel
        uv("pip", "install", "--python", self.folder / "bin/python", what)

    def run(self, program: str, *words: str, address: str = "") -> subprocess.CompletedProcess[str]:
        """Runs one of its programs; nothing of the project is to be found by its imports."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        return subprocess.run(
            [str(self.folder / "bin" / program), *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=environment | {"QDISPATCH_ADDRESS": address},
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, just built."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--quiet", "--wheel", "--out-dir", folder, CLIENT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """An environment with the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    uv("venv", "--quiet", "--python", sys.executable, folder)
    environment = Environment(folder=folder, wheel=wheel)
    environment.install()
    return environment


def text_in(wheel: Path, ending: str) -> str:
    """The text of the file of a wheel whose name ends like this."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(ending))
        return archive.read(name).decode()


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = CLIENT / "src"
    kept = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert names == kept
    assert "qdispatch/py.typed" in names


def test_the_wheel_tells_of_the_command_and_of_the_device(wheel: Path) -> None:
    entries = configparser.ConfigParser()
    entries.read_string(text_in(wheel, "entry_points.txt"))
    assert {name: dict(entries[name]) for name in entries.sections()} == {
        "console_scripts": {"qdispatch": "qdispatch.cli:main"},
        "pennylane.plugins": {"qdispatch": "qdispatch.pennylane:QDispatchDevice"},
    }


def test_the_wheel_tells_of_its_extras(wheel: Path) -> None:
    metadata = Parser().parsestr(text_in(wheel, "METADATA"))
    assert metadata.get_all("Provides-Extra") == sorted(METADATA["optional-dependencies"])
    assert "```python" in metadata.get_payload()


def test_nothing_but_what_it_asks_for_comes_with_it(environment: Environment) -> None:
    done = environment.run(
        "python",
        "-c",
        "from importlib.metadata import distributions\n"
        "print(sorted(each.name for each in distributions()))",
    )
    assert done.stdout.strip() == str(["grpcio", "protobuf", "qdispatch", "typing_extensions"])


def test_without_its_extra_the_command_says_what_to_install(environment: Environment) -> None:
    done = environment.run("qdispatch", "targets")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'qdispatch[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sdk", ["qiskit", "cirq", "pennylane"])
def test_without_its_sdk_an_interface_says_what_to_install(
    environment: Environment, sdk: str
) -> None:
    done = environment.run("python", "-c", f"import qdispatch.{sdk}")
    assert done.returncode == 1
    assert f"pip install 'qdispatch[{sdk}]'" in done.stderr.splitlines()[-1]


def test_alone_it_runs_the_programs_of_the_readme(environment: Environment, address: str) -> None:
    (block,) = (each for each in blocks("README.md") if "CustomCircuit" in each.code)
    done = environment.run("python", "-W", "error", "-c", block.code, address=address)
    assert done.returncode == 0, done.stderr
    assert without_ids(done.stdout) == without_ids(block.output)


# Last: from here on the environment has Qiskit.
def test_with_an_extra_it_runs_the_first_example_of_its_own_readme(
    environment: Environment, address: str
) -> None:
    environment.install("qiskit")
    block = blocks("client/README.md")[0]
    assert block.output
    code = block.code.replace("localhost:50051", address)
    done = environment.run("python", "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == block.output
