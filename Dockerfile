# syntax=docker/dockerfile:1
# Build and run:  docker compose up --build    (compose.yaml says how it should be confined)
#
# The base image is named by its tag. For builds that never change under you, pin it by digest:
#   docker build --build-arg PYTHON=3.13-slim@sha256:… .
ARG PYTHON=3.13-slim

# ── build: a virtual environment with exactly what requirements.lock names ───────────────────────────────
FROM python:${PYTHON} AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/fedibridge
ENV PATH=/opt/fedibridge/bin:$PATH

# pillow-heif reads iPhones' photos; it comes with x265, under the GPL: `--build-arg HEIC=` leaves it out.
ARG HEIC=1
# The libraries change seldom: a layer of their own, so that a change of our code does not fetch them again.
COPY requirements.lock requirements-dev.lock ./
RUN sed -n '/^setuptools==/,/^ *# via/p' requirements-dev.lock > build.lock \
    && sed -n "${HEIC:+/^pillow-heif==/,/^ *# via/p}" requirements-dev.lock > heic.lock \
    && pip install --no-compile --require-hashes --only-binary=:all: -r requirements.lock -r heic.lock \
    && pip install --no-compile --require-hashes --only-binary=:all: --target /build-tools -r build.lock

COPY pyproject.toml README.md LICENSE ./
COPY bridge ./bridge
# Bytecode is written once, here: the running container can write nowhere but /data. `unchecked-hash` keeps it
# valid however the image is copied.
RUN PYTHONPATH=/build-tools pip install --no-compile --no-deps --no-build-isolation --no-index . \
    && pip uninstall --yes --quiet pip \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/fedibridge/lib

# ── run: the environment, an unprivileged user, and nothing else ─────────────────────────────────────────
FROM python:${PYTHON}

LABEL org.opencontainers.image.title="fedibridge" \
      org.opencontainers.image.description="Turns a website into an account that people follow from Mastodon, Threads, Misskey or Pixelfed." \
      org.opencontainers.image.licenses="MIT"

RUN groupadd --gid 10001 fedibridge \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin fedibridge \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d /config \
    && ln -s /data /config/data
COPY --from=build /opt/fedibridge /opt/fedibridge

ENV PATH=/opt/fedibridge/bin:$PATH \
    FEDIBRIDGE_CONFIG=/config/config.toml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER 10001:10001
# `data = "data"` in /config/config.toml is this volume, by the link above: the keys and the database.
VOLUME /data
WORKDIR /data
EXPOSE 8000

# Whether the web process answers and reaches its database. /readyz asks for the worker too.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

# Stops cleanly within eight seconds; what is under way is finished or given back.
STOPSIGNAL SIGTERM
CMD ["fedibridge", "run"]
