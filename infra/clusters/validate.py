"""Everything that can be known of a cluster file without the cloud."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from infra.clusters.model import ClusterFile


def validate(text: str) -> ClusterFile:
    """The file, if the closed model and Ray both take it. Raises `ValueError` (pydantic's is one) if not."""
    config = yaml.safe_load(text)
    cluster = ClusterFile.model_validate(config)
    _as_ray_does(config)
    return cluster


def _as_ray_does(config: dict[str, Any]) -> None:
    """Ray's JSON schema, its preparation of a config, and its reading of every machine as TPU or virtual machine."""
    from jsonschema import ValidationError
    from ray.autoscaler._private.gcp.config import get_node_type
    from ray.autoscaler._private.gcp.node import GCPNodeType
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config)
    try:
        validate_config(prepared)
    except ValidationError as error:
        raise ValueError(f"Ray's schema: {error.json_path}: {error.message}") from error
    for name, kind in prepared["available_node_types"].items():
        wanted = GCPNodeType.TPU if "acceleratorType" in kind["node_config"] else GCPNodeType.COMPUTE
        with _quiet():
            taken_for = get_node_type(kind["node_config"])
        if taken_for is not wanted:
            raise ValueError(f"Ray does not take {name} for a {wanted.value}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray warns of every slice of several machines, which the model allows at a fixed number only."""
    logger = logging.getLogger("ray.autoscaler._private.gcp.config")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
