"""Submissions by hostile strangers whose program is not what attacks.

Each is a `JobSpec` of the wire, and either what it is refused with, or how its job ends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any, Final

import grpc

from qdispatch.model import ErrorKind
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.hostile.programs import CANARY, Q2, Q3, THREE

REFUSED: Final = grpc.StatusCode.INVALID_ARGUMENT
TOO_LARGE: Final = grpc.StatusCode.RESOURCE_EXHAUSTED
NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND

EXPVAL: Final = pb.RESULT_TYPE_EXPVAL
COUNTS: Final = pb.RESULT_TYPE_COUNTS


@dataclass(frozen=True, kw_only=True)
class HostileSubmission:
    """A submission, and what must come of it."""

    name: str
    attacks: str
    """What it is after."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What is not as in a harmless job; or what makes it, of what is large."""
    more: tuple[bytes, int] = (b"", 0)
    """What its wire form ends with, and how often: it takes no memory before it is sent."""
    request_id: str = ""
    """Its own, or one of the test's."""
    code: grpc.StatusCode | None = None
    """What it is refused with; None if it becomes a job."""
    at: str = ""
    """The field that is at fault, if it is refused."""
    kind: ErrorKind | None = None
    """The error that its job ends with; None if it finishes."""
    says: str = ""
    """A regular expression that is in the refusal, or in the error's message."""

    @property
    def spec(self) -> pb.JobSpec:
        """Of the wire."""
        fields: dict[str, Any] = {
            "program": (Q2 + "h q[0];measure q->c;").encode(),
            "program_format": pb.PROGRAM_FORMAT_OPENQASM2,
            "framework": CANARY,
            "n_qubits": 1,
            "depth": 2,
            "result_types": [COUNTS],
            "shots": 10,
        }
        made = {k: each() if callable(each) else each for k, each in self.changes.items()}
        spec = pb.JobSpec(**(fields | made))
        piece, number = self.more
        spec.MergeFromString(piece * number)
        return spec


def _refused(
    attacks: str, at: str, *cases: tuple[str, dict[str, Any], str]
) -> list[HostileSubmission]:
    return [
        HostileSubmission(
            name=name, attacks=attacks, changes=changes, code=REFUSED, at=at, says=says
        )
        for name, changes, says in cases
    ]


def _asks(
    paulis: str = "X", qubits: tuple[int, ...] = (), coefficient: float = 1.0
) -> dict[str, Any]:
    term = pb.PauliTerm(paulis=paulis, qubits=qubits, coefficient=coefficient)
    return {"result_types": [EXPVAL], "shots": 0, "observables": [pb.PauliSum(terms=[term])]}


def _sweep(names: list[str], values: list[float], **changes: Any) -> dict[str, Any]:
    program = THREE + "input float t;\nqubit q;bit c;rx(t) q;c = measure q;"
    fields = {
        "program": program.encode(),
        "program_format": pb.PROGRAM_FORMAT_OPENQASM3,
        "parameters": names,
        "parameter_values": values,
    }
    return fields | changes


_EXTRA: Final = _refused(
    "what reads the extra",
    "spec.extra",
    ("a deep extra", {"extra": '{"a":' + "[" * 400_000 + "]" * 400_000 + "}"}, "recursion"),
    ("a deep extra of objects", {"extra": '{"a":' * 100_000 + "1" + "}" * 100_000}, "recursion"),
    ("a large extra", {"extra": json.dumps({"a": "x" * 1_000_000})}, "at most 1000000"),
    (
        "an extra with a huge integer",
        {"extra": '{"a": ' + "9" * 900_000 + "}"},
        "not a finite number",
    ),
    ("an extra beyond all numbers", {"extra": '{"a": 1e999}'}, "1e999 is not a finite"),
    ("an extra that is not a number", {"extra": '{"a": NaN}'}, "NaN is not a finite"),
    (
        "an extra with a key twice",
        {"extra": '{"method": "statevector", "method": "stabilizer"}'},
        "there twice",
    ),
    ("an extra with a NUL", {"extra": '{"a": "\x00"}'}, "character NUL"),
    ("an extra with a hidden NUL", {"extra": '{"a": 1}\x00'}, "character NUL"),
    ("an open extra", {"extra": '{"a": "'}, "Unterminated"),
    ("an extra of white space", {"extra": " " * 900_000}, "Expecting value"),
    ("an extra that is a list", {"extra": "[" + "1," * 100_000 + "1]"}, "must be a JSON object"),
)

_OPTIONS: Final = [
    HostileSubmission(
        name=f"a method that is {name}",
        attacks="options of simulators",
        changes={"extra": json.dumps({"method": value})},
        code=REFUSED,
        at="spec.extra.method",
    )
    for name, value in (
        ("a number", 1e308),
        ("a list", [["statevector"]]),
        ("an object", {"__class__": "os"}),
        ("long", "x" * 500_000),
        ("code", "__import__('os')"),
        ("nothing", None),
        ("true", True),
    )
]

_OBSERVABLES: Final = (
    _refused(
        "observables",
        "spec.observables[0].terms[0].paulis",
        ("letters of no Pauli matrix", _asks("Q" * 100_000), "no Pauli string"),
        ("letters of Unicode", _asks("\u0425"), "no Pauli string"),
        ("a long Pauli string", _asks("X" * 1_000_000), "1000000 letters for 1"),
    )
    + _refused(
        "observables",
        "spec.observables[0].terms[0].qubits",
        ("a qubit beyond all", _asks("X", (2**32 - 1,)), "from 0 to 0"),
        ("a qubit many times", _asks("X" * 1000, (0,) * 1000), "named twice"),
        ("more qubits than letters", _asks("X", tuple(range(1000))), "1000 qubits for 1"),
    )
    + _refused(
        "observables",
        "spec.observables[0].terms[0].coefficient",
        ("an infinite coefficient", _asks("X", (), inf), "finite"),
        ("a coefficient that is not a number", _asks("X", (), nan), "finite"),
    )
    + _refused(
        "observables",
        "spec.observables",
        ("more terms than anybody has", {
            "result_types": [EXPVAL], "shots": 0,
            "observables": [pb.PauliSum(terms=[pb.PauliTerm(paulis="X", coefficient=1.0)] * 100_001)],
        }, "at most 100000"),
        ("observables for nothing", {"observables": _asks()["observables"] * 1000}, "only used by expval"),
    )
    + _refused(
        "observables",
        "spec.observables[0]",
        ("an empty observable", {"result_types": [EXPVAL], "observables": [pb.PauliSum()]}, "has no terms"),
        ("coefficients whose sum is infinite", {
            "result_types": [EXPVAL], "shots": 0,
            "observables": [pb.PauliSum(terms=[pb.PauliTerm(paulis="Z", coefficient=1.7e308)] * 9)],
        }, "more than 1e"),
        ("a coefficient whose square is infinite", _asks("X", (), 1e200), "more than 1e"),
    )
)  # fmt: skip

_SWEEPS: Final = (
    _refused(
        "sweeps",
        "spec.parameters[0]",
        ("a parameter that is code", _sweep(["__import__('os')"], [1.0]), "no name of an input"),
        ("a parameter with a NUL", _sweep(["t\x00"], [1.0]), "no name of an input"),
        ("a long parameter", _sweep(["t" * 100_000], [1.0]), "at most 200"),
        ("a parameter with a line break", _sweep(["t\nx q;"], [1.0]), "no name of an input"),
    )
    + _refused(
        "sweeps",
        "spec.parameter_values",
        ("a value that is not a number", _sweep(["t"], [0.1, nan]), "point 1 .* not finite"),
        ("an infinite value", _sweep(["t"], [inf]), "point 0 .* not finite"),
        ("values whose sum is none", _sweep(["t"], [inf, -inf]), "point 0 .* not finite"),
        ("more points than are allowed", _sweep(["t"], [0.5] * 10_001), "at most 10000"),
        ("no point", _sweep(["t"], []), "at least one point"),
        ("half a point", _sweep(["t", "u"], [0.5] * 3), "3 values for 2"),
    )
    + _refused(
        "sweeps",
        "spec.parameters",
        ("a parameter twice", _sweep(["t", "t"], [0.5, 0.5]), "named twice"),
    )
    + [
        HostileSubmission(
            name=f"a sweep over {name}",
            attacks="sweeps",
            changes=_sweep(names, [0.5] * len(names)),
            kind=ErrorKind.PROGRAM_INVALID,
            says="input",
        )
        for name, names in (
            ("what is no input", ["__class__"]),
            ("thousands of inputs", [f"t{i}" for i in range(5000)]),
        )
    ]
    + [
        HostileSubmission(
            name="a sweep that divides by zero",
            attacks="sweeps",
            changes=_sweep(
                ["t"],
                [1.0, 0.0],
                program=(THREE + "input float t;qubit q;bit c;rx(1/t) q;c=measure q;").encode(),
            ),
            kind=ErrorKind.PROGRAM_INVALID,
            says="point 1",
        )
    ]
)

_FIELDS: Final = [
    *_refused(
        "the fields of a job",
        "spec.n_qubits",
        ("more qubits than any", {"n_qubits": 2**32 - 1}, "takes at most"),
        ("no qubits", {"n_qubits": 0}, "at least 1"),
    ),
    *_refused(
        "the fields of a job",
        "spec.shots",
        ("more shots than any", {"shots": 2**64 - 1}, "max_shots"),
        ("no shots", {"shots": 0}, "at least 1"),
    ),
    *_refused("the fields of a job", "spec.seed", ("a seed beyond all", {"seed": 2**64 - 1}, "9223372036854775807")),
    *_refused(
        "the fields of a job",
        "spec.time_limit_s",
        ("a time that is not a number", {"time_limit_s": nan}, "above 0"),
        ("an infinite time", {"time_limit_s": inf}, "above 0"),
        ("a negative time", {"time_limit_s": -1.0}, "above 0"),
    ),
    *_refused(
        "the fields of a job",
        "spec.result_types[1]",
        ("a result a thousand times", {"result_types": [COUNTS] * 1000}, "asked for twice"),
    ),
    *_refused("the fields of a job", "spec.tags[0]", ("a long tag", {"tags": ["x" * 100_000]}, "at most 200")),
    *_refused("the fields of a job", "spec.tags", ("many tags", {"tags": ["x"] * 100_000}, "at most 64")),
    *_refused(
        "the fields of a job", "spec.framework", ("a framework with a NUL", {"framework": "\x00"}, "character NUL")
    ),
    *_refused(
        "the fields of a job", "spec.priority", ("a priority beyond all", {"priority": 2**31 - 1}, "from -10 to 10")
    ),
    *_refused(
        "the fields of a job",
        "spec.program",
        ("broken UTF-8", {"program": b"OPENQASM 2.0;\xc3\x28" * 10}, "byte 13"),
        ("UTF-8 that is too long", {"program": b"OPENQASM 2.0;\xf0\x80\x80\xaf"}, "byte 13"),
        ("half a surrogate", {"program": b"OPENQASM 3.0;\xed\xa0\x80"}, "byte 13"),
        ("UTF-16", {"program": Q3.encode("utf-16")}, "byte 0"),
    ),
    HostileSubmission(
        name="a program that is too large",
        attacks="the fields of a job",
        changes={"program": b"//" + b"x" * 40_000_000},
        code=TOO_LARGE,
        at="spec.program",
        says="40000002 bytes, at most 8000000",
    ),
    HostileSubmission(
        name="a target that is a path",
        attacks="the fields of a job",
        changes={"target": "../../etc/passwd"},
        code=NOT_FOUND,
        at="spec.target",
        says="there are: aer, cirq, pennylane",
    ),
    HostileSubmission(
        name="a long request_id",
        attacks="the fields of a job",
        request_id="x" * 1_000_000,
        code=REFUSED,
        at="request_id",
        says="at most 200",
    ),
    HostileSubmission(
        name="a request_id with a NUL",
        attacks="the fields of a job",
        request_id="a\x00b",
        code=REFUSED,
        at="request_id",
        says="character NUL",
    ),
    HostileSubmission(
        name="words that write to terminals and logs",
        attacks="who reads what is shown",
        changes={
            "tags": [f"\x1b[2J{CANARY}\r\n2026-01-01 ERROR {CANARY}", "\u202e\u200b", "'; DROP TABLE job;--"],
            "framework": "\x1b]0;x\x07\n",
        },
        request_id="\n\r\x1b[2J",
    ),
    HostileSubmission(
        name="another width than the program's",
        attacks="estimates",
        changes={"n_qubits": 30},
        kind=ErrorKind.PROGRAM_INVALID,
        says="n_qubits",
    ),
    HostileSubmission(
        name="a state vector of 30 qubits",
        attacks="memory",
        changes={
            "program": Q3.replace("qubit[1]", "qubit[30]").encode() + b"h q;for int i in [0:28] {cp(0.1) q[i],q[i+1];}",
            "program_format": pb.PROGRAM_FORMAT_OPENQASM3,
            "n_qubits": 30,
            "shots": 0,
            "result_types": [pb.RESULT_TYPE_STATEVECTOR],
        },
        kind=ErrorKind.UNSUPPORTED,
        says="16.0 GiB",
    ),
    HostileSubmission(
        name="a run that takes hours",
        attacks="time",
        changes={
            "program": Q3.replace("qubit[1]", "qubit[20]").encode()
            + b"for int i in [0:9000] {h q;ry(0.1) q;} c[0] = measure q[0];",
            "program_format": pb.PROGRAM_FORMAT_OPENQASM3,
            "n_qubits": 20,
            "time_limit_s": 0.5,
        },
        kind=ErrorKind.TIME_LIMIT,
        says="time limit of 0.5 s",
    ),
]  # fmt: skip

# A term that acts on one qubit, many times.
_WIDE_TERM: Final = pb.JobSpec(
    observables=[pb.PauliSum(terms=[pb.PauliTerm(qubits=[1] * 2_500_000)])]
).SerializeToString()

#: Some bytes on the wire each, and a hundred and more as objects.
_COUNTS: Final = [
    HostileSubmission(name=f"millions of {name}", attacks="memory", more=more, code=REFUSED, at=at)
    for name, more, at in (
        ("empty tags", (b"\x72\x00", 3_000_000), "spec.tags"),
        ("result types", (b"\x40\x01", 3_000_000), "spec.result_types"),
        ("empty observables", (b"\x5a\x00", 1_000_000), "spec.observables"),
        ("empty terms", (b"\x5a\x14" + b"\x0a\x00" * 10, 200_000), "spec.observables"),
        ("empty parameters", (b"\x7a\x00", 3_000_000), "spec.parameters"),
        ("qubits of one term", (_WIDE_TERM, 1), ""),
        ("fields that nobody knows", (b"\xc0\x3e\x01", 2_100_000), ""),
    )
]

SUBMISSIONS: Final = (*_EXTRA, *_OPTIONS, *_OBSERVABLES, *_SWEEPS, *_FIELDS, *_COUNTS)
