"""The checks agree with what the steps write, and notice every document that is one too many or too few."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.core.step import CheckContext, CheckResult, StepOutput, config_json
from datashop_assets.encoder.results import OUT_OF_FOLD
from datashop_assets.encoder.steps import encoder
from datashop_assets.filtered_pool.checks import FILTERED_POOL_CHECKS, miskept, unscored
from datashop_assets.filtered_pool.results import FilteredPoolResult, tokens_name
from datashop_assets.filtered_pool.steps import filtered_pool
from datashop_assets.prompts.keep_settings import FractionRule, KeepRule, RecallRule, ThresholdRule
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_set.results import LABELS
from datashop_assets.training_set.steps import training_set
from datashop_assets_tests.documents.making import make_pool, write_documents
from datashop_assets_tests.encoder.made import encoder_result
from datashop_assets_tests.filtered_pool.pools import filtering, kept_result
from datashop_assets_tests.stages import finish, stage_of_rows, writer

MARGINS = [[3.0, 1.0, 2.0], [0.5, 2.5, -1.0]]  # two shards of three documents
TOKENS = [[10, 20, 30], [40, 50, 60]]
SCHEMAS: Mapping[str, Any] = {
    "scores": {"row": pl.Int64, "score": pl.Float64, "margin": pl.Float64},
    "kept": {"row": pl.Int64, "kept": pl.Boolean},
    "tokens": {"row": pl.Int64, "tokens": pl.Int64, "counted": pl.Boolean},
}
HALF = FractionRule(fraction=0.5, of="documents")
TWO_THIRDS_OF_TOKENS = FractionRule(fraction=0.67, of="tokens")  # 140 of 210


def scores(root: Path, margins: Sequence[Sequence[float]] = MARGINS) -> StageFolder:
    shards = {
        f"part-{n}.parquet": [{"row": r, "score": m / 4, "margin": m} for r, m in enumerate(shard)]
        for n, shard in enumerate(margins)
    }
    return stage_of_rows(root, "pool_scores", shards, SCHEMAS["scores"])


def filtered(
    root: Path, rule: KeepRule, kept: Sequence[Sequence[bool]], forgotten: int = 0
) -> StepOutput[FilteredPoolResult]:
    output = writer(root, "filtered_pool")
    for n, flags in enumerate(kept):
        rows = [{"row": r, "kept": flag} for r, flag in enumerate(flags)]
        output.write_rows(f"part-{n}.parquet", rows, SCHEMAS["kept"])
        sizes = [{"row": r, "tokens": size, "counted": True} for r, size in enumerate(TOKENS[n])]
        output.write_rows(tokens_name(f"part-{n}"), sizes, SCHEMAS["tokens"])
        chosen = [{"id": str(r)} for r, flag in enumerate(flags) if flag]
        output.write_rows(f"documents/part-{n}.jsonl.zst", chosen[forgotten if n == 0 else 0 :])
    threshold = rule.threshold if isinstance(rule, ThresholdRule) else None
    metrics = kept_result(rule=rule, unit=rule.unit, threshold=threshold).model_dump(mode="json")
    config = config_json(filtering({"fraction": 0.5}, rule=rule))
    return filtered_pool.output(finish(output, "filtered_pool", metrics, config).folder)


def audit(root: Path, rule: KeepRule, kept: Sequence[Sequence[bool]], forgotten: int = 0) -> list[str]:
    return miskept(filtered(root, rule, kept, forgotten), scores(root))


EXACT = [[True, False, True], [False, True, False]]  # margins 3, 2.5, 2: half the documents


def test_the_exact_half_has_nothing_wrong(tmp_path: Path) -> None:
    assert audit(tmp_path, HALF, EXACT) == []


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([[True, True, True], [False, True, False]], "0.5 of 6 documents are 3, 4 are kept"),
        ([[True, False, False], [False, True, False]], "the next document, of 1, would fit"),
        ([[True, True, False], [False, True, False]], "margin 1.0 is kept and 2.0 is left out"),
    ],
)
def test_one_too_many_one_too_few_and_a_wrong_one_are_named(
    tmp_path: Path, kept: Sequence[Sequence[bool]], said: str
) -> None:
    assert said in "; ".join(audit(tmp_path, HALF, kept))


def test_a_kept_document_that_was_not_written_is_named(tmp_path: Path) -> None:
    assert audit(tmp_path, HALF, EXACT, forgotten=1) == ["part-0.parquet marks 2 documents as kept and 1 were written"]


def test_tokens_are_counted_where_the_rule_counts_tokens(tmp_path: Path) -> None:
    # in order of margin: 10, 50, 30, 20, 40, 60 tokens; 140 hold the first four and not the fifth
    kept = [[True, True, True], [False, True, False]]
    assert audit(tmp_path / "exact", TWO_THIRDS_OF_TOKENS, kept) == []
    short = audit(tmp_path / "short", TWO_THIRDS_OF_TOKENS, EXACT)
    assert short == ["0.67 of 210 tokens are 140, 90 are kept; the next document, of 20, would fit"]


def test_a_threshold_keeps_exactly_what_reaches_it(tmp_path: Path) -> None:
    rule = ThresholdRule(threshold=0.5)  # margins from 2 upward
    assert audit(tmp_path / "exact", rule, EXACT) == []
    wrong = audit(tmp_path / "wrong", rule, [[True, False, True], [False, True, True]])
    assert wrong == ["part-1.parquet does not keep exactly the scores from 0.5 upward"]


def test_missing_extra_and_shifted_scores_are_named(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for name, texts in {"part-0": ["one", None, "two"], "part-1": ["three"], "part-2": ["four"]}.items():
        write_documents(tmp_path / "files" / f"{name}.jsonl", [{"id": str(r), "text": t} for r, t in enumerate(texts)])
    pool = make_pool(f"{tmp_path}/files/*.jsonl", tmp_path)

    def scored(place: str, **rows: Sequence[int]) -> StageFolder:
        shards = {
            f"{name.replace('_', '-')}.parquet": [{"row": r, "score": 0.5, "margin": 0.0} for r in found]
            for name, found in rows.items()
        }
        return stage_of_rows(tmp_path / place, "pool_scores", shards, SCHEMAS["scores"])

    assert unscored(pool, scored("exact", part_0=[0, 2], part_1=[0], part_2=[0])) == []
    assert unscored(pool, scored("wrong", part_0=[0, 1], part_1=[0], part_3=[0])) == [
        "part-2.parquet is in the pool only",
        "part-3.parquet is in the scores only",
        "part-0.parquet has 2 documents and 2 scores, or of other rows",
    ]


LABELLED = {"id": pl.String, "label": pl.Int8, "score": pl.Float64}
PROMPT = {"name": "Tides", "rubric": "{example}", "annotator": {"scoring": "generate", "model": "some/model"}}
UNSEEN = [("a", 1, 0.9), ("b", 1, 0.6), ("c", 0, 0.5), ("d", 0, 0.06), ("e", 0, 0.01)]


def judged(root: Path, cut: float | None, rule: KeepRule = HALF, positive_at: float = 0.5) -> CheckResult:
    """The verdict on a cut, beside five labels of which the last two stand for three documents each."""
    unseen = [dict(zip(LABELLED, row, strict=True)) for row in UNSEEN]
    weights = [{"id": name, "weight": 3.0 if name in "de" else 1.0} for name, *_ in UNSEEN] * 2  # positives repeat
    scored = writer(root, "encoder")
    scored.write_rows(OUT_OF_FOLD, unseen, LABELLED)
    said = encoder_result(positive_at=positive_at).model_dump(mode="json")
    output = writer(root, "filtered_pool")
    metrics = kept_result(rule=rule, unit=rule.unit, cut_score=cut).model_dump(mode="json")
    context = CheckContext(
        parse_prompt(PROMPT, "tides", "tides.yaml"),
        filtered_pool.output(finish(output, "filtered_pool", metrics, {}).folder),
        {
            "encoder": encoder.output(finish(scored, "encoder", said, {}).folder),
            "training_set": training_set.output(
                stage_of_rows(root, "training_set", {LABELS: weights}, {"id": pl.String, "weight": pl.Float64}).folder
            ),
        },
    )
    [check] = [one for one in FILTERED_POOL_CHECKS if one.name == "cut_where_labels_are_positive"]
    return check.evaluate(context)


def test_a_cut_where_most_labels_are_negative_is_a_warning_with_the_precision_of_what_is_kept(tmp_path: Path) -> None:
    found = judged(tmp_path, 0.06)
    assert (found.passed, found.blocks, found.severity) == (False, False, "warning")
    assert "down to 0.060; labels are positive from 0.5 upward; of what is kept 0.333" in found.description
    assert "by 4 labels that the encoder had not seen" in found.description
    assert found.figures == {"cut_score": 0.06, "kept_precision": pytest.approx(2 / 6)}


def test_labels_are_positive_from_where_the_prompt_says(tmp_path: Path) -> None:
    assert judged(tmp_path / "low", 0.3, positive_at=0.2).passed
    assert not judged(tmp_path / "high", 0.55, positive_at=0.6).passed


@pytest.mark.parametrize(
    ("cut", "rule", "said"),
    [
        (0.5, HALF, "of what is kept 0.667"),
        (0.06, ThresholdRule(threshold=0.06), "of what is kept 0.333"),
        (0.06, RecallRule(recall=0.9, delta=0.05, labels=100), "of what is kept 0.333"),
        (0.95, HALF, "no labelled document scores as high"),
        (None, HALF, "nothing is kept"),
    ],
)
def test_a_cut_where_labels_are_positive_or_that_was_asked_for_is_none(
    tmp_path: Path, cut: float | None, rule: KeepRule, said: str
) -> None:
    found = judged(tmp_path, cut, rule)
    assert found.passed
    assert said in found.description
