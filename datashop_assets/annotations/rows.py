"""One row for every document that was asked about, whatever came of it."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from datashop_assets.annotations.draws import Drawn
from datashop_assets.annotations.sample import INDEXED
from datashop_assets.answers.asking import UNANSWERED
from datashop_assets.answers.store import key_of
from datashop_assets.processors.judging import Judge, Judgement
from datashop_assets.protocols.annotator import Answer, failed_answer

SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "content": pl.String,  # digest of the whole document
    "text": pl.String,  # what the annotator read, and the encoder will
    "characters": pl.Int64,  # of the whole document
    "status": pl.String,
    "reason": pl.String,
    "raw": pl.String,
    "raw_repair": pl.String,  # the reply of the second try; null where there was none
    "score": pl.Int8,
    "expected_score": pl.Float64,
    "entropy": pl.Float64,  # bits
    "cut": pl.Boolean,
    "tokens_in": pl.Int64,  # of both tries
    "tokens_out": pl.Int64,
    "seconds": pl.Float64,
    "endpoint": pl.String,
    "round": pl.Int8,
    "stratum": pl.Int8,
    "draw_probability": pl.Float64,
    "probability": pl.Float64,  # one over it is how many documents of the sample the row stands for; see design.py
}
VOLATILE = ("seconds", "endpoint")


def row_of(drawn: Drawn, answers: Mapping[str, Answer], failures: Mapping[str, str], judge: Judge) -> dict[str, Any]:
    """`answers` and `failures` by key: see `answers.store`."""
    first = _answer(drawn.row["content"], answers, failures)
    verdict = judge.judge(first)
    if not judge.needs_repair(verdict):
        return _row(drawn, verdict, first, None)
    second = _answer(key_of(drawn.row["content"], judge.answers), answers, failures)
    return _row(drawn, judge.repaired(verdict, second), first, second)


def drawn_of(row: Mapping[str, Any]) -> Drawn:
    """How the document of a row was drawn."""
    index = {name: row[name] for name in (*INDEXED, "characters")}
    return Drawn(index, row["round"], row["stratum"], row["draw_probability"], 1 / row["probability"])


def _answer(key: str, answers: Mapping[str, Answer], failures: Mapping[str, str]) -> Answer:
    return answers.get(key) or failed_answer(key, failures.get(key, UNANSWERED))


def _row(drawn: Drawn, verdict: Judgement, first: Answer, second: Answer | None) -> dict[str, Any]:
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
        "tokens_in": sum(one.tokens_in for one in tries),
        "tokens_out": sum(one.tokens_out for one in tries),
        "seconds": sum(one.seconds for one in tries),
        "endpoint": first.endpoint,
        "round": drawn.round,
        "stratum": drawn.stratum,
        "draw_probability": drawn.draw_probability,
        "probability": 1 / drawn.weight,
    }
