"""All that reads bytes of strangers, each as a function of bytes that may raise nothing.

What a reader is allowed to raise is caught here; whatever else it raises is a finding.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from qdispatch.errors import InvalidJobError, QDispatchError, RequestError
from qdispatch.model import JobSpec, PauliSum, PauliTerm, ProgramFormat, ResultType
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.fuzz.places import scratch
from tests.fuzz.programs import WORDS, programs

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_QUBITS: Final = 6
_SEPARATOR: Final = "\x1e"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that reads bytes."""

    read: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[str, ...] = ()
    most_bytes: int = 4_096
    slow_s: float = 5.0
    """How long one input may take."""


# -- programs


def _openqasm(data: bytes, program_format: ProgramFormat) -> None:
    from tasks.binding import Sweep
    from tasks.parse import parse
    from tasks.simulators import SimulationError

    text = data.decode(errors="replace")
    with suppress(SimulationError):
        circuit = parse(text, program_format, max_qubits=_QUBITS)
        if circuit.n_qubits > _QUBITS:
            raise AssertionError(f"{circuit.n_qubits} qubits were let through")
        names = circuit.parameters
        if names:
            points = [[0.5] * len(names), [-1e300] * len(names), [0.0] * len(names)]
            for bound in Sweep(circuit, names, points):
                for gate in bound.gates():
                    if not all(isinstance(each, float | int) for each in gate.params):
                        raise AssertionError(f"{gate} is not bound")


def _program_seeds(version: int) -> Sequence[bytes]:
    return [each.encode() for each in programs(version)]


@cache
def _simulators() -> tuple[Any, ...]:
    from tasks.pipe import Limits
    from tasks.simulate import Answers
    from tasks.simulators import load

    limits = Limits(
        threads=1,
        max_qubits=_QUBITS,
        memory_limit_bytes=2**28,
        max_result_bytes=2**20,
    )
    return tuple(Answers(load(name), limits) for name in ("aer", "cirq", "pennylane"))


def _engine(data: bytes) -> None:
    """A whole job, as an engine runs it; what it did not foresee is a finding.

    The first byte says what is asked for, and the rest is a program; what follows the
    last separator in it are options.
    """
    from app.settings import ServerSettings
    from app.validation import check_spec
    from qdispatch.codec import encode_spec
    from tasks.parse import parse
    from tasks.progress import Progress
    from tasks.simulators import SimulationError

    text, _, extra = data[1:].decode(errors="replace").partition(_SEPARATOR)
    old = "OPENQASM 2" in text
    program_format = ProgramFormat.OPENQASM2 if old else ProgramFormat.OPENQASM3
    with suppress(RequestError, SimulationError):
        circuit = parse(text, program_format, max_qubits=_QUBITS)
        if _may_be_endless(circuit.ops):
            return
        spec = _asked(circuit, data[0] if data else 0, extra)
        # No engine is given what the server refuses.
        spec = replace(spec, program=text, program_format=program_format)
        check_spec(spec, ServerSettings())
        message = encode_spec(spec).SerializeToString()
        for answers in _simulators():
            header, _ = answers.answer(message, Progress(lambda _: None))
            if header.get("kind") == "internal":
                raise AssertionError(header["message"])


def _may_be_endless(ops: Sequence[Any]) -> bool:
    # That is for the limit of a job's time.
    from tasks.circuit import Branch, Loop

    return any(
        isinstance(each, Loop)
        or (isinstance(each, Branch) and _may_be_endless((*each.then, *each.otherwise)))
        for each in ops
    )


def _asked(circuit: Any, number: int, extra: str) -> JobSpec:
    names = tuple(circuit.parameters)
    width = circuit.n_qubits
    observable = PauliSum(
        terms=(
            PauliTerm(paulis=("XYZI" * width)[:width], coefficient=0.5),
            PauliTerm(paulis="Z", qubits=(width - 1,), coefficient=-2.0),
        )
    )
    kind = list(ResultType)[number % len(ResultType)]
    observed = kind in {ResultType.EXPVAL, ResultType.VARIANCE}
    exact = kind in {ResultType.STATEVECTOR, ResultType.PROBABILITIES}
    return JobSpec(
        program="",
        program_format=ProgramFormat.OPENQASM3,
        framework="custom",
        n_qubits=width,
        depth=1,
        result_types=(kind,),
        shots=0 if exact or (number & 8 and kind is not ResultType.COUNTS) else 20,
        seed=number,
        observables=(observable,) if observed else (),
        extra=extra,
        parameters=names,
        parameter_values=((0.5,) * len(names), (-1e9,) * len(names)) if names else (),
    )


@cache
def _jobs() -> Sequence[bytes]:
    extras = (
        "",
        '{"method": "stabilizer"}',
        '{"method": "matrix_product_state", "max_bond": 4, "precision": "single"}',
        '{"method": "statevector", "precision": "double", "fusion": false}',
    )
    texts = [*programs(2), *programs(3)]
    return [
        bytes([number]) + f"{text}{_SEPARATOR}{extras[number % len(extras)]}".encode()
        for number, text in enumerate(texts[:256])
    ]


def _headers(data: bytes) -> None:
    from qdispatch.cli.programs import read_program

    with suppress(QDispatchError):
        read_program(data.decode(errors="replace"))


# -- messages


def _decoded(kind: type[Message], data: bytes) -> Any:
    try:
        message = kind()
        message.ParseFromString(data)
    except DecodeError:
        return None
    return message


def _spec(data: bytes) -> None:
    from app.settings import ServerSettings
    from app.validation import check_spec
    from qdispatch.codec import decode_spec, encode_spec

    message = _decoded(pb.JobSpec, data)
    if message is None:
        return
    with suppress(RequestError):
        spec = decode_spec(message)
        again = decode_spec(encode_spec(spec))
        if repr(again) != repr(spec):
            raise AssertionError(f"{again} came back of {spec}")
        check_spec(spec, ServerSettings())


def _told(data: bytes) -> None:
    from qdispatch import codec, watch_codec

    kinds: Mapping[Any, Callable[[Any], object]] = {
        pb.Job: codec.decode_job,
        pb.Target: codec.decode_target,
        pb.Cancellation: codec.decode_cancellation,
        pb.Quota: codec.decode_quota,
        pb.Batch: watch_codec.decode_batch,
        pb.WatchBatchResponse: watch_codec.decode_batch_update,
        pb.Outlook: watch_codec.decode_outlook,
        pb.ListJobsRequest: watch_codec.decode_filter,
    }
    for kind, decode in kinds.items():
        message = _decoded(kind, data)
        if message is not None:
            with suppress(InvalidJobError):
                decode(message)


def _results(data: bytes) -> None:
    from qdispatch.results_codec import decode_result, decode_whole_job, encode_result
    from qdispatch.watch_codec import decode_job_update

    for kind, decode in ((pb.Job, decode_whole_job), (pb.WatchJobResponse, decode_job_update)):
        message = _decoded(kind, data)
        if message is not None:
            with suppress(ValueError, InvalidJobError):
                decode(message)
    message = _decoded(pb.Result, data)
    if message is None:
        return
    with suppress(ValueError, InvalidJobError):
        result = decode_result(message)
        again = decode_result(encode_result(result))
        if repr(again) != repr(result):
            raise AssertionError(f"{again} came back of {result}")


@cache
def _messages() -> Sequence[bytes]:
    import random

    from tests.fuzz.known import Known
    from tests.fuzz.messages import Maker

    chance = random.Random(1)
    known = Known(chance)
    maker = Maker(chance, known)
    kinds = (pb.JobSpec, pb.Job, pb.WatchJobResponse, pb.WatchBatchResponse, pb.Result, pb.Target)
    made = [
        maker.make(kind.DESCRIPTOR, "ada").SerializeToString() for kind in kinds for _ in range(20)
    ]
    return [each for each in made if len(each) < 3_000]


# -- words


def _asking(data: bytes) -> None:
    from starlette.datastructures import QueryParams

    from page.asking import AskingError, asked, number

    parameters = QueryParams(data.decode("latin-1"))
    with suppress(AskingError):
        number(parameters, "before", 100)
    with suppress(AskingError):
        found = asked(parameters)
        again = asked(QueryParams(found.address("").removeprefix("?")))
        if again.wanted.statuses != found.wanted.statuses or again.before != found.before:
            raise AssertionError(f"{again} came back of {found}")


def _urls(data: bytes) -> None:
    from pydantic import ValidationError

    from app.log_lines import without_secrets
    from app.settings import Settings

    text = data.decode(errors="replace")
    url = f"amqp://me:canary-9{text}@db.example/jobs"
    try:
        Settings(
            database_url=text,
            broker_url=url,
            targets={"aer": {"simulator": "aer", "concurrency": 1, "threads": 1}},
        )
    except ValidationError as error:
        if "canary-9" in str([each["msg"] for each in error.errors()]):
            raise AssertionError("a refusal shows a password") from error
    else:
        # Unless something in it ends a password before its time.
        whole = text.isprintable() and not set(text) & set("@/?# ")
        if whole and "canary-9" in without_secrets(f"cannot reach {url}"):
            raise AssertionError("a log line shows a password")


def _tokens(data: bytes) -> None:
    from app.identity import is_owner
    from app.store_tokens import StoredToken
    from app.tokens import caller_of, token_id
    from qdispatch.errors import AuthenticationError
    from rpc.gate import KEY, bearer

    text = data.decode("latin-1")
    is_owner(text)
    token_id(text)
    row = StoredToken(
        id="AAAAAAAAAA",
        owner="ada",
        is_admin=False,
        salt=b"0" * 16,
        digest=b"0" * 32,
        created_at=_NOW,
        expires_at=None,
        revoked_at=None,
    )
    for shown in (text, f"Bearer {text}", f"Bearer qd_AAAAAAAAAA_{text}"):
        with suppress(AuthenticationError):
            caller_of(bearer([(KEY, shown)]), {row.id: row}, now=_NOW)
            raise AssertionError(f"{shown!r} was let in")


def _certificates(data: bytes) -> None:
    from qdispatch.errors import AuthenticationError
    from rpc.gate import _subject

    with suppress(AuthenticationError):
        _subject.__wrapped__(_pem(data))


def _pem(data: bytes) -> bytes:
    import base64

    # The wrapping is not what is to be broken.
    body = base64.encodebytes(data)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


@cache
def _certificate_seeds() -> Sequence[bytes]:
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    authority = trustme.CA()
    pems = [
        authority.cert_pem.bytes(),
        *(
            authority.issue_cert("db.example", common_name=name).cert_chain_pems[0].bytes()
            for name in ("ada", "a b", "x" * 60)
        ),
    ]
    loaded = [x509.load_pem_x509_certificate(each) for each in pems]
    return [each.public_bytes(Encoding.DER) for each in loaded]


# -- what passes between processes


def _answers(data: bytes) -> None:
    from multiprocessing import Pipe

    from tasks.engine import AnswerError, _read_answer

    ours, theirs = Pipe()
    header, _, payload = data.partition(b"\n\n")
    try:
        with theirs:
            theirs.send_bytes(header)
            theirs.send_bytes(payload)
        with suppress(EOFError, OSError, AnswerError):
            _read_answer(ours, "fingerprint")
    finally:
        ours.close()


_ANSWERS: Final = (
    b'{"progress": 3}',
    b'{"simulator_version": "x 1", "peak_memory_bytes": 5, "kind": "unsupported", "message": "no",'
    b' "parsing_s": 0.1}',
    b'{"simulator_version": "x 1", "peak_memory_bytes": 5, "shared": false, "method": "a",'
    b' "method_reason": "", "parsing_s": 0.1, "simulating_s": 0.2, "results": {"types": ["counts"],'
    b' "points": [0], "sizes": [2]}}\n\n\x08\x01',
    b'{"simulator_version": "x 1", "peak_memory_bytes": 5, "shared": true, "method": "a",'
    b' "method_reason": "", "parsing_s": 0.1, "simulating_s": 0.2, "results": {"types": [],'
    b' "points": [], "sizes": []}}',
)


@cache
def _channel() -> Any:
    from kombu import Connection

    from tasks.transport import SCHEME, register

    register()
    folder = tempfile.mkdtemp(prefix="fuzz-", dir=scratch())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    connection = Connection(f"{SCHEME}://", transport_options={"folder": folder})
    channel = connection.channel()
    channel.queue_declare("aer")
    return connection, channel, Path(folder)


def _message_files(data: bytes) -> None:
    _, channel, folder = _channel()
    (folder / "queues" / "aer" / "5-00000000000000000001-000001-fuzz").write_bytes(data)
    message = channel.basic_get("aer")
    if message is not None:
        channel.basic_ack(message.delivery_tag)
    if channel._size("aer"):
        raise AssertionError("a message is left")


def _message_seeds() -> Sequence[bytes]:
    message = {
        "body": "W1siMDFhIl0sIHt9LCB7fV0=",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "run", "id": "01a"},
        "properties": {
            "delivery_tag": "1",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "aer"},
            "priority": 0,
            "body_encoding": "base64",
            "correlation_id": "01a",
        },
    }
    return [json.dumps(message).encode()]


TARGETS: Final[Mapping[str, Target]] = {
    "openqasm2": Target(
        read=lambda data: _openqasm(data, ProgramFormat.OPENQASM2),
        seeds=lambda: _program_seeds(2),
        words=WORDS,
    ),
    "openqasm3": Target(
        read=lambda data: _openqasm(data, ProgramFormat.OPENQASM3),
        seeds=lambda: _program_seeds(3),
        words=WORDS,
        # As many operations as a program may have take a while to be told of each branch.
        slow_s=20.0,
    ),
    "engine": Target(read=_engine, seeds=_jobs, words=(*WORDS, '"method"'), slow_s=30.0),
    "headers": Target(
        read=_headers,
        seeds=lambda: [*_program_seeds(2), *_program_seeds(3)],
        words=WORDS,
    ),
    "spec": Target(read=_spec, seeds=_messages),
    "told": Target(read=_told, seeds=_messages),
    "results": Target(read=_results, seeds=_messages),
    "asking": Target(
        read=_asking,
        seeds=lambda: [
            b"status=finished&status=failed&target=aer&tag=x&after=2026-01-31T23:59&before=",
            b"batch=018f0000-0000-7000-8000-000000000000&until=2026-01-31T23%3A59%2B02:00&before=7",
        ],
        words=("status=", "&batch=", "&after=", "&until=", "&before=", "%00", "0001-01-01T00:00"),
    ),
    "urls": Target(
        read=_urls,
        seeds=lambda: [
            b"postgresql://me:word@db.example:5432/jobs?sslmode=require",
            b"sentinel://a:1;sentinel://b:2",
            b"amqps://me:%2F@mq.example//",
        ],
        words=("://", "@", ":", "[", "]", "%", ";", "\t"),
        most_bytes=300,
    ),
    "tokens": Target(
        read=_tokens,
        seeds=lambda: [b"qd_AAAAAAAAAA_" + b"a" * 43, b"Bearer x", b"a" * 43, b"ada@b.example"],
        words=("qd_", "Bearer ", "bearer"),
        most_bytes=200,
    ),
    "certificates": Target(read=_certificates, seeds=_certificate_seeds),
    "answers": Target(
        read=_answers,
        seeds=lambda: _ANSWERS,
        words=(
            '"progress"',
            '"results"',
            '"sizes"',
            "null",
            "-1",
            "1e999",
            "NaN",
            "[",
            "{",
            "true",
        ),
    ),
    "messages": Target(
        read=_message_files,
        seeds=_message_seeds,
        words=('"body"', '"properties"', '"delivery_tag"', "null", "{", "[", '"base64"'),
    ),
}
