"""The comparison at a second learning rate, and what is said where the two disagree."""

from pathlib import Path

import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.evaluation.results import (
    REPORT,
    Disagreement,
    EvaluationConfig,
    EvaluationResult,
    Measure,
    SensitivityResult,
    Verdict,
    read_measures,
)
from datashop_assets.evaluation.sensitivity import disagreements
from datashop_assets.evaluation.steps import sensitivity
from datashop_assets.prompts.settings import Primary
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import CandidateConfig, ControlConfig
from datashop_assets.trained_lm.steps import control_lm_second_rate, matched_lm_second_rate, trained_lm_second_rate
from datashop_assets_tests.small_lm import TOOLS, TRAINING, TokenizedPool, candidate_config
from datashop_assets_tests.stages import run_step


@pytest.fixture(scope="module")
def repeated(
    evaluated: StepOutput[EvaluationResult],
    models: list[StageFolder],
    tokenized: TokenizedPool,
    sums: StageFolder,
    targets: StageFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> StepOutput[SensitivityResult]:
    """At a second rate that is too small to learn anything by: a hundredth."""
    root: Path = tmp_path_factory.mktemp("second")
    own = candidate_config(learning_rate=TRAINING["learning_rate"] / 100)
    control = ControlConfig(settings=own.settings, checkpoint=None)
    inputs = [*tokenized.outputs, sums]
    again = [
        run_step(control_lm_second_rate, root, control, [tokenized.tokens], resources=TOOLS),
        run_step(matched_lm_second_rate, root, own, inputs, resources=TOOLS),
        run_step(trained_lm_second_rate, root, own, inputs, resources=TOOLS),
    ]
    config = EvaluationConfig(primary=Primary(documents="target", against="control"))
    return run_step(sensitivity, root, config, [evaluated, models[-1], *again, tokenized.tokens, targets])


def test_the_second_verdict_is_that_of_the_second_models(
    evaluated: StepOutput[EvaluationResult], repeated: StepOutput[SensitivityResult]
) -> None:
    first, second = evaluated.result, repeated.result
    rate = TRAINING["learning_rate"]
    assert second.learning_rates == (rate, pytest.approx(rate / 100))
    assert [(one.against, one.kind) for one in second.measures] == [(one.against, one.kind) for one in first.measures]
    [primary] = [one for one in second.measures if one.primary]
    assert second.verdict == primary.verdict
    assert abs(primary.difference.value) < abs(first.primary.difference.value) / 2  # little is learnt
    assert primary.control > first.primary.control
    assert len(read_measures(repeated)) == len(second.measures)


def test_its_report_begins_with_where_the_rates_disagree(repeated: StepOutput[SensitivityResult]) -> None:
    report = repeated.file(REPORT).read_text()
    assert report.startswith(f"**{repeated.result.sentence}**")
    assert sensitivity.describe(repeated) == {"where the rates disagree": report}


def with_verdicts(result: EvaluationResult, *verdicts: Verdict) -> list[Measure]:
    return [one.model_copy(update={"verdict": verdict}) for one, verdict in zip(result.measures, verdicts, strict=True)]


def said(first: list[Measure], second: list[Measure]) -> str:
    found = disagreements(first, second)
    return SensitivityResult(
        verdict=second[0].verdict, measures=second, learning_rates=(0.006, 0.002), disagreements=found
    ).sentence


def test_measures_whose_verdicts_differ_are_said_with_both_figures(evaluated: StepOutput[EvaluationResult]) -> None:
    better, worse, same = Verdict.BETTER, Verdict.WORSE, Verdict.SAME
    first = with_verdicts(evaluated.result, better, same, better, same)
    second = with_verdicts(evaluated.result, better, worse, same, same)
    assert disagreements(first, second) == [
        Disagreement(first=first[1], second=second[1]),
        Disagreement(first=first[2], second=second[2]),
    ]
    sentence = said(first, second)
    assert sentence.startswith("At a learning rate of 0.002, in place of 0.006, verdicts differ: on general documents")
    general, matched = (f"{one.difference.value:+.3f}" for one in second[1:3])
    assert f"is worse than the plain control ({general}), and at the first not distinguishable ({general})" in sentence
    assert f"not distinguishable from the matched control ({matched}), and at the first better ({matched})" in sentence


def test_agreement_is_said_and_so_is_that_one_seed_has_no_verdict(evaluated: StepOutput[EvaluationResult]) -> None:
    measures = evaluated.result.measures
    assert said(measures, measures) == "At a learning rate of 0.002, in place of 0.006, every verdict is the same."
    none = with_verdicts(evaluated.result, *[Verdict.NONE] * 4)
    assert "there is no verdict either: one seed has no interval" in said(none, none)


def test_the_second_models_have_what_the_first_have_but_for_the_rate(
    evaluated: StepOutput[EvaluationResult], models: list[StageFolder], repeated: StepOutput[SensitivityResult]
) -> None:
    assert CandidateConfig.model_validate(models[-1].manifest.config).settings.at_second_rate().learning_rate == 0.01
    assert evaluated.result.targets_from == "annotator"
    assert {one.bytes for one in repeated.result.measures} == {one.bytes for one in evaluated.result.measures}
