"""A small comparison from pool to report, made once: the candidate learns from sums, the control from everything."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from datashop_assets.core.step import Resources
from datashop_assets.evaluation.build import build
from datashop_assets.evaluation.targets import build as build_targets
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.training_pool import TrainingPool
from datashop_assets_tests.small_lm import (
    decontaminate,
    make_filtered,
    make_pool,
    make_tokens,
    train_candidate,
    train_control,
    train_matched,
)
from datashop_assets_tests.stages import run_build

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
BY_ANNOTATOR = {
    "targets": None,
    "gold": [],
    "gold_uri": "",
    "target_documents": 60,
    "general_documents": 60,
    "annotator": {"question": QUESTION, "parsing": {"scores": {"sums": 5, "prose": 0}}},
    "positive_from": 2.5,
}


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
def tokens(lm_root: Path, pool: StageFolder) -> StageFolder:
    return make_tokens(lm_root, pool)


@pytest.fixture(scope="session")
def targets(lm_root: Path, pool: StageFolder) -> StageFolder:
    tools, inputs = Resources(annotator=CountsPluses()), {"pretraining_pool": pool}
    return run_build(build_targets, "evaluation_targets", lm_root, BY_ANNOTATOR, inputs, tools)


@pytest.fixture(scope="session")
def training_pool(lm_root: Path, pool: StageFolder, tokens: StageFolder) -> TrainingPool:
    return TrainingPool(tokens, decontaminate(lm_root, pool))


@pytest.fixture(scope="session")
def sums(lm_root: Path, pool: StageFolder) -> StageFolder:
    """A filter that keeps what is a sum."""
    return make_filtered(lm_root, pool, lambda row: row["source"] == "sums")


@pytest.fixture(scope="session")
def evaluation(
    lm_root: Path, training_pool: TrainingPool, sums: StageFolder, tokens: StageFolder, targets: StageFolder
) -> StageFolder:
    """Sums are a source of their own, so that the matched control reads sums too, drawn at random."""
    inputs = {
        "control_lm": train_control(lm_root, training_pool),
        "matched_lm": train_matched(lm_root, training_pool, sums),
        "trained_lm": train_candidate(lm_root, training_pool, sums),
        "pool_tokens": tokens,
        "evaluation_targets": targets,
    }
    return run_build(build, "evaluation", lm_root, {"primary": {"documents": "target", "against": "control"}}, inputs)
