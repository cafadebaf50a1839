# syntax=docker/dockerfile:1

# One image for every role; the command chooses:
#   server   python -m rpc              (the default)
#   worker   python -m tasks -Q aer -n aer@%h
#   sweep    python -m tasks.sweep
#   flower   celery -A tasks flower
#   page     python -m page
#   migrate  python -m app migrate

FROM python:3.11-slim-bookworm AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/qdispatch
ENV PATH=/opt/qdispatch/bin:$PATH
WORKDIR /build

# The quantum SDKs are most of the image and change rarely: a layer of their own.
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps -r requirements.lock

COPY client ./client
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps ./client

COPY pyproject.toml README.md ./
COPY app ./app
COPY tasks ./tasks
COPY rpc ./rpc
COPY page ./page
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps .


FROM python:3.11-slim-bookworm

ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="qdispatch" \
      org.opencontainers.image.description="Self-hosted quantum circuit simulation" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"

# A volume mounted here takes its owner from this directory.
RUN groupadd --gid 10001 qdispatch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/qdispatch \
       --shell /usr/sbin/nologin qdispatch \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
       /var/lib/qdispatch /var/lib/qdispatch/programs

COPY --from=builder /opt/qdispatch /opt/qdispatch
COPY settings.toml flowerconfig.py /etc/qdispatch/

ENV PATH=/opt/qdispatch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    QDISPATCH_SETTINGS=/etc/qdispatch/settings.toml \
    QDISPATCH_DATA_DIR=/var/lib/qdispatch \
    QDISPATCH_SERVER__ADDRESS=0.0.0.0:50051

USER 10001:10001
WORKDIR /var/lib/qdispatch
EXPOSE 50051
# Celery's orderly shutdown, and the server's.
STOPSIGNAL SIGTERM
CMD ["python", "-m", "rpc"]
