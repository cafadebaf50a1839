"""What the client may be installed beside: packages that hold protobuf below 7."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

CLIENT = Path(__file__).resolve().parents[2] / "client"

# `make test-compat` has them; nothing of the service could be installed beside.
OTHERS = ("cirq_google", "qiskit_ibm_runtime", "braket")


def stamped() -> dict[str, tuple[int, ...]]:
    """The versions that the generated code was made for."""
    generated = CLIENT / "src/qdispatch/v1"
    protobuf = re.search(
        r"Protobuf Python Version: ([\d.]+)", (generated / "qdispatch_pb2.py").read_text()
    )
    grpc = re.search(
        r"GRPC_GENERATED_VERSION = '([\d.]+)'", (generated / "qdispatch_pb2_grpc.py").read_text()
    )
    assert protobuf
    assert grpc
    return {
        "protobuf": tuple(map(int, protobuf[1].split("."))),
        "grpcio": tuple(map(int, grpc[1].split("."))),
    }


def test_the_generated_code_runs_with_protobuf_6() -> None:
    assert stamped()["protobuf"] < (6, 31)


def test_the_client_asks_for_what_its_generated_code_needs_and_for_nothing_else() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]
    wanted = {}
    for requirement in project["dependencies"]:
        name, _, version = requirement.partition(">=")
        wanted[name] = tuple(map(int, version.split(".")))
    assert wanted == stamped()


# In a fresh environment, all that is imported is compiled first.
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    any(find_spec(name) is None for name in OTHERS), reason="a part of `make test-compat`"
)
def test_one_process_holds_all_of_them() -> None:
    code = (
        "import cirq_google, qiskit_ibm_runtime, braket.circuits\n"
        "import qdispatch.qiskit, qdispatch.cirq, qdispatch.pennylane, qdispatch.cli.app\n"
        "from qdispatch import Client\n"
        "from qdispatch.v1 import qdispatch_pb2 as pb\n"
        "Client('127.0.0.1:1').close()\n"
        "told = pb.Job(id='x').SerializeToString()\n"
        "print(pb.Job.FromString(told).id)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("x\n", 0), ran.stderr
