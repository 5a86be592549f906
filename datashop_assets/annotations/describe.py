"""What the UI shows of annotations and of the annotator's report. Text of documents and replies is escaped."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from datashop_assets.annotations.report import PLOT
from datashop_assets.annotations.results import (
    Agreement,
    AnnotationsResult,
    AnnotatorReportResult,
    NoAgreement,
    ScoreSummary,
)
from datashop_assets.core.step import StepOutput
from datashop_assets.markdown import Sample, escaped, evenly, table
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 8  # replies
SHOWN_CHARACTERS = 600  # of a text or a reply
COLUMNS = ("id", "score", "status", "reason", "source", "text", "reply")
WIDTH = 40  # of the longest bar, in blocks
FIGURES = {
    "quadratic_kappa": "kappa, quadratic weights",
    "spearman": "Spearman's rho",
    "same_score": "same whole score",
    "mean_difference": "mean difference, points",
}


def describe_annotations(output: StepOutput[AnnotationsResult]) -> Mapping[str, str]:
    """Title -> Markdown: how documents ended, where scores lie, and replies across the range of scores.

    Endpoints are shown where there are several, or where one was asked or answered otherwise than the prompt says.
    """
    endpoints = output.result.endpoints
    shown = len(endpoints) > 1 or any(one.otherwise for one in endpoints)
    return {
        "how documents ended": _ended(output.result),
        **({"endpoints": endpoints_table(output.result)} if shown else {}),
        "scores": histogram_table(output.result.score_histogram),
        "replies across the scores": replies(_across(output)).markdown(),
    }


def _ended(result: AnnotationsResult) -> str:
    """Statuses, the reasons behind them, and what the answers cost."""
    ended = [(status, count) for status, count in result.by_status.items() if count]
    reasons = [(escaped(reason), count) for reason, count in result.reasons.items()]
    tables = [table(("status", "documents"), ended)]
    tables += [table(("without a score because", "documents"), reasons)] if reasons else []
    said = (
        f"{result.asked_now} of {result.asked} documents were asked about by this run, the others before. "
        f"Tokens: {result.tokens_in:,} in, {result.tokens_out:,} out. Cut: {result.cut} documents."
    )
    if result.spent and (result.spent.without_usage or result.spent.lost):
        said += f" Spent: {result.spent.sentences()}"
    if result.first_pass:
        said += f" The first pass took {result.first_pass.sentences()}"
    said += "".join(f" The budget was reached with all documents asked: {one}." for one in result.budget_reached)
    return "\n\n".join([*tables, said, *_claims_said(result), *_servers_said(result.servers), *_ceiling_said(result)])


def _claims_said(result: AnnotationsResult) -> list[str]:
    """A sentence on documents that hold a verdict of their own; none where no document does."""
    if not result.documents_claiming_score:
        return []
    return [
        f"{result.documents_claiming_score} documents hold what reads like a verdict, such as a final score "
        f"(`document_claims_score`); {result.claiming_without_score} of them have no score. Of such a document a reply "
        "counts only where its score is another than the document's own."
    ]


def _servers_said(servers: Sequence[str]) -> list[str]:
    """One warning where answers are of servers that differ, else none."""
    if len(servers) < 2:
        return []
    return [
        f"**Answers are of {len(servers)} servers that differ** ({escaped(', '.join(servers), 400)}): in version, "
        "options, or the model's revision. If in the last, name it as `annotator.revision`, which asks anew."
    ]


def _ceiling_said(result: AnnotationsResult) -> list[str]:
    """One warning where a server seems to cut prompts, else none."""
    if result.ceiling is None:
        return []
    return [
        f"**A server reads no more than {result.ceiling:,} tokens of a prompt and does not say so**: documents of very "
        "different length have exactly as many. Their ends, and perhaps the question, were not read. Serve the model "
        "with a longer context (`num_ctx` of Ollama), or lower `annotator.read_characters`."
    ]


def endpoints_table(result: AnnotationsResult) -> str:
    """What each endpoint answered, how its scores lie to those of the others, and how it was asked."""
    rows = [
        (
            escaped(one.address, 200),
            one.documents,
            ", ".join(f"{count} {status}" for status, count in one.by_status.items()),
            "none" if one.mean_score is None else str(one.mean_score),
            "not compared" if one.difference is None else str(one.difference),
            escaped("; ".join(one.otherwise), 200),
        )
        for one in result.endpoints
    ]
    head = ("endpoint", "documents", "ended", "mean score", "less the others'", "asked or answered otherwise")
    return "\n\n".join([table(head, rows), *_differing_said(result)])


def _differing_said(result: AnnotationsResult) -> list[str]:
    if not (differing := result.differing_endpoints):
        return []
    addresses = escaped(", ".join(one.address for one in differing), 400)
    return [
        f"**Endpoints score differently, by more than chance** ({addresses}): they may serve another model, revision "
        "or number format under one name."
    ]


def histogram_table(counts: Sequence[int]) -> str:
    """Counts of half points as a table with bars."""
    longest = max(counts, default=0) or 1
    lines = [
        f"| {place / 2:g} | {count} | {'█' * -(-count * WIDTH // longest)} |" for place, count in enumerate(counts)
    ]
    return "\n".join(["| score from | documents | |", "| --- | --- | --- |", *lines])


def replies(answers: Sequence[Mapping[str, Any]]) -> Sample:
    """Answers from the lowest score to the highest; those without a score come first."""
    ordered = sorted(answers, key=_rank)
    return Sample(columns=COLUMNS, rows=tuple(map(_cells, ordered)))


def _across(folder: StageFolder) -> list[Mapping[str, Any]]:
    """Up to eight rows, evenly spread over the ranks. Read twice, so that memory holds no other texts."""
    ranked = sorted((_rank(row), place) for place, row in enumerate(folder.all_rows()))
    chosen = {ranked[each][1] for each in evenly(len(ranked), SHOWN)}
    return [row for place, row in enumerate(folder.all_rows()) if place in chosen]


def _cells(answer: Mapping[str, Any]) -> tuple[str, ...]:
    score = "none" if answer["expected_score"] is None else f"{answer['expected_score']:.2f}"
    text, reply = (answer[name][:SHOWN_CHARACTERS] for name in ("text", "raw"))
    return answer["id"], score, answer["status"], answer["reason"], answer["source"], text, reply


def _rank(answer: Mapping[str, Any]) -> tuple[float, str]:
    return -1.0 if answer["expected_score"] is None else float(answer["expected_score"]), answer["id"]


def describe_report(output: StepOutput[AnnotatorReportResult]) -> Mapping[str, str]:
    """Title -> Markdown: agreement, the picture, and scores by length and source.

    The picture is part of the text, so that no file has to be served.
    """
    report = output.result
    picture = base64.b64encode(output.file(PLOT).read_bytes()).decode()
    second = report.second_annotator
    said = "No second annotator is named (`annotator.report.second`)."
    if second is not None:
        said = f"{escaped(second.model)}, {second.scoring}. {agreement_table(second.agreement)}"
    return {
        "agreement with itself": agreement_table(report.self_agreement),
        "agreement with a second annotator": said,
        "picture": f"![scores, by length, by source](data:image/png;base64,{picture})",
        "score by length": _groups(
            "characters up to", [(str(one.characters[1]), one.scores) for one in report.by_length]
        ),
        "score by source": _groups("source", [(escaped(one.source), one.scores) for one in report.by_source]),
    }


def agreement_table(found: Agreement | NoAgreement) -> str:
    """Figures with their intervals and the confusion; why there are none where there are none."""
    if isinstance(found, NoAgreement):
        return escaped(found.note)
    rows = [(title, "none" if (one := getattr(found, name)) is None else str(one)) for name, title in FIGURES.items()]
    confusion = table(("first, second →", *range(6)), ((score, *line) for score, line in enumerate(found.confusion)))
    said = f"{found.documents} documents have both scores; {found.without_score} have no second one."
    return f"{said}\n\n{table(('', 'with 95% interval'), rows)}\n\n{confusion}"


def _groups(head: str, groups: Sequence[tuple[str, ScoreSummary]]) -> str:
    rows = [
        (name, one.documents, one.scored, "none" if one.mean is None else f"{one.mean:.3f}") for name, one in groups
    ]
    return table((head, "documents", "scored", "mean score"), rows)
