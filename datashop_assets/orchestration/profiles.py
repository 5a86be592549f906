"""What the graph runs on: three profiles, chosen by `DATASHOP_PROFILE`.

              local                 gpu                        gcp
steps         one process a run     a process each             a process each
annotator     any home              server or endpoints        endpoints: a serving cluster
trainer       this process, or Ray  the step's process         Ray Train on the training cluster
shards        this machine, or Ray  this machine's cores       Ray on the training cluster
results       a folder or bucket    a folder or bucket         a bucket

`local` uses the Ray cluster that RAY_ADDRESS names, which then sees the same folders: one on this machine, or one of
machines that share a file system.

A step's tag `datashop/cluster` (see `places.py`) says which cluster it needs, and its pool lets as many such steps run
at once as that cluster can take. One graph spans both clusters: a step speaks to its own and to no other.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from resources.annotator.resource import AnnotatorResource
from resources.compute import default_compute
from resources.progress import RunLogProgress
from resources.prompt_store import prompt_store
from resources.training import default_trainer

PROFILE = "DATASHOP_PROFILE"
ANNOTATOR = "DATASHOP_ANNOTATOR"
TRAINING_CLUSTER = "RAY_ADDRESS"
ROOT = "DATASHOP_ROOT"


@dataclass(frozen=True)
class Profile:
    """`homes` are the annotators that a profile may use; the other fields are the columns of the table above.

    `on_cluster` is None where both a Ray cluster and this machine will do.
    """

    name: str
    executor: dg.ExecutorDefinition
    homes: tuple[str, ...]
    on_cluster: bool | None
    bucket: bool


# Two steps at a time on one machine with an accelerator: the pools keep the accelerator to one of them.
PROFILES = {
    "local": Profile("local", dg.in_process_executor, ("embedded", "server", "endpoints"), None, False),
    "gpu": Profile(
        "gpu", dg.multiprocess_executor.configured({"max_concurrent": 2}), ("server", "endpoints"), False, False
    ),
    "gcp": Profile("gcp", dg.multiprocess_executor.configured({"max_concurrent": 4}), ("endpoints",), True, True),
}


def profile(environment: Mapping[str, str] | None = None) -> Profile:
    """The chosen profile. Raises `ValueError` for one that does not exist or that does not fit the other variables."""
    given = {name: text for name, text in (os.environ if environment is None else environment).items() if text}
    name = given.get(PROFILE, "local")
    if name not in PROFILES:
        raise ValueError(f"{PROFILE} is {name!r}; use one of {', '.join(PROFILES)}")
    chosen = PROFILES[name]
    for problem in filter(None, (check(chosen, given) for check in CHECKS)):
        raise ValueError(f"{PROFILE}={name}: {problem}")
    return chosen


def _annotator_fits(chosen: Profile, given: Mapping[str, str]) -> str:
    home = given.get(ANNOTATOR, "embedded")
    if home in chosen.homes:
        return ""
    return f"{ANNOTATOR} is {home!r}; set it to {' or '.join(chosen.homes)} (see docs/annotators.md)"


def _cluster_is_named(chosen: Profile, given: Mapping[str, str]) -> str:
    named = given.get(TRAINING_CLUSTER)
    if chosen.on_cluster and not named:
        return (
            f"{TRAINING_CLUSTER} is not set; name the cluster's address, as `ray://HOST:10001` (see docs/clusters.md)"
        )
    if named and chosen.on_cluster is False:
        return f"{TRAINING_CLUSTER} is {named!r}, which this profile would not use; unset it or use {PROFILE}=gcp"
    return ""


def _root_is_seen_by_all(chosen: Profile, given: Mapping[str, str]) -> str:
    root = given.get(ROOT, "")
    if not chosen.bucket or "://" in root.removeprefix("file://"):
        return ""
    return f"{ROOT} is {root!r}, which only this machine sees; name a bucket, as gs://my-bucket/datashop"


CHECKS: tuple[Callable[[Profile, Mapping[str, str]], str], ...] = (
    _annotator_fits,
    _cluster_is_named,
    _root_is_seen_by_all,
)


def resources() -> dict[str, Any]:
    """Resource key -> resource, as the table says. What is heavy is imported when a step first uses it."""
    return {
        "prompts": prompt_store,
        "annotator": AnnotatorResource(),
        "trainer": default_trainer(),
        "compute": default_compute(),
        "progress": RunLogProgress(),
    }
