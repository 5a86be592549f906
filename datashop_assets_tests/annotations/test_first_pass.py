"""A cascade: a cheap first pass ranks the sample, the full question is spent where it ranks high, weights undo that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from datashop_assets.annotations.describe import describe_annotations
from datashop_assets.annotations.design import Row, first_round, plan_rounds, second_round
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.prompts.annotator_settings import AnnotationCascade, SecondRound
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.storage.digests import unit_hash
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import CONFIG, Inputs, annotate, text_of

SHORT = AnnotationCascade(prompt="Mathematics? {example} Final score: N", scoring="generate")
CASCADE = CONFIG.model_copy(
    update={
        "documents": 60,
        "second_round": SecondRound(documents=60, strata=5),
        "cascade": SHORT.ranking_config("counter"),
    }
)
BY_ENCODER = CONFIG.model_copy(update={"cascade": AnnotationCascade(encoder="ab" * 16).ranking_config("counter")})


@dataclass
class TwoQuestions(WordCounter):
    """Counts what is asked by which way of scoring."""

    ways: list[str] = field(default_factory=list)

    def answer(self, asked: Any, question: Question) -> Iterator[Answer]:
        def noted() -> Iterator[AnnotationRequest]:
            for one in asked:
                self.ways.append(question.scoring)
                yield one

        return super().answer(noted(), question)


def test_the_full_question_is_spent_where_the_first_pass_ranks_high(tmp_path: Path, inputs: Inputs) -> None:
    annotator = TwoQuestions()
    made = annotate(tmp_path, "annotations", CASCADE, inputs, annotator)
    rows = made.table()
    positive = rows["expected_score"] >= 2.5
    truth = sum("theorem" in text_of(place) or "proof" in text_of(place) for place in range(600)) / 600

    assert (annotator.ways.count("generate"), annotator.ways.count("likelihood")) == (540, 120)
    assert made.result.pilot == "strata of the first pass's score"
    assert made.result.first_pass == TokensSpent(reported=540 * 13)
    assert made.result.tokens_spent() == 660 * 13
    said = describe_annotations(made)["how documents ended"]
    assert "The first pass took 7,020 tokens, as servers report them." in said
    assert positive.filter(rows["round"] == 2).mean() > 2 * positive.filter(rows["round"] == 1).mean()
    assert (1 / rows["probability"]).sum() == pytest.approx(600)
    assert (positive / rows["probability"]).sum() / 600 == pytest.approx(truth, abs=0.06)


def test_a_killed_cascade_asks_nothing_twice_and_draws_the_same(tmp_path: Path, inputs: Inputs) -> None:
    whole = annotate(tmp_path / "whole", "annotations", CASCADE, inputs, WordCounter())
    with pytest.raises(KeyboardInterrupt):
        annotate(tmp_path / "killed", "annotations", CASCADE, inputs, WordCounter(dies_after=300))
    resumed = annotate(tmp_path / "killed", "annotations", CASCADE, inputs, last := WordCounter())

    assert resumed.manifest.content_digest == whole.manifest.content_digest
    assert len(last.requests) == 660 - 300


def test_what_the_first_pass_cannot_score_may_still_be_drawn(tmp_path: Path, inputs: Inputs) -> None:
    annotator = WordCounter(says={"river": "I cannot tell"})
    rows = annotate(tmp_path, "annotations", CASCADE, inputs, annotator).table()
    second = rows.filter((rows["round"] == 2) & rows["text"].str.contains("river"))

    assert len(second) > 5
    assert second["stratum"].max() < 5


def test_an_encoder_that_is_not_there_is_an_error_with_its_digest(tmp_path: Path, inputs: Inputs) -> None:
    with pytest.raises(ValueError, match=f"annotator.cascade.encoder: no finished encoder {'ab' * 16}"):
        annotate(tmp_path, "annotations", BY_ENCODER, inputs, WordCounter())


def test_a_finished_encoder_of_another_prompt_ranks_by_its_digest(tmp_path: Path, inputs: Inputs) -> None:
    class Lengths:
        def margins(self, texts: Sequence[str]) -> Any:
            return np.array([float(len(text)) for text in texts])

    asked: list[str] = []

    def scorer(digest: str) -> Lengths:
        asked.append(digest)
        return Lengths()

    rows = annotate(tmp_path, "annotations", BY_ENCODER, inputs, WordCounter(), scorer=scorer).table()
    longest = rows.group_by("stratum").agg(pl.max("characters")).sort("stratum")["characters"].to_list()

    assert asked == ["ab" * 16]
    assert longest[1:] == sorted(longest[1:])
    assert longest[1] < longest[-1]


@pytest.mark.parametrize("skill", [1.0, 0.0])
def test_weighted_shares_are_right_on_average_however_good_the_first_pass_is(skill: float) -> None:
    """4% of 500 documents are positive. 150 draws of 60 at random and 60 in six strata."""
    found = []
    for repeat in range(150):
        sample: list[Row] = [{"content": f"{repeat}-{place}"} for place in range(500)]
        positive = {row["content"] for place, row in enumerate(sample) if place % 25 == 0}
        design = plan_rounds(500, 60, 60, 6)
        first, rest = first_round(sample, design)
        scores = [
            skill * (row["content"] in positive) + (1 - skill) * unit_hash("noise", row["content"]) for row in rest
        ]
        chosen = [*first, *second_round(rest, scores, design)]
        found.append(sum(one.weight for one in chosen if one.row["content"] in positive))

    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - 20) < 4 * error
    assert error < 1.0
