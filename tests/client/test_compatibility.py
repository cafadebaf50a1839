"""What the client may be installed beside: packages that hold protobuf below 7."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[2] / "client"


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
