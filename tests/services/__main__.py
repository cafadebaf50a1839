"""Starts all three in the foreground: `eval` its first lines, end it with Ctrl-C."""

import argparse
import signal
import sys

from tests.services.together import Services


def main() -> int:
    """Run until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    parser.add_argument(
        "--durable", action="store_true", help="PostgreSQL waits for the disk, Redis keeps data"
    )
    parser.add_argument(
        "--management", action="store_true", help="enable RabbitMQ's HTTP API, for Flower"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    together = Services(durable=options.durable, management=options.management)
    try:
        together.start()
        sys.stdout.write(exports(together))
        sys.stdout.flush()
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        together.stop()
    return 0


def exports(together: Services) -> str:
    """Lines of shell that point qdispatch at the servers."""
    variables = {
        "QDISPATCH_BROKER_URL": together.rabbitmq.url,
        "QDISPATCH_RESULT_BACKEND": together.redis.url,
        "QDISPATCH_DATABASE_URL": together.postgresql.create_database("qdispatch"),
    }
    if together.rabbitmq.management:
        variables["FLOWER_BROKER_API"] = together.rabbitmq.management_url
    return "".join(f"export {name}={value}\n" for name, value in variables.items())


if __name__ == "__main__":
    sys.exit(main())
