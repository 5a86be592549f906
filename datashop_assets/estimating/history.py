"""How long a stage takes, from finished stages of the same name under the same root, scaled by its amount of work.

Work is what a stage's time grows with: documents of the pool, or tokens trained times weights; one for all others.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from datashop_assets.estimating.intervals import Range, mean
from datashop_assets.planning import Planned
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder
from datashop_assets.trained_lm.settings import TrainingSettings

BY_POOL = (
    *("pretraining_pool", "annotation_sample", "pool_embeddings", "pool_tokens", "pool_scores", "filtered_pool"),
    "decontamination",
)
BY_TOKENS = ("control_lm", "matched_lm", "trained_lm")


def expected_seconds(planned: Planned, root: Root, documents: int, vocabulary: int) -> tuple[Range | None, int]:
    """Seconds of a stage that is to be made, and from how many finished ones; None where there is none."""
    rates = [
        manifest.seconds / work
        for manifest in _finished(root, planned.stage.name)
        if (work := _work(planned.stage.name, manifest.config, _documents_of(manifest, root), vocabulary))
    ]
    work = _work(planned.stage.name, planned.config, documents, vocabulary)
    return (mean(rates).times(work), len(rates)) if rates else (None, 0)


def trained_tokens(name: str, config: Mapping[str, Any], vocabulary: int) -> int | None:
    """Tokens of all seeds of a language-model stage; None for any other stage."""
    if name not in BY_TOKENS or "steps" not in config:
        return None
    settings = TrainingSettings.from_config(config, vocabulary)
    return settings.tokens * settings.seeds


def _work(name: str, config: Mapping[str, Any], documents: int, vocabulary: int) -> float:
    if (tokens := trained_tokens(name, config, vocabulary)) is not None:
        settings = TrainingSettings.from_config(config, vocabulary)
        return float(tokens) * (1 if settings.anneal else settings.llama(vocabulary).parameters)
    return float(documents) if name in BY_POOL else 1.0


def _finished(root: Root, name: str) -> Iterator[Manifest]:
    stages = root.folder.child("stages", name)
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
