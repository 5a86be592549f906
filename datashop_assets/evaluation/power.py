"""What a comparison can see: the smallest difference that its seeds find with 80% power.

It goes by the spread of paired differences over seeds: that of the comparison itself once it is made, before training
that of finished comparisons of models with the same settings, and where there are none the spread that was measured at
the defaults (docs/training.md has the table). Only the primary measure and the one that follows it are tested at the
nominal level, so these two are meant; what others need, which are corrected for being many, is more.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from pydantic import ValidationError

from datashop_assets.costs import VisibleDifference
from datashop_assets.evaluation.results import CONTROLS, Against, EvaluationConfig, EvaluationResult, Kind, Measure
from datashop_assets.statistics.comparison import visible_difference
from datashop_assets.statistics.intervals import spread_of
from datashop_assets.storage.manifest import Manifest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder
from datashop_assets.trained_lm.results import CandidateConfig, TrainedLMResult
from datashop_assets.training_documents.settings import TrainingSettings

# Standard deviation over seeds of paired differences on target documents at the default settings, bits per byte: the
# root mean square over three prompts
STATED_SPREAD: Mapping[Against, float] = {"control": 0.028, "matched": 0.022}
STATED_AT = TrainingSettings(
    depth=2, length=128, batch=8, steps=100, seeds=10, learning_rate=0.002, warmup_fraction=0.1, filtered_share=0.3
)


def visible_in(measure: Measure) -> float | None:
    """The smallest difference that this measure's seeds find with 80% power, in bits per byte; None for one seed."""
    spread = spread_of(measure.difference)
    return None if spread is None else visible_difference(spread, measure.difference.n or 0)


def visible_before(
    config: CandidateConfig, evaluation: EvaluationConfig, matched: bool, finished: Iterable[Manifest], root: Root
) -> list[VisibleDifference]:
    """Of the primary measure and the one that follows it, before they are made.

    `finished` are the manifests of finished comparisons under the root, whatever their settings are.
    """
    results = [one for one in (_result_of(each, config, root) for each in finished) if one is not None]
    kind, primary = Kind(evaluation.primary.documents), evaluation.primary.against
    other: Against = "matched" if primary == "control" else "control"
    seeds = config.settings.seeds
    said = []
    for against in (primary, other) if matched or primary == "matched" else (primary,):
        measured = [spread for one in results if (spread := _spread_in(one, against, kind)) is not None]
        spread = math.sqrt(sum(one**2 for one in measured) / len(measured)) if measured else STATED_SPREAD[against]
        said.append(
            VisibleDifference(
                measure=f"{kind} documents against {CONTROLS[against]}",
                difference=visible_difference(spread, seeds) if seeds > 1 else None,
                source=f"{len(measured)} made here with these settings" if measured else _stated(config),
            )
        )
    return said


def _result_of(manifest: Manifest, config: CandidateConfig, root: Root) -> EvaluationResult | None:
    """What a finished comparison found, if its models had these settings but for the number of seeds."""
    try:
        models = StageFolder(root.stage(TrainedLMResult.step, manifest.inputs[TrainedLMResult.step].plan)).manifest
        made = CandidateConfig.model_validate(models.config)
        result = EvaluationResult.model_validate(manifest.metrics)
    except (LookupError, OSError, ValidationError, DamagedStageError):  # gone, or made by another version
        return None
    same = (
        replace(made.settings, seeds=config.settings.seeds) == config.settings and made.checkpoint == config.checkpoint
    )
    return result if same else None


def _spread_in(result: EvaluationResult, against: Against, kind: Kind) -> float | None:
    measure = result.measure(against, kind)
    return None if measure is None else spread_of(measure.difference)


def _stated(config: CandidateConfig) -> str:
    """Where the stated spread is from, and in what these settings differ from those that it was measured at."""
    own, stated = asdict(replace(config.settings, seeds=STATED_AT.seeds)), asdict(STATED_AT)
    others = [f"{name} {own[name]}, not {stated[name]}" for name in own if own[name] != stated[name]]
    measured = "measured at the default settings (docs/training.md)"
    return f"{measured}; yours differ: {'; '.join(others)}" if others else measured
