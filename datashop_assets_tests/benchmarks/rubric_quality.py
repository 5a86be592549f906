"""How well an annotator's scores by the shipped rubrics agree with gold labels, beside length and source.

    python -m datashop_assets_tests.benchmarks.rubric_quality --annotator http://127.0.0.1:8000/v1

Asks any OpenAI-compatible endpoint about documents of the embedded pool by the rubric of every shipped prompt that
names gold labels, once with a written reply (`generate`, second tries included) and once with a score token, as the
step `annotations` does. `--scoring likelihood` asks the prompt's own question by likelihood, for comparison.

Half of the documents have a gold label of the prompt, half another one; they are weighted to the shares of the pool.
Length and source alone are logistic curves fit on all other documents of the pool. Agreement is Cohen's kappa of gold
and a score of at least `labels.positive_from`. Documents without a score are counted and in no figure. Intervals are
bootstraps over documents. The key, where the endpoint needs one, is read from DATASHOP_ANNOTATOR_KEY.
"""

import argparse
import json
import os
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from datashop_assets.asking.replies import Judge, Judgement
from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import load_gold
from datashop_assets.encoder.measures import Measures, ScoredSample, by_source, with_intervals
from datashop_assets.encoder.report import HIGHEST_SCORE, Baselines
from datashop_assets.encoder.results import Summary, SummaryBySource
from datashop_assets.markdown import table
from datashop_assets.prompts.annotator_settings import AnnotatorSettings
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.section import Scoring
from datashop_assets.prompts.store import PromptStore
from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Status, failed_answer
from datashop_assets.settings import read_settings
from datashop_assets.statistics import agreement
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.intervals import Array
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.root import Root, default_root, project
from datashop_assets_tests.benchmarks.documents import embedded_rows
from resources.annotator.endpoints.addresses import checked_url
from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.endpoints.pacing import Policy

DOCUMENTS = 200
BY_RUBRIC: tuple[Scoring, ...] = ("generate", "score_token")
HEAD = (
    "rubric",
    "scoring",
    "scored",
    "AUC",
    "length alone",
    "source alone",
    "within sources",
    "kappa",
    "says the same",
)
SLOWEST_ANSWER = 1800.0  # seconds: a small server on a CPU answers the last of many requests late


@dataclass(frozen=True)
class GoldSample:
    """Documents with gold labels of one prompt: rows of the embedded pool, all arrays [documents]."""

    rows: Sequence[Mapping[str, Any]]
    label: Array  # 0 or 1
    weight: Array  # to the shares of the pool
    baselines: Mapping[Any, Array]  # probabilities of a positive label by length and by source

    @property
    def requests(self) -> list[AnnotationRequest]:
        return [AnnotationRequest(row["id"], row["text"], row["source"]) for row in self.rows]


@dataclass(frozen=True)
class Quality:
    """What one way of scoring by one rubric came to. `summary` is of the documents that have a score."""

    prompt: str
    scoring: Scoring
    statuses: Mapping[str, int]
    summary: SummaryBySource
    kappa: Figure | None
    same: Figure | None
    seconds: float

    def row(self) -> tuple[str, ...]:
        asked, scored = sum(self.statuses.values()), self.summary.all.documents
        within = ", ".join(f"{source} {_auc(one)}" for source, one in self.summary.within.items())
        return (
            *(self.prompt, self.scoring, f"{scored} of {asked}", _auc(self.summary.all)),
            *(_baseline(self.summary.all, name) for name in ("length", "source")),
            *(within, *("none" if one is None else str(one) for one in (self.kappa, self.same))),
        )


def gold_sample(prompt: Prompt, rows: Sequence[Mapping[str, Any]], gold: Mapping[str, str], count: int) -> GoldSample:
    """`count` documents, half of them with a label of the prompt, in the order of a hash of their ids."""
    labelled = sorted((row for row in rows if row["id"] in gold), key=lambda row: keyed_hash("rubric", row["id"]))
    sides = {
        wanted: [row for row in labelled if (gold[row["id"]] in prompt.evaluation.gold) == wanted]
        for wanted in (True, False)
    }
    chosen = {row["id"] for side in sides.values() for row in side[: count // 2]}
    drawn = [row for row in labelled if row["id"] in chosen]
    label = np.array([gold[row["id"]] in prompt.evaluation.gold for row in drawn], dtype=np.float64)
    shares = {wanted: len(side) / len(labelled) for wanted, side in sides.items()}
    weight = np.where(label == 1, shares[True] / label.sum(), shares[False] / (1 - label).sum()) * len(drawn)
    others = [row for row in labelled if row["id"] not in chosen]
    theirs = np.array([gold[row["id"]] in prompt.evaluation.gold for row in others], dtype=np.float64)
    fitted = Baselines(*_lengths_and_sources(others), theirs, np.ones(len(others)))
    return GoldSample(drawn, label, weight, fitted.scores(*_lengths_and_sources(drawn)))


def measure(
    prompt: Prompt, scoring: Scoring, model: str, sample: GoldSample, annotator: Annotator
) -> tuple[Quality, dict[str, Judgement]]:
    """Asks, and holds the scores against gold. Judgements are by the documents' ids."""
    asked = AnnotatorSettings.model_validate(
        {**prompt.annotator.model_dump(mode="python"), "scoring": scoring, "model": model, "revision": ""}
    )
    question = asked.question_config.resolve(prompt.rubric or "", annotator)
    judge = Judge.of(asked.question_config.parsing(prompt.processor.processor_config))
    began = time.monotonic()
    answers = _by_id(annotator.answer(sample.requests, question))
    judgements = {row["id"]: judge.judge(_of(answers, row["id"])) for row in sample.rows}
    again = [
        replace(one, constrain=judge.answers, before=answers[one.id].raw)
        for one in sample.requests
        if judge.needs_repair(judgements[one.id])
    ]
    if again:
        second = _by_id(annotator.answer(again, question))
        judgements |= {one.id: judge.repaired(judgements[one.id], _of(second, one.id)) for one in again}
    scores = np.array([_expected(judgements[row["id"]]) for row in sample.rows])
    known = np.isfinite(scores)
    scored = ScoredSample(scores / HIGHEST_SCORE, sample.label, sample.weight, sample.baselines).take(known)
    sources = [row["source"] for row, has in zip(sample.rows, known, strict=True) if has]
    figures = _agreement(scored, prompt.labels.positive_from / HIGHEST_SCORE)
    quality = Quality(
        prompt=prompt.slug,
        scoring=scoring,
        statuses=Counter(str(one.status) for one in judgements.values()),
        summary=by_source(scored, sources),
        kappa=figures.get("kappa"),
        same=figures.get("same"),
        seconds=time.monotonic() - began,
    )
    return quality, judgements


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `run`, for a command line that measures more than this."""
    parser.add_argument("--annotator", metavar="URL", help="an OpenAI-compatible endpoint, such as http://host:8000/v1")
    parser.add_argument("--model", default="", help="its name at the endpoint; default: the first that is served")
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="asked by each rubric; default: %(default)s")
    parser.add_argument(
        "--scoring", nargs="+", choices=get_args(Scoring), default=BY_RUBRIC, help="default: generate score_token"
    )


def run(given: argparse.Namespace) -> list[Quality]:
    """Prints a table, row by row; to standard error, how the documents ended and why some have no score."""
    key = os.environ.get("DATASHOP_ANNOTATOR_KEY", "")
    annotator = EndpointsAnnotator([checked_url(given.annotator)], Policy(deadline=SLOWEST_ANSWER), key)
    model = given.model or served_model(given.annotator, key)
    cache = default_root(read_settings()).cache
    rows, gold = embedded_rows(cache), load_gold(cache, installed_data(), "embedded")
    found = []
    print(f"{model} at {given.annotator}, {given.documents} documents a rubric, half of them positive by gold\n")
    print(table(HEAD, []), flush=True)
    for prompt in shipped_prompts():
        sample = gold_sample(prompt, rows, gold, given.documents)
        for scoring in given.scoring:
            quality, judgements = measure(prompt, scoring, model, sample, annotator)
            found.append(quality)
            print(f"| {' | '.join(quality.row())} |", flush=True)
            counts = ", ".join(f"{count} {status}" for status, count in quality.statuses.items())
            print(f"{prompt.slug}, {scoring}: {counts}; {quality.seconds:.0f} s", file=sys.stderr)
            for line in _failures(judgements):
                print(f"  {line}", file=sys.stderr)
    return found


def served_model(url: str, key: str) -> str:
    """The first model that the endpoint lists. Raises `ValueError` where it lists none."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urllib.request.urlopen(urllib.request.Request(f"{url.rstrip('/')}/models", headers=headers)) as answer:
        listed = json.load(answer).get("data") or []
    if not listed:
        raise ValueError(f"{url} lists no model; name one with --model")
    return str(listed[0]["id"])


def shipped_prompts() -> list[Prompt]:
    """Those that name gold labels, by their names."""
    store = PromptStore(project() / "prompts", Root(""))
    prompts = [store.load(slug) for slug in store.slugs()]
    return [prompt for prompt in prompts if prompt.evaluation.gold]


def _lengths_and_sources(rows: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[str]]:
    return [len(row["text"]) for row in rows], [row["source"] for row in rows]


def _by_id(answers: Iterator[Answer]) -> dict[str, Answer]:
    return {one.id: one for one in answers}


def _of(answers: Mapping[str, Answer], name: str) -> Answer:
    return answers.get(name) or failed_answer(name, "no answer")


def _expected(judgement: Judgement) -> float:
    return np.nan if judgement.expected_score is None else judgement.expected_score


def _agreement(sample: ScoredSample, cut: float) -> dict[str, Figure]:
    """Of two classes quadratic kappa is Cohen's."""
    if not sample.fewest:
        return {}

    def measures(one: ScoredSample, weights: Array) -> Measures:
        says = (one.score >= cut).astype(np.float64)
        kappa = np.round(agreement.quadratic_kappa(says, one.label, weights), 9) + 0.0  # none is shown as -0.000
        return {"kappa": kappa, "same": agreement.same_score(says, one.label, weights)}

    return with_intervals(measures, sample, 0)


def _failures(judgements: Mapping[str, Judgement]) -> Iterator[str]:
    """The most frequent reasons for no score."""
    scored = (Status.PARSED, Status.REPAIRED)
    reasons = Counter(f"{one.status}: {one.reason}" for one in judgements.values() if one.status not in scored)
    yield from (f"{count} {reason}" for reason, count in reasons.most_common(3))


def _auc(summary: Summary) -> str:
    return summary.note or "none" if summary.figures is None else str(summary.figures.auc)


def _baseline(summary: Summary, name: Any) -> str:
    return "none" if name not in summary.baselines else str(summary.baselines[name].auc)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    given = parser.parse_args()
    if not given.annotator:
        parser.error("give --annotator URL")
    run(given)


if __name__ == "__main__":
    main()
