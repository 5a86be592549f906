"""Asks the annotator about the sample: a first round at random, a second one spent where a pilot encoder says it helps.

Answers go to the answer store as they come; rows are put together from it when a round is asked, so that they do not
depend on the order of arrival, and a run that goes on, or reads replies otherwise, asks nothing twice.
"""

from collections.abc import Sequence

from datashop_assets.annotations.design import Design, design_of
from datashop_assets.annotations.draws import Drawn, Row, first_round, second_round
from datashop_assets.annotations.first_pass import CASCADE, first_pass_scores
from datashop_assets.annotations.metrics import metrics_of
from datashop_assets.annotations.pilot import pilot_scores
from datashop_assets.annotations.question import question_of, rubric_of
from datashop_assets.annotations.rounds import Rounds
from datashop_assets.annotations.sample import documents, index_of
from datashop_assets.annotations.spending import Spending
from datashop_assets.answers.asking import Asking, StoppedAskingError
from datashop_assets.answers.store import AnswerStore
from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.processors.judging import judge_of
from datashop_assets.protocols.progress import Bar
from datashop_assets.storage.digests import digest_of

NOT_ASKED, BY_SCORE, KEPT = "not asked", "strata of its score", "the draws of the run before, kept"
ALIKE = "none: the first round's answers are all alike; drawn at random"


def build(run: OpenRun) -> Metrics:
    """One row for every document asked, in `round<n>-<nnn>.parquet`. For the metrics see `metrics_of`.

    A finished stage that is taken up again keeps its draws and asks about the documents whose calls failed. Raises
    `ValueError` without an annotator or without documents.
    """
    if run.resources.annotator is None:
        raise ValueError("annotations need an annotator; give one in Resources(annotator=...)")
    question = question_of(run.config["asked"], rubric_of(run), run.resources.annotator)
    store = AnswerStore.of(run.answers, question)
    spending = Spending.so_far(run.limits, store, run.output.scratch)
    asking = Asking(run.resources.annotator, question, store, watch=spending.watch, allows=spending.allows)
    rounds = Rounds(run, asking, judge_of(run.config["parsing"]))
    index = index_of(run.inputs["annotation_sample"])
    design = design_of(len(index), run.config)
    with run.resources.progress.bar("annotations", design.asked, "documents") as bar:
        try:
            pilot = _annotate(rounds, index, design, bar)
        except StoppedAskingError as stop:
            raise ValueError(spending.stopped(stop.unasked)) from stop
    rows = (row for number, count in design.rounds for row in rounds.read(number, count))
    return {
        **metrics_of(rows, len(index)),
        "pilot": pilot,
        "asked_now": asking.asked,
        "seconds_asking": round(spending.seconds, 1),
        "damaged_parts": list(asking.store.damaged),
        "question": {"model": question.model, "revision": question.revision, "scoring": question.scoring},
        "digests": {"generation": question.digest, "parsing": digest_of([question.digest, run.config["parsing"]])},
    }


def _annotate(rounds: Rounds, index: Sequence[Row], design: Design, bar: Bar) -> str:
    """Both rounds. Returns how the second was drawn."""
    again = all(rounds.complete(number, count) for number, count in design.rounds)
    first, rest = first_round(index, design)
    if again or not rounds.complete(1, len(first)):
        rounds.annotate(first, bar)
    else:
        bar.skip(len(first))
    if not design.second:
        return NOT_ASKED
    if again:
        rounds.annotate(rounds.drawn(2, design.second), bar)
        return KEPT
    drawn, said = _second(rounds, rest, design)
    rounds.annotate(drawn, bar)
    return said


def _second(rounds: Rounds, rest: Sequence[Row], design: Design) -> tuple[list[Drawn], str]:
    run, contents = rounds.run, [row["content"] for row in rest]
    texts = ((row["content"], row["text"]) for row in documents(run.inputs["annotation_sample"], set(contents)))
    if "cascade" in run.config:
        ranked = first_pass_scores(run, contents, texts)
        return second_round(rest, [ranked[content] for content in contents], design), CASCADE
    answers, reading = rounds.read(1, design.first.drawn), rounds.asking.question.reading
    scores = pilot_scores(answers, texts, reading, run.output.scratch)
    ordered = [scores[content] if scores else 0.0 for content in contents]
    return second_round(rest, ordered, design), BY_SCORE if scores else ALIKE
