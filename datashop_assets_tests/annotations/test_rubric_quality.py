"""The benchmark of scores by rubric, with an annotator whose judgement is known."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.section import Scoring
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question
from datashop_assets_tests.benchmarks.rubric_quality import HEAD, GoldSample, gold_sample, measure, shipped_prompts

PROMPT = parse_prompt(
    {
        "name": "P",
        "rubric": "Proofs? {example} Final score: N",
        "annotator": {"scoring": "generate", "model": "m"},
        "evaluation": {"gold": ["Mathematics"]},
    },
    "proofs",
    "proofs.yaml",
)
LABELS = ("Mathematics", *["History"] * 8, None)  # one in ten has no label


class Judges:
    """Gives a text with `proof` in it `high` points and any other `low`; first it only talks about every fifth."""

    group = None

    def __init__(self, high: int, low: int) -> None:
        self.high, self.low = high, low
        self.asked: list[tuple[AnnotationRequest, Question]] = []

    def identity(self, model: str) -> tuple[str, str]:
        return model, ""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        for one in asked:
            self.asked.append((one, question))
            points = self.high if "proof" in one.text else self.low
            said, probabilities = f"Final score: {points}", None
            if question.scoring == "score_token":
                probabilities = {option: float(option == str(points)) for option in question.options}
            elif one.text.startswith("talk") and not one.constrain:
                said = "This is about many things."
            ended = Ended.REFUSED if one.text.startswith("rude") else Ended.COMPLETE
            yield Answer(one.id, ended, "", said, probabilities, one.text, False, 1, 1, 0.0, "")


@pytest.fixture(scope="module")
def sample() -> GoldSample:
    rows: list[dict[str, Any]] = []
    gold: dict[str, str] = {}
    for number in range(1000):
        label = LABELS[number % 10]
        begins = ("talk", "say", "tell", "rude", "sing")[number // 10 % 5]
        text = f"{begins} {'a proof' if label == 'Mathematics' else 'a story'} {'x' * (number % 37)}"
        rows.append({"id": f"d{number}", "text": text, "source": "web" if number % 3 else "books"})
        if label:
            gold[f"d{number}"] = label
    return gold_sample(PROMPT, rows, gold, 80)


def test_half_of_the_documents_are_positive_and_weigh_what_they_are_in_the_pool(sample: GoldSample) -> None:
    assert Counter(sample.label) == {1: 40, 0: 40}
    assert np.average(sample.label, weights=sample.weight) == pytest.approx(1 / 9)
    assert sample.baselines["length"].shape == sample.baselines["source"].shape == (80,)


@pytest.mark.parametrize("scoring", ["generate", "score_token"])
def test_an_annotator_that_follows_the_rubric_agrees_with_gold(sample: GoldSample, scoring: Scoring) -> None:
    annotator = Judges(4, 1)
    quality, _ = measure(PROMPT, scoring, "maker/model", sample, annotator)
    figures = quality.summary.all.figures
    assert figures is not None
    assert figures.auc.value == 1
    assert quality.summary.all.baselines["source"].auc.value < 0.8
    assert set(quality.summary.within) == {"web", "books"}
    assert quality.kappa is not None
    assert quality.same is not None
    assert (quality.kappa.value, quality.same.value) == (1, 1)
    assert {question.model for _, question in annotator.asked} == {"maker/model"}
    assert {question.prompt for _, question in annotator.asked} == {PROMPT.rubric}
    assert len(quality.row()) == len(HEAD)


def test_second_tries_and_refusals_are_counted_and_only_scores_are_measured(sample: GoldSample) -> None:
    quality, judgements = measure(PROMPT, "generate", "m", sample, Judges(4, 1))
    begins = Counter(row["text"].partition(" ")[0] for row in sample.rows)
    assert quality.statuses["repaired"] == begins["talk"] > 0
    assert quality.statuses["refused"] == begins["rude"] > 0
    assert sum(quality.statuses.values()) == len(judgements) == 80
    assert quality.summary.all.documents == 80 - begins["rude"]


def test_an_annotator_that_scores_the_other_way_round_is_worse_than_chance(sample: GoldSample) -> None:
    quality, _ = measure(PROMPT, "score_token", "m", sample, Judges(1, 4))
    figures = quality.summary.all.figures
    assert figures is not None
    assert figures.auc.value == 0
    assert quality.kappa is not None
    assert quality.kappa.value < 0


def test_the_shipped_prompts_that_name_gold_labels_are_measured() -> None:
    assert [prompt.slug for prompt in shipped_prompts()] == ["history", "mathematics"]
