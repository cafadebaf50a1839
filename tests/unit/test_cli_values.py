"""What the command line makes of text: parameters, observables, moments, programs."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qdispatch.cli.config import Flags, config_file, find_connection
from qdispatch.cli.exits import InputError
from qdispatch.cli.programs import read_program
from qdispatch.cli.values import moment_of, observable_of, parameters_of
from qdispatch.display.words import observable
from qdispatch.model import PauliTerm, ProgramFormat

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("theta=0.5", 0.5),
        ("theta=-2e-3", -0.002),
        ("theta=pi", math.pi),
        ("theta=-2pi/3", -2 * math.pi / 3),
        ("theta=0.5*pi", math.pi / 2),
        ("theta=1,2,pi/4", [1, 2, math.pi / 4]),
        ("theta=0:1:5", [0, 0.25, 0.5, 0.75, 1]),
        ("theta=pi:-pi:3", [math.pi, 0, -math.pi]),
    ],
)
def test_values_of_a_parameter(option: str, value: object) -> None:
    assert parameters_of([option])["theta"] == pytest.approx(value, abs=1e-15)


def test_both_ends_of_a_range_are_exact() -> None:
    values = parameters_of(["t=0.1:0.7:13"])["t"]
    assert isinstance(values, list)
    assert (values[0], values[-1], len(values)) == (0.1, 0.7, 13)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["theta"], "NAME=VALUES"),
        (["=1"], "NAME=VALUES"),
        (["t=1", "t=2"], "twice"),
        (["t="], "not a number"),
        (["t=1,,2"], "not a number"),
        (["t=nan"], "not a number"),
        (["t=1e999"], "not finite"),
        (["t=1/0"], "not finite"),
        (["t=0:1"], "start:stop:count"),
        (["t=0:1:2.5"], "start:stop:count"),
        (["t=0:1:1"], "count"),
        (["t=0:1:99999999"], "count"),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else "",
)
def test_parameters_that_are_none(options: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parameters_of(options)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("XIZ", [PauliTerm(paulis="XIZ")]),
        ("-ZZ", [PauliTerm(paulis="ZZ", coefficient=-1)]),
        (
            "0.5 ZZ - 0.25*XI",
            [PauliTerm(paulis="ZZ", coefficient=0.5), PauliTerm(paulis="XI", coefficient=-0.25)],
        ),
        ("Z0 Z13", [PauliTerm(paulis="ZZ", qubits=(0, 13))]),
        (
            "2e-1*X2*Y0+Z1",
            [
                PauliTerm(paulis="XY", qubits=(2, 0), coefficient=0.2),
                PauliTerm(paulis="Z", qubits=(1,)),
            ],
        ),
    ],
)
def test_observables(text: str, terms: list[PauliTerm]) -> None:
    assert list(observable_of(text).terms) == terms


@pytest.mark.parametrize("text", ["", "XA", "0.5", "X Z", "Z0 + ", "x"])
def test_observables_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--observable"):
        observable_of(text)


@pytest.mark.parametrize("text", ["XIZ", "-ZZ", "0.5 ZZ - 0.25 XI", "Z0 Z13", "0.2 Y0 X2 + Z1"])
def test_an_observable_is_shown_as_it_is_written(text: str) -> None:
    assert observable(observable_of(text)) == text


def test_moments() -> None:
    assert moment_of("--since", "90s", NOW) == NOW - timedelta(seconds=90)
    assert moment_of("--since", "2h", NOW) == NOW - timedelta(hours=2)
    assert moment_of("--since", "2026-05-01T14:30+02:00", NOW) == datetime(
        2026, 5, 1, 12, 30, tzinfo=UTC
    )
    assert moment_of("--since", "2026-05-01", NOW) == datetime(2026, 5, 1).astimezone()
    for text in ("yesterday", "2 months", "99999999999w", "2026-13-01"):
        with pytest.raises(InputError, match="--since"):
            moment_of("--since", text, NOW)


@pytest.mark.parametrize(
    ("text", "n_qubits", "depth"),
    [
        ('OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1];', 2, 2),
        ("OPENQASM 2.0; qreg a[2]; qreg b[3]; barrier a; U(0,(pi),0) a; CX a, b[0];", 5, 3),
        ("// one\n/* qubit[9] z; */ OPENQASM 3; qubit[3] q; bit[3] c; c = measure q;", 3, 1),
        ("OPENQASM 3.0; qubit a; qubit b; U(0, sin(1.0 + (2)), 0) a; reset b;", 2, 1),
        ("OPENQASM 3.0; const int[32] n = 4; qubit[n] q; x q[0]; x q[1];", 4, 1),
        ("OPENQASM 3.0; U(0,0,0) $0; U(0,0,0) $4;", 5, 1),
        ("OPENQASM 2.0; qreg q[1]; gate g a { U(0,0,0) a; U(0,0,0) a; } g q[0]; g q[0];", 1, 2),
        ("OPENQASM 3.0; qubit q; for int i in [0:3] { U(0,0,0) q; }", 1, 0),
    ],
    ids=["bell", "registers", "comments", "single", "constant", "physical", "gate", "loop"],
)
def test_programs_are_looked_at(text: str, n_qubits: int, depth: int) -> None:
    circuit = read_program(text)
    assert (circuit.n_qubits, circuit.depth, circuit.program) == (n_qubits, depth, text)
    wanted = ProgramFormat.OPENQASM2 if "OPENQASM 2" in text else ProgramFormat.OPENQASM3
    assert circuit.program_format is wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with"),
        ("qreg q[2];", "does not begin with"),
        ("OPENQASM 4.0; qubit q;", "does not begin with"),
        ("OPENQASM 3.0; bit c;", "no qubits"),
        ("OPENQASM 3.0; qubit[2 * 3] q;", "size of q"),
    ],
    ids=["empty", "no header", "version", "no qubits", "computed size"],
)
def test_programs_that_cannot_be_told(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_program(text)


def test_qubits_that_the_user_tells() -> None:
    assert read_program("OPENQASM 3.0; qubit[2 * 3] q;", n_qubits=6).n_qubits == 6


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> dict[str, str]:
    """An environment with a configuration file."""
    environment = {"XDG_CONFIG_HOME": str(folder)}
    file = config_file(environment)
    assert file == folder / "qdispatch" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)
    return environment


def test_where_the_server_is(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_connection(Flags(), environment).address == "127.0.0.1:50051"
    written(tmp_path, 'address = "file:1"', mode=0o644)
    assert find_connection(Flags(), environment).address == "file:1"
    environment["QDISPATCH_ADDRESS"] = "variable:1"
    assert find_connection(Flags(), environment).address == "variable:1"
    assert find_connection(Flags(address="flag:1"), environment).address == "flag:1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("address =", "not TOML"),
        ("address = 5", "must be a text"),
        ("tls = 1", "tls must be true or false"),
        ('addres = "x:1"', "'addres' is not known"),
        ('token = "a"\ntoken_file = "b"', "a token and a token_file"),
        (b"\xff", "not TOML"),
    ],
    ids=["syntax", "type", "switch", "name", "twice", "bytes"],
)
def test_a_configuration_that_is_wrong(tmp_path: Path, text: str | bytes, said: str) -> None:
    environment = written(tmp_path, text)
    with pytest.raises(InputError, match=said):
        find_connection(Flags(), environment)


def test_credentials_of_the_configuration(tmp_path: Path) -> None:
    text = 'address = "file:1"\ntoken_file = "token"\ntls = true\nca_file = "/there/ca.pem"\n'
    environment = written(tmp_path, text)
    (tmp_path / "qdispatch" / "token").write_text("qd_file\n")
    found = find_connection(Flags(), environment)
    assert found.options == {
        "token": "qd_file",
        "tls": True,
        "ca_file": Path("/there/ca.pem"),
        "cert_file": None,
        "key_file": None,
    }
    assert "qd_file" not in repr(found)
    # The client asks the environment itself.
    environment |= {"QDISPATCH_TOKEN": "qd_variable", "QDISPATCH_CA_FILE": "x"}
    options = find_connection(Flags(tls=False), environment).options
    assert (options["token"], options["tls"], options["ca_file"]) == (None, False, None)
    (tmp_path / "other").write_text("qd_flag")
    flags = Flags(token_file=str(tmp_path / "other"), ca_file="mine.pem")
    options = find_connection(flags, environment).options
    assert (options["token"], options["ca_file"]) == ("qd_flag", "mine.pem")


def test_the_credentials_of_a_file_are_for_its_own_server(tmp_path: Path) -> None:
    environment = written(tmp_path, 'address = "file:1"\ntoken = "qd_file"')
    assert find_connection(Flags(address="file:1"), environment).options["token"] == "qd_file"
    found = find_connection(Flags(address="other:1"), environment)
    assert found.options["token"] is None
    assert found.left_out == str(config_file(environment))


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    environment = written(tmp_path, 'token = "qd_secret"', mode)
    with pytest.raises(InputError, match=r"chmod 600 .*token_file") as caught:
        find_connection(Flags(), environment)
    assert "qd_secret" not in str(caught.value)
    config_file(environment).chmod(0o600)
    assert find_connection(Flags(), environment).options["token"] == "qd_secret"


def test_a_relative_folder_of_configurations_is_ignored() -> None:
    assert config_file({"XDG_CONFIG_HOME": "here"}) == Path.home() / ".config/qdispatch/config.toml"


def test_parameters_of_a_program() -> None:
    text = "OPENQASM 3.0; input float[64] theta; input float phi; qubit q; U(theta, phi, 0) q;"
    assert read_program(text).parameters == ("theta", "phi")
