"""Writes the annotator's Ray Serve file: `python -m infra.serving.render --model Llama-3.3-70B-Instruct > serve.yaml`.

The settings are those of a vLLM server (DATASHOP_VLLM_*); `serve deploy serve.yaml` on a cluster starts it, and
DATASHOP_ANNOTATOR=endpoints with DATASHOP_ANNOTATOR_URLS=ray-serve://<dashboard>/annotator uses it.
"""

import sys

import click
import yaml

from datashop_assets.orchestration.profiles import engine_fields
from datashop_assets.settings import read_settings
from resources.annotator.ray_serve import RayServeVLLM


@click.command(help=__doc__)
@click.option("--model", default="Llama-3.3-70B-Instruct", show_default=True, help="A short name or a full one.")
@click.option("--accelerator", default="TPU-V6E", show_default=True, help="Ray's name of the accelerator.")
@click.option("--topology", default="2x4", show_default=True, help="Of the TPU slice; empty for GPUs.")
@click.option("--replicas", nargs=2, type=int, default=(1, 8), show_default=True, help="The fewest and the most.")
@click.option("--weights", default="", help="A folder of a bucket, gs://...; without it the hub is asked.")
def main(model: str, accelerator: str, topology: str, replicas: tuple[int, int], weights: str) -> None:
    try:
        settings = read_settings()
        served = RayServeVLLM(
            accelerator=accelerator,
            topology=topology,
            min_replicas=replicas[0],
            max_replicas=replicas[1],
            weights=weights,
            **engine_fields(settings),
        )
        config = served.serve_config(model)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    yaml.safe_dump(config, sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main()
