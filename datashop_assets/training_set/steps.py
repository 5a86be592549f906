"""The step that turns scores into labels."""

from collections.abc import Mapping

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.step import StepOutput, StepRun, step
from datashop_assets.documents.results import AnnotationSampleResult
from datashop_assets.markdown import escaped, table
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.training_set.results import LABELS, LEFT_OUT, TrainingSetConfig, TrainingSetResult


def _training_set(prompt: Prompt) -> TrainingSetConfig:
    return TrainingSetConfig(**prompt.labels.model_dump())


def describe(output: StepOutput[TrainingSetResult]) -> Mapping[str, str]:
    """Title -> Markdown: labels by source, and what was left out."""
    result = output.result
    rows = [(escaped(name), one.documents, one.positives) for name, one in result.by_source.items()]
    labels = table(("source", "documents", "positives"), [*rows, ("all", result.documents, result.positives)])
    left_out = ", ".join(f"{count} {status}" for status, count in result.left_out.items()) or "none"
    share = f"Weighted by importance, {result.positive_share or 0.0:.1%} are positive, and the mean target is "
    share += f"{result.mean_target or 0.0:.3f}."
    return {"labels": f"{labels}\n\n{share} Left out of {result.annotated} annotated: {left_out}."}


@step(
    result=TrainingSetResult,
    inputs=(AnnotationsResult, AnnotationSampleResult),
    configure=_training_set,
    version="2",
    group="2_annotations",
    kinds={"parquet"},
    describe=describe,
)
def training_set(run: StepRun[TrainingSetConfig]) -> TrainingSetResult:
    """What the encoder learns from: whole documents with the annotator's scores, weights and folds.

    Weights undo the second round's uneven draw.
    """
    from datashop_assets.documents.sampling import SAMPLE
    from datashop_assets.training_set.labels import LEFT_OUT_SCHEMA, SCHEMA, counts, labelled, split_usable

    used, left_out = split_usable(run.input(AnnotationsResult).all_rows())
    contents = {row["content"] for row in used}
    sample = run.input(AnnotationSampleResult).rows(SAMPLE)
    texts = {row["content"]: row["text"] for row in sample if row["content"] in contents}
    rows = labelled(used, texts, run.config)
    run.output.write_rows(LABELS, rows, SCHEMA)
    run.output.write_rows(LEFT_OUT, left_out, LEFT_OUT_SCHEMA, beside=True)
    return counts(rows, left_out, run.config)
