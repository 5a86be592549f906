"""The encoder on real documents: its report, its baselines, what it refuses, and that it repeats."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from datashop_assets.encoder import trained
from datashop_assets.encoder.build import build, refuse_useless
from datashop_assets.encoder.describe import describe
from datashop_assets.encoder.kinds import kind_of
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_set.build import LABELS, SCHEMA
from datashop_assets_tests.filtered_pool.pools import CONFIG, GOLD, gold_pool, training_rows
from datashop_assets_tests.stages import run_build, stage_of_rows


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageFolder]:
    root = tmp_path_factory.mktemp("encoder")
    inputs = {
        "pretraining_pool": gold_pool(root),
        "training_set": stage_of_rows(root, "training_set", {LABELS: training_rows(root, 500)}, SCHEMA),
    }
    return root, run_build(build, "encoder", root, {**CONFIG, "gold": GOLD, "gold_uri": "embedded"}, inputs)


def test_it_beats_length_and_source_on_labels_and_on_gold(built: tuple[Path, StageFolder]) -> None:
    metrics = built[1].metrics
    assert metrics["auc_low"] > max(metrics["length_auc"], metrics["source_auc"])
    assert metrics["gold_auc"] > 0.95
    assert metrics["gold_auc"] > max(metrics["gold_source_auc"], metrics["gold_length_auc"])


def test_every_figure_has_an_interval_around_it(built: tuple[Path, StageFolder]) -> None:
    metrics = built[1].metrics
    named = [name.removesuffix("_low") for name in metrics if name.endswith("_low")]
    assert {"auc", "spearman", "precision", "gold_auc", "gold_precision_at_share", "annotator_gold_auc"} <= set(named)
    for name in named:
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]


def test_length_alone_and_source_alone_stand_beside_every_figure(built: tuple[Path, StageFolder]) -> None:
    metrics = json.loads(built[1].file("report.json").read_text())["labels"]["all"]["metrics"]
    for figure in ("auc", "average_precision", "f1", "macro_f1", "spearman"):
        for baseline in ("length", "source"):
            assert metrics[f"{baseline}_{figure}"]["value"] < metrics[figure]["low"], (baseline, figure)
    assert "average precision of source alone" in describe(built[1])["on labels it has not seen"]


def test_the_annotator_stands_beside_it(built: tuple[Path, StageFolder]) -> None:
    assert built[1].metrics["annotator_gold_auc"] == 1.0  # the labels of this test are gold itself
    assert built[1].metrics["annotator_gold_precision"] == 1.0


def test_the_report_holds_every_source_by_itself(built: tuple[Path, StageFolder]) -> None:
    report = json.loads(built[1].file("report.json").read_text())
    for part in ("labels", "gold", "annotator"):
        within = report[part]["within"]
        assert set(within) == {"wikipedia", "docstring"}
        assert sum(one["documents"] for one in within.values()) == report[part]["all"]["documents"]
    assert report["gold"]["without_gold"] > 0


def test_what_is_loaded_scores_as_what_was_trained(built: tuple[Path, StageFolder]) -> None:
    root, encoder = built
    loaded = trained.load(encoder)
    rows = StageFolder((encoder.folder.__class__)(str(root / "training_set"))).table(LABELS)
    margins = loaded.margins(rows["text"].to_list())
    score = loaded.calibration.probability(margins)
    assert np.corrcoef(score, rows["label"].to_numpy())[0, 1] > 0.8
    assert loaded.margins(["prime " * 1000]) == loaded.margins(["prime " * 1000 + "a king"])  # beyond what is read


def test_building_again_gives_the_same_content(built: tuple[Path, StageFolder], tmp_path: Path) -> None:
    root, first = built
    folder = first.folder.__class__
    inputs = {name: StageFolder(folder(str(root / name))) for name in ("pretraining_pool", "training_set")}
    again = run_build(build, "encoder", tmp_path, {**CONFIG, "gold": [], "gold_uri": "embedded"}, inputs)
    content = {file.name: file.content for file in first.manifest.files}
    for file in again.manifest.files:
        if file.identity and file.name != "report.json":
            assert file.content == content[file.name]


def test_it_is_shown_with_intervals_and_escaped_names(built: tuple[Path, StageFolder]) -> None:
    shown = describe(built[1])
    assert set(shown) == {
        "on labels it has not seen", "on held-out gold", "the annotator on gold", "reliability", "least certain",
        "precision and recall", "false positives", "false negatives",
    }  # fmt: skip
    assert "AUC of source alone" in shown["on held-out gold"]
    assert " to " in shown["reliability"]


@pytest.mark.parametrize("positives", [0, 4, 296, 300])
def test_too_few_of_one_class_is_refused_with_counts(tmp_path: Path, positives: int) -> None:
    rows: list[dict[str, Any]] = [
        {"id": str(n), "source": "s", "text": f"text {n}", "expected_score": 1.0, "label": int(n < positives)}
        | {"characters": 9, "weight": 1.0, "repeat": 1, "fold": n % 5}
        for n in range(300)
    ]
    inputs = {"training_set": stage_of_rows(tmp_path, "training_set", {LABELS: rows}, SCHEMA)}
    with pytest.raises(ValueError, match=f"{positives} positives and {300 - positives} negatives"):
        run_build(build, "encoder", tmp_path, CONFIG, inputs)


def test_worse_than_chance_is_refused() -> None:
    refuse_useless(Figure(value=0.48, low=0.4, high=0.56))
    with pytest.raises(ValueError, match="worse than chance"):
        refuse_useless(Figure(value=0.4, low=0.35, high=0.45))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'word2vec'"):
        kind_of({**CONFIG, "kind": "word2vec"})


def test_schema_names_every_column_that_is_learnt_from() -> None:
    assert {"text", "label", "repeat", "weight", "fold"} <= set(SCHEMA)
    assert SCHEMA["weight"] == pl.Float64
