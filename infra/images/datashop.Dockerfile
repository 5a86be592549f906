# Datashop in two images: `dagster` (webserver, daemon and code location; no accelerator) and `cluster` (Ray nodes that
# filter and train). The context is `git archive` of one commit: nothing that is not in the repository can get in.
FROM python:3.11-slim-bookworm AS packages
WORKDIR /build
COPY locks/uv.txt locks/image-datashop.txt locks/
RUN python -m venv /opt/uv \
 && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes -r locks/uv.txt \
 && /opt/uv/bin/uv venv /opt/datashop \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/datashop/bin/python --require-hashes -r locks/image-datashop.txt

FROM packages AS accelerated
ARG ACCELERATOR=tpu
COPY locks/image-${ACCELERATOR}.txt locks/
RUN /opt/uv/bin/uv pip install --no-cache --python /opt/datashop/bin/python --require-hashes -r locks/image-${ACCELERATOR}.txt

# The project's own code comes last, so that a commit changes one small layer.
FROM packages AS wheel
COPY . .
RUN /opt/uv/bin/uv build --wheel --build-constraints locks/all.txt --require-hashes --out-dir /wheels

FROM python:3.11-slim-bookworm AS base
# The versions are those of the base image's Debian: its mirrors keep no others.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 openssh-client procps rsync \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 datashop
# Ray reads HOME from the image when it copies its own files in.
ENV HOME=/home/datashop PATH=/opt/datashop/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/datashop

FROM base AS dagster
COPY --from=packages /opt/datashop /opt/datashop
RUN --mount=from=wheel,source=/wheels,target=/wheels --mount=from=packages,source=/opt/uv,target=/opt/uv \
    /opt/uv/bin/uv pip install --no-cache --python /opt/datashop/bin/python --no-deps /wheels/*.whl
# Dagster's Helm chart starts its webserver by this name.
RUN ln -sf datashop-webserver /opt/datashop/bin/dagster-webserver
COPY infra/dagster /etc/datashop
COPY prompts prompts
RUN install -d -o datashop /var/lib/dagster && ln -s /etc/datashop/deployed/dagster.yaml /var/lib/dagster/dagster.yaml
ENV DAGSTER_HOME=/var/lib/dagster DATASHOP_PROMPTS=/home/datashop/prompts
USER 1000
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m CMD ["dagster", "instance", "info"]
ARG COMMIT
LABEL org.opencontainers.image.title="datashop-dagster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"

FROM base AS cluster
COPY --from=accelerated /opt/datashop /opt/datashop
RUN --mount=from=wheel,source=/wheels,target=/wheels --mount=from=packages,source=/opt/uv,target=/opt/uv \
    /opt/uv/bin/uv pip install --no-cache --python /opt/datashop/bin/python --no-deps /wheels/*.whl
USER 1000
HEALTHCHECK --interval=60s --timeout=30s --start-period=10m CMD ["ray", "status"]
ARG COMMIT
LABEL org.opencontainers.image.title="datashop-cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"
