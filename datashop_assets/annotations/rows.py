"""One row for every document that was asked about, whatever came of it, and what all rows add up to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from datashop_assets.annotations.design import INDEXED, DrawnDocument
from datashop_assets.annotations.endpoints import EndpointTally, ReadingTally
from datashop_assets.annotations.results import AnnotationsSummary
from datashop_assets.asking.collecting import UNANSWERED
from datashop_assets.asking.replies import Judge, Judgement, kind_of
from datashop_assets.asking.store import key_of
from datashop_assets.asking.usage import TokensSpent, estimated_tokens
from datashop_assets.protocols.annotator import Answer, Question, Status, failed_answer

SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "content": pl.String,  # digest of the whole document
    "text": pl.String,  # what the annotator was shown of it
    "characters": pl.Int64,  # of the whole document
    "status": pl.String,
    "reason": pl.String,
    "raw": pl.String,
    "raw_repair": pl.String,  # the reply of the second try; null where there was none
    "score": pl.Int8,
    "expected_score": pl.Float64,
    "entropy": pl.Float64,  # bits
    "cut": pl.Boolean,
    "document_claims_score": pl.Boolean,  # the text holds what reads like a verdict; see asking/replies.py
    "tokens_in": pl.Int64,  # of both tries
    "tokens_out": pl.Int64,
    "seconds": pl.Float64,
    "endpoint": pl.String,
    "otherwise": pl.String,  # how the endpoint was asked or answered, where not as the question says
    "round": pl.Int8,
    "stratum": pl.Int8,
    "draw_probability": pl.Float64,
    "probability": pl.Float64,  # one over it is how many documents of the sample the row stands for; see design.py
}
VOLATILE = ("seconds", "endpoint", "otherwise")
BINS = 10  # of half a point each
REASONS = 10  # the most frequent ones are shown


def row_of(
    drawn: DrawnDocument, answers: Mapping[str, Answer], failures: Mapping[str, str], judge: Judge
) -> dict[str, Any]:
    """`answers` and `failures` by key: see `asking.store`."""
    first = _answer(drawn.row["content"], answers, failures)
    verdict = judge.judge(first)
    if not judge.needs_repair(verdict):
        return _row(drawn, verdict, first, None)
    second = _answer(key_of(drawn.row["content"], judge.answers), answers, failures)
    return _row(drawn, judge.repaired(verdict, second), first, second)


def drawn_of(row: Mapping[str, Any]) -> DrawnDocument:
    """How the document of a row was drawn."""
    index = {name: row[name] for name in (*INDEXED, "characters")}
    return DrawnDocument(index, row["round"], row["stratum"], row["draw_probability"], 1 / row["probability"])


def _answer(key: str, answers: Mapping[str, Answer], failures: Mapping[str, str]) -> Answer:
    return answers.get(key) or failed_answer(key, failures.get(key, UNANSWERED))


def _row(drawn: DrawnDocument, verdict: Judgement, first: Answer, second: Answer | None) -> dict[str, Any]:
    tries = [first, second] if second else [first]
    return {
        "id": drawn.row["id"],
        "source": drawn.row["source"],
        "content": drawn.row["content"],
        "text": first.text,
        "characters": drawn.row["characters"],
        "status": str(verdict.status),
        "reason": verdict.reason,
        "raw": first.raw,
        "raw_repair": second.raw if second else None,
        "score": verdict.score,
        "expected_score": verdict.expected_score,
        "entropy": verdict.entropy,
        "cut": first.cut,
        "document_claims_score": verdict.document_claims_score,
        "tokens_in": sum(one.tokens_in for one in tries),
        "tokens_out": sum(one.tokens_out for one in tries),
        "seconds": sum(one.seconds for one in tries),
        "endpoint": first.endpoint,
        "otherwise": first.otherwise,
        "round": drawn.round,
        "stratum": drawn.stratum,
        "draw_probability": drawn.draw_probability,
        "probability": 1 / drawn.weight,
    }


def _unreported_tokens(row: Mapping[str, Any], question: Question) -> int:
    """Tokens of both tries that no server reported, estimated."""
    if not row["text"]:  # of a first try whose call failed
        return 0
    reported = row["tokens_in"], row["tokens_out"]
    missing = estimated_tokens(question, row["text"], row["raw"], *reported)
    if row["raw_repair"] is not None and row["status"] != Status.FAILED:  # which is shown the first reply
        missing += estimated_tokens(question, row["text"] + row["raw"], row["raw_repair"], *reported)
    return missing


def summarize(
    rows: Iterable[Mapping[str, Any]], sample: int, question: Question
) -> tuple[AnnotationsSummary, TokensSpent]:
    """What rows out of a sample of this size, asked this question, add up to, and took. Counted in one pass."""
    statuses, reasons, rounds, endpoints = (Counter[str]() for _ in range(4))
    bins, by_address, reading = Counter[int](), EndpointTally(), ReadingTally()
    examples: dict[str, str] = {}  # kind of reason -> the first one of it
    sums: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        statuses[row["status"]] += 1
        rounds[str(row["round"])] += 1
        endpoints[row["endpoint"] or "none"] += 1
        by_address.add(row)
        reading.add(row)
        for name in ("tokens_in", "tokens_out", "seconds", "cut"):
            sums[name] += row[name]
        if missing := _unreported_tokens(row, question):
            sums["without_usage"] += 1
            sums["estimated"] += missing
        if row["document_claims_score"]:
            sums["claiming"] += 1
            sums["claiming_unscored"] += row["expected_score"] is None
        if row["expected_score"] is None:
            kind = kind_of(row["reason"])
            reasons[kind := f"{row['status']}: {kind}"] += 1
            examples.setdefault(kind, f"{row['status']}: {row['reason']}")
            continue
        bins[min(BINS - 1, int(2 * row["expected_score"]))] += 1
        weight = 1 / row["probability"]
        sums["weight"] += weight
        sums["weighted"] += weight * row["expected_score"]
        if row["entropy"] is not None:
            sums["entropy"] += row["entropy"]
            sums["with_entropy"] += 1
    asked, scored = statuses.total(), bins.total()
    summary = AnnotationsSummary(
        asked=asked,
        not_drawn=sample - asked,
        by_status={str(status): statuses[status] for status in Status},
        reasons={examples[kind]: count for kind, count in reasons.most_common(REASONS)},
        by_round=dict(sorted(rounds.items())),
        by_endpoint=dict(sorted(endpoints.items())),
        endpoints=by_address.summaries(),
        ceiling=reading.ceiling,
        coverage=scored / asked,
        unparsed_share=statuses[Status.UNPARSED] / asked,
        cut=int(sums["cut"]),
        documents_claiming_score=int(sums["claiming"]),
        claiming_without_score=int(sums["claiming_unscored"]),
        tokens_in=int(sums["tokens_in"]),
        tokens_out=int(sums["tokens_out"]),
        documents_per_second=round(asked / sums["seconds"], 3) if sums["seconds"] else None,
        mean_score=round(sums["weighted"] / sums["weight"], 4) if scored else None,
        mean_entropy=round(sums["entropy"] / sums["with_entropy"], 4) if sums["with_entropy"] else None,
        score_histogram=[bins[place] for place in range(BINS)],
    )
    return summary, TokensSpent(
        reported=int(sums["tokens_in"] + sums["tokens_out"]),
        without_usage=int(sums["without_usage"]),
        estimated=int(sums["estimated"]),
    )
