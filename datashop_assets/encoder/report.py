"""The encoder's report: against the annotator's labels, against gold where the pool has it, the annotator beside it.

Three comparisons, each over all documents and within every source, because a pool of mixed sources flatters any model
that has only learnt to tell them apart:
- `labels`: out-of-fold predictions on the annotator's labels, weighted to describe the whole sample;
- `gold`: the final encoder on the pool's held-out documents, which no annotator was asked about;
- `annotator`: the annotator's own expected score against gold on the documents that it labelled.
Beside them `cascade`: what a cascade's first encoder keeps from the second, on labels out of fold.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.encoder.baselines import Baselines
from datashop_assets.encoder.cascade import was_passed
from datashop_assets.encoder.folds import floats
from datashop_assets.encoder.learning import Learnt
from datashop_assets.encoder.metrics import Sample, summary, with_intervals
from datashop_assets.encoder.trained import TrainedEncoder
from datashop_assets.protocols.documents import Document
from datashop_assets.statistics.agreement import precision_recall_f1
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import Array
from datashop_assets.statistics.ranking import auc

HIGHEST_SCORE = 5.0
SHOWN = (
    "auc", "spearman", "average_precision", "precision", "recall", "f1", "macro_f1", "length_auc", "source_auc",
)  # fmt: skip


@dataclass(frozen=True)
class Gold:
    """What counts as a target by someone's judgement. A document without a label is left out of every gold figure."""

    labels: Mapping[str, str]  # id -> label
    targets: Collection[str]

    def __bool__(self) -> bool:
        return bool(self.labels) and bool(self.targets)

    def of(self, identifier: str) -> int | None:
        label = self.labels.get(identifier)
        return None if label is None else int(label in self.targets)


def labels_sample(rows: pl.DataFrame, learnt: Learnt, baselines: Mapping[str, Array]) -> Sample:
    """Out-of-fold scores and baselines, all float64 [documents], beside the labels of a training set."""
    label, weight, expected = (floats(rows, name) for name in ("label", "weight", "expected_score"))
    return Sample(learnt.scores, label, weight, baselines, expected, learnt.margins)


def on_labels(sample: Sample, rows: pl.DataFrame) -> dict[str, Any]:
    return by_source(sample, rows["source"].to_list())


def on_cascade(learnt: Learnt, rows: pl.DataFrame, seed: int = 0) -> dict[str, Any] | None:
    """What the cascade costs, None where there is none: `recall` is the share of positives that are passed on."""
    if learnt.cascade is None:
        return None
    said = {name: value for name, value in learnt.cascade.items() if name != "alone"}
    label, weight = floats(rows, "label"), floats(rows, "weight")
    passed = Sample(was_passed(learnt.margins).astype(np.float64), label, weight)
    both = Sample(learnt.margins, label, weight, {"second": learnt.cascade["alone"]})
    figures = with_intervals(_recall, passed, seed) | with_intervals(_aucs, both, seed)
    return {**said, "metrics": {name: figure.as_json() for name, figure in figures.items()}}


def _recall(sample: Sample, weights: Array) -> dict[str, Array]:
    return {"recall": precision_recall_f1(sample.score, sample.label, weights)[1]}


def _aucs(sample: Sample, weights: Array) -> dict[str, Array]:
    """Of the cascade and of its second encoder where that reads everything, and what passing on costs."""
    first, second = (auc(scores, sample.label, weights) for scores in (sample.score, sample.baselines["second"]))
    return {"auc": first, "auc_second_alone": second, "auc_cost": second - first}


def on_gold(encoder: TrainedEncoder, baselines: Baselines, documents: Iterator[Document], gold: Gold) -> dict[str, Any]:
    """The encoder against gold on held-out documents."""
    found = [(gold.of(document.id), document) for document in documents]
    known = [(label, document) for label, document in found if label is not None]
    sources, texts = [document.source for _, document in known], [document.text for _, document in known]
    margins = encoder.margins(texts)
    sample = Sample(
        encoder.calibration.probability(margins),
        np.array([label for label, _ in known], dtype=np.float64),
        np.ones(len(known)),
        baselines.scores([len(text) for text in texts], sources),
        margin=margins,
    )
    return {**by_source(sample, sources), "without_gold": len(found) - len(known)}


def annotator_on_gold(rows: pl.DataFrame, gold: Gold) -> dict[str, Any]:
    """The annotator's expected score, as a share of the highest, against gold."""
    labels = [gold.of(identifier) for identifier in rows["id"]]
    known = rows.filter([label is not None for label in labels])
    sample = Sample(
        floats(known, "expected_score") / HIGHEST_SCORE,
        np.array([label for label in labels if label is not None], dtype=np.float64),
        floats(known, "weight"),
    )
    return {**by_source(sample, known["source"].to_list()), "without_gold": len(rows) - len(known)}


def by_source(sample: Sample, sources: list[str]) -> dict[str, Any]:
    """A summary of all documents, and of each source by itself."""
    place = np.array(sources)
    return {
        "all": summary(sample),
        "within": {str(source): summary(sample.take(place == source)) for source in np.unique(place)},
    }


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that a manifest carries, each with its ends: `auc`, `auc_low`, `auc_high`, ..., `gold_auc`, ..."""
    labels = report["labels"]["all"]
    found = {"documents": labels["documents"], "positives": labels["positives"]}
    found |= _named(labels, "", SHOWN)
    if report["cascade"]:
        found |= _named(report["cascade"], "cascade_", ("recall", "auc_cost"))
        found["cascade_passed"] = report["cascade"]["passed"]
    if report["gold"]:
        found |= _named(report["gold"]["all"], "gold_", ("auc", "precision_at_share", "length_auc", "source_auc"))
        found["gold_documents"] = report["gold"]["all"]["documents"]
        found["gold_positives"] = report["gold"]["all"]["positives"]
        annotator = _named(report["annotator"]["all"], "annotator_gold_", ("auc", "precision_at_share"))
        found |= {name.replace("_at_share", ""): value for name, value in annotator.items()}
        found |= {
            f"gold_auc_within_{source}": part["metrics"]["auc"]["value"]
            for source, part in report["gold"]["within"].items()
            if part["metrics"]
        }
    return found


def _named(summary: Mapping[str, Any], prefix: str, names: Collection[str]) -> dict[str, float | None]:
    figures = {name: Figure.from_json(summary["metrics"].get(name)) for name in names}
    return {
        key: value
        for name, figure in figures.items()
        if figure is not None
        for key, value in figure.as_metrics(f"{prefix}{name}").items()
    }
