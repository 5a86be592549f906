"""What Dagster shows of every resource, and that the launchpad's values arrive."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import resources
from datashop_assets.orchestration import profiles
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import Annotator
from datashop_assets.protocols.compute import Compute
from datashop_assets.protocols.progress import Progress
from datashop_assets.protocols.trainer import Trainer
from datashop_assets_tests.environment import settings_of
from resources.annotator.resource import AnnotatorEndpoints
from resources.defaults import with_defaults

HEAVY = (
    "jax",
    "flax",
    "optax",
    "polars",
    "pyarrow",
    "transformers",
    "sklearn",
    "numba",
    "ray",
    "matplotlib",
    "aiohttp",
)
EXPECTED = {
    "EmbeddedAnnotator",
    "VLLMServer",
    "AnnotatorEndpoints",
    "RayServeVLLM",
    "LocalTrainer",
    "RayTrainer",
    "LocalCompute",
    "RayCompute",
    "PriceTable",
    "RunLogProgress",
    "StorageResource",
    "GoogleCloudStorage",
}


def resource_classes() -> dict[str, type[dg.ConfigurableResource[Any]]]:
    """Every resource that can be made, by name, wherever below `resources` it stands."""
    modules = (importlib.import_module(one.name) for one in pkgutil.walk_packages(resources.__path__, "resources."))
    classes = {name: each for module in modules for name, each in vars(module).items() if inspect.isclass(each)}
    return {
        each.__name__: each
        for each in classes.values()
        if issubclass(each, dg.ConfigurableResource)
        and each.__module__.startswith("resources.")
        and "[" not in each.__name__  # what `ConfigurableResource[Annotator]` makes on the way
        and not inspect.isabstract(each)
    }


def test_every_resource_is_dagsters_own_with_a_description_of_itself_and_of_every_field() -> None:
    found = resource_classes()
    assert set(found) == EXPECTED
    for name, each in found.items():
        assert each.__doc__, name
        for field, info in each.model_fields.items():
            # Dagster takes the description off a field that is a resource itself, and shows that resource's own
            nested = "resource_dependency" in info.metadata
            assert info.description or nested, f"{name}.{field}"


@pytest.mark.parametrize("annotator", ["embedded", "server", "endpoints", "ray-serve"])
def test_a_profile_gives_nothing_but_resources_that_show_their_fields(annotator: str) -> None:
    given = {"DATASHOP_ANNOTATOR": annotator, "DATASHOP_ANNOTATOR_URLS": "http://one/v1"}
    made = profiles.resources(settings_of(given))
    assert set(made) == {"storage", "annotator", "trainer", "compute", "prices", "progress"}
    for key, resource in made.items():
        assert isinstance(resource, dg.ConfigurableResource)
        fields = resource.get_resource_definition().config_schema.config_type.fields
        assert set(fields) == set(type(resource).model_fields), key
        for name, field in fields.items():
            assert field.description, name
            assert field.default_value == getattr(resource, name), name
    job = dg.Definitions([probe], resources=made).resolve_implicit_global_asset_job_def()
    assert dg.validate_run_config(job, {})


@dg.asset
def probe(
    storage: dg.ResourceParam[PromptStore],
    annotator: dg.ResourceParam[Annotator],
    trainer: dg.ResourceParam[Trainer],
    compute: dg.ResourceParam[Compute],
    progress: dg.ResourceParam[Progress],
) -> dg.Output[dict[str, Any]]:
    """Says what a step gets."""
    with progress.bar("probing", 1, "probes") as bar:
        bar.advance(sum(compute.map(abs, [-1])))
    root = storage.root
    return dg.Output(
        {
            "root": root.uri,
            "folder": str(storage.folder),
            "cache": str(root.cache),
            "documents": annotator.group,
            "mesh": trainer.mesh,
            "processes": getattr(compute, "processes", None),
        }
    )


def launched(environment: dict[str, str], config: dict[str, Any], instance: dg.DagsterInstance) -> dict[str, Any]:
    job = dg.Definitions(
        [probe], resources=profiles.resources(settings_of(environment))
    ).resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(run_config={"resources": config}, instance=instance)
    found: dict[str, Any] = done.output_for_node("probe")
    return found


def test_values_of_the_launchpad_arrive_and_all_others_stay(tmp_path: Path) -> None:
    environment = {"DATASHOP_ROOT": str(tmp_path / "root"), "DATASHOP_PROMPTS": str(tmp_path / "prompts")}
    config = {
        "storage": {"config": {"root": str(tmp_path / "other"), "cache": str(tmp_path / "cache")}},
        "annotator": {"config": {"documents": 7}},
        "trainer": {"config": {"mesh": "fsdp=2"}},
        "compute": {"config": {"processes": 3}},
        "progress": {"config": {"every": 0.0}},
    }
    with dg.instance_for_test() as instance:
        before, after = launched(environment, {}, instance), launched(environment, config, instance)
    assert before == {
        "root": str(tmp_path / "root"),
        "folder": str(tmp_path / "prompts"),
        "cache": str(tmp_path / "root" / "cache"),
        "documents": 64,
        "mesh": "",
        "processes": None,
    }
    assert after == {
        "root": str(tmp_path / "other"),
        "folder": str(tmp_path / "prompts"),
        "cache": str(tmp_path / "cache"),
        "documents": 7,
        "mesh": "fsdp=2",
        "processes": 3,
    }


def test_a_value_of_the_launchpad_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with dg.instance_for_test() as instance, pytest.raises(dg.DagsterInvalidConfigError, match="processes"):
        launched({}, {"compute": {"config": {"processes": "many"}}}, instance)


def test_a_key_is_read_when_a_run_starts_and_is_in_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    @dg.asset
    def keyed(annotator: dg.ResourceParam[AnnotatorEndpoints]) -> None:
        found.append(annotator.bearer)

    resource = with_defaults(AnnotatorEndpoints(addresses=["http://one:8000"], key=dg.EnvVar("SOME_KEY")))
    monkeypatch.setenv("SOME_KEY", "a-secret")
    job = dg.Definitions([keyed], resources={"annotator": resource}).resolve_implicit_global_asset_job_def()
    with dg.instance_for_test() as instance:
        done = job.execute_in_process({"resources": {"annotator": {"config": {"attempts": 2}}}}, instance=instance)
        said = "".join(str(entry) for entry in instance.all_logs(done.run_id))
    assert found == [resource.bearer] == ["a-secret"]
    assert "a-secret" not in said
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(dg.DagsterInvalidConfigError, match="SOME_KEY"):
        job.execute_in_process()


def test_nothing_heavy_is_imported_where_resources_are_made() -> None:
    show = (
        "import sys; from datashop_assets.orchestration import profiles; "
        "from datashop_assets.settings import read_settings; profiles.resources(read_settings()); "
        f"print(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    for annotator in ("embedded", "server", "endpoints", "ray-serve"):
        environment = {
            **os.environ,
            "DATASHOP_ANNOTATOR": annotator,
            "DATASHOP_ANNOTATOR_URLS": "http://one/v1",
            "RAY_ADDRESS": "ray://head:10001",
            "DATASHOP_CHECKPOINTS": "gs://b/c",
        }
        said = subprocess.run([sys.executable, "-c", show], env=environment, capture_output=True, text=True, check=True)
        assert said.stdout == "[]\n", annotator
