"""Asking the annotator which held-out documents are target documents, where nothing else says so."""

from collections.abc import Iterator

import orjson

from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.replies import Judge
from datashop_assets.core.step import OpenRun
from datashop_assets.documents.pool import pool_shards, read_chosen
from datashop_assets.prompts.annotator_settings import ScoringConfig
from datashop_assets.protocols.documents import Document
from datashop_assets.rubric.results import RubricResult, rubric_text
from datashop_assets.storage.stage_folder import StageFolder

Place = tuple[str, int]  # shard and row


def annotator_choice(run: OpenRun, pool: StageFolder, places: set[Place]) -> dict[Place, float | None]:
    """The expected score, 0 to 5, of the document at each place; None where the annotator gave none."""
    if run.resources.annotator is None:
        raise ValueError("evaluation_targets needs an annotator where a prompt has neither targets nor gold labels")
    scoring = ScoringConfig.model_validate_json(orjson.dumps(run.config["annotator"]))
    question = scoring.question.resolve(rubric_text(run.optional_input(RubricResult)), run.annotator)
    scorer = DocumentScorer(run.annotator, question, Judge.of(scoring.parsing), run.answers, run.output.scratch)
    found = list(_read(pool, places))
    with run.resources.progress.bar("asking about held-out documents", len(found), "documents") as bar:
        scores = scorer.scores_of((document for _, document in found), bar)
    return {place: score for (place, _), score in zip(found, scores, strict=True)}


def _read(pool: StageFolder, places: set[Place]) -> Iterator[tuple[Place, Document]]:
    for shard in pool_shards(pool):
        if rows := sorted(row for wanted, row in places if wanted == shard):
            yield from (((shard, row), document) for row, document in read_chosen(pool, shard, rows))
