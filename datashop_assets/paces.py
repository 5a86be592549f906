"""How long stages take that ask nothing: scaled by their work from finished ones, else from stated paces.

Work is counted in the unit that a stage's time grows with: documents of the pool where all of it is read, held-out
documents for the index of their n-grams, tokens for what is drawn to train on, and tokens times weights for language
models. All other stages count as one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from datashop_assets.core.plan import PlannedStep
from datashop_assets.core.step import StepConfig
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.documents.split import Split
from datashop_assets.encoder.results import PoolEmbeddingsResult
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresResult
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder
from datashop_assets.trained_lm.results import ControlConfig
from datashop_assets.training_documents.settings import DecontaminationConfig, PoolTokensConfig

READ_ALL = frozenset(
    one.step
    for one in (
        PretrainingPoolResult,
        AnnotationSampleResult,
        PoolEmbeddingsResult,
        PoolScoresResult,
        FilteredPoolResult,
    )
)


@dataclass(frozen=True)
class PoolSize:
    documents: int
    heldout: int

    @classmethod
    def of(cls, pool: PretrainingPoolResult) -> "PoolSize":
        heldout = pool.by_split.get(Split.HELDOUT)
        return cls(pool.documents, heldout.documents if heldout else 0)


def work(name: str, config: StepConfig, pool: PoolSize, vocabulary: int) -> float:
    """How much work a stage with this configuration is."""
    match config:
        case ControlConfig():
            settings = config.settings
            weights = 1 if settings.anneal else settings.llama(vocabulary).parameters
            return float(settings.tokens) * settings.seeds * weights
        case PoolTokensConfig():
            return float(config.seeds * (config.shared_tokens + config.own_tokens))
        case DecontaminationConfig():
            return float(pool.heldout)
    return float(pool.documents) if name in READ_ALL else 1.0


def expected_seconds(planned: PlannedStep, root: Root, pool: PoolSize, vocabulary: int) -> tuple[Figure | None, int]:
    """Seconds of a stage that is to be made over this pool, scaled from how many finished ones of its name."""
    name, config = planned.step.name, type(planned.config)
    rates: list[float] = []
    for manifest in finished(root, name):
        try:
            made = config.model_validate(manifest.config)
        except ValidationError:  # made by another version of the step
            continue
        if done := work(name, made, _pool_of(manifest, root), vocabulary):
            rates.append(manifest.seconds / done)
    if not rates:
        return None, 0
    return t_interval(rates).at_least(0.0).times(work(name, planned.config, pool, vocabulary)), len(rates)


def finished(root: Root, name: str) -> Iterator[Manifest]:
    """The manifests of all finished stages of a name, whatever prompt they are of; damaged ones are left out."""
    stages = root.stages.child(name)
    for digest in stages.folders():
        try:
            if stages.child(digest).exists(MANIFEST):
                yield StageFolder(stages.child(digest)).manifest
        except DamagedStageError:
            continue


def _pool_of(manifest: Manifest, root: Root) -> PoolSize:
    """The pool that a stage was made over; an empty one where that is not known."""
    try:
        if manifest.stage != PretrainingPoolResult.step:
            made_of = manifest.inputs[PretrainingPoolResult.step].plan
            manifest = StageFolder(root.stage(PretrainingPoolResult.step, made_of)).manifest
        return PoolSize.of(PretrainingPoolResult.model_validate(manifest.metrics))
    except (LookupError, OSError, ValidationError, DamagedStageError):
        return PoolSize(0, 0)
