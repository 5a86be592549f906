"""How an estimate is made: what a prompt will cost, stage by stage, before it runs, and what reuse saves.

What an annotator is asked is counted in tokens: a pilot says how many one document takes, and at which pace. Every
stage that asks is counted, less what the answer store has already. `paces` says how long the others take.
"""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass

from datashop_assets.annotations.design import Design, design_of, documents, first_round, index_of
from datashop_assets.annotations.results import AnnotationsConfig, AnnotationsResult, AnnotatorReportConfig
from datashop_assets.asking.collecting import AnswerCollector, AskingStoppedError
from datashop_assets.asking.replies import Judge
from datashop_assets.asking.spending import HOUR, Spending
from datashop_assets.asking.store import AnswerStore, content_of
from datashop_assets.asking.usage import TokensSpent, unreported_tokens
from datashop_assets.blind_test.results import BlindTestConfig
from datashop_assets.core.plan import Plan, PlannedStep, State
from datashop_assets.core.step import Resources
from datashop_assets.costs import Estimate, PilotSummary, Prices, StageEstimate, VisibleDifference, seconds_spent
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.evaluation.power import visible_before
from datashop_assets.evaluation.results import EvaluationConfig, EvaluationResult, EvaluationTargetsConfig
from datashop_assets.excerpts import excerpt
from datashop_assets.filtered_pool.results import KeepCertificateConfig
from datashop_assets.paces import PoolSize, expected_seconds, finished, work
from datashop_assets.prompts.annotator_settings import AnnotationQuestionConfig, QuestionRankingConfig
from datashop_assets.protocols.annotator import AnnotationRequest, ModelNames
from datashop_assets.rubric.results import RubricConfig, RubricResult, WritingConfig, rubric_text
from datashop_assets.rubric.wording import AFTER, BEFORE, DESCRIBE, MERGE
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval
from datashop_assets.trained_lm.results import CandidateConfig, ControlConfig, MatchedLMResult, TrainedLMResult

READ = (PretrainingPoolResult.step, AnnotationSampleResult.step)  # what any estimate is made from
ANNOTATOR = AnnotationsResult.step  # where it runs, all that asks the annotator does
CHARACTERS_A_TOKEN = 4.0  # of English, where nobody counts tokens
FIRST_PASS = 200  # documents whose length tells what the first pass of a cascade reads


@dataclass(frozen=True)
class Pilot:
    """Tokens a document, read and written, and tokens a second. `asked` were sent now, the others had answers."""

    tokens: Figure
    tokens_per_second: float | None
    documents: int
    asked: int
    measured: str  # how the pace is known
    second_tries: float = 0.0  # share of the documents whose reply holds no score, which are asked once more


def needed(plan: Plan, *, asks: bool) -> list[str]:
    """The stages that an estimate is made from. A rubric that the annotator writes is one where it may be asked."""
    given = isinstance(rubric := plan[RubricResult.step].config, RubricConfig) and rubric.written is None
    return [*READ, *([RubricResult.step] if asks or given else [])]


def measured_pilot(plan: Plan, resources: Resources, count: int) -> Pilot:
    """Asks about the first `count` documents of the first round, which annotation will ask too: answers are kept.

    They are the first in the order in which annotation asks, in whole groups, so that it forms the same groups, and no
    more than the budget has room for. The stages that are `needed` must have been made. Raises `ValueError` where no
    document is answered.
    """
    assert resources.annotator is not None
    question = _annotations(plan).question.resolve(_rubric(plan), resources.annotator)
    store = AnswerStore.of(plan.root.answers, question)
    scratch = plan.root.scratch(ANNOTATOR, plan[ANNOTATOR].digest)
    scratch.mkdir(parents=True, exist_ok=True)
    limits = plan[ANNOTATOR].step.limits(plan.prompt, resources.prices)
    spending = Spending.so_far(limits, question, store, scratch)
    collector = AnswerCollector(resources.annotator, question, store, spending)
    group = resources.annotator.group or 1
    contents, started = _first_documents(plan, -(-count // group) * group), time.monotonic()
    stopped = ""
    with resources.progress.bar("pilot", len(contents), "documents") as bar:
        rows = documents(plan.output(AnnotationSampleResult), contents)
        try:
            collector.ask(
                ((row["content"], AnnotationRequest(row["id"], row["text"], row["source"])) for row in rows), bar
            )
        except AskingStoppedError as stop:
            stopped = str(spending.stopped(collector.asked, stop.unasked))
    spending.note()
    seconds = time.monotonic() - started
    answers = collector.store.answers(contents)
    if not answers:
        why = stopped or f"the last failure: {[*collector.failures.values()][-1:]}"
        raise ValueError(f"no document of the pilot was answered; {why}")
    tokens = [TokensSpent.of(question, [one]).total for one in answers.values()]
    if collector.asked:
        pace, measured = sum(tokens) * collector.asked / len(answers) / seconds, "by the clock, in this pilot"
    else:  # seconds of one answer count the wait of all that were asked beside it, so that this is a lower bound
        pace, measured = sum(tokens) / max(1e-9, sum(one.seconds for one in answers.values())), "from stored answers"
    if any(unreported_tokens(question, one) for one in answers.values()):
        measured += "; tokens are estimated, the server reports none, or half"
    judge = Judge.of(_annotations(plan).parsing)
    again = sum(judge.needs_repair(judge.judge(one)) for one in answers.values()) / len(answers)
    return Pilot(t_interval(tokens).at_least(0.0), pace, len(answers), collector.asked, measured, again)


def stated_pilot(plan: Plan, count: int, tokens_per_second: float) -> Pilot:
    """From characters and a stated pace: nothing is asked."""
    tokens = stated_tokens(plan, _annotations(plan).question, _rubric(plan), count)
    return Pilot(tokens, tokens_per_second, count, 0, "as stated; tokens are characters / 4")


def stated_tokens(plan: Plan, question: AnnotationQuestionConfig, rubric: str, count: int) -> Figure:
    """Tokens of one document by its characters, over `count` of the sample; a reply counts with its limit."""
    own = question.likelihood
    around = len(rubric if own is None or question.shows_rubric else own.question) / CHARACTERS_A_TOKEN
    new = question.sampling.max_tokens if question.scoring == "generate" else 1
    rows = documents(plan.output(AnnotationSampleResult), _first_documents(plan, count))
    read = [len(excerpt(row["text"], question.read_characters, question.reading)[0]) for row in rows]
    return t_interval([around + characters / CHARACTERS_A_TOKEN + new for characters in read]).at_least(0.0)


def make_estimate(
    plan: Plan, pilot: Pilot, prices: Prices, hardware: str | None = None, annotator: ModelNames | None = None
) -> Estimate:
    """Every stage of the plan. `hardware` is what the annotator runs on, None: as the price table says.

    `annotator` says what its models are called, by which answers are found that are there already.
    """
    summary = PilotSummary(
        documents=pilot.documents,
        asked_now=pilot.asked,
        tokens_per_second=pilot.tokens_per_second,
        pace=pilot.measured,
    )
    names = annotator or plan.annotator
    stages = {}
    for name, planned in plan.items():
        asking = asked(planned, plan, pilot, names)
        place, price = prices.of(ANNOTATOR if asking else name, hardware if asking else None)
        if planned.state is State.CURRENT:
            stage = _there(planned, asking)
        elif asking is not None:
            stage = _asking(asking, pilot)
        else:
            seconds, source = _seconds(planned, plan, prices, place)
            stage = _Expected(trained_tokens(planned), seconds and seconds.times(1 / HOUR), source)
        stages[name] = StageEstimate(
            state=planned.state,
            tokens=stage.tokens,
            hours=stage.hours,
            money=stage.hours and stage.hours.times(price.price_per_hour),
            saved_tokens=stage.saved_tokens,
            saved_hours=stage.saved_hours,
            hardware=place,
            price_per_hour=price.price_per_hour,
            source=stage.source,
        )
    return Estimate(currency=prices.currency, pilot=summary, stages=stages, visible=_visible(plan))


def _visible(plan: Plan) -> list[VisibleDifference]:
    """What the comparison will be able to see, whether its models are trained already or not."""
    models, comparison = plan[TrainedLMResult.step].config, plan[EvaluationResult.step].config
    assert isinstance(models, CandidateConfig)
    assert isinstance(comparison, EvaluationConfig)
    matched = MatchedLMResult.step in plan
    return visible_before(models, comparison, matched, finished(plan.root, EvaluationResult.step), plan.root)


@dataclass(frozen=True)
class _Expected:
    """What a stage will take, and what reuse saves of it."""

    tokens: Figure | None
    hours: Figure | None
    source: str
    saved_tokens: Figure | None = None
    saved_hours: Figure | None = None


def _there(planned: PlannedStep, asking: "AskedDocuments | None") -> _Expected:
    saved = trained_tokens(planned) if asking is None else asking.all_tokens
    hours = Figure.exact(seconds_spent(planned.output) / HOUR)
    return _Expected(None, Figure.exact(0.0), "is there already", saved, hours)


def _asking(asking: "AskedDocuments", pilot: Pilot) -> _Expected:
    pace, left, saved = pilot.tokens_per_second, asking.tokens, asking.saved
    source = f"{pilot.documents} documents: {pilot.measured}"
    if asking.answered:
        source += f"; {asking.answered} of {asking.documents} have answers already"
    hours, spared = (one.times(1 / pace / HOUR) if pace else None for one in (left, saved))
    return _Expected(left, hours, source, saved, spared)


@dataclass(frozen=True)
class AskedDocuments:
    """What a stage asks an annotator: so many documents, of which `answered` have an answer in the store."""

    documents: int
    answered: int
    each: Figure  # tokens of a document, read and written
    beside: Figure | None = None  # tokens of what is asked beside these, such as a first pass

    @property
    def tokens(self) -> Figure:
        """That are still to be read and written."""
        own = self.each.times(self.documents - self.answered)
        return own if self.beside is None else own.plus(self.beside)

    @property
    def saved(self) -> Figure:
        return self.each.times(self.answered)

    @property
    def all_tokens(self) -> Figure:
        return self.tokens.plus(self.saved)


def asked(planned: PlannedStep, plan: Plan, pilot: Pilot, names: ModelNames | None) -> AskedDocuments | None:
    """What a stage asks an annotator; None for one that asks nothing.

    A second annotator, one that certifies, one that chooses held-out documents, and one that is tested, is taken to
    read a document for as many tokens as the pilot, and a second try to take as many as a first. A certificate's labels
    and the pairs of a blind test are counted at their most.
    """
    match planned.config:
        case AnnotationsConfig():
            design = _design(plan)
            answered = _answered_of_sample(plan, design, names)
            each = pilot.tokens.times(1 + pilot.second_tries)
            return AskedDocuments(design.asked, answered, each, _first_pass(plan, design))
        case AnnotatorReportConfig() as config:
            again, own = config.again.documents, _annotations(plan).question
            second = config.second.documents if config.second else 0
            reseeded = own.sampling.model_copy(update={"seed": own.sampling.seed + config.again.seed})
            found = min(again, len(_answers(plan, own.model_copy(update={"sampling": reseeded}), names)))
            if config.second:
                found += min(second, len(_answers(plan, config.second.question, names)))
            return AskedDocuments(again + second, found, pilot.tokens) if again + second else None
        case KeepCertificateConfig() | BlindTestConfig() as config:
            most = 2 * config.pairs if isinstance(config, BlindTestConfig) else config.rule.labels
            return AskedDocuments(most, 0, pilot.tokens)
        case EvaluationTargetsConfig(annotator=scoring) as config if scoring is not None:
            count = min(config.target_documents + config.general_documents, _pool(plan).heldout)
            elsewhere = _answers(plan, scoring.scoring.question, names) - _contents(plan)
            return AskedDocuments(count, min(count, len(elsewhere)), pilot.tokens)
        case RubricConfig(written=written) if written is not None:
            return _writing(written)
    return None


def trained_tokens(planned: PlannedStep) -> Figure | None:
    """Tokens of all seeds of a stage that trains language models; None for any other stage."""
    if not isinstance(planned.config, ControlConfig):
        return None
    settings = planned.config.settings
    return Figure.exact(settings.tokens * settings.seeds)


def _writing(config: WritingConfig) -> AskedDocuments:
    """Every document is described, and a set's descriptions are merged in pairs: 2n - 1 calls for n documents.

    Lengths are at their most: what is read of a document, and what a description may have.
    """
    settings, new = config.settings, config.settings.sampling.max_tokens
    tokens, calls = 0.0, 0
    for one in config.targets.values():
        texts = [len(text) for text in dict.fromkeys(one.documents.texts)]
        lengths = texts or [settings.read_characters] * one.documents.documents
        read = sum(min(length, settings.read_characters) for length in lengths)
        tokens += (len(DESCRIBE) * len(lengths) + read) / CHARACTERS_A_TOKEN + new * len(lengths)
        tokens += (len(lengths) - 1) * (len(MERGE) / CHARACTERS_A_TOKEN + 2 * new + new)
        calls += 2 * len(lengths) - 1
    return AskedDocuments(calls, 0, Figure(value=math.ceil(tokens) / calls))


def _answers(plan: Plan, question: AnnotationQuestionConfig, names: ModelNames | None) -> set[str]:
    """The documents, by content, about which the store has an answer to this question."""
    if names is None:
        return set()
    try:
        resolved = question.resolve(_rubric(plan) if question.shows_rubric else "", names)
    except ValueError:  # a model that the annotator at hand does not have
        return set()
    keys = AnswerStore.of(plan.root.answers, resolved).keys()
    return {key for key in keys if content_of(key) == key}


def _answered_of_sample(plan: Plan, design: Design, names: ModelNames | None) -> int:
    """Documents of both rounds with an answer. Which ones the second will draw is not known: as many as it can be."""
    known = _answers(plan, _annotations(plan).question, names)
    if not known:
        return 0
    first, rest = first_round(index_of(plan.output(AnnotationSampleResult)), design)
    in_second = sum(row["content"] in known for row in rest)
    return sum(one.row["content"] in known for one in first) + min(design.second, in_second)


def _contents(plan: Plan) -> set[str]:
    return {row["content"] for row in index_of(plan.output(AnnotationSampleResult))}


def _first_pass(plan: Plan, design: Design) -> Figure | None:
    """Of all documents that the first round left, where an annotator ranks them."""
    cascade = _annotations(plan).cascade
    if not isinstance(cascade, QuestionRankingConfig):
        return None
    one = stated_tokens(plan, cascade.question, cascade.prompt, FIRST_PASS)
    return one.times(design.first.size - design.first.drawn)


def _seconds(planned: PlannedStep, plan: Plan, prices: Prices, place: str) -> tuple[Figure | None, str]:
    """From finished stages under this root, else from the pace that the price table states for this hardware."""
    name, vocabulary, pool = planned.step.name, plan.prompt.training.vocabulary, _pool(plan)
    amount = work(name, planned.config, pool, vocabulary)
    if not amount:
        return Figure.exact(0.0), "has nothing to read"
    seconds, runs = expected_seconds(planned, plan.root, pool, vocabulary)
    if seconds is not None:
        return seconds, f"{runs} made here"
    if (pace := prices.hardware[place].paces.get(name)) is None:
        return None, f"never made under this root, and {place} states no pace for it"
    return Figure.within_factor(amount / pace, prices.within), f"stated for {place}, within a factor {prices.within:g}"


def _pool(plan: Plan) -> PoolSize:
    return PoolSize.of(plan.output(PretrainingPoolResult).result)


def _first_documents(plan: Plan, count: int) -> Collection[str]:
    """Contents of the first `count` documents of the first round, in the order of the sample."""
    index = index_of(plan.output(AnnotationSampleResult))
    drawn, _ = first_round(index, _design(plan))
    first = {one.row["content"] for one in drawn}
    return set([row["content"] for row in index if row["content"] in first][:count])


def _design(plan: Plan) -> Design:
    return design_of(len(index_of(plan.output(AnnotationSampleResult))), _annotations(plan))


def _annotations(plan: Plan) -> AnnotationsConfig:
    config = plan[ANNOTATOR].config
    assert isinstance(config, AnnotationsConfig), "as the step declares"
    return config


def _rubric(plan: Plan) -> str:
    """What the annotator's question shows; empty where it does not show the rubric.

    In place of a rubric that is still to be written stand as many characters as it may have.
    """
    if RubricResult.step not in plan[ANNOTATOR].inputs:
        return ""
    planned = plan[RubricResult.step]
    if planned.usable:
        return rubric_text(plan.output(RubricResult))
    config = planned.config
    assert isinstance(config, RubricConfig), "as the step declares"
    assert config.written is not None, "a given rubric is made before"
    return "-" * (len(BEFORE) + config.written.settings.characters + len(AFTER))
