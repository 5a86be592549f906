"""What the steps of this package depend on of a prompt, and what they give.

`report.json` of an encoder is an `EncoderReport`: every figure, over all documents and within every source, because a
pool of mixed sources flatters any model that has only learnt to tell them apart. `EncoderResult` is its headlines.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, JsonValue

from datashop_assets.annotations.results import AnnotatorReportResult, NoAgreement
from datashop_assets.core.step import StepConfig, StepOutput, StepResult
from datashop_assets.excerpts import Part, part_read
from datashop_assets.prompts.encoder_settings import EncoderConfig
from datashop_assets.statistics.figure import LEVEL, Figure
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_set.results import LABELS

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

REPORT = "report.json"
OUT_OF_FOLD = "out_of_fold.parquet"  # a row a labelled document, scored by a model that had not seen it
RELIABILITY, PRECISION_RECALL = "reliability.png", "precision_recall.png"
Baseline = Literal["length", "source"]  # what can be guessed without reading
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
CHANCE = 0.5  # AUC
ENOUGH = 30  # labels of a source whose calibration is judged by itself
LEAST_BIAS = 0.05  # of a score, a quarter of a point of 5: less is no reason to look at a source
NPY_HEADER = 128  # bytes of an .npy file before its numbers


class EncoderStepConfig(StepConfig):
    """`fingerprint` changes when the pretrained model does, for kinds that begin with one."""

    encoder: EncoderConfig
    fingerprint: JsonValue = None
    read_characters: int | None
    reading: Part
    gold: tuple[str, ...]
    gold_uri: str

    def read(self, text: str) -> str:
        """What the encoder is given of a text."""
        return part_read(text, self.read_characters, self.reading)


class PoolEmbeddingsConfig(StepConfig):
    """The embedding and what is read of a text, and nothing else of the prompt."""

    model: str
    fingerprint: JsonValue
    read_characters: int | None
    reading: Part


class PoolEmbeddingsResult(StepResult):
    """`<shard>.npy`: one matrix [documents, width] float16 a shard, its rows those of the pool's documents in order."""

    step: ClassVar[str] = "pool_embeddings"
    documents: int
    width: int
    bytes: int


def pool_vectors(output: StageFolder, shard: str) -> "NDArray[np.float16]":
    """The matrix of one shard, read from disk as it is used. Raises `KeyError` where there is none."""
    import numpy as np

    path = output.file(f"{shard}.npy")
    empty = path.stat().st_size == NPY_HEADER  # of which nothing can be mapped to memory
    return np.asarray(np.load(path, mmap_mode=None if empty else "r", allow_pickle=False))


class _ReportPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RankingFigures(_ReportPart):
    """What an encoder and its baselines have in common."""

    auc: Figure
    average_precision: Figure
    f1: Figure  # at the score from which a document is taken for positive, as all that takes a side
    macro_f1: Figure


class ScoreFigures(RankingFigures):
    """Every figure of scores. `precision_at_share`: where as many documents are kept as there are positives."""

    precision: Figure
    recall: Figure
    precision_at_share: Figure
    brier: Figure


class BaselineFigures(RankingFigures):
    """A baseline on the same documents, and by how much the encoder's AUC exceeds its; `spearman` as in `Summary`."""

    auc_exceeded_by: Figure
    spearman: Figure | None = None


class Confusion(_ReportPart):
    """Plain counts of documents, unweighted: how much evidence there is."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int


class ReliabilityBin(_ReportPart):
    """Documents with a score from `low` to `high`: their mean score, and the mean of what it should be."""

    low: float
    high: float
    documents: int
    predicted: float
    observed: Figure


class Summary(_ReportPart):
    """A scored sample. `figures` is None, with a `note`, where one of the classes has too few documents.

    `spearman` is with the annotator's expected score, and `bias` the mean score less the mean of what it should be;
    None where that is not known.
    """

    documents: int
    positives: int
    note: str = ""
    spearman: Figure | None = None
    bias: Figure | None = None
    figures: ScoreFigures | None = None
    baselines: dict[Baseline, BaselineFigures] = {}
    confusion: Confusion | None = None
    reliability: tuple[ReliabilityBin, ...] = ()


class SummaryBySource(_ReportPart):
    """All documents, and those of each source by themselves; `without_gold` were left out for want of a label."""

    all: Summary
    within: dict[str, Summary]
    without_gold: int = 0


class CascadeReport(_ReportPart):
    """What a cascade's first encoder keeps from the second, on labels out of fold.

    Of the documents `passed` are passed on, `share` of their weight; `lost_positives` are not. `recall` is the share of
    positives that are passed on, by weight, and `auc_cost` what is lost to a second encoder that reads everything;
    None where one of the classes has too few documents.
    """

    cut: float
    passed: int
    documents: int
    share: float
    lost_positives: int
    positives: int
    recall: Figure | None = None
    auc: Figure | None = None
    auc_second_alone: Figure | None = None
    auc_cost: Figure | None = None


class LabelError(_ReportPart):
    """A labelled document on which encoder and annotator differ. `text` is data from the pool: escape it."""

    id: str
    source: str
    expected_score: float
    score: float
    text: str


class EncoderReport(_ReportPart):
    """Three comparisons, and what a person should read.

    `labels`: scores out of fold against the annotator's labels, weighted to describe the whole sample; `gold`: the
    final encoder on held-out documents, which no annotator was asked about; `annotator`: the annotator's own expected
    score against gold on the documents that it labelled. The last two are None where the prompt names no gold.
    """

    labels: SummaryBySource
    gold: SummaryBySource | None
    annotator: SummaryBySource | None
    cascade: CascadeReport | None
    false_positives: tuple[LabelError, ...]
    false_negatives: tuple[LabelError, ...]


class GoldResult(_ReportPart):
    """The encoder against gold. A figure is None where one of the classes has too few documents."""

    documents: int
    positives: int
    auc: Figure | None
    precision_at_share: Figure | None
    baseline_auc: dict[Baseline, Figure]
    auc_within: dict[str, Figure]  # by source
    annotator_auc: Figure | None
    annotator_precision_at_share: Figure | None


class EncoderResult(StepResult):
    """The headlines of the report: figures on documents that the encoder had not seen, and on gold.

    `positive_at` is the score from which a document is taken for positive. Figures that set positives apart are None
    where there are too few of them, or too few others.
    """

    step: ClassVar[str] = "encoder"
    headlines: ClassVar[tuple[str, ...]] = ("auc", "spearman", "gold.auc")
    documents: int
    positives: int
    positive_at: float
    spearman: Figure
    auc: Figure | None = None
    average_precision: Figure | None = None
    precision: Figure | None = None
    recall: Figure | None = None
    f1: Figure | None = None
    macro_f1: Figure | None = None
    baseline_auc: dict[Baseline, Figure]
    gold: GoldResult | None
    cascade: CascadeReport | None


def encoder_report(output: StageFolder) -> EncoderReport:
    """The whole report of a finished encoder. Raises `pydantic.ValidationError` where it is in another form."""
    return EncoderReport.model_validate_json(output.file(REPORT).read_bytes())


def unseen_labels(encoder: StageFolder, training_set: StageFolder) -> "pl.DataFrame":
    """The rows of `OUT_OF_FOLD`, each with its document's `weight`: weighted they describe the sample."""
    weights = training_set.table(LABELS).select("id", "weight").unique("id")  # a positive may repeat
    return encoder.table(OUT_OF_FOLD).join(weights, on="id", how="left", maintain_order="left")


class SourceAtChance(NamedTuple):
    """A source within which an encoder ranks no better than chance, though it does over all documents."""

    source: str
    of: str  # the labels that it was held against
    within: Figure  # AUC
    all: Figure


def sources_at_chance(report: EncoderReport) -> list[SourceAtChance]:
    """Sources whose AUC has an interval that reaches down to 0.5 and not up to the AUC over all documents.

    The second keeps a source of ten documents, whose interval holds anything, from being named.
    """
    parts = {"labels it has not seen": report.labels, "held-out gold": report.gold}
    return [
        SourceAtChance(source, of, auc, overall)
        for of, part in parts.items()
        if part is not None and part.all.figures is not None
        for overall in (part.all.figures.auc,)
        for source, one in part.within.items()
        if one.figures is not None
        for auc in (one.figures.auc,)
        if auc.low is not None and auc.high is not None and auc.low <= CHANCE and auc.high < overall.value
    ]


class MiscalibratedSource(NamedTuple):
    """A source within which scores are surely too high or too low on the whole."""

    source: str
    documents: int
    bias: Figure


def miscalibrated_sources(report: EncoderReport) -> list[MiscalibratedSource]:
    """Sources of at least `ENOUGH` labels whose bias is `LEAST_BIAS` or more and has a p value below 5%, divided by the
    number of such sources.
    """
    judged = {
        source: one
        for source, one in report.labels.within.items()
        if one.documents >= ENOUGH and one.bias is not None and one.bias.low is not None
    }
    sure = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / max(1, len(judged)))
    usual = NormalDist().inv_cdf((1 + LEVEL) / 2)
    found = []
    for source, one in judged.items():
        assert one.bias is not None
        assert one.bias.low is not None
        assert one.bias.high is not None
        spread = (one.bias.high - one.bias.low) / 2 / usual
        if abs(one.bias.value) >= LEAST_BIAS and abs(one.bias.value) > sure * spread:
            found.append(MiscalibratedSource(source, one.documents, one.bias))
    return found


class Ceiling(NamedTuple):
    """Rank correlations with the annotator's expected score: the encoder's, and the annotator's own with itself.

    The report of the annotator has the rank correlation of two readings of the same documents. An encoder is held
    against one reading, so what would predict the annotator's mean answer without error correlates with it by the root
    of that (Spearman, 1904): an encoder above it has seen labels that it should not have.
    """

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

    def text(self) -> str:
        encoder = f"Rank correlation with the annotator's score: the encoder {self.encoder} on unseen labels"
        if self.annotator is None:
            return f"{encoder}; the annotator with itself: {self.about}."
        mean = f"{math.sqrt(max(self.annotator.value, 0.0)):.3f} is the most that predicting its mean answer gives"
        return f"{encoder}; the annotator with itself {self.annotator} on {self.about}; {mean}."


def ceiling(encoder: StepOutput[EncoderResult], report: StepOutput[AnnotatorReportResult]) -> Ceiling:
    """From an encoder and the annotator's report of the same prompt."""
    own = encoder.result.spearman
    again = report.result.self_agreement
    if isinstance(again, NoAgreement):
        return Ceiling(own, None, again.note)
    if again.spearman is None:
        return Ceiling(own, None, f"one score for all {again.documents} documents")
    return Ceiling(own, again.spearman, f"{again.documents} documents asked twice")
