"""Flower's settings; `celery -A tasks flower`, started here, reads them.

What the command line says counts more. See tasks/dashboard.py for what keeps it shut,
whether it reads this or not.
"""

from tornado.options import options

from tasks import dashboard
from tasks.celery import settings

# Whoever opens Flower can stop workers: beyond this machine it is not without a password.
address = options.address or dashboard.ADDRESS

# From the file that FLOWER_BASIC_AUTH_FILE names; else what FLOWER_BASIC_AUTH says.
basic_auth = dashboard.or_exit(dashboard.credentials) or options.basic_auth

# Likewise, of FLOWER_BROKER_API_FILE and FLOWER_BROKER_API.
broker_api = dashboard.or_exit(dashboard.broker_api) or options.broker_api

# The server's certificate, if it has one.
if settings.tls.is_on:
    certfile = settings.tls.certificate
    keyfile = settings.tls.key

# kwargs is where a job's target, qubits and shots stand.
tasks_columns = "name,uuid,state,kwargs,received,runtime,worker"
