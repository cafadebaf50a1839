"""The soak: full load for long, and what grows meanwhile.

`python -m tests.soak --minutes 30` starts an installation on RabbitMQ, Redis and
PostgreSQL, keeps its workers busy, and prints how memory, files, connections and
rows were in the first and in the last quarter of that time.
"""
