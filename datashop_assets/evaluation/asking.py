"""Asking the annotator which held-out documents are target documents, where nothing else says so."""

from collections.abc import Iterator

from datashop_assets.annotations.question import question_of, rubric_of
from datashop_assets.answers.asking import Asking
from datashop_assets.answers.ordered import answers_in_order
from datashop_assets.answers.store import AnswerStore
from datashop_assets.processors.judging import judge_of
from datashop_assets.protocols.annotator import Asked
from datashop_assets.protocols.documents import Document
from datashop_assets.sources.pool import pool_shards, read_pool
from datashop_assets.sources.split import content_of
from datashop_assets.stage import StageTask
from datashop_assets.storage.stage_folder import StageFolder

Place = tuple[str, int]  # shard and row


def annotator_choice(task: StageTask, pool: StageFolder, places: set[Place]) -> dict[Place, float | None]:
    """The expected score, 0 to 5, of the document at each place; None where the annotator gave none."""
    if task.tools.annotator is None:
        raise ValueError("evaluation_targets needs an annotator where a prompt has neither targets nor gold labels")
    found = list(_read(pool, places))
    wanted, annotator = task.config["annotator"], task.tools.annotator
    question, judge = question_of(wanted["asked"], rubric_of(task), annotator), judge_of(wanted["parsing"])
    asking = Asking(annotator, question, AnswerStore.of(task.answers, question))
    contents = [content_of(document.text) for _, document in found]
    asked = ((content, Asked("", one.text, one.source)) for content, (_, one) in zip(contents, found, strict=True))
    with task.tools.progress.bar("asking about held-out documents", len(found), "documents") as bar:
        asking.ask(asked, bar)
    answers = {
        name: answer
        for lot in answers_in_order(asking.store, contents, task.output.scratch)
        for name, answer in lot.items()
    }
    scores = {content: judge.judge(answer).expected_score for content, answer in answers.items()}
    return {place: scores.get(content) for (place, _), content in zip(found, contents, strict=True)}


def _read(pool: StageFolder, places: set[Place]) -> Iterator[tuple[Place, Document]]:
    for shard in pool_shards(pool):
        if any(shard == wanted for wanted, _ in places):
            yield from (((shard, row), document) for row, document in read_pool(pool, shard) if (shard, row) in places)
