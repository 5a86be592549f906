"""From scores to labels: which annotations are used, what they say, how much each counts and which fold each is in.

Two weights stand apart. `weight` is one over the probability of being drawn: metrics weighed by it describe the whole
sample. `repeat` is how often the encoder reads the document: it evens out rare positives and touches no metric.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.protocols.annotator import Status
from datashop_assets.storage.digests import digest_of_bytes, keyed_hash
from datashop_assets.training_set.results import SourceLabels, TrainingSetResult

Row = dict[str, Any]
SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "text": pl.String,
    "characters": pl.Int64,  # of the whole document, of which `text` may be a part
    "expected_score": pl.Float64,
    "label": pl.Int8,
    "weight": pl.Float64,
    "repeat": pl.Int32,
    "fold": pl.Int8,
}
LEFT_OUT_SCHEMA = {"id": pl.String, "source": pl.String, "status": pl.String, "reason": pl.String}
USABLE = (Status.PARSED, Status.REPAIRED)
FOLDS = 5  # each fold trains on 80% of the labels; ten folds cost twice the time for the same intervals
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


def labelled(annotations: Sequence[Mapping[str, Any]], positive_from: float, balance: bool) -> list[Row]:
    """One training row for every annotation, in the same order. Raises `ValueError` on an impossible probability."""
    labels = [int(row["expected_score"] >= positive_from) for row in annotations]
    contents = [digest_of_bytes(row["text"].encode("utf-8", "surrogatepass")) for row in annotations]
    folds = folds_of(contents, labels)
    repeat = positive_repeat(labels) if balance else 1
    return [
        {
            "id": row["id"],
            "source": row["source"],
            "text": row["text"],
            "characters": row["characters"],
            "expected_score": row["expected_score"],
            "label": label,
            "weight": importance(row),
            "repeat": repeat if label else 1,
            "fold": folds[content],
        }
        for row, label, content in zip(annotations, labels, contents, strict=True)
    ]


def folds_of(contents: Sequence[str], labels: Sequence[int]) -> dict[str, int]:
    """A fold for every content, dealt out within each label in the order of a hash: the same text is in one fold."""
    label_of = dict(zip(contents, labels, strict=True))
    ordered = sorted(label_of, key=lambda content: (label_of[content], keyed_hash("folds", content)))
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


def counts(rows: Sequence[Row], left_out: Sequence[Row]) -> TrainingSetResult:
    """What there is to say of a training set and of what it leaves out."""
    positives = [row for row in rows if row["label"]]
    total = sum(row["weight"] for row in rows)
    return TrainingSetResult(
        annotated=len(rows) + len(left_out),
        documents=len(rows),
        positives=len(positives),
        positive_share=sum(row["weight"] for row in positives) / total if total else None,
        positive_repeat=positives[0]["repeat"] if positives else 1,
        left_out=dict(Counter(row["status"] for row in left_out)),
        by_source={
            source: SourceLabels(documents=count, positives=sum(row["source"] == source for row in positives))
            for source, count in sorted(Counter(row["source"] for row in rows).items())
        },
        by_fold=tuple(sum(row["fold"] == fold for row in rows) for fold in range(FOLDS)),
    )
