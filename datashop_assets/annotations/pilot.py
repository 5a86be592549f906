"""The pilot encoder: what the first round's answers say about the documents that are not asked yet."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datashop_assets.excerpts import excerpt
from datashop_assets.models.fasttext import FastTextSettings, fit
from datashop_assets.protocols.annotator import Reading

POSITIVE_FROM = 2.5  # half of the highest score: the pilot only orders documents, so it needs no threshold of its own
SEED = 0


def pilot_scores(
    answers: Sequence[Mapping[str, Any]], texts: Iterable[str], reading: Reading, folder: Path
) -> list[float] | None:
    """A score for each of `texts` by a fastText model fitted on `answers` and left in `folder`.

    None where the answers are all alike, so that there is nothing to learn.
    """
    scored = [answer for answer in answers if answer["expected_score"] is not None]
    labels = [int(answer["expected_score"] >= POSITIVE_FROM) for answer in scored]
    if len(set(labels)) < 2:
        return None
    model = fit([answer["text"] for answer in scored], labels, settings=FastTextSettings(), seed=SEED, folder=folder)
    return [
        float(score) for score in model.margin(excerpt(text, reading.characters, reading.part)[0] for text in texts)
    ]
