"""What ranks the documents that the first round left, before the second is drawn where a score is likely.

A pilot encoder that learned the first round's answers, or the first pass of a cascade: a cheap question about every
document, or an encoder that was trained for another prompt. A ranking only orders. What a document stands for follows
from the sizes of the strata (`design.py`), so that a bad one costs precision and never a bias.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from datashop_assets.annotations.results import AnnotationsConfig
from datashop_assets.asking.collecting import DocumentScorer
from datashop_assets.asking.processors import version_of
from datashop_assets.asking.replies import Judge, ProcessorConfig
from datashop_assets.asking.store import AnswerStore, answers_in_order
from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import StepRun
from datashop_assets.excerpts import excerpt
from datashop_assets.prompts.annotator_settings import EncoderRankingConfig, QuestionRankingConfig
from datashop_assets.protocols.annotator import AnnotationRequest, Question, Reading

MOST = 20_000  # answers that the pilot learns from, the first of a random order: memory holds their texts
SEED = 0
BATCH = 4096
UNSCORED = -1.0  # what the first pass could not score ranks lowest, and may be drawn there
FINAL_SCORE = "finalscore0-5"  # how a written reply of the first pass is read

Run = StepRun[AnnotationsConfig]
Texts = Iterable[tuple[str, str]]  # content and text


def pilot_scores(
    run: Run, answers: Iterable[Mapping[str, Any]], texts: Texts, reading: Reading
) -> dict[str, float] | None:
    """A score for the content of each of `texts`, by a fastText model fitted on the scores of `answers`.

    Where no score is high, those that are there are spread over the whole scale: the pilot only orders documents. None
    where all are alike, so that there is nothing to learn.
    """
    from datashop_assets.models.fasttext.classifier import FastTextSettings, fit

    scored = list(islice((answer for answer in answers if answer["expected_score"] is not None), MOST))
    scores = [float(answer["expected_score"]) for answer in scored]
    if len(set(scores)) < 2:
        return None
    lowest, width = min(scores), max(scores) - min(scores)
    targets = [(score - lowest) / width for score in scores]
    learned = [answer["text"] for answer in scored]
    model = fit(learned, targets, settings=FastTextSettings(), seed=SEED, folder=run.output.scratch)
    ranked: dict[str, float] = {}
    for batch in _batches(texts):
        read = [excerpt(text, reading.characters, reading.part)[0] for _, text in batch]
        ranked |= _by_content(batch, model.margin(read))
    return ranked


def first_pass_scores(
    run: Run, cascade: EncoderRankingConfig | QuestionRankingConfig, contents: Sequence[str], texts: Texts
) -> dict[str, float]:
    """A score for each of `contents`, whose `texts` these are. Raises `ValueError` for an encoder that is not there."""
    if isinstance(cascade, QuestionRankingConfig):
        return _by_question(run, cascade, contents, texts)
    try:
        encoder = run.scorer(cascade.encoder)
    except LookupError as error:
        raise ValueError(f"annotator.cascade.encoder: {error}") from error
    scores: dict[str, float] = {}
    for batch in _batches(texts):
        scores |= _by_content(batch, encoder.margins([text for _, text in batch]))
    return scores


def _by_question(run: Run, cascade: QuestionRankingConfig, contents: Sequence[str], texts: Texts) -> dict[str, float]:
    """Asked through the answer store, like any question."""
    processor = ProcessorConfig(type=FINAL_SCORE, options={}, version=version_of(FINAL_SCORE))
    judge = Judge.of(cascade.question.parsing(processor))
    question = _question(run, cascade)
    scorer = DocumentScorer(run.annotator, question, judge, run.answers, run.output.scratch, run.limits)
    requests = ((content, AnnotationRequest(content, text, "")) for content, text in texts)
    with run.resources.progress.bar("first pass", len(contents), "documents") as bar:
        scores = scorer.scores(contents, requests, bar)
    return {content: UNSCORED if score is None else score for content, score in scores.items()}


def first_pass_spent(run: Run, cascade: QuestionRankingConfig, contents: Sequence[str]) -> TokensSpent:
    """What a first pass over `contents` took, over all runs."""
    question, wanted = _question(run, cascade), frozenset(contents)
    store = AnswerStore.of(run.answers, question)
    spent = TokensSpent(lost=store.lost_tokens())
    for batch in answers_in_order(store, contents, run.output.scratch):
        spent += TokensSpent.of(question, (answer for key, answer in batch.items() if key in wanted))
    return spent


def _question(run: Run, cascade: QuestionRankingConfig) -> Question:
    return cascade.question.resolve(cascade.prompt, run.annotator)


def _batches(texts: Texts) -> Iterator[list[tuple[str, str]]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def _by_content(batch: Sequence[tuple[str, str]], scores: Iterable[float]) -> dict[str, float]:
    return {content: float(score) for (content, _), score in zip(batch, scores, strict=True)}
