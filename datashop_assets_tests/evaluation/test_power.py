"""The smallest difference that seeds see: of a comparison that is made, and before one is."""

from pathlib import Path

import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.evaluation.power import STATED_AT, STATED_SPREAD, visible_before, visible_in
from datashop_assets.evaluation.results import EvaluationConfig, EvaluationResult, Kind, Measure
from datashop_assets.prompts.settings import Primary, Training
from datashop_assets.statistics.comparison import visible_difference
from datashop_assets.statistics.intervals import spread_of
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import MadeFrom, Manifest
from datashop_assets.storage.root import Root
from datashop_assets.trained_lm.results import CandidateConfig, TrainedLMResult
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets_tests.small_lm import candidate_config

CONFIG = EvaluationConfig(primary=Primary(documents="target", against="control"))


def test_a_comparison_says_what_it_could_see(evaluated: StepOutput[EvaluationResult]) -> None:
    measure = evaluated.result.primary
    seeds = measure.difference.n
    visible = visible_in(measure)
    assert seeds == 4
    assert visible is not None
    assert measure.difference.high is not None
    reach = measure.difference.high - measure.difference.value
    # t(3) at 97.5% is 3.182, and the noncentral t at 80% needs 4.129 standard errors
    assert visible == pytest.approx(reach / 3.18245 * visible_difference(1.0, 4) * 2, rel=1e-5)
    assert visible > reach


@pytest.fixture
def finished(
    evaluated: StepOutput[EvaluationResult], models: list[StepOutput[TrainedLMResult]], tmp_path: Path
) -> Root:
    """A root that holds the candidate where the comparison's manifest says."""
    root = Root(str(tmp_path / "root"))
    place = Path(root.stage(TrainedLMResult.step, "a" * 32).uri)
    place.parent.mkdir(parents=True)
    place.symlink_to(models[-1].uri)
    return root


def manifest_of(evaluated: StepOutput[EvaluationResult]) -> Manifest:
    inputs = {TrainedLMResult.step: MadeFrom(plan="a" * 32, content="")}
    return evaluated.manifest.model_copy(update={"inputs": inputs})


def test_before_training_the_spread_is_that_of_comparisons_with_the_same_settings(
    evaluated: StepOutput[EvaluationResult], finished: Root
) -> None:
    ten_seeds = candidate_config(seeds=10)
    found = visible_before(ten_seeds, CONFIG, True, [manifest_of(evaluated)] * 2, finished)
    assert [one.measure for one in found] == [
        "target documents against the plain control",
        "target documents against the matched control",
    ]
    assert [one.source for one in found] == ["2 made here with these settings"] * 2
    for said, measure in zip(found, (evaluated.result.primary, matched(evaluated)), strict=True):
        spread = spread_of(measure.difference)
        assert spread is not None
        assert said.difference == pytest.approx(visible_difference(spread, 10))


def matched(evaluated: StepOutput[EvaluationResult]) -> Measure:
    found = evaluated.result.measure("matched", Kind.TARGET)
    assert found is not None
    return found


def test_without_one_the_stated_spread_counts_and_what_differs_is_said(
    evaluated: StepOutput[EvaluationResult], finished: Root
) -> None:
    other = candidate_config(learning_rate=0.01)
    found = visible_before(other, CONFIG, False, [manifest_of(evaluated)], finished)
    assert [one.difference for one in found] == [pytest.approx(visible_difference(STATED_SPREAD["control"], 4))]
    assert "measured at the default settings (docs/training.md); yours differ: depth 1, not 2" in found[0].source
    assert "learning_rate 0.01, not" in found[0].source
    default = CandidateConfig(settings=STATED_AT, checkpoint=None, max_epochs=4.0)
    [plain, _] = visible_before(default, CONFIG, True, [], finished)
    assert plain.source == "measured at the default settings (docs/training.md)"
    assert TrainingSettings.of(Training()) == STATED_AT


def test_a_comparison_whose_models_are_gone_counts_for_nothing(
    evaluated: StepOutput[EvaluationResult], tmp_path: Path
) -> None:
    found = visible_before(candidate_config(), CONFIG, True, [manifest_of(evaluated)], Root(str(tmp_path)))
    assert all(one.source.startswith("measured at the default settings") for one in found)
    assert Folder(str(tmp_path)).names() == []


def test_one_seed_sees_nothing(tmp_path: Path) -> None:
    [one] = visible_before(candidate_config(seeds=1), CONFIG, False, [], Root(str(tmp_path)))
    assert one.difference is None
