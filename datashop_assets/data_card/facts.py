"""What a card says, as JSON: the prompt, what it was made with, how far each step got, what was measured and spent.

Whatever a step counted is here as it counted it (`stages.<name>.metrics`), so a figure that a step adds needs no change
of the card. Times and costs are apart, in `spending`: they are no part of the card's content digest.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import polars as pl

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.asking.spending import HOUR
from datashop_assets.core.plan import State
from datashop_assets.core.step import StepOutput, StepResult
from datashop_assets.costs import StageEstimate, last_estimate, seconds_spent
from datashop_assets.data_card.documents import Browsed, Samples, Scan, yields
from datashop_assets.data_card.results import CardRun
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.encoder.results import EncoderReport, EncoderResult
from datashop_assets.evaluation.power import visible_in
from datashop_assets.evaluation.results import EvaluationResult, Measure, SensitivityResult, read_measures
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresResult
from datashop_assets.protocols.annotator import Status
from datashop_assets.rubric.results import RubricResult, read_rubric
from datashop_assets.trained_lm.results import ControlLMResult, MatchedLMResult, TrainedLMResult
from datashop_assets.training_documents.results import PoolTokensResult
from datashop_assets.training_set.results import LABELS, TrainingSetResult

SCORED = ("parsed", "repaired")


def facts(run: CardRun, found: Scan, chosen: Samples, documents: Browsed, report: EncoderReport) -> dict[str, Any]:
    """Everything but times and costs."""
    evaluation = run.input(EvaluationResult)
    matched = against_matched(evaluation.result)
    again = run.optional_input(SensitivityResult)
    return {
        "prompt": run.config.model_dump(mode="json"),
        "rubric": read_rubric(run.input(RubricResult)).model_dump(exclude_none=True),
        "models": models(run),
        "stages": {name: stage_facts(output) for name, output in run.inputs.items()},
        "funnels": {
            "pool": [asdict(step) for step in pool_funnel(run)],
            "labels": [asdict(step) for step in label_funnel(run)],
        },
        "encoder": report.model_dump(mode="json"),
        "comparison": [measure.row() for measure in read_measures(evaluation)],
        "primary": evaluation.result.primary.row(),
        "reservations": evaluation.result.reservations,
        "matched": None if matched is None else matched.row(),
        "visible": [None if one is None else visible_in(one) for one in (evaluation.result.primary, matched)],
        "sensitivity": None if again is None else again.result.sentence,
        "samples": chosen,
        "scores": found.cells.to_dict(as_series=False),
        "yields": yields(found.cells),
        "browsed": {"rows": len(documents.rows), "documents": documents.documents},
    }


def against_matched(evaluation: EvaluationResult) -> Measure | None:
    """Beside a primary measure against the plain control the same against the matched one; None where there is none."""
    primary = evaluation.primary
    return evaluation.measure("matched", primary.kind) if primary.against == "control" else None


def models(run: CardRun) -> list[dict[str, str]]:
    """What scored and what was trained: `role`, `model`, `revision`. What is made here has its content's digest."""
    answered = run.input(AnnotationsResult).result.answered_by
    assert answered is not None, "annotations are answered by an annotator"
    encoder, checkpoint = run.config.encoder, run.config.training.anneal_from
    start = encoder.encoder_config.pretrained
    learned = f"{encoder.kind} from {start}" if start else encoder.kind
    found = [
        {"role": "annotator", "model": answered.model, "revision": answered.revision},
        {"role": "encoder", "model": learned, "revision": run.input(EncoderResult).manifest.content_digest},
    ]
    begun = f", annealed from {checkpoint}" if checkpoint else ""
    for output in (run.input(ControlLMResult), run.optional_input(MatchedLMResult), run.input(TrainedLMResult)):
        if output is not None:
            model = f"Llama of {output.result.models.parameters:,} weights{begun}"
            found.append({"role": output.result.step, "model": model, "revision": output.manifest.content_digest})
    return found


class SourceRanking(NamedTuple):
    source: str
    auc: float  # the encoder's, on labels of this source that it had not seen


def within_sources(report: EncoderReport) -> list[SourceRanking]:
    """How the encoder ranks within each source, from the lowest AUC; none where there is one source."""
    within = report.labels.within
    known = [SourceRanking(name, one.figures.auc.value) for name, one in within.items() if one.figures]
    return sorted(known, key=lambda one: (one.auc, one.source)) if len(within) > 1 else []


def stage_facts(output: StepOutput[StepResult]) -> dict[str, Any]:
    """What a step is and what it measured, without its times and costs."""
    manifest, result = output.manifest, output.result
    return {
        "plan_digest": manifest.plan_digest,
        "content_digest": manifest.content_digest,
        "code_version": manifest.code_version,
        "rows": manifest.rows,
        "metrics": result.model_dump(mode="json", exclude=set(result.volatile)),
    }


@dataclass(frozen=True)
class FunnelStep:
    """What is left after a step. `lost` are those that the step before had and this one has not, by reason.

    `documents` or `tokens` are None where nothing counts them.
    """

    stage: str
    what: str
    documents: int | None
    tokens: int | None = None
    lost: Mapping[str, int] = field(default_factory=dict)


def pool_funnel(run: CardRun) -> list[FunnelStep]:
    """From the rows of the files to what the candidate reads, in tokens of the pool's tokenizer.

    Tokens of what no model is trained on are bytes by the ratio that `pool_tokens` found. As many kept documents are
    drawn and checked as the candidate's seeds read, together.
    """
    pool, scores = run.input(PretrainingPoolResult).result, run.input(PoolScoresResult).result
    kept, trained = run.input(FilteredPoolResult).result, run.input(TrainedLMResult).result
    rejects = {str(reason): count for reason, count in pool.rejects.items()}
    ratio = run.input(PoolTokensResult).result.bytes_per_token
    tokens, kept_tokens = round(kept.bytes / ratio), round(kept.kept_bytes / ratio)
    checked, below = trained.own.checked, kept.documents - kept.kept_documents
    heldout, not_drawn = kept.kept_documents - trained.kept_documents, trained.kept_documents - checked.drawn
    return [
        FunnelStep(PretrainingPoolResult.step, "rows in the files", pool.rows),
        FunnelStep(PretrainingPoolResult.step, "documents", pool.documents, tokens, rejects),
        FunnelStep(PoolScoresResult.step, "scored by the encoder", scores.documents, tokens),
        FunnelStep(FilteredPoolResult.step, "kept", kept.kept_documents, kept_tokens, {"below the cut": below}),
        FunnelStep(TrainedLMResult.step, "kept, for training", trained.kept_documents, None, {"held out": heldout}),
        FunnelStep(TrainedLMResult.step, "drawn for the candidate", checked.drawn, None, {"not drawn": not_drawn}),
        FunnelStep(TrainedLMResult.step, "may be read", checked.documents, checked.tokens, checked.left_out),
        FunnelStep(TrainedLMResult.step, "read by the candidate, per seed", None, trained.own.tokens_read),
    ]


def label_funnel(run: CardRun) -> list[FunnelStep]:
    """From the documents that may be annotated to the labels that the encoder learns from, in tokens that were read."""
    sample, answers = run.input(AnnotationSampleResult).result, run.input(AnnotationsResult).result
    labels, read = run.input(TrainingSetResult).result, tokens_read(run)
    unscored = {status: count for status, count in answers.by_status.items() if status not in SCORED}
    scored, near = answers.asked - sum(unscored.values()), sample.near_heldout
    passed_over = {"near a held-out document": near, "not drawn": sample.available - near - sample.documents}
    return [
        FunnelStep(AnnotationSampleResult.step, "could be drawn", sample.available),
        FunnelStep(AnnotationSampleResult.step, "drawn", sample.documents, lost=passed_over),
        FunnelStep(AnnotationsResult.step, "asked", answers.asked, read["asked"], {"not asked": answers.not_drawn}),
        FunnelStep(AnnotationsResult.step, "scored", scored, read["scored"], unscored),
        FunnelStep(TrainingSetResult.step, "labels for the encoder", labels.documents, read["labels"], labels.left_out),
    ]


def tokens_read(run: CardRun) -> dict[str, int | None]:
    """Tokens that the annotator read of documents `asked`, `scored`, and used as `labels`.

    None where a server does not report them of one of these: the others' are no sum of all.
    """
    used = run.input(TrainingSetResult).table(LABELS, ["id"])["id"].unique()
    rows = run.input(AnnotationsResult).table(columns=["id", "status", "tokens_in"])
    groups = {"asked": rows, "scored": rows.filter(pl.col("status").is_in(SCORED))}
    groups["labels"] = rows.filter(pl.col("id").is_in(used.implode()))
    unreported = (pl.col("tokens_in") == 0) & (pl.col("status") != Status.FAILED)
    return {
        name: None if group.select(unreported.any()).item() else int(group["tokens_in"].sum())
        for name, group in groups.items()
    }


def spending(run: CardRun) -> dict[str, Any]:
    """`{"currency": ..., "stages": {name: {...}}}`: seconds, tokens and money of each step, as estimated and as spent;
    when it was made, on what, and whatever figures of time and cost it wrote. `currency` is None without an estimate.
    """
    estimate = last_estimate(run.prompt_folder)
    expected = {} if estimate is None else estimate.stages
    stages = {name: _spent(output, expected.get(name)) for name, output in run.inputs.items()}
    return {"currency": None if estimate is None else estimate.currency, "stages": stages}


def _spent(output: StepOutput[StepResult], expected: StageEstimate | None) -> dict[str, Any]:
    """An estimate made when the step was there already says nothing of what it would take."""
    manifest, result, seconds = output.manifest, output.result, seconds_spent(output)
    if expected is not None and expected.state is State.CURRENT:
        expected = None
    estimated = expected and expected.model_dump(mode="json", include={"hours", "tokens", "money"})
    return {
        "seconds": seconds,
        "tokens": result.tokens_spent(),
        "money": None if expected is None else seconds / HOUR * expected.price_per_hour,
        "estimated": estimated,
        "finished_at": manifest.finished_at,
        "machine": manifest.machine,
        "versions": manifest.versions,
        "metrics": result.model_dump(mode="json", include=set(result.volatile)),
    }
