"""What the graph runs on: three profiles, chosen by `DATASHOP_PROFILE`.

              local                 gpu                        gcp
steps         one process a run     a process each, one at     a process each
                                    a time
annotator     any                   server, endpoints or       endpoints or ray-serve: a
                                    ray-serve                  serving cluster
trainer       this process, or Ray  the step's process         Ray Train on the training cluster
shards        this machine, or Ray  this machine's cores       Ray on the training cluster
results       a folder or bucket    a folder or bucket         a bucket

`local` uses the Ray cluster that RAY_ADDRESS names, which then sees the same folders: one on this machine, or one of
machines that share a file system.

A step's tag `datashop/cluster` (see `Placement` in `core/step.py`) says which cluster it needs, and its pool lets as
many such steps run at once as that cluster can take. One graph spans both clusters: a step speaks to its own and to no
other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg

from datashop_assets.costs import prices_file
from datashop_assets.data_packages import data_folder
from datashop_assets.prompts.store import default_prompts
from datashop_assets.settings import ANNOTATOR, ANNOTATORS, CHECKPOINTS, PROFILE, RAY, ROOT, URLS, Settings
from datashop_assets.storage.root import default_root, project
from resources.annotator.endpoints.addresses import checked_url
from resources.annotator.resource import AnnotatorResource
from resources.compute import ComputeResource
from resources.defaults import with_defaults
from resources.prices import PriceTable
from resources.progress import RunLogProgress
from resources.storage import StorageResource
from resources.trainers import TrainerResource

TPU_SLICE = "2x4"  # holds the 70B model of the field


@dataclass(frozen=True)
class Profile:
    """`annotators` are those that a profile may use; the other fields are the columns of the table above.

    `on_cluster` is None where both a Ray cluster and this machine will do.
    """

    name: str
    executor: dg.ExecutorDefinition
    annotators: tuple[str, ...]
    on_cluster: bool | None
    bucket: bool


# One step at a time on one machine with an accelerator: a model server and JAX each take most of its memory, and the
# pools do not keep them apart. The annotator's and the trainer's are two, and an encoder that runs on it is in neither.
PROFILES = {
    "local": Profile("local", dg.in_process_executor, ANNOTATORS, None, False),
    "gpu": Profile(
        "gpu",
        dg.multiprocess_executor.configured({"max_concurrent": 1}),
        ("server", "endpoints", "ray-serve"),
        False,
        False,
    ),
    "gcp": Profile(
        "gcp", dg.multiprocess_executor.configured({"max_concurrent": 4}), ("endpoints", "ray-serve"), True, True
    ),
}


def profile(settings: Settings) -> Profile:
    """The chosen profile. Raises `ValueError` for one that does not fit the other settings."""
    chosen = PROFILES[settings.profile]
    for problem in filter(None, (check(chosen, settings) for check in CHECKS)):
        raise ValueError(f"{PROFILE}={chosen.name}: {problem}")
    return chosen


def _annotator_fits(chosen: Profile, settings: Settings) -> str:
    if settings.annotator in chosen.annotators:
        return ""
    return f"{ANNOTATOR} is {settings.annotator!r}; set it to {' or '.join(chosen.annotators)} (see docs/annotators.md)"


def _cluster_is_named(chosen: Profile, settings: Settings) -> str:
    if chosen.on_cluster and not settings.ray_address:
        return f"{RAY} is not set; name the cluster's address, as `ray://HOST:10001` (see docs/clusters.md)"
    if settings.ray_address and chosen.on_cluster is False:
        return f"{RAY} is {settings.ray_address!r}, which this profile would not use; unset it or use {PROFILE}=gcp"
    return ""


def _root_is_seen_by_all(chosen: Profile, settings: Settings) -> str:
    root = settings.root or ""
    if not chosen.bucket or "://" in root.removeprefix("file://"):
        return ""
    return f"{ROOT} is {root!r}, which only this machine sees; name a bucket, as gs://my-bucket/datashop"


CHECKS: tuple[Callable[[Profile, Settings], str], ...] = (_annotator_fits, _cluster_is_named, _root_is_seen_by_all)


def resources(settings: Settings) -> dict[str, dg.ConfigurableResource[Any]]:
    """Resource key -> resource, as the table says. Only what the settings name is imported.

    Raises `ValueError` where settings do not fit together.
    """
    made: dict[str, dg.ConfigurableResource[Any]] = {
        "storage": storage(settings),
        "annotator": annotator(settings),
        "trainer": trainer(settings),
        "compute": compute(settings),
        "prices": prices(settings),
        "progress": RunLogProgress(),
    }
    return {key: with_defaults(resource) for key, resource in made.items()}


def storage(settings: Settings) -> StorageResource:
    places = {
        "root": default_root(settings).uri,
        "prompts": str(default_prompts(settings)),
        "cache_home": settings.cache_home,
        "data": str(data_folder(settings)),
    }
    if not places["root"].startswith("gs://"):
        return StorageResource(**places)
    from dagster_gcp import GCSResource

    from resources.google_cloud_storage import GoogleCloudStorage

    return GoogleCloudStorage(**places, gcs=GCSResource())


def prices(settings: Settings) -> PriceTable:
    return PriceTable(file=str(prices_file(settings)))


def annotator(settings: Settings) -> AnnotatorResource:
    """Raises `ValueError` for an address that is none, also where no address is asked."""
    asking: dict[str, Any] = {
        "concurrency": settings.annotator_concurrency,
        "deadline": settings.annotator_deadline,
        "attempts": settings.annotator_attempts,
        "patience": settings.annotator_patience,
    }
    addresses = [checked_url(url) for url in settings.annotator_urls]  # pydantic's error would show what they hold
    match settings.annotator:
        case "embedded":
            from resources.annotator.embedded import EmbeddedAnnotator

            return EmbeddedAnnotator(data=str(data_folder(settings)))
        case "server":
            from resources.annotator.vllm.server import VLLMServer

            root = default_root(settings)
            folder = root.folder.local
            return VLLMServer(
                **asking,
                **engine_fields(settings),
                python=str(project() / settings.vllm_python),
                device=settings.vllm_device,
                logs=str((root.cache if folder is None else folder) / "logs"),
                cache=str(root.cache),
                data=str(root.data),
            )
        case "endpoints":
            from resources.annotator.resource import AnnotatorEndpoints

            if not addresses:
                raise ValueError(f"{ANNOTATOR} is endpoints and {URLS} is empty; name one address or more")
            key = dg.EnvVar(settings.annotator_key_variable) if settings.annotator_key.get_secret_value() else ""
            return AnnotatorEndpoints(**asking, addresses=addresses, key=key)
        case "ray-serve":
            from resources.annotator.ray_serve import RayServeVLLM

            return RayServeVLLM(
                **asking,
                **engine_fields(settings),
                dashboard=settings.serve_dashboard,
                application=settings.serve_application,
                accelerator=settings.serve_accelerator,
                topology=settings.serve_topology
                or (TPU_SLICE if settings.serve_accelerator.startswith("TPU-") else ""),
                min_replicas=settings.serve_min_replicas,
                max_replicas=settings.serve_max_replicas,
                weights=settings.serve_weights,
            )


def engine_fields(settings: Settings) -> dict[str, Any]:
    """The fields of a `ServedModel` that say how vLLM is called."""
    return {
        "revision": settings.vllm_revision,
        "tensor_parallel_size": settings.vllm_tensor_parallel_size or None,
        "max_model_len": settings.vllm_max_model_len,
        "dtype": settings.vllm_dtype,
        "arguments": list(settings.vllm_arguments),
        "start_deadline": settings.vllm_start_deadline,
    }


def trainer(settings: Settings) -> TrainerResource:
    """The Ray cluster that is named, else this process.

    Checkpoints go to `DATASHOP_CHECKPOINTS`, by default to the step's scratch folder, or, of a cluster, to a folder of
    `DATASHOP_ROOT`. Raises `ValueError` where a cluster is named and neither of these is.
    """
    from resources.trainers import LocalTrainer, RayTrainer

    kept: dict[str, Any] = {"mesh": settings.mesh, "checkpoints_kept": settings.checkpoints_kept}
    if not settings.ray_address:
        return LocalTrainer(**kept, checkpoints=settings.checkpoints or "")
    place = settings.checkpoints or (f"{settings.root.rstrip('/')}/checkpoints" if settings.root else "")
    if not place:
        raise ValueError(
            f"{RAY} is {settings.ray_address!r} and {CHECKPOINTS} is not set; name a folder or bucket that all workers "
            "see"
        )
    return RayTrainer(
        **kept,
        address=settings.ray_address,
        checkpoints=place,
        workers=settings.training_workers,
        topology=settings.tpu_topology or "",
        accelerator=settings.tpu_type or "",
    )


def compute(settings: Settings) -> ComputeResource:
    """The Ray cluster that is named, else this machine."""
    from resources.compute import LocalCompute, RayCompute

    return (
        RayCompute(address=settings.ray_address) if settings.ray_address else LocalCompute(processes=settings.processes)
    )
