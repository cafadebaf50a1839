"""Fuzzes what reads bytes, by atheris: each target in a process of its own.

python -m tests.fuzz.parsers TARGET CORPUS FINDINGS SECONDS
"""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

# Their branches guide the fuzzer. Nothing of them may be loaded before it looks on.
_INSTRUMENTED: Final = ("app", "page", "qdispatch", "rpc", "tasks", "openqasm3")

# What one input may take before its process is ended, in seconds and in MiB.
_HANG_S: Final = 60
_MOST_MIB: Final = 3_000
_STACK: Final = 6


def run_targets(name: str, seconds: int, findings: Path) -> int:
    """Runs one target, or all of them one after the other; returns the exit code."""
    from tests.fuzz.targets import TARGETS

    names = list(TARGETS) if name == "all" else [name]
    if unknown := set(names) - TARGETS.keys():
        sys.stderr.write(f"there is no target {unknown.pop()}; there are {', '.join(TARGETS)}\n")
        return 2
    worst = 0
    for each in names:
        with tempfile.TemporaryDirectory(prefix="corpus-") as corpus:
            arguments = [each, corpus, str(findings / each), str(seconds)]
            command = [sys.executable, "-m", "tests.fuzz.parsers", *arguments]
            worst = subprocess.run(command, check=False).returncode or worst
    return worst


def place_of(error: BaseException) -> str:
    """Names a finding: the exception, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-_STACK:]
    where = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
    return f"{type(error).__name__} at {where}"


class Watched:
    """A target that keeps what it finds, and goes on.

    Args:
        target: It.
        findings: Where inputs are kept.
    """

    def __init__(self, target: Target, findings: Path) -> None:
        self._target = target
        self._findings = findings
        self.kinds: Counter[str] = Counter()
        self.count = 0
        self.slowest_s = 0.0

    def __call__(self, data: bytes) -> None:
        self.count += 1
        began = monotonic()
        try:
            self._target.read(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of native code is one, too
            self._keep(place_of(error), data, traceback.format_exc())
        took_s = monotonic() - began
        self.slowest_s = max(self.slowest_s, took_s)
        if took_s > self._target.slow_s:
            self._keep("slow", data, f"took {took_s:.1f} s")

    def _keep(self, kind: str, data: bytes, text: str) -> None:
        self.kinds[kind] += 1
        if self.kinds[kind] > 1:
            return
        self._findings.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(kind.encode()).hexdigest()[:12]
        (self._findings / name).write_bytes(data)
        (self._findings / f"{name}.txt").write_text(text)
        sys.stderr.write(f"finding {name}: {kind}\n")

    def said(self) -> str:
        """The numbers, for a person."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = "".join(f"\n  {number} x {kind}" for kind, number in self.kinds.most_common())
        return (
            f"{self.count} inputs, the slowest took {self.slowest_s:.1f} s, peak {peak:.0f} MiB,"
            f" {len(self.kinds)} findings{found}"
        )


def _fuzz(name: str, corpus: Path, findings: Path, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=list(_INSTRUMENTED), enable_loader_override=False):
        from tests.fuzz.targets import TARGETS

        target = TARGETS[name]
        watched = Watched(target, findings)
        for seed in target.seeds():
            (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
            # What is imported at the first use is imported now.
            watched(seed)
    began = monotonic()
    findings.mkdir(parents=True, exist_ok=True)

    def one(data: bytes) -> None:
        watched(data)
        if monotonic() - began > seconds:
            _leave(name, watched, monotonic() - began)

    options = [
        f"-max_len={target.most_bytes}",
        f"-timeout={_HANG_S}",
        f"-rss_limit_mb={_MOST_MIB}",
        f"-artifact_prefix={findings}/",
        "-print_final_stats=0",
        "-verbosity=0",
    ]
    if target.words:
        dictionary = corpus.with_suffix(".dict")
        dictionary.write_text("".join(f'"{_escaped(each)}"\n' for each in target.words))
        options.append(f"-dict={dictionary}")
    options.append(str(corpus))
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()
    return 0


def _leave(name: str, watched: Watched, took_s: float) -> None:
    import os

    sys.stdout.write(f"{name}: {took_s:.0f} s, {watched.said()}\n")
    sys.stdout.flush()
    # The fuzzer has no way to be told that it is enough.
    os._exit(1 if watched.kinds else 0)


def _escaped(word: str) -> str:
    return "".join(
        each if 32 <= byte < 127 and each not in '"\\' else f"\\x{byte:02X}"
        for byte in word.encode()
        for each in (chr(byte),)
    )


if __name__ == "__main__":
    _name, _corpus, _found, _seconds = sys.argv[1:]
    raise SystemExit(_fuzz(_name, Path(_corpus), Path(_found), int(_seconds)))
