# Headwater in a container: the same verbs as outside. README, "In a container", says how to run it.
#
#   docker build -t headwater .
#   docker build -t headwater --secret id=ca,src=ca.crt .   behind a proxy with a certificate of its own
#
# PyTorch brings CUDA libraries of its own: of the base only the interface to the driver is used.
ARG BASE_IMAGE=nvidia/cuda:13.0.1-base-ubuntu24.04

# What the program needs of the system: the init that it runs under, and the sandbox of humaneval.
FROM ${BASE_IMAGE} AS system
# hadolint ignore=DL3008  # Ubuntu's archive drops a version once there is a newer one
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       bubblewrap ca-certificates python3 tini \
    && rm -rf /var/lib/apt/lists/*

# What builds it, none of which gets into the image.
FROM system AS tools
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv /opt/uv && /opt/uv/bin/pip install uv==0.13.9
ENV UV_CACHE_DIR=/var/cache/uv PATH=/opt/uv/bin:$PATH

# Which packages: the large layer below changes with this list alone, not with every line of
# pyproject.toml. Triton is left out: its kernels take a C compiler at run time, PyTorch does
# without it, and it is a gigabyte.
FROM tools AS requirements
WORKDIR /src
COPY pyproject.toml ./
RUN --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && uv pip compile --quiet --python /usr/bin/python3 --extra quantised --generate-hashes \
       --no-emit-package triton --no-header --output-file /requirements.txt pyproject.toml

FROM tools AS package
WORKDIR /src
COPY pyproject.toml README.md ./
COPY pipeline pipeline
COPY headwater headwater
COPY tui tui
RUN --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && uv build --quiet --wheel --python /usr/bin/python3 --out-dir /wheel

FROM system AS image
# Any account may be the user (`docker run --user`), so the two folders are open to all, like /tmp.
RUN groupadd --gid 10001 headwater \
    && useradd --uid 10001 --gid headwater --home-dir /cache --no-create-home headwater \
    && install -d -m 1777 /headwater /cache

COPY --from=requirements /requirements.txt /opt/requirements.txt
# Bytecode is compiled here: the user cannot write it beside the libraries, and each process would
# spend most of a minute on compiling PyTorch. Headers and archives are a compiler's.
RUN --mount=type=cache,target=/var/cache/uv --mount=type=secret,id=ca \
    --mount=type=bind,from=tools,source=/opt/uv,target=/mnt \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi \
    && export UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy \
    && /mnt/bin/uv venv --quiet --python /usr/bin/python3 /opt/headwater \
    && /mnt/bin/uv pip install --python /opt/headwater/bin/python --no-deps --require-hashes \
       --compile-bytecode --requirement /opt/requirements.txt \
    && rm -rf /opt/headwater/lib/python3.*/site-packages/torch/include \
    && find /opt/headwater -name '*.a' -delete

COPY --from=package /wheel /opt/wheel
RUN --mount=type=cache,target=/var/cache/uv \
    --mount=type=bind,from=tools,source=/opt/uv,target=/mnt \
    UV_CACHE_DIR=/var/cache/uv UV_LINK_MODE=copy /mnt/bin/uv pip install --no-deps --offline \
       --python /opt/headwater/bin/python /opt/wheel/*.whl \
    && for package in headwater pipeline tui; do \
         /opt/headwater/bin/python -m compileall -q /opt/headwater/lib/python3.*/site-packages/$package; \
       done

# An account without a name, as `--user` makes one, has no home: the caches are everybody's.
ENV PATH=/opt/headwater/bin:$PATH \
    HOME=/cache \
    LOGNAME=headwater \
    HF_HOME=/cache/huggingface \
    TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    CUDA_CACHE_PATH=/cache/cuda \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TERM=xterm-256color \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1

USER 10001:10001
WORKDIR /headwater
VOLUME /cache
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "-s", "-g", "--", "/opt/headwater/bin/python", "-m", "tui.container"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s \
    CMD ["/opt/headwater/bin/python", "-m", "tui.container.health"]
LABEL org.opencontainers.image.title="Headwater" \
      org.opencontainers.image.description="Find where a language model's words come from" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
