# The same commands as outside: docker run --gpus all -it headwater [VERB …]
ARG BASE_IMAGE=nvidia/cuda:13.0.1-base-ubuntu24.04
FROM ${BASE_IMAGE}

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       bubblewrap ca-certificates git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home headwater \
    && mkdir -p /headwater \
    && chown headwater /headwater

ENV VIRTUAL_ENV=/opt/headwater \
    PATH=/opt/headwater/bin:$PATH \
    TERM=xterm-256color \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1

WORKDIR /src
COPY pyproject.toml README.md ./
COPY pipeline pipeline
COPY headwater headwater
COPY tui tui
# Bytecode is compiled here: the user that the container runs as cannot write it beside the
# libraries, and each process would spend most of a minute on compiling PyTorch.
# A site whose pip is configured to trust a certificate of its own gets uv to trust it too.
RUN --mount=type=cache,target=/var/cache/uv,sharing=locked \
    python3 -m venv /tmp/uv && /tmp/uv/bin/pip install uv \
    && cert=$(/tmp/uv/bin/pip config list | sed -n "s/^global.cert='\(.*\)'$/\1/p") \
    && SSL_CERT_FILE=${cert:-/etc/ssl/certs/ca-certificates.crt} UV_CACHE_DIR=/var/cache/uv \
       UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PROJECT_ENVIRONMENT=/opt/headwater \
       /tmp/uv/bin/uv sync --no-dev --no-editable --python /usr/bin/python3 \
    && rm -rf /tmp/uv

USER 10001:10001
WORKDIR /headwater
VOLUME /headwater
ENTRYPOINT ["headwater"]
