"""The encoder on real documents: its report, its baselines, what it refuses, and that it repeats."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.encoder import steps
from datashop_assets.encoder.describe import describe
from datashop_assets.encoder.results import BASELINES, EncoderResult, EncoderStepConfig, RankingFigures, encoder_report
from datashop_assets.encoder_kinds.trained import load
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_set.labels import SCHEMA
from datashop_assets.training_set.results import LABELS
from datashop_assets.training_set.steps import training_set
from datashop_assets_tests.filtered_pool.pools import CONFIG, GOLD, gold_pool, training_rows, training_set_of_rows
from datashop_assets_tests.stages import finish, run_step, writer

Built = tuple[Path, StepOutput[EncoderResult]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("encoder")
    labels = training_set_of_rows(root, training_rows(root, 500))
    config = CONFIG.model_copy(update={"gold": tuple(GOLD)})
    return root, run_step(steps.encoder, root, config, [gold_pool(root), labels])


def estimates(result: EncoderResult) -> dict[str, Figure]:
    """Every figure of a result, of nested ones by their path."""
    found = {name: value for name, value in result if isinstance(value, Figure)}
    found |= {f"baseline_auc.{name}": value for name, value in result.baseline_auc.items()}
    assert result.gold is not None
    found |= {f"gold.{name}": value for name, value in result.gold if isinstance(value, Figure)}
    found |= {f"gold.auc_within.{name}": value for name, value in result.gold.auc_within.items()}
    return found | {f"gold.baseline_auc.{name}": value for name, value in result.gold.baseline_auc.items()}


def test_it_beats_length_and_source_on_labels_and_on_gold(built: Built) -> None:
    figures = estimates(built[1].result)
    auc, gold = figures["auc"], figures["gold.auc"]
    assert auc.low is not None
    assert auc.low > max(figures[f"baseline_auc.{name}"].value for name in BASELINES)
    assert gold.value > 0.95
    assert gold.value > max(figures[f"gold.baseline_auc.{name}"].value for name in BASELINES)


def test_every_figure_has_an_interval_around_it(built: Built) -> None:
    figures = estimates(built[1].result)
    named = {"auc", "spearman", "precision", "gold.auc", "gold.precision_at_share", "gold.annotator_auc"}
    assert named | {"gold.auc_within.docstring", "gold.auc_within.wikipedia"} <= set(figures)
    for figure in figures.values():
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high


def test_length_alone_and_source_alone_stand_beside_every_figure(built: Built) -> None:
    summary = encoder_report(built[1]).labels.all
    own = dict[str, Figure](summary.figures or ())
    assert summary.spearman is not None
    for name in RankingFigures.model_fields:
        for baseline in BASELINES:
            low = own[name].low
            assert low is not None
            assert dict[str, Figure](summary.baselines[baseline])[name].value < low, (name, baseline)
    assert "average precision of source alone" in describe(built[1])["on labels it has not seen"]


def test_the_annotator_stands_beside_it(built: Built) -> None:
    gold = built[1].result.gold
    assert gold is not None
    assert gold.annotator_auc is not None
    assert gold.annotator_precision_at_share is not None
    assert gold.annotator_auc.value == 1.0  # the labels of this test are gold itself
    assert gold.annotator_precision_at_share.value == 1.0


def test_the_report_holds_every_source_by_itself(built: Built) -> None:
    report = encoder_report(built[1])
    for part in (report.labels, report.gold, report.annotator):
        assert part is not None
        assert set(part.within) == {"wikipedia", "docstring"}
        assert sum(one.documents for one in part.within.values()) == part.all.documents
    assert report.gold is not None
    assert report.gold.without_gold > 0


def test_what_is_loaded_scores_as_what_was_trained(built: Built) -> None:
    root, encoder = built
    loaded = load(encoder)
    rows = StageFolder(Folder(str(root / "training_set"))).table(LABELS)
    margins = loaded.margins(rows["text"].to_list())
    score = loaded.calibration.probability(margins)
    assert np.corrcoef(score, rows["label"].to_numpy())[0, 1] > 0.8
    assert loaded.margins(["prime " * 1000]) == loaded.margins(["prime " * 1000 + "a king"])  # beyond what is read


def test_an_encoder_that_was_described_otherwise_is_refused_with_its_place(tmp_path: Path) -> None:
    output = writer(tmp_path, "encoder")
    output.put_bytes("encoder.json", b'{"config": {"kind": "fasttext"}, "files": []}')
    old = finish(output, "encoder", {}, {})
    with pytest.raises(ValueError, match=r"encoder/encoder\.json is not in the form of this version"):
        load(old)


def test_building_again_without_gold_gives_the_same_content(built: Built, tmp_path: Path) -> None:
    root, first = built
    again = run_step(steps.encoder, tmp_path, CONFIG, [training_set.output(Folder(str(root / "training_set")))])
    content = {file.name: file.content for file in first.manifest.files}
    for file in again.manifest.files:
        if file.identity and file.name != "report.json":
            assert file.content == content[file.name]
    assert again.result.gold is None


def test_it_is_shown_with_intervals_and_escaped_names(built: Built) -> None:
    shown = describe(built[1])
    assert set(shown) == {
        "taken for positive", "on labels it has not seen", "on held-out gold", "the annotator on gold", "reliability",
        "least certain",
        "precision and recall", "false positives", "false negatives",
    }  # fmt: skip
    assert "AUC of source alone" in shown["on held-out gold"]
    assert " to " in shown["reliability"]


@pytest.mark.parametrize("positives", [0, 4, 296, 300])
def test_too_few_of_one_class_is_refused_with_counts(tmp_path: Path, positives: int) -> None:
    rows: list[dict[str, Any]] = [
        {"id": str(n), "source": "s", "text": f"text {n}", "expected_score": 1.0, "label": int(n < positives)}
        | {"target": float(n < positives), "characters": 9, "weight": 1.0, "repeat": 1, "fold": n % 5}
        for n in range(300)
    ]
    labels = training_set_of_rows(tmp_path, rows)
    with pytest.raises(ValueError, match=f"{positives} positives and {300 - positives} negatives"):
        run_step(steps.encoder, tmp_path, CONFIG, [labels])


def test_of_scores_at_both_ends_alone_a_few_are_not_told_to_be_scores(tmp_path: Path) -> None:
    rows = [
        {**row, "expected_score": 5.0 * (n < 2), "target": float(n < 2)}
        for n, row in enumerate(training_rows(tmp_path, 300))
    ]
    with pytest.raises(ValueError, match=r"2 positives and 298 negatives, and no score between; .* ask a question"):
        run_step(steps.encoder, tmp_path, CONFIG, [training_set_of_rows(tmp_path, rows)])


def test_scores_without_a_single_positive_are_learnt(tmp_path: Path) -> None:
    """Of a rare topic no document may reach the cut: the scores still tell which come nearest."""
    rows = [{**row, "expected_score": 1.6 * row["label"] + 0.2} for row in training_rows(tmp_path, 300)]
    rows = [{**row, "target": row["expected_score"] / 5, "label": 0} for row in rows]
    made = run_step(steps.encoder, tmp_path, CONFIG, [training_set_of_rows(tmp_path, rows)])
    assert made.result.auc is None
    assert made.result.positives == 0
    assert made.result.spearman.value > 0.3
    loaded = load(made)
    scores = loaded.calibration.probability(loaded.margins(["A proof of the theorem on prime numbers", "He was king"]))
    assert 0.4 > scores[0] > scores[1]
    assert describe(made)["on labels it has not seen"]


def test_scores_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    rows = [{**row, "expected_score": 2.0, "target": 0.4, "label": 0} for row in training_rows(tmp_path, 40)]
    with pytest.raises(ValueError, match="all 40 documents of the training set have the score 2; there is nothing"):
        run_step(steps.encoder, tmp_path, CONFIG, [training_set_of_rows(tmp_path, rows)])


def test_an_unknown_kind_is_refused() -> None:
    stored = CONFIG.model_dump(mode="json")
    with pytest.raises(ValueError, match="'word2vec'"):
        EncoderStepConfig.model_validate({**stored, "encoder": {**stored["encoder"], "kind": "word2vec"}})


def test_schema_names_every_column_that_is_learnt_from() -> None:
    assert {"text", "target", "repeat", "weight", "fold"} <= set(SCHEMA)
    assert SCHEMA["weight"] == pl.Float64
