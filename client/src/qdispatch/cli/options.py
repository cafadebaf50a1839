"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qdispatch.cli.exits import InputError
from qdispatch.cli.values import observable_of, parameters_of
from qdispatch.model import MAX_PRIORITY, ResultType

#: Longer than this a shell's completion must not keep its user waiting.
_COMPLETION_S = 1.0


def _address(context: typer.Context, value: str | None) -> str | None:
    # It may stand before the command as well.
    root: str | None = context.find_root().params.get("address")
    return value or root


def complete_target(incomplete: str) -> list[str]:
    """The names of the targets, if the server tells them at once."""
    from qdispatch.cli.config import Flags, find_connection
    from qdispatch.client import Client
    from qdispatch.errors import QDispatchError

    try:
        found = find_connection(Flags())
        with Client(found.address, timeout_s=_COMPLETION_S, **found.options) as client:
            names = [each.name for each in client.targets()]
    except QDispatchError:
        return []
    return [name for name in names if name.startswith(incomplete)]


Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Where the server is. Else QDISPATCH_ADDRESS, the configuration file, "
        "127.0.0.1:50051.",
        callback=_address,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write one JSON document to standard output, nothing else.")
]
Target = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Name of a target; the server picks one if not given.",
        autocompletion=complete_target,
    ),
]
Shots = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Samples to take; 0 is exact. Default: 1024 for counts, else 0."
    ),
]
Seed = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Makes what is sampled the same again.")
]
Results = Annotated[
    list[ResultType] | None,
    typer.Option(
        "--result",
        metavar="TYPE",
        help=f"What to return: {', '.join(ResultType)}; may be repeated.",
    ),
]
Observables = Annotated[
    list[str] | None,
    typer.Option(
        "--observable",
        metavar="PAULIS",
        help='For expval and variance: "XIZ" (highest qubit on the left), "Z0 Z3", '
        '"0.5 ZZ - 0.25 XI"; may be repeated.',
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="NAME=VALUES",
        help="A value, a,b,c or start:stop:count; pi is known. Several values make a sweep; "
        "may be repeated.",
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="WORD", help="A word to find the job by; may be repeated."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Wall time that a run may take."),
]
Extra = Annotated[
    str, typer.Option(metavar="JSON", help="Options of the simulator, as a JSON object.")
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", help="Run it, though an equal job was run before; and keep nothing of it."
    ),
]
Priority = Annotated[
    int,
    typer.Option(
        min=-MAX_PRIORITY,
        max=MAX_PRIORITY,
        metavar="N",
        help="Orders your own jobs on a target: higher first.",
    ),
]
QuotaWait = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="How long to wait for room in a quota; 300 if not given, 0 for not at all.",
    ),
]
Qubits = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Qubits of a .qasm file, if they cannot be counted at a look."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="How long to wait; as long as it takes if not given."
    ),
]


def wishes(
    *,
    target: str,
    shots: int | None,
    seed: int | None,
    results: list[ResultType] | None,
    observables: list[str] | None,
    parameters: list[str] | None,
    tags: list[str] | None,
    time_limit: float | None,
    extra: str,
    no_cache: bool,
    priority: int,
) -> dict[str, Any]:
    """The options of a submission, as `Client.submit` takes them.

    Raises:
        InputError: One cannot be read.
    """
    if time_limit is not None and not time_limit > 0:
        raise InputError("--time-limit must be more than 0 seconds")
    return {
        "target": target,
        "shots": shots,
        "seed": seed,
        "result_types": results or None,
        "observables": [observable_of(each) for each in observables] if observables else None,
        "parameters": parameters_of(parameters) if parameters else None,
        "tags": tuple(tags or ()),
        "time_limit_s": time_limit,
        "extra": extra,
        "cache": not no_cache,
        "priority": priority,
    }
