"""How an estimate is made: what a prompt will cost, stage by stage, before it runs.

What the annotator is asked is counted in tokens: a pilot says how many one document takes, and at which pace. All other
stages are scaled by their work from finished ones under the same root, else from the paces of the price table.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from datashop_assets.annotations.design import Design, design_of, documents, first_round, index_of
from datashop_assets.annotations.results import AnnotationsConfig, AnnotatorReportConfig
from datashop_assets.asking.collecting import AnswerCollector
from datashop_assets.asking.store import AnswerStore
from datashop_assets.core.plan import Plan, PlannedStep, State
from datashop_assets.core.step import Resources, config_json
from datashop_assets.costs import HOUR, Estimate, PilotSummary, Prices, StageEstimate
from datashop_assets.excerpts import excerpt
from datashop_assets.filtered_pool.results import KeepCertificateConfig
from datashop_assets.prompts.annotator_settings import AnnotationQuestionConfig, QuestionRankingConfig
from datashop_assets.protocols.annotator import AnnotationRequest
from datashop_assets.rubric.results import rubric_text
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import t_interval
from datashop_assets.storage.manifest import MANIFEST, Manifest
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder
from datashop_assets.training_documents.settings import TrainingSettings

NEEDED = ("pretraining_pool", "annotation_sample", "rubric")  # what an estimate is made from
ANNOTATOR = "annotations"  # where it runs, all that asks the annotator does
CHARACTERS_A_TOKEN = 4.0  # of English, where nobody counts tokens
FIRST_PASS = 200  # documents whose length tells what the first pass of a cascade reads
BY_POOL = (
    *("pretraining_pool", "annotation_sample", "pool_embeddings", "pool_tokens", "pool_scores", "filtered_pool"),
    "decontamination",
)
BY_TOKENS = ("control_lm", "matched_lm", "trained_lm")


@dataclass(frozen=True)
class Pilot:
    """Tokens a document, read and written, and tokens a second. `asked` were sent now, the others had answers."""

    tokens: Figure
    tokens_per_second: float | None
    documents: int
    asked: int
    measured: str  # how the pace is known


def measured_pilot(plan: Plan, resources: Resources, count: int) -> Pilot:
    """Asks about the first `count` documents of the first round, which annotation will ask too: answers are kept.

    They are the first in the order in which annotation asks, in whole groups, so that it forms the same groups. The
    steps in `NEEDED` must have been made. Raises `ValueError` where no document is answered.
    """
    assert resources.annotator is not None
    question = _annotations(plan).question.resolve(_rubric(plan), resources.annotator)
    collector = AnswerCollector(resources.annotator, question, AnswerStore.of(plan.root.answers, question))
    group = resources.annotator.group or 1
    contents, started = _first_documents(plan, -(-count // group) * group), time.monotonic()
    with resources.progress.bar("pilot", len(contents), "documents") as bar:
        rows = documents(plan["annotation_sample"].output, contents)
        collector.ask(((row["content"], AnnotationRequest(row["id"], row["text"], row["source"])) for row in rows), bar)
    seconds = time.monotonic() - started
    answers = collector.store.answers(contents)
    if not answers:
        raise ValueError(
            f"no document of the pilot was answered; the last failure: {[*collector.failures.values()][-1:]}"
        )
    tokens = [one.tokens_in + one.tokens_out for one in answers.values()]
    if collector.asked:
        pace, measured = sum(tokens) * collector.asked / len(answers) / seconds, "by the clock, in this pilot"
    else:  # seconds of one answer count the wait of all that were asked beside it, so that this is a lower bound
        pace, measured = sum(tokens) / max(1e-9, sum(one.seconds for one in answers.values())), "from stored answers"
    return Pilot(t_interval(tokens).at_least(0.0), pace, len(answers), collector.asked, measured)


def stated_pilot(plan: Plan, count: int, tokens_per_second: float) -> Pilot:
    """From characters and a stated pace: nothing is asked."""
    tokens = stated_tokens(plan, _annotations(plan).question, _rubric(plan), count)
    return Pilot(tokens, tokens_per_second, count, 0, "as stated; tokens are characters / 4")


def stated_tokens(plan: Plan, question: AnnotationQuestionConfig, rubric: str, count: int) -> Figure:
    """Tokens of one document by its characters, over `count` of the sample; a reply counts with its limit."""
    own = question.likelihood
    around = len(rubric if own is None or question.shows_rubric else own.question) / CHARACTERS_A_TOKEN
    new = question.sampling.max_tokens if question.scoring == "generate" else 1
    rows = documents(plan["annotation_sample"].output, _first_documents(plan, count))
    read = [len(excerpt(row["text"], question.read_characters, question.reading)[0]) for row in rows]
    return t_interval([around + characters / CHARACTERS_A_TOKEN + new for characters in read]).at_least(0.0)


def make_estimate(plan: Plan, pilot: Pilot, prices: Prices, hardware: str | None = None) -> Estimate:
    """Every stage of the plan. `hardware` is what the annotator runs on, None: as the price table says."""
    stages = {}
    for name, planned in plan.items():
        asked = asked_tokens(name, plan, pilot)
        place, price = prices.of(ANNOTATOR if asked else name, hardware if asked else None)
        tokens: Figure | None
        hours: Figure | None
        if planned.state is State.CURRENT:
            tokens, hours, source = None, Figure.exact(0.0), "is there already"
        elif asked is not None:
            pace = pilot.tokens_per_second
            tokens, hours = asked, asked.times(1 / pace / HOUR) if pace else None
            source = f"{pilot.documents} documents: {pilot.measured}"
        else:
            trained = trained_tokens(name, config_json(planned.config))
            tokens = None if trained is None else Figure.exact(trained)
            seconds, source = _seconds(planned, plan, prices, place)
            hours = seconds and seconds.times(1 / HOUR)
        stages[name] = StageEstimate(
            state=planned.state,
            tokens=tokens,
            hours=hours,
            money=hours and hours.times(price.price_per_hour),
            hardware=place,
            price_per_hour=price.price_per_hour,
            source=source,
        )
    summary = PilotSummary(
        documents=pilot.documents,
        asked_now=pilot.asked,
        tokens_per_second=pilot.tokens_per_second,
        pace=pilot.measured,
    )
    return Estimate(currency=prices.currency, pilot=summary, stages=stages)


def asked_tokens(name: str, plan: Plan, pilot: Pilot) -> Figure | None:
    """Tokens that a stage reads from and writes to an annotator; None for one that asks nothing.

    A second annotator, and one that certifies, is taken to read a document for as many tokens as the pilot. A written
    rubric is made before the pilot.
    """
    config = plan[name].config
    if isinstance(config, AnnotationsConfig):
        design = _design(plan)
        return pilot.tokens.times(design.asked).plus(_first_pass(plan, design))
    asked = 0
    if isinstance(config, AnnotatorReportConfig):
        asked = config.again.documents + (config.second.documents if config.second else 0)
    elif isinstance(config, KeepCertificateConfig):
        asked = config.rule.labels
    return pilot.tokens.times(asked) if asked else None


def _first_pass(plan: Plan, design: Design) -> Figure:
    """Of all documents that the first round left, where an annotator ranks them."""
    cascade = _annotations(plan).cascade
    if not isinstance(cascade, QuestionRankingConfig):
        return Figure.exact(0.0)
    one = stated_tokens(plan, cascade.question, cascade.prompt, FIRST_PASS)
    return one.times(design.first.size - design.first.drawn)


def _seconds(planned: PlannedStep, plan: Plan, prices: Prices, place: str) -> tuple[Figure | None, str]:
    """From finished stages under this root, else from the pace that the price table states for this hardware."""
    name, vocabulary = planned.step.name, plan.prompt.training.vocabulary
    pool = int(plan["pretraining_pool"].output.metrics["documents"])
    amount = work(name, config_json(planned.config), pool, vocabulary)
    if not amount:
        return Figure.exact(0.0), "is not asked for"
    seconds, runs = expected_seconds(planned, plan.root, pool, vocabulary)
    if seconds is not None:
        return seconds, f"{runs} made here"
    if (pace := prices.hardware[place].paces.get(name)) is None:
        return None, f"never made under this root, and {place} states no pace for it"
    return Figure.within_factor(amount / pace, prices.within), f"stated for {place}, within a factor {prices.within:g}"


def expected_seconds(planned: PlannedStep, root: Root, pool: int, vocabulary: int) -> tuple[Figure | None, int]:
    """Seconds of a stage that is to be made over `pool` documents, scaled from how many finished ones of its name."""
    name = planned.step.name
    rates = [
        manifest.seconds / done
        for manifest in _finished(root, name)
        if (done := work(name, manifest.config, _pool_of(manifest, root), vocabulary))
    ]
    if not rates:
        return None, 0
    return t_interval(rates).at_least(0.0).times(work(name, config_json(planned.config), pool, vocabulary)), len(rates)


def work(name: str, config: Mapping[str, Any], pool: int, vocabulary: int) -> float:
    """How much work a stage with these settings is over a pool of so many documents, in the unit its time grows with.

    Tokens trained times weights for language models, documents of the pool for what reads all of it, one for all
    others; none for a stage that a prompt does not ask for.
    """
    if (settings := _training(name, config)) is not None:
        weights = 1 if settings.anneal else settings.llama(vocabulary).parameters
        return float(settings.tokens) * settings.seeds * weights
    if name in BY_TOKENS:
        return 0.0
    if config.get("asked") is False:
        return 0.0
    return float(pool) if name in BY_POOL else 1.0


def trained_tokens(name: str, config: Mapping[str, Any]) -> int | None:
    """Tokens of all seeds of a language-model stage; None for any other stage."""
    settings = _training(name, config)
    return None if settings is None else settings.tokens * settings.seeds


def _training(name: str, config: Mapping[str, Any]) -> TrainingSettings | None:
    """None of a stage that trains no language model, and of one that was made with settings of another form."""
    if name not in BY_TOKENS:
        return None
    try:
        return TypeAdapter(TrainingSettings).validate_python(config["settings"])
    except (KeyError, ValidationError):
        return None


def _finished(root: Root, name: str) -> Iterator[Manifest]:
    stages = root.stages.child(name)
    for digest in stages.folders():
        try:
            if stages.child(digest).exists(MANIFEST):
                yield StageFolder(stages.child(digest)).manifest
        except DamagedStageError:
            continue


def _pool_of(manifest: Manifest, root: Root) -> int:
    """Documents of the pool that a stage was made from; 0 where that is not known."""
    if manifest.stage == "pretraining_pool":
        return int(manifest.metrics["documents"])
    pool = manifest.inputs.get("pretraining_pool")
    folder = root.stage("pretraining_pool", pool.plan) if pool else None
    return int(StageFolder(folder).metrics["documents"]) if folder and folder.exists(MANIFEST) else 0


def _first_documents(plan: Plan, count: int) -> set[str]:
    """Contents of the first `count` documents of the first round, in the order of the sample."""
    index = index_of(plan["annotation_sample"].output)
    drawn, _ = first_round(index, _design(plan))
    first = {one.row["content"] for one in drawn}
    return set([row["content"] for row in index if row["content"] in first][:count])


def _design(plan: Plan) -> Design:
    return design_of(len(index_of(plan["annotation_sample"].output)), _annotations(plan))


def _annotations(plan: Plan) -> AnnotationsConfig:
    config: AnnotationsConfig = plan[ANNOTATOR].config
    return config


def _rubric(plan: Plan) -> str:
    """What the annotator's question shows; empty where it does not show the rubric."""
    return rubric_text(plan["rubric"].output if "rubric" in plan[ANNOTATOR].inputs else None)
