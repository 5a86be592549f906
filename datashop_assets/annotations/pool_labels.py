"""Labels of documents that are not of the sample: what later stages ask the annotator, in a prompt's own words."""

from collections.abc import Iterable

from datashop_assets.annotations.question import question_of, rubric_of
from datashop_assets.annotations.scores import asked_scores
from datashop_assets.core.step import OpenRun
from datashop_assets.documents.split import content_of
from datashop_assets.processors.judging import judge_of
from datashop_assets.protocols.annotator import AnnotationRequest
from datashop_assets.protocols.documents import Document
from datashop_assets.protocols.progress import Bar


class PoolLabels:
    """Asks what the prompt asks (`config["annotator"]`, the rubric) about any documents, through the answer store."""

    def __init__(self, run: OpenRun) -> None:
        annotator = run.resources.annotator
        if annotator is None:
            raise ValueError("labels of the pool need an annotator; give one in Resources(annotator=...)")
        wanted = run.config["annotator"]
        question = question_of(wanted["asked"], rubric_of(run), annotator)
        self._task, self._question, self._judge = run, question, judge_of(wanted["parsing"])

    def expected_scores(self, documents: Iterable[Document], bar: Bar) -> list[float | None]:
        """The expected score of each, 0 to 5; None where the call failed, was refused or gave a reply without a score.

        There is no second try: a label that the first reply does not hold is none.
        """
        asked = [(content_of(one.text), AnnotationRequest(one.id, one.text, one.source)) for one in documents]
        contents = [content for content, _ in asked]
        scores = asked_scores(self._task, self._question, self._judge, contents, asked, bar=bar)
        return [scores[content] for content in contents]
