"""Builds `evaluation_targets`: the held-out documents that the comparison is measured on, with their texts.

Target documents are those that the prompt names, else held-out ones with its gold labels, else held-out ones that the
annotator scores high. General documents are other held-out ones. The encoder, whose choice is on trial, has no say.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.replies import Judge
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import StepRun
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import pool_shards, read_chosen, read_index
from datashop_assets.documents.reading import read_source
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.split import Split, content_of
from datashop_assets.evaluation.results import (
    TARGETS,
    EvaluationTargetsConfig,
    EvaluationTargetsResult,
    Kind,
    Origin,
)
from datashop_assets.prompts.annotator_settings import ScoringConfig
from datashop_assets.protocols.documents import Document
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.statistics.draws import Draw
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder

SCHEMA = {
    "shard": pl.String,  # of the pool; null where the document is not in the pool
    "row": pl.Int64,
    "id": pl.String,
    "kind": pl.String,
    "source": pl.String,
    "text": pl.String,
}
IndexRow = Mapping[str, Any]
Place = tuple[str, int]  # shard and row


@dataclass(frozen=True)
class Chosen:
    """A document that the comparison is measured on. `place` is None where it is not of the pool."""

    kind: Kind
    document: Document
    place: Place | None = None

    def row(self) -> dict[str, Any]:
        shard, row = self.place or (None, None)
        one = self.document
        return {"shard": shard, "row": row, "id": one.id, "kind": self.kind, "source": one.source, "text": one.text}


@dataclass(frozen=True)
class Choice:
    """All of them, where the targets are from, and what was left out on the way."""

    origin: Origin
    documents: list[Chosen]
    counts: Mapping[str, int] = field(default_factory=dict)  # fields of the result
    spent: TokensSpent | None = None  # on asking; None where nobody is asked


def build(run: StepRun[EvaluationTargetsConfig]) -> EvaluationTargetsResult:
    """Writes `targets.parquet`. Raises `ValueError` where there is no target document, saying what to change."""
    if run.config.targets:
        choice = _given(run)
    elif run.config.gold:
        choice = _by_gold(run)
    else:
        choice = _by_annotator(run)
    kinds = Counter(one.kind for one in choice.documents)
    if not kinds[Kind.TARGET]:
        raise ValueError(
            f"no target document to compare on ({choice.origin}: {dict(choice.counts)}); correct evaluation.targets or "
            "evaluation.gold, or raise heldout_fraction"
        )
    run.output.write_rows(TARGETS, (one.row() for one in choice.documents), SCHEMA)
    sources = {kind: Counter(one.document.source for one in choice.documents if one.kind == kind) for kind in Kind}
    return EvaluationTargetsResult(
        targets_from=choice.origin,
        target_documents=kinds[Kind.TARGET],
        general_documents=kinds[Kind.GENERAL],
        by_source={kind: dict(sorted(counts.items())) for kind, counts in sources.items()},
        spent=choice.spent,
        **choice.counts,
    )


def _given(run: StepRun[EvaluationTargetsConfig]) -> Choice:
    """Documents that the prompt names. Those that the pool holds too are left out, unless it holds them out."""
    config, pool = run.config, run.input(PretrainingPoolResult)
    assert config.targets is not None, "the prompt names them"
    source, draw, rejected = config.targets, Draw[Document](config.target_documents), 0
    for file, number, found in read_source(source, run.cache, run.data):
        if isinstance(found, Document):
            draw.offer(keyed_hash("target", f"{content_of(found.text)} {file.shard} {number}"), 1, found)
        else:
            rejected += 1
    named = {content_of(document.text): document for _, document in draw.keyed()}
    trained_on = {
        row["content"]
        for shard in pool_shards(pool)
        for row in read_index(pool, shard)
        if row["content"] in named and row["split"] != Split.HELDOUT
    }
    targets = [Chosen(Kind.TARGET, document) for content, document in named.items() if content not in trained_on]
    general = _drawn(pool, Kind.GENERAL, config.general_documents, lambda row: row["content"] not in named)
    counts = {"in_training_part": len(trained_on), "targets_rejected": rejected}
    return Choice("given", [*targets, *_read(pool, general)], counts)


def _by_gold(run: StepRun[EvaluationTargetsConfig]) -> Choice:
    """Held-out documents by gold label; general ones are all that have another label, or none."""
    config, pool, wanted = run.config, run.input(PretrainingPoolResult), frozenset(run.config.gold)
    labels = load_gold(run.cache, run.data, config.gold_uri)
    if not labels:
        raise ValueError(
            f"evaluation.gold is {sorted(wanted)}, but the pool {config.gold_uri!r} has no gold labels; "
            "name documents in evaluation.targets, or remove evaluation.gold"
        )

    def is_target(row: IndexRow) -> bool:
        return labels.get(row["id"]) in wanted

    targets = _drawn(pool, Kind.TARGET, config.target_documents, is_target)
    general = _drawn(pool, Kind.GENERAL, config.general_documents, lambda row: not is_target(row))
    return Choice("gold", list(_read(pool, [*targets, *general])))


def _by_annotator(run: StepRun[EvaluationTargetsConfig]) -> Choice:
    """Held-out documents that the annotator is asked about now; what it did not score is left out and counted."""
    config, pool = run.config, run.input(PretrainingPoolResult)
    assert config.annotator is not None, "nothing else chooses"
    places = _drawn(pool, Kind.GENERAL, config.target_documents + config.general_documents, lambda _: True)
    asked = list(_read(pool, places))
    scores, spent = _scores(run, config.annotator.scoring, [one.document for one in asked])
    documents = [
        replace(one, kind=Kind.TARGET if score >= config.annotator.positive_from else Kind.GENERAL)
        for one, score in zip(asked, scores, strict=True)
        if score is not None
    ]
    return Choice("annotator", documents, {"asked": len(asked), "without_score": len(asked) - len(documents)}, spent)


def _scores(
    run: StepRun[EvaluationTargetsConfig], scoring: ScoringConfig, documents: list[Document]
) -> tuple[list[float | None], TokensSpent]:
    """The expected score, 0 to 5, of each document; None where the annotator gave none. And what the answers took."""
    if run.resources.annotator is None:
        raise ValueError("evaluation_targets needs an annotator where a prompt has neither targets nor gold labels")
    question = scoring.question.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)
    judge = Judge.of(scoring.parsing)
    scorer = DocumentScorer(run.annotator, question, judge, run.answers, run.output.scratch, run.limits)
    with run.resources.progress.bar("asking about held-out documents", len(documents), "documents") as bar:
        return scorer.scores_of(documents, bar), scorer.spent


def _drawn(
    pool: StageFolder, kind: Kind, wanted: int, accepted: Callable[[IndexRow], bool]
) -> list[tuple[Kind, Place]]:
    """At most `wanted` held-out documents drawn at random among those accepted, in pool order."""
    draw: Draw[tuple[int, Place]] = Draw(wanted)
    for number, (shard, row) in enumerate(_heldout(pool)):
        if accepted(row):
            key = keyed_hash(f"evaluation {kind}", f"{row['content']} {shard} {row['row']}")
            draw.offer(key, 1, (number, (shard, row["row"])))
    return [(kind, place) for _, place in sorted(item for _, item in draw.keyed())]


def _heldout(pool: StageFolder) -> Iterator[tuple[str, IndexRow]]:
    for shard in pool_shards(pool):
        yield from ((shard, row) for row in read_index(pool, shard) if row["split"] == Split.HELDOUT)


def _read(pool: StageFolder, places: Iterable[tuple[Kind, Place]]) -> Iterator[Chosen]:
    """The documents with their texts, in the order of `places`."""
    places = list(places)
    by_shard: dict[str, set[int]] = {}
    for _, (shard, row) in places:
        by_shard.setdefault(shard, set()).add(row)
    documents = {
        (shard, row): document
        for shard, rows in by_shard.items()
        for row, document in read_chosen(pool, shard, sorted(rows))
    }
    return (Chosen(kind, documents[place], place) for kind, place in places)
