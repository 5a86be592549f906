"""The pilot encoder: what the first round's answers say about the documents that are not asked yet."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from datashop_assets.excerpts import excerpt
from datashop_assets.models.fasttext.classifier import FastTextSettings, fit
from datashop_assets.protocols.annotator import Reading

POSITIVE_FROM = 2.5  # half of the highest score: the pilot only orders documents, so it needs no threshold of its own
MOST = 20_000  # answers to learn from, the first of a random order: memory holds their texts
SEED = 0
BATCH = 4096


def pilot_scores(
    answers: Iterable[Mapping[str, Any]], texts: Iterable[tuple[str, str]], reading: Reading, folder: Path
) -> dict[str, float] | None:
    """Scores for named `texts` by a fastText model fitted on `answers` and left in `folder`.

    None where the answers are all alike, so that there is nothing to learn.
    """
    scored = list(islice((answer for answer in answers if answer["expected_score"] is not None), MOST))
    labels = [int(answer["expected_score"] >= POSITIVE_FROM) for answer in scored]
    if len(set(labels)) < 2:
        return None
    model = fit([answer["text"] for answer in scored], labels, settings=FastTextSettings(), seed=SEED, folder=folder)
    remaining, scores = iter(texts), dict[str, float]()
    while batch := list(islice(remaining, BATCH)):
        read = [excerpt(text, reading.characters, reading.part)[0] for _, text in batch]
        scores |= dict(zip((name for name, _ in batch), map(float, model.margin(read)), strict=True))
    return scores
