"""Every annotation ends in the training set or is left out with its reason; folds, repeats and weights are as said."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.documents.sampling import SCHEMA as SAMPLE_SCHEMA
from datashop_assets.training_set.labels import FOLDS, LARGEST_REPEAT, folds_of, labelled, positive_repeat, split_usable
from datashop_assets.training_set.results import TrainingSetConfig
from datashop_assets.training_set.steps import describe, training_set
from datashop_assets_tests.stages import run_step, stage_of_rows

SCHEMA = {
    **dict.fromkeys(("id", "source", "content", "text", "status", "reason"), pl.String),
    "characters": pl.Int64,
    "expected_score": pl.Float64,
    "probability": pl.Float64,
}


def annotation(number: int, score: float | None, **changes: Any) -> dict[str, Any]:
    status = "parsed" if score is not None else "failed"
    row: dict[str, Any] = {
        "id": f"doc{number}",
        "source": "wikipedia",
        "content": f"content {number}",
        "text": f"text {number} […]",
        "status": status,
        "reason": "",
    }
    row["characters"] = 1000
    return {**row, "expected_score": score, "probability": 0.5, **changes}


def rows_of(annotations: list[dict[str, Any]], **changes: Any) -> list[dict[str, Any]]:
    config = TrainingSetConfig(train_on="scores", positive_from=2.5, balance=False).model_copy(update=changes)
    texts = {row["content"]: f"text {row['content'].split()[1]}, to its end" for row in annotations}
    return labelled(annotations, texts, config)


def test_an_annotation_without_a_score_is_left_out_with_its_reason() -> None:
    rows = [annotation(1, 4.0), annotation(2, None, status="failed", reason="out of memory")]
    used, left_out = split_usable(rows)
    assert [row["id"] for row in used] == ["doc1"]
    assert left_out == [{"id": "doc2", "source": "wikipedia", "status": "failed", "reason": "out of memory"}]


def test_a_repaired_reply_counts() -> None:
    assert split_usable([annotation(1, 4.0, status="repaired")])[1] == []


def test_a_label_is_positive_from_the_score_that_the_prompt_names() -> None:
    rows = rows_of([annotation(1, 2.4999), annotation(2, 2.5), annotation(3, 5.0)])
    assert [row["label"] for row in rows] == [0, 1, 1]


def test_a_target_is_the_score_as_a_share_of_the_highest() -> None:
    rows = rows_of([annotation(1, 0.0), annotation(2, 2.0), annotation(3, 5.0)])
    assert [row["target"] for row in rows] == [0.0, 0.4, 1.0]
    assert {row["repeat"] for row in rows} == {1}


def test_the_target_of_a_cut_is_the_label() -> None:
    rows = rows_of([annotation(1, 0.0), annotation(2, 2.0), annotation(3, 5.0)], train_on="cut", positive_from=2.0)
    assert [row["target"] for row in rows] == [0.0, 1.0, 1.0]


def test_the_text_is_the_whole_document_of_which_the_annotator_read_a_part() -> None:
    assert rows_of([annotation(1, 3.0)])[0]["text"] == "text 1, to its end"


def test_a_weight_is_one_over_the_probability_of_being_drawn() -> None:
    assert rows_of([annotation(1, 1.0, probability=0.04)])[0]["weight"] == 25.0


def test_a_stored_probability_that_was_rounded_above_one_counts_as_one() -> None:
    """Annotations are paid for: rows of samples such as 1,066 documents hold (1 - (1 - p)) / p, a digit off."""
    assert rows_of([annotation(1, 1.0, probability=1.0000000000000002)])[0]["weight"] == 1.0


@pytest.mark.parametrize("probability", [0.0, -1.0, 1.5, float("nan")])
def test_an_impossible_probability_names_its_annotation(probability: float) -> None:
    with pytest.raises(ValueError, match="'doc7'"):
        rows_of([annotation(7, 1.0, probability=probability)])


def test_balance_repeats_positives_of_a_cut_and_leaves_weights_alone() -> None:
    annotations = [annotation(n, 5.0 if n < 10 else 0.0) for n in range(40)]
    rows = rows_of(annotations, train_on="cut", balance=True)
    assert {(row["label"], row["repeat"]) for row in rows} == {(1, 3), (0, 1)}
    assert {row["weight"] for row in rows} == {2.0}


@given(st.lists(st.integers(0, 1), max_size=200))
def test_positives_are_never_repeated_beyond_the_negatives_or_the_limit(labels: list[int]) -> None:
    repeat = positive_repeat(labels)
    positives = sum(labels)
    assert 1 <= repeat <= LARGEST_REPEAT
    assert repeat == 1 or repeat * positives <= len(labels) - positives + positives / 2


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 1)), max_size=60))
def test_folds_are_even_within_each_label_and_keep_equal_texts_together(drawn: list[tuple[str, int]]) -> None:
    label_of = dict(drawn)
    folds = folds_of(list(label_of), list(label_of.values()))
    assert set(folds) == set(label_of)
    for label in (0, 1):
        sizes = Counter(fold for content, fold in folds.items() if label_of[content] == label)
        counts = [sizes[fold] for fold in range(FOLDS)]
        assert max(counts) - min(counts) <= 1


def test_folds_do_not_depend_on_the_order_of_documents() -> None:
    contents, labels = [str(n) for n in range(50)], [n % 3 == 0 for n in range(50)]
    assert folds_of(contents, labels) == folds_of(contents[::-1], labels[::-1])


def test_the_stage_accounts_for_every_annotation(tmp_path: Path) -> None:
    rows = [annotation(n, 5.0 if n % 4 == 0 else 0.5, probability=0.25 if n % 4 else 0.5) for n in range(20)]
    rows += [annotation(20, None), annotation(21, None, status="unparsed", reason="no number")]
    annotations = stage_of_rows(tmp_path, "annotations", {"round1-000.parquet": rows}, SCHEMA)
    sample = [{"id": row["id"], "text": "whole", "source": "", "content": row["content"]} for row in rows]
    inputs = [annotations, stage_of_rows(tmp_path, "annotation_sample", {"sample.parquet": sample}, SAMPLE_SCHEMA)]
    config = TrainingSetConfig(train_on="scores", positive_from=2.5, balance=True)
    made = run_step(training_set, tmp_path, config, inputs)
    assert made.table("training_set.parquet")["id"].to_list() == [f"doc{n}" for n in range(20)]
    assert made.table("left_out.parquet")["reason"].to_list() == ["", "no number"]
    result = made.result
    assert result.annotated == 22
    assert result.left_out == {"failed": 1, "unparsed": 1}
    assert result.positives == 5
    assert result.positive_share == pytest.approx(5 * 2 / (5 * 2 + 15 * 4))
    assert result.mean_target == pytest.approx((5 * 2 + 15 * 4 * 0.1) / (5 * 2 + 15 * 4))
    assert result.positive_at == 0.5
    assert result.by_fold == (4,) * 5
    assert "1 failed, 1 unparsed" in describe(made)["labels"]
