"""Everything that is measured, which of it the verdict goes by, and what the rest is worth.

One measure is primary, named in the prompt file before anything is trained. All others, the largest sources and the
other control among them, are corrected together by Holm's method.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.documents.results import OTHERS
from datashop_assets.evaluation.compare import Comparison, Losses, compare, corrected_verdict
from datashop_assets.evaluation.heldout import Heldout
from datashop_assets.evaluation.targets import Kind
from datashop_assets.statistics.comparison import holm

COMPARISON = "comparison.parquet"
COMPARISON_SCHEMA = {
    "against": pl.String,  # control or matched
    "kind": pl.String,
    "source": pl.String,  # empty: all of the kind
    "primary": pl.Boolean,
    "documents": pl.Int64,
    "bytes": pl.Int64,
    "control": pl.Float64,  # bits per byte of what the candidate is compared with
    "trained": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "documents_low": pl.Float64,
    "documents_high": pl.Float64,
    "p": pl.Float64,
    "p_corrected": pl.Float64,  # of secondary measures
    "verdict": pl.String,
}
EVERY_SOURCE = ""
SOURCES = 20  # judged one by one: each takes from what can be told of the others


@dataclass(frozen=True)
class Measure:
    """The candidate against one of its controls, on some documents."""

    against: str
    kind: str
    source: str
    primary: bool
    found: Comparison


def measures(
    bits: Mapping[str, np.ndarray], documents: Sequence[Heldout], primary: Mapping[str, str]
) -> list[dict[str, Any]]:
    """bits: [S, N] of `trained` and of each control -> a row for each measure, the verdicts corrected.

    Raises `ValueError` where there is no document of the kind that the verdict goes by.
    """
    if not any(document.kind == primary["documents"] for document in documents):
        raise ValueError(
            f"evaluation.primary.documents is {primary['documents']!r}, and none of the {len(documents)} held-out "
            "documents is of that kind; name the other kind, or raise heldout_fraction"
        )
    sizes = np.array([document.bytes for document in documents])
    found = [
        measure
        for against in bits
        if against != "trained"
        for measure in _against(against, Losses(bits[against], bits["trained"], sizes), documents, primary)
    ]
    secondary = [measure for measure in found if not measure.primary and measure.found.p is not None]
    corrected = holm([measure.found.p or 0.0 for measure in secondary])
    by_measure = dict(zip(secondary, corrected, strict=True))
    return [_row(measure, by_measure.get(measure)) for measure in found]


def _against(
    against: str, losses: Losses, documents: Sequence[Heldout], primary: Mapping[str, str]
) -> Iterator[Measure]:
    kinds = np.array([document.kind for document in documents])
    sources = _named_sources(documents)
    for kind in Kind:
        if (kinds == kind).any():
            first = against == primary["against"] and kind == primary["documents"]
            yield Measure(against, kind, EVERY_SOURCE, first, compare(losses.of(kinds == kind)))
            for source in sorted(set(sources[kinds == kind])):
                yield Measure(against, kind, source, False, compare(losses.of((kinds == kind) & (sources == source))))


def _named_sources(documents: Sequence[Heldout]) -> np.ndarray:
    """The source of each document; of all but the `SOURCES` largest it is `OTHERS`, since a source may be a URL."""
    sizes = Counter[str]()
    for document in documents:
        sizes[document.source] += document.bytes
    named = {source for source, _ in sizes.most_common(SOURCES)}
    return np.array([document.source if document.source in named else OTHERS for document in documents])


def _row(measure: Measure, corrected: float | None) -> dict[str, Any]:
    found = measure.found
    verdict = found.verdict if measure.primary else corrected_verdict(found.over_seeds.value, corrected)
    return {
        "against": measure.against,
        "kind": str(measure.kind),
        "source": measure.source,
        "primary": measure.primary,
        "documents": found.documents,
        "bytes": found.bytes,
        "control": found.control,
        "trained": found.trained,
        "difference": found.over_seeds.value,
        "low": found.over_seeds.low,
        "high": found.over_seeds.high,
        "documents_low": found.over_documents.low,
        "documents_high": found.over_documents.high,
        "p": found.p,
        "p_corrected": corrected,
        "verdict": str(verdict),
    }
