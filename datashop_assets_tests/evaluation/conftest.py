"""A small comparison from pool to report, made once: the candidate learns from sums, the control from everything."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson
import pytest

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.evaluation.results import (
    EvaluationConfig,
    EvaluationResult,
    EvaluationTargetsConfig,
    EvaluationTargetsResult,
    TargetScoringConfig,
)
from datashop_assets.evaluation.steps import evaluation, evaluation_targets
from datashop_assets.prompts.annotator_settings import ScoringConfig
from datashop_assets.prompts.settings import Primary
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.small_lm import (
    TokenizedPool,
    make_filtered,
    make_pool,
    tokenize_pool,
    train_candidate,
    train_control,
    train_matched,
)
from datashop_assets_tests.stages import run_step

LIKELIHOOD = {"question": "{example}", "answer_begins": "It is", "options": ["sums", "prose"], "targets": ["sums"]}
QUESTION = {
    "model": "counter",
    "revision": "",
    "scoring": "likelihood",
    "likelihood": LIKELIHOOD,
    "sampling": {},
    "read_characters": 400,
    "reading": "head",
}
BY_ANNOTATOR = EvaluationTargetsConfig(
    targets=None,
    gold=(),
    gold_uri="",
    target_documents=60,
    general_documents=60,
    annotator=TargetScoringConfig(
        scoring=ScoringConfig.model_validate_json(
            orjson.dumps({"question": QUESTION, "parsing": {"scores": {"sums": 5, "prose": 0}}})
        ),
        positive_from=2.5,
    ),
)


class CountsPluses:
    """An annotator that scores a text for its plus signs, and gives none where it reads `refuse`."""

    group = None

    def identity(self, model: str) -> tuple[str, str]:
        return model, ""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        for one in asked:
            sums = min(5, one.text.count("+")) / 5
            ended = Ended.REFUSED if "refuse" in one.text else Ended.COMPLETE
            said = {"sums": sums, "prose": 1 - sums}
            yield Answer(one.id, ended, "", "", said, one.text, False, 1, 1, 0.0, "here")


@pytest.fixture(scope="session")
def lm_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="session")
def pool(lm_root: Path) -> StageFolder:
    return make_pool(lm_root)


@pytest.fixture(scope="session")
def targets(lm_root: Path, pool: StageFolder) -> StepOutput[EvaluationTargetsResult]:
    resources = Resources(annotator=CountsPluses())
    return run_step(evaluation_targets, lm_root, BY_ANNOTATOR, [pool], resources=resources)


@pytest.fixture(scope="session")
def tokenized(lm_root: Path, pool: StageFolder) -> TokenizedPool:
    return tokenize_pool(lm_root, pool)


@pytest.fixture(scope="session")
def sums(lm_root: Path, pool: StageFolder) -> StageFolder:
    """A filter that keeps what is a sum."""
    return make_filtered(lm_root, pool, lambda row: row["source"] == "sums")


@pytest.fixture(scope="session")
def models(lm_root: Path, tokenized: TokenizedPool, sums: StageFolder) -> list[StageFolder]:
    """Control, matched control and candidate. Sums are a source of their own, so that the matched control reads sums
    too, drawn at random.
    """
    return [
        train_control(lm_root, tokenized),
        train_matched(lm_root, tokenized, sums),
        train_candidate(lm_root, tokenized, sums),
    ]


@pytest.fixture(scope="session")
def evaluated(
    lm_root: Path, models: list[StageFolder], tokenized: TokenizedPool, targets: StageFolder
) -> StepOutput[EvaluationResult]:
    config = EvaluationConfig(primary=Primary(documents="target", against="control"))
    return run_step(evaluation, lm_root, config, [*models, tokenized.tokens, targets])
