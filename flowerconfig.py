"""Flower's settings; `celery -A tasks flower`, started here, reads them.

What the command line says counts more.
"""

# Flower's pages show everything to everybody unless authentication is set up,
# so nobody but this machine sees them by default.
address = "127.0.0.1"

# kwargs is where a job's target, qubits and shots stand.
tasks_columns = "name,uuid,state,kwargs,received,runtime,worker"
