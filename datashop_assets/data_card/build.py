"""Builds `data_card`: the page, the browser of documents, and the same as JSON and Markdown.

`card.json` and `documents.html` follow from the inputs alone. What holds times and costs (`costs.json`, the page, the
Markdown) is kept out of the content digest.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from markupsafe import Markup

from datashop_assets.annotations.results import AnnotationsResult, AnnotatorReportResult
from datashop_assets.blind_test.results import BlindTestResult
from datashop_assets.core.status import Remark
from datashop_assets.core.step import StepResult
from datashop_assets.data_card import charts, page
from datashop_assets.data_card.documents import Scan, annotated, browsed, samples, scan
from datashop_assets.data_card.facts import against_matched, facts, spending, within_sources
from datashop_assets.data_card.results import CardRun, DataCardResult
from datashop_assets.documents.describe import described_left_out
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult
from datashop_assets.encoder.results import EncoderReport, EncoderResult, ceiling, encoder_report, unseen_labels
from datashop_assets.evaluation.results import EvaluationResult, SensitivityResult
from datashop_assets.filtered_pool.results import FilteredPoolResult, KeepCertificateResult
from datashop_assets.training_documents.results import DecontaminationResult
from datashop_assets.training_set.results import TrainingSetResult

PAGE = "card.html"
BROWSER = "documents.html"
MARKDOWN = "card.md"
FACTS = "card.json"
COSTS = "costs.json"
DESCRIBED: tuple[type[StepResult], ...] = (
    AnnotationsResult,
    AnnotatorReportResult,
    EncoderResult,
    KeepCertificateResult,
    FilteredPoolResult,
    BlindTestResult,
    DecontaminationResult,
    EvaluationResult,
    SensitivityResult,
)


def build(run: CardRun) -> DataCardResult:
    """Writes the five files."""
    shards = pool_shards(run.input(PretrainingPoolResult))
    found, answers = scan(run, shards), annotated(run)
    documents = browsed(run, shards, answers)
    report = encoder_report(run.input(EncoderResult))
    known = facts(run, found, samples(run, found, answers), documents, report)
    spent = spending(run)
    failed, within = remarks(run), within_sources(report)
    made = drawn(run, found, known, report)
    html = page.card(known, spent, made, descriptions(run), remarks=failed, within=within)
    run.output.put_bytes(FACTS, orjson.dumps(known, option=orjson.OPT_INDENT_2))
    run.output.put_bytes(COSTS, orjson.dumps(spent, option=orjson.OPT_INDENT_2), identity=False)
    run.output.put_bytes(MARKDOWN, page.hub(known, failed, within).encode(), identity=False)
    run.output.put_bytes(PAGE, html.encode(), identity=False)
    run.output.put_bytes(BROWSER, page.browser(known, documents.payload()).encode())
    evaluation = run.input(EvaluationResult).result
    matched = against_matched(evaluation)
    return DataCardResult(
        path=f"{run.output.folder.uri}/{PAGE}",
        verdict=evaluation.verdict,
        matched_verdict="not asked" if matched is None else matched.verdict,
        kept_documents=run.input(FilteredPoolResult).result.kept_documents,
        browsed_documents=len(documents.rows),
        documents=documents.documents,
        samples=sum(len(rows) for rows in known["samples"].values()),
    )


def remarks(run: CardRun) -> list[Remark]:
    """Of all checks those that failed: they warn, or the prompt waives them for a reason that the card shows."""
    return [
        Remark(name, check, one.description, one.waived)
        for name in run.inputs
        for check, one in run.checks(name).items()
        if not one.passed
    ]


def drawn(run: CardRun, found: Scan, known: Mapping[str, Any], report: EncoderReport) -> dict[str, Markup]:
    """Name -> chart. A chart whose figures are not there is left out."""
    kept = run.input(FilteredPoolResult).result
    unseen = unseen_labels(run.input(EncoderResult), run.input(TrainingSetResult))
    made = {
        "annotated": charts.annotated(run.input(AnnotationsResult).result.score_histogram),
        "scored": charts.scored(found.cells, kept.cut_score),
        "yields": charts.yields(known["yields"], kept.cut_score),
        "sources": charts.sources(kept.by_source),
        "comparison": charts.comparison(known["comparison"]),
    }
    if bins := report.labels.all.reliability:
        made |= {
            "reliability": charts.reliability(bins),
            "precision_recall": charts.precision_recall(unseen),
            "agreement": charts.agreement(unseen),
        }
    return made


def descriptions(run: CardRun) -> dict[str, Mapping[str, str]]:
    """What the UI shows of these steps: a figure added there is on the card without a change here."""
    outputs = [output for one in DESCRIBED if (output := run.optional_input(one)) is not None]
    said = {output.result.step: run.descriptions(output) for output in outputs}
    beside = ceiling(run.input(EncoderResult), run.input(AnnotatorReportResult)).text()
    return {
        **said,
        **sources_left_out(run),
        "encoder": {"beside the annotator's agreement with itself": beside, **said["encoder"]},
    }


def sources_left_out(run: CardRun) -> dict[str, Mapping[str, str]]:
    """Files and rows of pool and sample that are not among the documents, by step."""
    sources = (run.input(PretrainingPoolResult), run.input(AnnotationSampleResult))
    return {one.result.step: described_left_out(one.result) for one in sources}
