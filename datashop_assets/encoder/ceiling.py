"""The ceiling of an encoder: how well the annotator agrees with itself when it is asked again.

The report of the annotator has the rank correlation of two readings of the same documents. An encoder is held against
one reading, so what would predict the annotator's mean answer without error correlates with it by the root of that
(Spearman, 1904): an encoder above it has seen labels that it should not have.
"""

import math
from dataclasses import dataclass

from datashop_assets.annotations.results import AnnotatorReportResult, NoAgreement
from datashop_assets.core.step import StepOutput
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.stage_folder import StageFolder


@dataclass(frozen=True)
class Ceiling:
    """Rank correlations with the annotator's expected score: the encoder's, and the annotator's own with itself."""

    encoder: Figure
    annotator: Figure | None
    about: str  # the second reading: how many documents, or why there are none

    @property
    def believable(self) -> bool:
        """Whether the encoder is not surely above what the annotator's own noise allows."""
        return (
            self.annotator is None
            or self.annotator.high is None
            or self.encoder.low is None
            or self.encoder.low <= math.sqrt(max(self.annotator.high, 0.0))
        )

    def said(self) -> str:
        encoder = f"Rank correlation with the annotator's score: the encoder {self.encoder} on unseen labels"
        if self.annotator is None:
            return f"{encoder}; the annotator with itself: {self.about}."
        mean = f"{math.sqrt(max(self.annotator.value, 0.0)):.3f} is the most that predicting its mean answer gives"
        return f"{encoder}; the annotator with itself {self.annotator} on {self.about}; {mean}."


def ceiling(encoder: StageFolder, report: StepOutput[AnnotatorReportResult]) -> Ceiling:
    """From a finished `encoder` and the `annotator_report` of the same prompt."""
    own = Figure.from_metrics(encoder.metrics, "spearman")
    if own is None:
        raise ValueError(f"{encoder.uri} has no spearman among its metrics; remove it and materialize encoder again")
    again = report.result.self_agreement
    if isinstance(again, NoAgreement):
        return Ceiling(own, None, again.note)
    if again.spearman is None:
        return Ceiling(own, None, f"one score for all {again.documents} documents")
    return Ceiling(own, again.spearman, f"{again.documents} documents asked twice")
