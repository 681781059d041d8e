# The same commands as outside: docker run --gpus all -it headwater [VERB …]
ARG BASE_IMAGE=nvidia/cuda:13.0.1-base-ubuntu24.04
FROM ${BASE_IMAGE}

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       ca-certificates git python3 python3-venv tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home headwater \
    && mkdir -p /work \
    && chown headwater /work

ENV VIRTUAL_ENV=/opt/headwater \
    PATH=/opt/headwater/bin:$PATH \
    TERM=xterm-256color \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1

WORKDIR /src
COPY pyproject.toml README.md ./
COPY pipeline pipeline
COPY tui tui
RUN --mount=type=cache,target=/root/.cache,sharing=locked \
    python3 -m venv /tmp/uv && /tmp/uv/bin/pip install uv \
    && UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/headwater \
       /tmp/uv/bin/uv sync --no-dev --no-editable --python /usr/bin/python3 \
    && rm -rf /tmp/uv

USER 10001:10001
WORKDIR /work
VOLUME /work
ENTRYPOINT ["/usr/bin/tini", "-g", "--", "headwater"]
