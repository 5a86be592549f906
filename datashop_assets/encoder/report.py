"""The encoder's report: against the annotator's labels, and against gold where the pool has it.

Three comparisons: scores out of fold with the annotator's labels; the final encoder with gold on held-out documents,
which no annotator was asked about; and the annotator's own score with gold. Beside every figure stands what can be
guessed without reading, from a document's length and from its source: an encoder that does not beat that has learnt the
mix of sources or the habits of length, not the rubric.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from datashop_assets.asking.number_forms import HIGHEST_SCORE
from datashop_assets.documents.pool import read_chosen
from datashop_assets.encoder.fitting import FEWEST, FittedCascade, FittedEncoder, floats
from datashop_assets.encoder.measures import Measures, ScoredSample, by_source, with_intervals
from datashop_assets.encoder.results import (
    BASELINES,
    Baseline,
    CascadeReport,
    EncoderReport,
    EncoderResult,
    GoldResult,
    LabelError,
    Summary,
    SummaryBySource,
)
from datashop_assets.encoder_kinds.trained import TrainedEncoder
from datashop_assets.protocols.documents import Document
from datashop_assets.statistics import agreement, ranking
from datashop_assets.statistics.intervals import Array
from datashop_assets.storage.stage_folder import StageFolder

if TYPE_CHECKING:
    from scipy import sparse

ERRORS_SHOWN = 8  # of each side
BEGINNING = 300  # characters of a document that is shown


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


def report_on(
    fitted: FittedEncoder, rows: pl.DataFrame, sample: ScoredSample, gold: Gold, heldout: Iterator[Document]
) -> EncoderReport:
    """All of `report.json`. `sample` is what `labels_sample` gives, `rows` a training set, `heldout` the documents that
    no annotator was asked about, which are read where there is gold.

    Raises `ValueError` when the encoder ranks unseen labels worse than chance, which no sound training does.
    """
    labels = by_source(sample, rows["source"].to_list())
    refuse_useless(labels.all)
    false_positives, false_negatives = errors_to_read(rows, fitted.scores, sample.positive_at)
    return EncoderReport(
        labels=labels,
        gold=on_gold(fitted.encoder, baselines_of(rows), heldout, gold) if gold else None,
        annotator=annotator_on_gold(rows, gold) if gold else None,
        cascade=None if fitted.cascade is None else on_cascade(fitted.cascade, fitted.margins, rows),
        false_positives=false_positives,
        false_negatives=false_negatives,
    )


def refuse_useless(labels: Summary) -> None:
    """By the AUC, or, where positives are too few for one, by the rank correlation."""
    auc, spearman = None if labels.figures is None else labels.figures.auc, labels.spearman
    name, found, chance = ("AUC", auc, 0.5) if auc is not None else ("rank correlation", spearman, 0.0)
    if found is not None and found.high is not None and found.high < chance:
        raise ValueError(
            f"the encoder's {name} on labels it has not seen is {found.value:.3f} (95% interval {found.interval()}), "
            "worse than chance: its training went wrong, so no model is kept"
        )


def headlines(report: EncoderReport, positive_at: float) -> EncoderResult:
    """What the manifest carries of a report; `positive_at` is the score from which a document is taken for positive."""
    labels = report.labels.all
    assert labels.spearman is not None  # training sets of fewer than `FEWEST` documents are refused
    apart = {} if labels.figures is None else labels.figures.model_dump(exclude={"precision_at_share", "brier"})
    return EncoderResult(
        documents=labels.documents,
        positives=labels.positives,
        positive_at=positive_at,
        spearman=labels.spearman,
        baseline_auc={name: one.auc for name, one in labels.baselines.items()},
        **apart,
        gold=_gold_headlines(report.gold, report.annotator) if report.gold and report.annotator else None,
        cascade=report.cascade,
    )


def _gold_headlines(gold: SummaryBySource, annotator: SummaryBySource) -> GoldResult:
    own, beside = gold.all.figures, annotator.all.figures
    return GoldResult(
        documents=gold.all.documents,
        positives=gold.all.positives,
        auc=own.auc if own else None,
        precision_at_share=own.precision_at_share if own else None,
        baseline_auc={name: one.auc for name, one in gold.all.baselines.items()},
        auc_within={source: one.figures.auc for source, one in gold.within.items() if one.figures},
        annotator_auc=beside.auc if beside else None,
        annotator_precision_at_share=beside.precision_at_share if beside else None,
    )


def labels_sample(rows: pl.DataFrame, fitted: FittedEncoder, positive_at: float) -> ScoredSample:
    """Scores of the encoder and of the baselines, out of fold, beside the labels of a training set."""
    baselines = {name: np.zeros(len(rows)) for name in BASELINES}
    for fold in sorted(set(rows["fold"])):
        inside, unseen = (rows["fold"] == fold).to_numpy(), rows.filter(pl.col("fold") == fold)
        others = baselines_of(rows.filter(pl.col("fold") != fold))
        for name, scores in others.scores(unseen["characters"].to_list(), unseen["source"].to_list()).items():
            baselines[name][inside] = scores
    label, weight, expected, target = (floats(rows, name) for name in ("label", "weight", "expected_score", "target"))
    return ScoredSample(fitted.scores, label, weight, baselines, expected, fitted.margins, target, positive_at)


def on_gold(
    encoder: TrainedEncoder, baselines: "Baselines", documents: Iterator[Document], gold: Gold
) -> SummaryBySource:
    """The encoder against gold on held-out documents."""
    labelled = [(gold.of(document.id), document) for document in documents]
    known = [(label, document) for label, document in labelled if label is not None]
    sources, texts = [document.source for _, document in known], [document.text for _, document in known]
    margins = encoder.margins(texts)
    sample = ScoredSample(
        encoder.calibration.probability(margins),
        np.array([label for label, _ in known], dtype=np.float64),
        np.ones(len(known)),
        baselines.scores([len(text) for text in texts], sources),
        margin=margins,
    )
    return by_source(sample, sources, without_gold=len(labelled) - len(known))


def annotator_on_gold(rows: pl.DataFrame, gold: Gold) -> SummaryBySource:
    """The annotator's expected score, as a share of the highest, against gold."""
    labels = [gold.of(identifier) for identifier in rows["id"]]
    known = rows.filter([label is not None for label in labels])
    sample = ScoredSample(
        floats(known, "expected_score") / HIGHEST_SCORE,
        np.array([label for label in labels if label is not None], dtype=np.float64),
        floats(known, "weight"),
    )
    return by_source(sample, known["source"].to_list(), without_gold=len(rows) - len(known))


def heldout_documents(pool: StageFolder) -> Iterator[Document]:
    for shard in (file.name for file in pool.shards):
        chosen = (row["row"] for row in pool.rows(shard) if row["split"] == "heldout")
        yield from (document for _, document in read_chosen(pool, Path(shard).stem, chosen))


def on_cascade(fitted: FittedCascade, margins: Array, rows: pl.DataFrame) -> CascadeReport:
    """What the cascade costs on labels out of fold; `margins` are those of the whole cascade."""
    label, weight = floats(rows, "label"), floats(rows, "weight")
    passed = fitted.first >= fitted.cut

    def measures(sample: ScoredSample, weights: Array) -> Measures:
        whole, alone = (ranking.auc(scores, sample.label, weights) for scores in (margins, fitted.second))
        recall = agreement.precision_recall_f1(sample.score, sample.label, weights)[1]
        return {"recall": recall, "auc": whole, "auc_second_alone": alone, "auc_cost": alone - whole}

    scored = ScoredSample(passed.astype(np.float64), label, weight)
    return CascadeReport(
        cut=fitted.cut,
        passed=int(passed.sum()),
        documents=len(rows),
        share=float(np.average(passed, weights=weight)),
        lost_positives=int((label[~passed] == 1).sum()),
        positives=int(label.sum()),
        **(with_intervals(measures, scored, 0) if scored.fewest >= FEWEST else {}),
    )


def errors_to_read(
    rows: pl.DataFrame, scores: Array, positive_at: float
) -> tuple[tuple[LabelError, ...], tuple[LabelError, ...]]:
    """The documents on which encoder and annotator differ most: false positives with the highest scores out of fold
    [documents], false negatives with the lowest.
    """
    scored = rows.with_columns(score=pl.Series(np.asarray(scores)))
    highest, lowest = (scored.sort("score", "id", descending=descending) for descending in (True, False))
    positives = highest.filter((pl.col("label") == 0) & (pl.col("score") >= positive_at))
    negatives = lowest.filter((pl.col("label") == 1) & (pl.col("score") < positive_at))

    def shown(found: pl.DataFrame) -> tuple[LabelError, ...]:
        beginning = pl.col("text").str.slice(0, BEGINNING).alias("text")
        chosen = found.head(ERRORS_SHOWN).select("id", "source", "expected_score", "score", beginning)
        return tuple(LabelError(**row) for row in chosen.iter_rows(named=True))

    return shown(positives), shown(negatives)


def baselines_of(rows: pl.DataFrame) -> "Baselines":
    lengths, sources = rows["characters"].to_list(), rows["source"].to_list()
    return Baselines(lengths, sources, floats(rows, "target"), floats(rows, "weight"))


class Baselines:
    """Scores by length alone and by source alone: logistic curves fit on the same targets as the encoder."""

    def __init__(self, lengths: Sequence[int], sources: Sequence[str], targets: Array, weights: Array) -> None:
        from scipy import sparse
        from sklearn.linear_model import LogisticRegression

        self._sources = {source: place for place, source in enumerate(sorted(set(sources)))}
        sides = np.repeat([1, 0], len(targets))  # each document counts on both, in proportion of its target
        scale = np.concatenate([weights * targets, weights * (1 - targets)]) / weights.mean()
        length, source = _curve(lengths), self._one_hot(sources)
        # two numbers need no penalty, and under one the curve cannot bend
        self._length = LogisticRegression(C=1e6, max_iter=1000)
        self._length.fit(np.concatenate([length, length]), sides, sample_weight=scale)
        self._source = LogisticRegression(max_iter=1000)
        self._source.fit(sparse.vstack([source, source], "csr"), sides, sample_weight=scale)

    def scores(self, lengths: Sequence[int], sources: Sequence[str]) -> Mapping[Baseline, Array]:
        """Scores by length (characters of whole documents) and by source, each float64 [documents].

        A source never seen gets the average.
        """
        return {
            "length": np.asarray(self._length.predict_proba(_curve(lengths))[:, 1]),
            "source": np.asarray(self._source.predict_proba(self._one_hot(sources))[:, 1]),
        }

    def _one_hot(self, sources: Sequence[str]) -> "sparse.csr_array":
        """[documents, known sources], of which only the ones are held: a source field may hold a URL."""
        from scipy import sparse

        columns = [self._sources.get(source, -1) for source in sources]
        rows = [row for row, column in enumerate(columns) if column >= 0]
        ones = (np.ones(len(rows)), (rows, [columns[row] for row in rows]))
        return sparse.csr_array(ones, (len(sources), len(self._sources)))


def _curve(lengths: Sequence[int]) -> Array:
    """The logarithm of a length and its square: the share of positives may rise and fall with length."""
    log = np.log1p(np.asarray(lengths, dtype=np.float64)) / 10
    return np.stack([log, log**2], axis=1)
