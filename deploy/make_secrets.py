"""Makes the secrets of compose.yaml, each in a file of its own.

    python3 deploy/make_secrets.py

What is there already stays as it is, so that it may be run again. It needs nothing but
Python. The folder is for its owner only; the files in it can be read by everybody who
has come so far, since in a container its engine shows each to one service, and the
users of the services' images are none of this machine.
"""

import argparse
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"


def contents(folder: Path) -> dict[str, str]:
    """What each file has, by passwords that are there already, or new ones."""
    postgres = password(folder / "postgres_password", "")
    rabbitmq = password(folder / "rabbitmq.conf", "default_pass = ")
    redis = password(folder / "redis.conf", "requirepass ")
    flower = password(folder / "flower_users", "admin:")
    there = f"qdispatch:{rabbitmq}@rabbitmq"
    return {
        "postgres_password": f"{postgres}\n",
        "database_url": (
            # On a network of its own; see docs/deployment.md for others.
            f"postgresql+psycopg://qdispatch:{postgres}@postgres:5432/qdispatch?sslmode=disable\n"
        ),
        "rabbitmq.conf": (
            f"default_user = qdispatch\ndefault_vhost = qdispatch\ndefault_pass = {rabbitmq}\n"
        ),
        "broker_url": f"amqp://{there}:5672/qdispatch\n",
        "flower_broker_api": f"http://{there}:15672/api/\n",
        "redis.conf": f"requirepass {redis}\n",
        "result_backend": f"redis://:{redis}@redis:6379/0\n",
        "flower_users": f"admin:{flower}\n",
    }


def password(file: Path, before: str) -> str:
    """The password that stands in a file, behind a text; a new one if there is no file."""
    if not file.exists():
        # 256 bits, in characters that need no escape in a URL.
        return secrets.token_hex(32)
    for line in file.read_text().splitlines():
        if line.startswith(before):
            return line.removeprefix(before).strip()
    raise SystemExit(f"{file} has no line that begins with {before!r}: delete it, or mend it")


def main() -> int:
    """Makes what is missing; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    made = []
    for name, text in contents(folder).items():
        file = folder / name
        if not file.exists():
            # Nobody reads half of it.
            fresh = folder / f".{name}"
            fresh.write_text(text)
            fresh.chmod(0o444)
            fresh.rename(file)
            made.append(name)
    sys.stdout.write(f"{folder}: made {', '.join(made) or 'nothing, all is there'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
