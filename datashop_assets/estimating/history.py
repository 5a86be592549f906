"""How long a stage takes, from finished stages of the same name under the same root, scaled by its amount of work."""

from collections.abc import Iterator

from datashop_assets.core.plan import PlannedStep
from datashop_assets.estimating.work import work
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder


def expected_seconds(planned: PlannedStep, root: Root, documents: int, vocabulary: int) -> tuple[Figure | None, int]:
    """Seconds of a stage that is to be made, and from how many finished ones; None where there is none."""
    name = planned.step.name
    rates = [
        manifest.seconds / done
        for manifest in _finished(root, name)
        if (done := work(name, manifest.config, _documents_of(manifest, root), vocabulary))
    ]
    return (
        (t_interval(rates).at_least(0.0).times(work(name, planned.config, documents, vocabulary)), len(rates))
        if rates
        else (None, 0)
    )


def _finished(root: Root, name: str) -> Iterator[Manifest]:
    stages = root.stages.child(name)
    for digest in stages.folders():
        try:
            if stages.child(digest).exists(MANIFEST):
                yield StageFolder(stages.child(digest)).manifest
        except DamagedStageError:
            continue


def _documents_of(manifest: Manifest, root: Root) -> int:
    """Documents of the pool that a stage was made from; 0 where that is not known."""
    if manifest.stage == "pretraining_pool":
        return int(manifest.metrics["documents"])
    pool = manifest.inputs.get("pretraining_pool")
    folder = root.stage("pretraining_pool", pool["plan"]) if pool else None
    return int(StageFolder(folder).metrics["documents"]) if folder and folder.exists(MANIFEST) else 0
