"""From scores to labels: which annotations are used, what they teach, how much each counts and which fold each is in.

An encoder learns the `target` of a document, from 0 to 1: the annotator's expected score as a share of the highest, or,
where the prompt asks for a cut, whether that score reaches `positive_from`. `label` says the latter in both cases, and
figures of precision and recall go by it.

Two weights stand apart. `weight` is one over the probability of being drawn: metrics weighed by it describe the whole
sample. `repeat` is how often the encoder reads the document: it evens out rare positives of a cut and touches no
metric.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.asking.number_forms import HIGHEST_SCORE
from datashop_assets.protocols.annotator import Status
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.training_set.results import SourceLabels, TrainingSetConfig, TrainingSetResult

Row = dict[str, Any]
SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "text": pl.String,  # the whole document, of which the annotator may have read a part
    "characters": pl.Int64,
    "expected_score": pl.Float64,
    "target": pl.Float64,
    "label": pl.Int8,
    "weight": pl.Float64,
    "repeat": pl.Int32,
    "fold": pl.Int8,
}
LEFT_OUT_SCHEMA = {"id": pl.String, "source": pl.String, "status": pl.String, "reason": pl.String}
USABLE = (Status.PARSED, Status.REPAIRED)
FOLDS = 5  # each fold trains on 80% of the labels; ten folds cost twice the time for the same intervals
LEVELS = 10  # of the target, within each of which folds are even
ROUNDING = 1e-9  # of a stored probability
LARGEST_REPEAT = 5  # beyond it an encoder learns single documents by heart


def split_usable(annotations: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Row]]:
    """The annotations that carry a score, and for every other one its id and the reason why it is left out."""
    used: list[Mapping[str, Any]] = []
    left_out: list[Row] = []
    for row in annotations:
        if row["status"] in USABLE and row["expected_score"] is not None:
            used.append(row)
        else:
            left_out.append(
                {"id": row["id"], "source": row["source"], "status": row["status"], "reason": row["reason"]}
            )
    return used, left_out


def labelled(
    annotations: Sequence[Mapping[str, Any]], texts: Mapping[str, str], config: TrainingSetConfig
) -> list[Row]:
    """One training row for every annotation, in the same order; `texts` has the whole document of every content.

    Raises `ValueError` on an impossible probability.
    """
    labels = [int(row["expected_score"] >= config.positive_from) for row in annotations]
    targets = [
        float(label) if config.train_on == "cut" else row["expected_score"] / HIGHEST_SCORE
        for row, label in zip(annotations, labels, strict=True)
    ]
    folds = folds_of([row["content"] for row in annotations], targets)
    repeat = positive_repeat(labels) if config.balance and config.train_on == "cut" else 1
    return [
        {
            "id": row["id"],
            "source": row["source"],
            "text": texts[row["content"]],
            "characters": row["characters"],
            "expected_score": row["expected_score"],
            "target": target,
            "label": label,
            "weight": importance(row),
            "repeat": repeat if label else 1,
            "fold": folds[row["content"]],
        }
        for row, label, target in zip(annotations, labels, targets, strict=True)
    ]


def folds_of(contents: Sequence[str], targets: Sequence[float]) -> dict[str, int]:
    """A fold for every content, dealt out within each level of the target in the order of a hash: the same text is in
    one fold.
    """
    level_of = {content: round(LEVELS * target) for content, target in zip(contents, targets, strict=True)}
    ordered = sorted(level_of, key=lambda content: (level_of[content], keyed_hash("folds", content)))
    return {content: place % FOLDS for place, content in enumerate(ordered)}


def positive_repeat(labels: Sequence[int]) -> int:
    """How often each positive is read so that positives come near the negatives, at most `LARGEST_REPEAT`."""
    positives = sum(labels)
    return min(LARGEST_REPEAT, max(1, round((len(labels) - positives) / positives))) if positives else 1


def importance(row: Mapping[str, Any]) -> float:
    """One over the probability that the row's document was drawn, at least 1.

    Rows are stored whose weight was rounded below 1: a probability that exceeds 1 by rounding alone counts as 1.
    """
    if not 0 < row["probability"] <= 1 + ROUNDING:
        raise ValueError(
            f"annotation {row['id']!r} says it was drawn with probability {row['probability']!r}; it must be above 0 "
            "and at most 1: run the annotations again"
        )
    return max(1.0, 1.0 / float(row["probability"]))


def counts(rows: Sequence[Row], left_out: Sequence[Row], config: TrainingSetConfig) -> TrainingSetResult:
    """What there is to say of a training set and of what it leaves out."""
    positives = [row for row in rows if row["label"]]
    total = sum(row["weight"] for row in rows)
    return TrainingSetResult(
        annotated=len(rows) + len(left_out),
        documents=len(rows),
        positives=len(positives),
        positive_at=0.5 if config.train_on == "cut" else config.positive_from / HIGHEST_SCORE,
        positive_share=sum(row["weight"] for row in positives) / total if total else None,
        mean_target=sum(row["weight"] * row["target"] for row in rows) / total if total else None,
        positive_repeat=positives[0]["repeat"] if positives else 1,
        left_out=dict(Counter(row["status"] for row in left_out)),
        by_source={
            source: SourceLabels(documents=count, positives=sum(row["source"] == source for row in positives))
            for source, count in sorted(Counter(row["source"] for row in rows).items())
        },
        by_fold=tuple(sum(row["fold"] == fold for row in rows) for fold in range(FOLDS)),
    )
