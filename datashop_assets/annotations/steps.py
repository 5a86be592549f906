"""The steps in which the annotator scores the sample, and in which it is asked how far it can be trusted.

The gates are checks of `annotations`: which of them stop a run, and at what figure, is said in the prompt file. A check
whose gate does not block for the prompt's way of scoring warns instead.
"""

from collections.abc import Mapping

from datashop_assets.annotations.results import (
    AnnotationsConfig,
    AnnotationsResult,
    AnnotatorReportConfig,
    AnnotatorReportResult,
    RepetitionConfig,
    SecondAnnotatorConfig,
)
from datashop_assets.core.step import ON_ANNOTATOR, Check, CheckContext, CheckResult, Input, StepOutput, StepRun, step
from datashop_assets.costs import budget_limits
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.prompts.annotator_settings import BLOCKING, Gate
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.rubric.results import RubricResult

LOOK_AT: dict[Gate, str] = {
    "coverage": "Nearly every asked document has a score, within every source too, which only warns. If not, look at "
    "`reason` and `reply` of the documents shown: failed calls are asked again by the next run, refusals need another "
    "rubric or model.",
    "unparsed_share": "Few replies hold no score, within every source too, which only warns. If many do, look at "
    "`reply` of the documents shown and at the end of the rubric, which must say how the score is written; another "
    "processor reads the same replies for nothing.",
    "longest_decile_kept": "The longest documents got scores too. If not, look at `reason` of the documents shown: "
    "read fewer characters, or serve the model with a longer context.",
    "both_ends_used": "Some documents score low and some high. If not, look at the scores of the documents shown: "
    "the rubric does not tell them apart, or the sample holds none of one kind.",
    "length_score_band": "Within a source, length alone does not decide the score. If it does, look at the shortest "
    "and longest documents shown: too little is read of long ones, or the rubric rewards length.",
    "spread_within_sources": "Within a source, scores differ. If not, look at the documents shown: the annotator "
    "judges by where a text comes from, or the source holds one kind only.",
}


def gate_check(gate: Gate) -> Check[AnnotationsResult]:
    """The check for one gate."""
    always = ", ".join(scoring for scoring, gates in BLOCKING.items() if gate in gates) or "no way of scoring"
    said = f"{LOOK_AT[gate]} Stops a run by default for: {always}. Thresholds: `annotator.gates` in the prompt file."

    def evaluate(context: CheckContext[AnnotationsResult]) -> CheckResult:
        from datashop_assets.annotations.describe import replies
        from datashop_assets.annotations.gates import documents_of, gate_report

        settings = context.prompt.annotator
        report = gate_report(gate, settings.gates, context.output)
        failed = report.warns or not report.passed
        return CheckResult(
            passed=not failed,
            blocks=gate in settings.gates.blocks(settings.scoring) and not report.warns,
            description=report.says,
            figures=report.figures,
            sample=replies(list(documents_of(report, context.output))) if failed and len(report.look_at) else None,
        )

    return Check(
        gate,
        said,
        evaluate,
        blocking=True,
        settings=lambda prompt: [prompt.annotator.scoring, prompt.annotator.gates.model_dump(mode="json")],
    )


def _answered_by_one_server(context: CheckContext[AnnotationsResult]) -> CheckResult:
    servers = context.output.result.servers
    return CheckResult(passed=len(servers) < 2, description=f"servers: {', '.join(servers) or 'none says what it is'}")


ONE_SERVER = Check(
    "answered_by_one_server",
    "All answers are of servers that say they are the same (`system_fingerprint`: version, model, options). If not, "
    "and the model's revision changed, name it as `annotator.revision`: that asks anew.",
    _answered_by_one_server,
)


def _endpoints_agree(context: CheckContext[AnnotationsResult]) -> CheckResult:
    result = context.output.result
    compared = {one.address: one.difference for one in result.endpoints if one.difference is not None}
    if not compared:
        return CheckResult(passed=True, description=f"{len(result.endpoints)} endpoints; nothing to compare")
    differing = {one.address: one.difference for one in result.differing_endpoints}
    said = "; ".join(f"{address}: {difference} points from the others" for address, difference in compared.items())
    figures = {f"{address}: difference": one.value for address, one in compared.items() if one is not None}
    return CheckResult(passed=not differing, description=said, figures=figures)


ENDPOINTS_AGREE = Check(
    "endpoints_agree",
    "The mean scores of several endpoints are apart by no more than chance. If not, look at what each of them serves: "
    "another model, revision, number format or chat template under one name. Name one of them alone, or ask anew.",
    _endpoints_agree,
)


def _servers_read_whole_documents(context: CheckContext[AnnotationsResult]) -> CheckResult:
    ceiling = context.output.result.ceiling
    if ceiling is None:
        return CheckResult(passed=True, description="no number of tokens at which a server seems to cut documents")
    said = (
        f"documents of very different length have exactly {ceiling:,} tokens, the most of any: a server cut them there"
    )
    return CheckResult(passed=False, description=said, figures={"ceiling": ceiling})


WHOLE_DOCUMENTS = Check(
    "servers_read_whole_documents",
    "No server cuts what it is sent without a word. If one does, serve the model with a longer context (`num_ctx` of "
    "Ollama), or lower `annotator.read_characters`.",
    _servers_read_whole_documents,
)


def _annotations(prompt: Prompt) -> AnnotationsConfig:
    settings, scoring = prompt.annotator, prompt.scoring_config
    return AnnotationsConfig(
        question=scoring.question,
        parsing=scoring.parsing,
        documents=settings.documents,
        second_round=settings.second_round,
        cascade=None if settings.cascade is None else settings.cascade.ranking_config(settings.model),
    )


def _describe_annotations(output: StepOutput[AnnotationsResult]) -> Mapping[str, str]:
    from datashop_assets.annotations.describe import describe_annotations

    return describe_annotations(output)


@step(
    result=AnnotationsResult,
    inputs=(
        AnnotationSampleResult,
        Input(RubricResult, needed=lambda prompt: prompt.annotator.question_config.shows_rubric),
    ),
    configure=_annotations,
    version="6",
    group="2_annotations",
    kinds={"jax", "parquet"},
    resources={"annotator", "prices"},
    placement=ON_ANNOTATOR,
    checks=(*(gate_check(gate) for gate in LOOK_AT), ONE_SERVER, ENDPOINTS_AGREE, WHOLE_DOCUMENTS),
    limits=budget_limits,
    describe=_describe_annotations,
)
def annotations(run: StepRun[AnnotationsConfig]) -> AnnotationsResult:
    """What the language model says of each sampled document: a score, how it ended, and the raw reply.

    Every document that was asked is here, also one that got no score. The second round is drawn at random within
    strata of a pilot encoder's score; the probability of each draw is stored.
    """
    from datashop_assets.annotations.build import build

    return build(run)


def _report(prompt: Prompt) -> AnnotatorReportConfig:
    settings, report, scoring = prompt.annotator, prompt.annotator.report, prompt.scoring_config
    second = report.second_question_config(scoring.question)
    return AnnotatorReportConfig(
        question=scoring.question,
        parsing=scoring.parsing,
        again=RepetitionConfig(documents=report.repeated(settings.scoring), seed=report.seed),
        second=second
        and SecondAnnotatorConfig(
            question=second,
            parsing=second.parsing(prompt.processor.processor_config),
            documents=report.second.documents if report.second else 0,
        ),
    )


def _report_shows_rubric(prompt: Prompt) -> bool:
    config = _report(prompt)
    again = config.again.documents > 0 and config.question.shows_rubric
    return again or (config.second is not None and config.second.question.shows_rubric)


def _describe_report(output: StepOutput[AnnotatorReportResult]) -> Mapping[str, str]:
    from datashop_assets.annotations.describe import describe_report

    return describe_report(output)


@step(
    result=AnnotatorReportResult,
    inputs=(
        AnnotationsResult,
        AnnotationSampleResult,
        Input(RubricResult, needed=_report_shows_rubric),
    ),
    configure=_report,
    version="2",
    group="2_annotations",
    kinds={"json"},
    resources={"annotator", "prices"},
    placement=ON_ANNOTATOR,
    limits=budget_limits,
    describe=_describe_report,
)
def annotator_report(run: StepRun[AnnotatorReportConfig]) -> AnnotatorReportResult:
    """How far the annotator can be trusted: agreement with itself and with a second one, scores by length and source.

    Nothing is made from it. Figures are weighted, so that they describe the whole sample.
    """
    from datashop_assets.annotations.report import build

    return build(run)
