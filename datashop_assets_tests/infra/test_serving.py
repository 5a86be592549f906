"""The Ray Serve application of an annotator, held against Ray's own classes."""

import warnings

import pytest
import yaml
from click.testing import CliRunner

from infra.serving.render import main
from resources.annotator.ray_serve import RayServeVLLM, engine_arguments

SLICE = RayServeVLLM(accelerator="TPU-V6E", topology="2x4", min_replicas=0, max_replicas=128)
GPUS = RayServeVLLM(accelerator="H100", topology="")


def test_the_fields_annotator_on_a_slice_of_eight_chips() -> None:
    config = SLICE.llm_config("Llama-3.3-70B-Instruct")

    assert config["model_loading_config"]["model_id"] == "meta-llama/Llama-3.3-70B-Instruct"
    assert config["accelerator_config"] == {"kind": "tpu", "topology": "2x4"}
    assert config["engine_kwargs"]["tensor_parallel_size"] == 8
    assert config["engine_kwargs"]["max_model_len"] == 8192


@pytest.mark.parametrize(
    ("resource", "model", "weights"),
    [(SLICE, "Llama-3.3-70B-Instruct", "gs://bucket/weights"), (GPUS, "Llama-3.1-8B-Instruct", "")],
)
def test_ray_takes_the_configuration(resource: RayServeVLLM, model: str, weights: str) -> None:
    served = resource.model_copy(update={"weights": weights})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, about itself
        # ray.serve.llm itself imports vLLM, which stands in another environment; the class is this one
        from ray.llm._internal.serve.core.configs.llm_config import LLMConfig
        from ray.serve.schema import ServeDeploySchema

        deployed = ServeDeploySchema.model_validate(served.serve_config(model))
        config = LLMConfig(**deployed.applications[0].args["llm_configs"][0])

    source = config.model_loading_config.model_source
    assert (source.bucket_uri if weights else "") == weights
    assert config.accelerator_type == served.accelerator
    assert (getattr(config.accelerator_config, "topology", "") or "") == served.topology
    assert config.deployment_config["autoscaling_config"]["max_replicas"] == served.max_replicas


def test_a_larger_slice_is_cut_into_pipeline_stages() -> None:
    config = SLICE.model_copy(update={"topology": "4x4"}).llm_config("Llama-3.3-70B-Instruct")

    assert config["engine_kwargs"]["pipeline_parallel_size"] == 2


def test_engine_arguments_are_passed_through() -> None:
    assert engine_arguments(["--max-num-seqs", "64", "--enforce-eager", "--kv-cache-dtype=fp8"]) == {
        "max_num_seqs": 64,
        "enforce_eager": True,
        "kv_cache_dtype": "fp8",
    }


def test_what_does_not_fit_together_is_refused_with_the_fix() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        RayServeVLLM(topology="2x2").llm_config("Llama-3.3-70B-Instruct")
    with pytest.raises(ValueError, match="a TPU needs one"):
        RayServeVLLM(accelerator="TPU-V6E", topology="")
    with pytest.raises(ValueError, match="belongs to no option"):
        engine_arguments(["64"])


def test_the_command_prints_the_file() -> None:
    printed = CliRunner().invoke(main, ["--replicas", "2", "16"])

    assert printed.exit_code == 0
    (application,) = yaml.safe_load(printed.output)["applications"]
    assert application["import_path"] == "ray.serve.llm:build_openai_app"
