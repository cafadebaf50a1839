"""Keeps gRPC's native part from writing into the log; imported before grpc is.

It asks for this when it is imported. Else whoever connects and is no client of TLS
has it write a line of its own, which is no JSON where the log is. Forks have what
their parent has imported, so it is said wherever a process begins.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
