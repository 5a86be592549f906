"""Where a step does its work: the cluster that its tag names, and the pool that counts how many may do so at once.

One graph spans two clusters, because vLLM and the trainer want different versions of `libtpu`. In the `local` profile
both are this machine.
"""

from dataclasses import dataclass

CLUSTER = "datashop/cluster"  # the tag


@dataclass(frozen=True)
class Place:
    """`pool` is Dagster's; its limit is the deployment's (`pools.default_limit` of dagster.yaml, one step)."""

    cluster: str = ""
    pool: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        return {CLUSTER: self.cluster} if self.cluster else {}


HERE = Place()
ANNOTATOR = Place("annotation", "annotator")
TRAINER = Place("training", "tpu")
SHARDS = Place("training")  # processors of the training cluster: any number of steps
