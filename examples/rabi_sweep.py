"""Rabi oscillations of a driven qubit: 200 pulse lengths, one job, one picture.

Against a running service, whose address is in QDISPATCH_ADDRESS:

    python examples/rabi_sweep.py [--plot FILE]

Without a file the picture is shown in a window, if there is a screen.
"""

from __future__ import annotations

import argparse
import math
import sys

import cirq
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import sympy

from qdispatch.cirq import Sampler

POINTS, SHOTS = 200, 1_000
DRIVE, DETUNING = 2 * math.pi * 1.0, 2 * math.pi * 0.4  # rad / us
LONGEST_US = 3.0

#: Of the Bloch sphere's axis that the qubit turns about, and how fast it turns.
TILT, SPEED = math.atan2(DETUNING, DRIVE), math.hypot(DRIVE, DETUNING)

Floats = npt.NDArray[np.float64]


def pulse() -> cirq.Circuit:
    """A pulse of length t, in microseconds, in the frame that turns with the drive.

    exp(-i t (DRIVE X + DETUNING Z) / 2) is a turn about a tilted axis.
    """
    qubit = cirq.LineQubit(0)
    t = sympy.Symbol("t")
    return cirq.Circuit(
        cirq.ry(TILT)(qubit),
        cirq.rx(SPEED * t)(qubit),
        cirq.ry(-TILT)(qubit),
        cirq.measure(qubit, key="excited"),
    )


def expected(times: Floats) -> Floats:
    """The probability to find the qubit excited, by Rabi's formula."""
    return (DRIVE / SPEED) ** 2 * np.sin(SPEED * times / 2) ** 2


def measured(times: Floats) -> Floats:
    """The same from shots: all points in one job."""
    sweep = cirq.Points("t", list(times))
    results = Sampler(seed=7, tags=["rabi"]).run_sweep(pulse(), sweep, repetitions=SHOTS)
    return np.array([each.measurements["excited"].mean() for each in results])


def draw(times: Floats, found: Floats, file: str | None) -> None:
    """Shows the points and the curve, or writes them to a file."""
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    axes.plot(times, expected(times), color="0.6", label="Rabi's formula")
    axes.plot(times, found, ".", markersize=4, label=f"{POINTS} points, {SHOTS} shots each")
    axes.set(xlabel="pulse length in us", ylabel="excited", ylim=(-0.03, 1.03))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    if file is not None:
        figure.savefig(file, dpi=120)
        print(f"  written to {file}")
    elif mpl.get_backend().lower() == "agg":
        print("  there is no screen to show it on; use --plot FILE")
    else:
        plt.show()


def main() -> int:
    """Runs the sweep and draws it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Rabi oscillations as one sweep.")
    parser.add_argument("--plot", metavar="FILE", help="write the picture here")
    file = parser.parse_args().plot
    times = np.linspace(0, LONGEST_US, POINTS)
    found = measured(times)
    # Of a mean of 0 and 1, the standard error is 1 / (2 sqrt(shots)) at the most.
    error = float(np.abs(found - expected(times)).max()) * 2 * math.sqrt(SHOTS)
    print(f"  {POINTS} points; the worst is {error:.1f} standard errors off Rabi's formula")
    draw(times, found, file)
    if error > 5:
        print("These are no Rabi oscillations.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
