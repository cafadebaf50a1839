"""Rows 17 and 18: what tokens and TLS cost, and what one owner's jobs cost another.

For row 17, two servers of one installation take turns trip by trip: one lets everybody in, in
plain text; the other asks for a token, and encrypts. Database, broker and workers
are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import trustme

from benchmarks.installation import Installation
from benchmarks.large import brickwork
from benchmarks.lines import Line, at_most
from benchmarks.measure import ratio
from benchmarks.plan import Plan
from benchmarks.programs import SHOTS, custom
from benchmarks.round_trip import our_trip, trips
from benchmarks.table import seconds
from qdispatch import Client, CustomCircuit, JobStatus
from qdispatch.model import CancelVerdict
from tests.services.process import free_port
from tests.waiting import wait_until

_SERVER = "guarded server"
_READY_S = 60.0
_TIMEOUT_S: Final = 300.0
#: How many jobs one owner has queued, and of how many qubits, when another comes.
QUEUED: Final = 5000
_BATCH: Final = 1000
#: Of 4 ms, 60 ms and half a second, or thereabouts.
_QUBITS: Final = (4, 16, 19)

#: Makes clients of owners by their names.
Clients = Callable[[str], Client]


def against_open_server(plan: Plan) -> Iterator[Line]:
    """Row 17: a token and TLS, against neither."""
    stack = plan.shop.full_stack()
    with _guarded_server(stack, plan.shop.folder("papers")) as client_of, ExitStack() as ends:
        sides = {
            "plain": our_trip(ends.enter_context(Client(stack.address))),
            "guarded": our_trip(ends.enter_context(client_of("benchmark"))),
        }
        blocks = trips(sides, plan.runs, plan.choose(40, 200))
    plain_s, guarded_s = ([median(each) for each in blocks[name]] for name in sides)
    yield Line(
        row=17,
        what="round trip, token and TLS",
        baseline="neither",
        ratio=ratio(guarded_s, plain_s),
        goal=at_most(1.15),
        absolute=f"with both {seconds(median(guarded_s))}, with neither"
        f" {seconds(median(plain_s))}; {plan.runs} blocks of {len(blocks['plain'][0])} trips",
    )


def one_behind_many(plan: Plan) -> Iterator[Line]:
    """Row 18: how long a job waits while another owner has 5,000 queued, in lengths of the job."""
    stack = plan.shop.full_stack()
    with _guarded_server(stack, plan.shop.folder("owners")) as client_of, ExitStack() as ends:
        heavy, light = (ends.enter_context(client_of(owner)) for owner in ("heavy", "light"))
        for n_qubits in _QUBITS:
            circuit = custom(brickwork(n_qubits), n_qubits)
            batches = [
                heavy.submit_batch([circuit] * _BATCH, target="aer", shots=SHOTS, cache=False)
                for _ in range(QUEUED // _BATCH)
            ]
            if not wait_until(partial(_begun, heavy, batches[0].job_ids[0]), _TIMEOUT_S):
                raise TimeoutError("the other owner's jobs do not begin")
            waited, took = zip(*(_wait(light, circuit) for _ in range(plan.runs)), strict=True)
            ended = [each.verdict for batch in batches for each in batch.cancel()]
            if CancelVerdict.REMOVED_FROM_QUEUE not in ended:
                raise ValueError("the other owner's jobs ended too soon to keep anybody waiting")
            yield Line(
                row=18,
                what=f"a job's wait, another's {QUEUED:,} queued, {n_qubits} qubits",
                baseline="what it takes",
                ratio=ratio(waited, took),
                # A slot ends the job that it is at; of short ones, those of 0.1 s.
                goal=at_most(2.0) if median(took) > 0.05 else None,
                absolute=f"it waits {seconds(median(waited))}, and takes {seconds(median(took))}",
            )


def _begun(client: Client, job_id: str) -> bool:
    return client.job(job_id).status() is not JobStatus.PENDING


def _wait(client: Client, circuit: CustomCircuit) -> tuple[float, float]:
    """How long one job waits for its turn, and how long it then takes, in seconds."""
    job = client.submit(circuit, target="aer", shots=SHOTS, cache=False)
    job.result(_TIMEOUT_S)
    created, begun, ended = (
        moment.timestamp()
        for moment in (job.info.created_at, job.info.started_at, job.info.finish_time)
        if moment is not None
    )
    return begun - created, ended - begun


@contextmanager
def _guarded_server(installation: Installation, folder: Path) -> Iterator[Clients]:
    """A second server, which demands tokens and encrypts; makes its clients."""
    stack = installation.stack
    folder.mkdir()
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(folder / "tls.key")
    made.cert_chain_pems[0].write_to_path(folder / "tls.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    address = f"127.0.0.1:{free_port()}"
    stack.environments[_SERVER] = {
        "QDISPATCH_SERVER__ADDRESS": address,
        "QDISPATCH_AUTH__MODE": "token",
        "QDISPATCH_TLS__CERTIFICATE": str(folder / "tls.pem"),
        "QDISPATCH_TLS__KEY": str(folder / "tls.key"),
    }
    stack.launch(_SERVER, "rpc")

    def client_of(owner: str) -> Client:
        # The token is all that the command has for its standard output; it comes last.
        created = stack.run("app", "token", "create", "--owner", owner, "--expires", "1d")
        token = next(word for word in created.split() if word.startswith("qd_"))
        client = Client(address, token=token, ca_file=folder / "ca.pem", timeout_s=5)
        if not wait_until(client.is_serving, _READY_S):
            raise TimeoutError(f"the guarded server does not serve:\n{stack.log(_SERVER)}")
        return client

    try:
        yield client_of
    finally:
        stack.stop_part(_SERVER)
