"""What prompts have in common on one pool, and what sets them apart. Memory does not grow with the pool.

Overlap is taken at equal yield: each prompt's best documents, as many as the most sparing of them keeps. Otherwise a
prompt that keeps twice as much would always seem to have little in common with the other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.core.plan import Plan
from datashop_assets.core.step import ResultT, StepOutput
from datashop_assets.costs import seconds_spent
from datashop_assets.documents.pool import pool_shards, read_chosen
from datashop_assets.documents.results import PretrainingPoolConfig, PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult
from datashop_assets.evaluation.results import Against, EvaluationResult, Kind
from datashop_assets.filtered_pool.keep_rule import Flags, Ranked, find_cut, keep_before
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresResult
from datashop_assets.markdown import CHARACTERS
from datashop_assets.statistics.figure import Figure
from datashop_assets.statistics.ranking import spearman
from datashop_assets.storage.digests import keyed_hash, unit_hash

NEEDED = (PretrainingPoolResult.step, PoolScoresResult.step, FilteredPoolResult.step)
RANKED = 100_000  # documents that the rank correlation is taken over, at most some more
SHOWN = 8  # documents that one prompt keeps and the other drops


class _ComparisonPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeptDocument(_ComparisonPart):
    """A document that one prompt keeps and another drops: its scores by both, and the beginning of its text."""

    shard: str
    row: int
    id: str
    keeps: float
    drops: float
    text: str


class Apart(_ComparisonPart):
    """Documents among the best of the prompt `keeps` and not of `drops`, farthest apart first."""

    keeps: str
    drops: str
    documents: list[KeptDocument]


class SourceShares(_ComparisonPart):
    """A source's share of the bytes of the pool, and of what the prompt keeps."""

    pool: float
    kept: float


class CostAndBenefit(_ComparisonPart):
    """Of one prompt; None where the stage that says it has not been made, and for tokens that a server did not report.

    `seconds` are of stages that are its own.
    """

    seconds: float
    tokens_in: int | None
    tokens_out: int | None
    auc: float | None
    gold_auc: float | None
    kept_documents: int
    kept_bytes: int
    gold_precision: float | None
    gold_recall: float | None
    verdict: str | None
    target_difference: Figure | None  # of bits per byte, candidate minus the plain control, on its own targets
    matched_target_difference: Figure | None  # minus the matched control
    general_difference: Figure | None


class Comparison(_ComparisonPart):
    """Two or more prompts on one pool. Square tables have a row and a column for each prompt, in their order."""

    prompts: list[str]
    documents: int  # of the pool
    at: int  # documents of each prompt that overlap is taken over
    overlap: list[list[int]]  # documents among the best of both
    rank_correlation: list[list[float | None]]  # None for a constant score
    ranked: int  # documents that it is taken over
    apart: list[Apart]
    sources: dict[str, dict[str, SourceShares]]  # prompt -> source
    figures: dict[str, CostAndBenefit]


@dataclass(frozen=True)
class ComparedPrompt:
    """One prompt and those of its outputs that are there."""

    slug: str
    outputs: Mapping[str, StepOutput[Any]]

    @property
    def pool(self) -> StepOutput[PretrainingPoolResult]:
        return self.outputs[PretrainingPoolResult.step]

    @property
    def kept(self) -> FilteredPoolResult:
        kept: StepOutput[FilteredPoolResult] = self.outputs[FilteredPoolResult.step]
        return kept.result

    def result(self, kind: type[ResultT]) -> ResultT | None:
        """What a step gave; None where it has not been made."""
        output: StepOutput[ResultT] | None = self.outputs.get(kind.step)
        return None if output is None else output.result

    def scores(self, shard: str) -> pl.DataFrame:
        """row, id, score, margin of every document of a shard, in pool order."""
        return self.outputs[PoolScoresResult.step].table(f"{shard}.parquet").select("row", "id", "score", "margin")

    def best(self, shards: Sequence[str], documents: int) -> Iterator[Flags]:
        """By shard, which of its documents are among the `documents` best by margin; ties by a hash of the place."""

        def seen() -> Iterator[Ranked]:
            for name in shards:
                table = self.scores(name)
                rows = table["row"].to_list()

                def ties(chosen: Flags, name: str = name, rows: list[int] = rows) -> NDArray[np.uint64]:
                    places = np.flatnonzero(chosen)
                    return np.array([keyed_hash("compare", f"{name} {rows[at]}") for at in places], dtype=np.uint64)

                ones = np.ones(len(table), dtype=np.int64)
                yield Ranked(table["margin"].to_numpy(), table["score"].to_numpy(), ones, ties)

        return keep_before(find_cut(seen, documents), seen)


def compared_prompt(plan: Plan) -> ComparedPrompt:
    """Raises `ValueError` naming the first output that a comparison needs and that is not there."""
    slug = plan.prompt.slug
    for name in NEEDED:
        if not plan[name].usable:
            raise ValueError(f"{name} of {slug!r} is {plan[name].state.value}; run `datashop run {slug}` first")
    return ComparedPrompt(slug, {name: planned.output for name, planned in plan.items() if planned.usable})


def comparable(plan: Plan) -> bool:
    """Whether the prompt's pool has been scored and filtered as its file says now."""
    return all(plan[name].usable for name in NEEDED)


def compare(prompts: Sequence[ComparedPrompt]) -> Comparison:
    """Raises `ValueError` where they did not score the same documents."""
    check_one_pool(prompts)
    shards = pool_shards(prompts[0].pool)
    documents = prompts[0].kept.documents
    at = min(prompt.kept.kept_documents for prompt in prompts)
    tally = _tally(prompts, shards, at, documents)
    common = shared(prompts)
    return Comparison(
        prompts=[prompt.slug for prompt in prompts],
        documents=documents,
        at=at,
        overlap=tally.both.tolist(),
        rank_correlation=correlations(np.concatenate(tally.ranked, axis=1)),
        ranked=sum(part.shape[1] for part in tally.ranked),
        apart=_with_texts(prompts, tally.apart),
        sources={prompt.slug: _source_shares(prompt) for prompt in prompts},
        figures={prompt.slug: cost_and_benefit(prompt, common) for prompt in prompts},
    )


def check_one_pool(prompts: Sequence[ComparedPrompt]) -> None:
    """Raises `ValueError` where the prompts did not score the same documents."""
    first, *others = prompts
    for other in others:
        pools = [one.pool.manifest for one in (first, other)]
        if pools[0].content_digest != pools[1].content_digest:
            uris = " and ".join(repr(PretrainingPoolConfig.model_validate(pool.config).data.uri) for pool in pools)
            raise ValueError(
                f"{first.slug!r} and {other.slug!r} scored different pools ({uris}); prompts are compared on one pool: "
                "give both the same pretraining_pool and heldout_fraction"
            )


def correlations(scores: np.ndarray) -> list[list[float | None]]:
    """Spearman's rank correlation of each pair. [prompts, documents] -> [prompts][prompts]; None for a constant one."""
    once = np.ones((1, scores.shape[1]))
    found = [[float(spearman(one, other, once)[0]) for other in scores] for one in scores]
    return [[value if np.isfinite(value) else None for value in row] for row in found]


def shared(prompts: Sequence[ComparedPrompt]) -> set[str]:
    """The stages that all prompts have in common: made once, whoever asked first."""
    folders = [{(name, output.uri) for name, output in prompt.outputs.items()} for prompt in prompts]
    return {name for name, _ in set.intersection(*folders)}


def cost_and_benefit(prompt: ComparedPrompt, without: Collection[str]) -> CostAndBenefit:
    """Seconds of the stages but those `without`, tokens of the annotator, and what came of it."""
    annotations, evaluation = prompt.result(AnnotationsResult), prompt.result(EvaluationResult)
    reported = annotations if annotations and not (annotations.spent and annotations.spent.without_usage) else None
    encoder = prompt.result(EncoderResult)
    gold_auc = encoder.gold.auc if encoder and encoder.gold else None
    kept = prompt.kept
    return CostAndBenefit(
        seconds=sum(seconds_spent(output) for name, output in prompt.outputs.items() if name not in without),
        tokens_in=reported.tokens_in if reported else None,
        tokens_out=reported.tokens_out if reported else None,
        auc=encoder.auc.value if encoder and encoder.auc else None,
        gold_auc=gold_auc.value if gold_auc else None,
        kept_documents=kept.kept_documents,
        kept_bytes=kept.kept_bytes,
        gold_precision=None if kept.gold is None else kept.gold.precision.value,
        gold_recall=None if kept.gold is None else kept.gold.recall.value,
        verdict=None if evaluation is None else evaluation.verdict,
        target_difference=_difference(evaluation, "control", Kind.TARGET),
        matched_target_difference=_difference(evaluation, "matched", Kind.TARGET),
        general_difference=_difference(evaluation, "control", Kind.GENERAL),
    )


def _difference(evaluation: EvaluationResult | None, against: Against, kind: Kind) -> Figure | None:
    measure = None if evaluation is None else evaluation.measure(against, kind)
    return None if measure is None else measure.difference


def _source_shares(prompt: ComparedPrompt) -> dict[str, SourceShares]:
    kept = prompt.kept
    return {
        name: SourceShares(pool=one.bytes / (kept.bytes or 1), kept=one.kept_bytes / (kept.kept_bytes or 1))
        for name, one in kept.by_source.items()
    }


@dataclass
class _Tally:
    """What is summed and collected, shard by shard."""

    both: np.ndarray  # [prompts, prompts] documents among the best of both
    ranked: list[np.ndarray] = field(default_factory=list)  # [prompts, sampled documents of a shard] each
    apart: dict[tuple[int, int], list[KeptDocument]] = field(default_factory=dict)  # without texts yet


def _tally(prompts: Sequence[ComparedPrompt], shards: Sequence[str], at: int, documents: int) -> _Tally:
    tally = _Tally(np.zeros((len(prompts), len(prompts)), dtype=np.int64))
    rate = min(1.0, RANKED / max(1, documents))
    for shard, *flags in zip(shards, *(prompt.best(shards, at) for prompt in prompts), strict=True):
        tables = [prompt.scores(shard) for prompt in prompts]
        best = np.stack(flags)
        scores = np.stack([table["score"].to_numpy() for table in tables])
        tally.both += best.astype(np.int64) @ best.T.astype(np.int64)
        drawn = np.array([unit_hash("rank", f"{shard} {row}") < rate for row in tables[0]["row"].to_list()], dtype=bool)
        tally.ranked.append(scores[:, drawn])
        for i, j in permutations(range(len(prompts)), 2):
            apart = [*tally.apart.get((i, j), []), *_apart(shard, tables[0], best[i] & ~best[j], scores[i], scores[j])]
            tally.apart[i, j] = sorted(apart, key=lambda one: (one.drops - one.keeps, one.shard, one.row))[:SHOWN]
    return tally


def _apart(
    shard: str, table: pl.DataFrame, chosen: Flags, keeps: np.ndarray, drops: np.ndarray
) -> Iterator[KeptDocument]:
    """Of the chosen documents of a shard those whose scores by two prompts are farthest apart."""
    places = np.flatnonzero(chosen)
    for place in map(int, places[np.argsort(drops[places] - keeps[places], kind="stable")][:SHOWN]):
        yield KeptDocument(
            shard=shard,
            row=table["row"][place],
            id=table["id"][place],
            keeps=float(keeps[place]),
            drops=float(drops[place]),
            text="",
        )


def _with_texts(prompts: Sequence[ComparedPrompt], apart: Mapping[tuple[int, int], list[KeptDocument]]) -> list[Apart]:
    """The documents apart with the beginning of their texts, one entry for each ordered pair."""
    pool = prompts[0].pool
    wanted = {(one.shard, one.row) for documents in apart.values() for one in documents}
    texts = {
        (shard, row): document.text[:CHARACTERS]
        for shard in sorted({shard for shard, _ in wanted})
        for row, document in read_chosen(pool, shard, sorted(row for name, row in wanted if name == shard))
    }
    return [
        Apart(
            keeps=prompts[i].slug,
            drops=prompts[j].slug,
            documents=[one.model_copy(update={"text": texts[one.shard, one.row]}) for one in documents],
        )
        for (i, j), documents in sorted(apart.items())
    ]
