# The annotator's nodes: Ray Serve with vLLM, for `tpu` or `gpu`. No JAX of the trainer, so that each keeps its libtpu.
FROM python:3.12-slim-bookworm AS packages
ARG ACCELERATOR=tpu
WORKDIR /build
COPY locks/uv.txt locks/image-vllm-${ACCELERATOR}.txt locks/
RUN python -m venv /opt/uv \
 && /opt/uv/bin/python -m pip install --no-cache-dir --require-hashes -r locks/uv.txt \
 && /opt/uv/bin/uv venv /opt/vllm \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/vllm/bin/python --require-hashes -r locks/image-vllm-${ACCELERATOR}.txt

FROM python:3.12-slim-bookworm
# vLLM compiles its kernels for a GPU when it starts: it needs a compiler.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libgomp1 libopenblas0 openssh-client procps rsync \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 datashop
COPY --from=packages /opt/vllm /opt/vllm
ENV HOME=/home/datashop PATH=/opt/vllm/bin:$PATH PYTHONUNBUFFERED=1 VLLM_NO_USAGE_STATS=1
WORKDIR /home/datashop
USER 1000
HEALTHCHECK --interval=60s --timeout=30s --start-period=10m CMD ["ray", "status"]
ARG ACCELERATOR=tpu
ARG COMMIT
LABEL org.opencontainers.image.title="datashop-vllm-${ACCELERATOR}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${COMMIT}"
