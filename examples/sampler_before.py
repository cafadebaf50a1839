"""Bell's inequality, broken by Qiskit's sampler.

sampler_before.py and sampler_after.py differ in one line, an import. Before,
Qiskit simulates by itself; after, a qdispatch server does:

    python examples/sampler_before.py
    QDISPATCH_ADDRESS=localhost:50051 python examples/sampler_after.py
"""

from __future__ import annotations

import math

from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorSampler as Sampler

qubits = QuantumRegister(2)
circuit = QuantumCircuit(qubits, ClassicalRegister(1, "alice"), ClassicalRegister(1, "bob"))
circuit.h(0)
circuit.cx(0, 1)
circuit.ry(-Parameter("a"), 0)
circuit.ry(-Parameter("b"), 1)
circuit.measure(0, 0)
circuit.measure(1, 1)

# Alice and Bob have two angles each: four points.
a, b = (0, math.pi / 2), (math.pi / 4, 3 * math.pi / 4)
angles = [(a[0], b[0]), (a[0], b[1]), (a[1], b[0]), (a[1], b[1])]

job = Sampler(seed=7).run([(circuit, angles)], shots=4000)
data = job.result()[0].data

# How often the two differ in the same shot, point by point.
differ = (data.alice ^ data.bob).bitcount().mean(axis=-1)
correlations = 1 - 2 * differ
s = correlations[0] - correlations[1] + correlations[2] + correlations[3]
for (angle_a, angle_b), value in zip(angles, correlations, strict=True):
    print(f"E({angle_a:.3f}, {angle_b:.3f}) = {value:+.3f}")
print(f"S = {s:.3f}; 2 at the most without entanglement, {2 * math.sqrt(2):.3f} with it")
# Each correlation has a standard error of 0.011, the sum of four 0.022.
if abs(s - 2 * math.sqrt(2)) > 5 * 0.022:
    raise SystemExit("that is not what quantum mechanics says")
