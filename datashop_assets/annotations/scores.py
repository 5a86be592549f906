"""Scores of documents by one question, where the first reply is all that is wanted."""

from collections.abc import Iterable, Sequence

from datashop_assets.answers.asking import Asking
from datashop_assets.answers.ordered import answers_in_order
from datashop_assets.answers.store import AnswerStore
from datashop_assets.core.step import OpenRun
from datashop_assets.processors.judging import Judge
from datashop_assets.protocols.annotator import AnnotationRequest, Question
from datashop_assets.protocols.progress import Bar


def asked_scores(
    run: OpenRun,
    question: Question,
    judge: Judge,
    contents: Sequence[str],
    documents: Iterable[tuple[str, AnnotationRequest]],
    *,
    bar: Bar,
) -> dict[str, float | None]:
    """The expected score, 0 to 5, of each of `contents`, asked through the answer store.

    None where the call failed, was refused or gave a reply without a score: there is no second try. `documents` are
    those with these contents. Memory holds as many answers as a lot of `answers_in_order`.
    """
    assert run.resources.annotator is not None
    asking = Asking(run.resources.annotator, question, AnswerStore.of(run.answers, question))
    asking.ask(documents, bar)
    scores: dict[str, float | None] = dict.fromkeys(contents)
    for lot in answers_in_order(asking.store, contents, run.output.scratch):
        scores |= {key: judge.judge(answer).expected_score for key, answer in lot.items() if key in scores}
    return scores
