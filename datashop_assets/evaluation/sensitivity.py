"""Builds `sensitivity`: the comparison once more, of models that were trained at a second learning rate.

One fixed rate can reverse the ranking of data sets (arXiv 2512.24503), so a verdict that another rate does not give is
to be read with care. The second is a third of the prompt's: small rates make small models agree with large ones, by the
same paper. The two verdicts are each judged as `evaluation` judges its own; they are no second chance, and neither is
corrected for the other.
"""

from collections.abc import Sequence

from datashop_assets.core.step import StepRun
from datashop_assets.evaluation.comparison import compare_models, models_of
from datashop_assets.evaluation.report import table
from datashop_assets.evaluation.results import (
    EVERY_SOURCE,
    REPORT,
    Disagreement,
    EvaluationConfig,
    EvaluationResult,
    Measure,
    SensitivityResult,
)
from datashop_assets.trained_lm.results import (
    CandidateConfig,
    ControlSecondRateResult,
    MatchedSecondRateResult,
    TrainedLMResult,
    TrainedSecondRateResult,
)


def build(run: StepRun[EvaluationConfig]) -> SensitivityResult:
    """Writes losses, comparison and report as `evaluation` does, of the models of the second rate."""
    found = compare_models(
        run, models_of(run, ControlSecondRateResult, MatchedSecondRateResult, TrainedSecondRateResult)
    )
    measures = [one for one in found if one.source == EVERY_SOURCE]
    result = SensitivityResult(
        verdict=next(one.verdict for one in measures if one.primary),
        measures=measures,
        learning_rates=(_rate(run, TrainedLMResult), _rate(run, TrainedSecondRateResult)),
        disagreements=disagreements(run.input(EvaluationResult).result.measures, measures),
    )
    run.output.put_bytes(REPORT, f"**{result.sentence}**\n\n{table(found)}\n".encode())
    return result


def _rate(run: StepRun[EvaluationConfig], models: type[TrainedLMResult]) -> float:
    return CandidateConfig.model_validate(run.input(models).manifest.config).settings.learning_rate


def disagreements(first: Sequence[Measure], second: Sequence[Measure]) -> list[Disagreement]:
    """Of the measures of all sources those whose verdicts differ, in the order of the second."""
    verdicts = {(one.against, one.kind): one for one in first}
    pairs = ((verdicts[one.against, one.kind], one) for one in second)
    return [Disagreement(first=one, second=other) for one, other in pairs if one.verdict != other.verdict]
