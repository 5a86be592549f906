"""Scores and kept documents counted again, from what was written, by other means than those that wrote it; and what
labels say of them.

What is counted stops a run before a model is trained on documents that are not those of the rule. Memory holds 16,384
documents' columns.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import TYPE_CHECKING

from datashop_assets.core.step import Check, CheckContext, CheckResult, Input, StepOutput
from datashop_assets.documents.results import OK, PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult, unseen_labels
from datashop_assets.filtered_pool.results import (
    FilteredPoolConfig,
    FilteredPoolResult,
    PoolScoresResult,
    counts_tokens,
    documents_name,
    tokens_name,
)
from datashop_assets.markdown import Sample
from datashop_assets.prompts.keep_settings import FractionRule, RecallRule, ThresholdRule, TokenBudgetRule
from datashop_assets.statistics.figure import Figure
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_documents.results import PoolTokensResult
from datashop_assets.training_set.results import TrainingSetResult

if TYPE_CHECKING:
    import polars as pl

CHUNK = 1 << 14  # documents
SHOWN = 3  # rows of each kind
RECOUNTED = 100  # documents nearest the cut whose tokens are counted again


def pool_fully_scored(context: CheckContext[PoolScoresResult]) -> CheckResult:
    pool = context.required(PretrainingPoolResult)
    wrong = unscored(pool, context.output)
    sample = without_score(pool, context.output) if wrong else None
    return _verdict(wrong, f"{context.output.manifest.rows} documents, each with one score", sample)


def keep_count_exact(context: CheckContext[FilteredPoolResult]) -> CheckResult:
    output = context.output
    wrong = miskept(output, context.required(PoolScoresResult))
    if output.result.tokens is not None:
        wrong += missized(output, context.required(PretrainingPoolResult), context.required(PoolTokensResult))
    sample = around_the_cut(output, context.required(PoolScoresResult)) if wrong else None
    return _verdict(wrong, f"exactly what {output.result.rule!r} keeps", sample)


def cut_where_labels_are_positive(context: CheckContext[FilteredPoolResult]) -> CheckResult:
    """A calibrated score is what the annotator would say: below `positive_at` most documents of it are negative."""
    result, encoder = context.output.result, context.required(EncoderResult)
    even = encoder.result.positive_at
    cut, asked = result.cut_score, isinstance(result.rule, ThresholdRule | RecallRule)
    if cut is None:
        return CheckResult(passed=True, description="nothing is kept")
    precision = kept_precision(encoder, context.required(TrainingSetResult), cut)
    said = f"The rule keeps scores down to {cut:.3f}; labels are positive from {even:g} upward"
    if precision is None:
        said += "; no labelled document scores as high"
    else:
        said += f"; of what is kept {precision} are, by {precision.n} labels that the encoder had not seen"
    figures = {"cut_score": cut} if precision is None else {"cut_score": cut, "kept_precision": precision.value}
    return CheckResult(passed=asked or cut >= even, description=said, figures=figures)


def kept_precision(encoder: StageFolder, training_set: StageFolder, cut: float) -> Figure | None:
    """The share of positives among documents that score `cut` or more, with Wilson's interval and the number of labels.

    By the scores of labelled documents out of fold, weighted to describe the sample. None where no score is as high.
    """
    from datashop_assets.statistics.intervals import effective_size, wilson

    labels = unseen_labels(encoder, training_set)
    kept = labels.filter(labels["score"] >= cut)
    if not len(kept):
        return None
    weight = kept["weight"].to_numpy()
    share = float((kept["label"].to_numpy() * weight).sum() / weight.sum())
    found = wilson(share, effective_size(weight))
    return found.model_copy(update={"n": len(kept), "unit": "labels"})


def _verdict(wrong: Sequence[str], right: str, sample: Sample | None = None) -> CheckResult:
    description = "; ".join(wrong) or right
    return CheckResult(passed=not wrong, blocks=True, severity="error", description=description, sample=sample)


POOL_SCORES_CHECKS = (
    Check(
        "pool_fully_scored",
        "Every document of the pool has exactly one score. If not, remove the folder and materialize the scores again.",
        pool_fully_scored,
        blocking=True,
        reads=(PretrainingPoolResult,),
    ),
)
FILTERED_POOL_CHECKS = (
    Check(
        "keep_count_exact",
        "What is kept is exactly what the rule says, counted again. If not, look at `kept` beside the scores.",
        keep_count_exact,
        blocking=True,
        reads=(PretrainingPoolResult, PoolScoresResult, Input(PoolTokensResult, counts_tokens)),
    ),
    Check(
        "cut_where_labels_are_positive",
        "A share or a budget does not reach down to scores of which labels call most documents negative. A warning: "
        "then keep less, or ask what is positive anew (`labels.positive_from`). A threshold or a recall that the "
        "prompt asks for is not judged.",
        cut_where_labels_are_positive,
        reads=(EncoderResult, TrainingSetResult),
    ),
)


def unscored(pool: StageFolder, scores: StageFolder) -> list[str]:
    """Shards whose scores are not one for each of their documents, in order; nothing where all is exact."""
    import polars as pl

    from datashop_assets.documents.pool import pool_shards

    wanted, there = {f"{name}.parquet" for name in pool_shards(pool)}, {shard.name for shard in scores.shards}
    found = [f"{name} is in the pool only" for name in sorted(wanted - there)]
    found += [f"{name} is in the scores only" for name in sorted(there - wanted)]
    for name in sorted(wanted & there):
        documents, scored, same = 0, 0, True
        nothing = pl.DataFrame()
        for rows, others in zip_longest(
            _documents(pool, name, "row"), _columns(scores, name, "row"), fillvalue=nothing
        ):
            documents, scored, same = documents + len(rows), scored + len(others), same and rows.equals(others)
        if not same:
            found.append(f"{name} has {documents} documents and {scored} scores, or of other rows")
    return found


def without_score(pool: StageFolder, scores: StageFolder) -> Sample:
    """Some rows of the pool that have no score, and some scores that belong to no row."""
    import polars as pl

    from datashop_assets.documents.pool import pool_shards

    there, rows = {shard.name for shard in scores.shards}, list[tuple[str, ...]]()
    for name in (f"{shard}.parquet" for shard in pool_shards(pool)):
        nothing = pl.DataFrame(schema={"row": pl.Int64})
        documents = pl.concat([nothing, *(one.cast(pl.Int64) for one in _documents(pool, name, "row"))])["row"]
        scored = nothing["row"]
        if name in there:
            scored = pl.concat([nothing, *(one.cast(pl.Int64) for one in _columns(scores, name, "row"))])["row"]
        for what, one, other in (("no score", documents, scored), ("no document", scored, documents)):
            missing = one.filter(~one.is_in(other.implode())).head(SHOWN)
            rows += [(name, str(row), what) for row in missing]
        if len(rows) >= 2 * SHOWN:
            break
    return Sample(columns=("shard", "row", "has"), rows=tuple(rows))


def around_the_cut(filtered: StepOutput[FilteredPoolResult], scores: StageFolder) -> Sample:
    """The documents nearest the cut on both sides: those kept with the lowest scores, those left with the highest."""
    import polars as pl

    kept, left = pl.DataFrame(), pl.DataFrame()
    for name, chunk in _decided(filtered, scores):
        named = chunk.with_columns(pl.lit(name).alias("shard"))
        kept = pl.concat([kept, named.filter("kept")]).sort("margin", "shard", "row").head(SHOWN)
        top = pl.concat([left, named.filter(~pl.col("kept"))])
        left = top.sort("margin", "shard", "row", descending=[True, False, False]).head(SHOWN)
    rows = [
        (
            one["shard"],
            str(one["row"]),
            f"{one['score']:.6f}",
            f"{one['margin']:.6f}",
            "kept" if one["kept"] else "left",
        )
        for one in [*left.iter_rows(named=True), *kept.iter_rows(named=True)]
    ]
    return Sample(columns=("shard", "row", "score", "margin", "decision"), rows=tuple(rows))


def miskept(filtered: StepOutput[FilteredPoolResult], scores: StageFolder) -> list[str]:
    """Where the kept documents are not exactly those of the rule; nothing where all is exact."""
    result, found = filtered.result, list[str]()
    threshold, form = result.threshold, _config(filtered).format
    for name, chunks in groupby(_decided(filtered, scores), itemgetter(0)):
        marked, exact = 0, True
        for _, chunk in chunks:
            marked += int(chunk["kept"].sum())
            exact = exact and (threshold is None or chunk["kept"].equals(chunk["score"] >= threshold))
        written = filtered.manifest.file(documents_name(name.removesuffix(".parquet"), form)).rows
        if marked != written:
            found.append(f"{name} marks {marked} documents as kept and {written} were written")
        if not exact:
            found.append(f"{name} does not keep exactly the scores from {threshold} upward")
    return found if threshold is not None else found + _off_budget(result, _sums(filtered, scores))


@dataclass(frozen=True)
class Sums:
    """What the rule is held against: sizes in documents or tokens, and the margins on both sides of the cut."""

    total: int
    kept: int
    lowest_kept: float
    highest_left: float
    next_size: int  # the largest size among the documents that are left and stand highest


def _off_budget(result: FilteredPoolResult, sums: Sums) -> list[str]:
    match result.rule:
        case FractionRule() as rule:
            budget, share = int(Decimal(repr(rule.fraction)) * sums.total), str(rule.fraction)
        case TokenBudgetRule() as rule:
            budget, share = rule.budget, "a budget"
        case _:
            return [f"{result.rule!r} keeps by score, and no threshold is recorded"]
    said = f"{share} of {sums.total} {result.unit} are {budget}, {sums.kept} are kept"
    found = [] if sums.kept <= budget else [said]
    if sums.kept + sums.next_size <= budget and sums.kept < sums.total:
        found.append(f"{said}; the next document, of {sums.next_size}, would fit")
    if sums.lowest_kept < sums.highest_left:
        found.append(f"margin {sums.lowest_kept} is kept and {sums.highest_left} is left out")
    return found


def _sums(filtered: StepOutput[FilteredPoolResult], scores: StageFolder) -> Sums:
    import polars as pl

    total, kept, lowest, highest, size = 0, 0, math.inf, -math.inf, 0
    for _, chunk in _decided(filtered, scores):
        inside, left = chunk.filter("kept"), chunk.filter(~pl.col("kept"))
        total, kept = total + int(chunk["size"].sum()), kept + int(inside["size"].sum())
        lowest = min(lowest, *inside["margin"])
        top = max(left["margin"], default=-math.inf)
        if top >= highest:
            largest = int(left.filter(pl.col("margin") == top)["size"].max() or 0)  # type: ignore[arg-type]
            highest, size = top, largest if top > highest else max(size, largest)
    return Sums(total, kept, lowest, highest, size)


def missized(
    filtered: StepOutput[FilteredPoolResult], pool: StageFolder, tokens: StepOutput[PoolTokensResult]
) -> list[str]:
    """Where sizes in tokens are not what the prompt asks for; nothing where they are.

    Estimates are computed again from the index. Of the documents that were counted, the `RECOUNTED` whose scores are
    nearest the cut are counted again, one at a time.
    """
    import numpy as np
    import polars as pl

    from datashop_assets.documents.pool import pool_shards

    ratio, exact = tokens.result.bytes_per_token, _config(filtered).count == "exact"
    cut, found, nearest = filtered.result.cut_score or 0.0, list[str](), pl.DataFrame()
    for shard in pool_shards(pool):
        same = True
        documents = _documents(pool, f"{shard}.parquet", "row", "bytes")
        sizes = _columns(filtered, tokens_name(shard), "row", "tokens", "counted")
        scores = _columns(filtered, f"{shard}.parquet", "score")
        for known, sized, scored in zip_longest(documents, sizes, scores):
            if known is None or sized is None or scored is None or not known["row"].equals(sized["row"]):
                same = False
                break
            estimates = np.maximum(np.floor(known["bytes"].to_numpy() / ratio + 0.5), 1)
            counted = sized["counted"].to_numpy()
            same = same and bool(
                counted.all() if exact else (counted | (sized["tokens"].to_numpy() == estimates)).all()
            )
            away = (scored["score"] - cut).abs()
            close = sized.with_columns(away.alias("away"), shard=pl.lit(shard)).filter("counted")
            nearest = pl.concat([nearest, close]).sort("away", "shard", "row").head(RECOUNTED)
        if not same:
            found.append(
                f"{tokens_name(shard)} does not hold the sizes of the pool's documents; make filtered_pool again"
            )
    return found + list(_miscounted(nearest, pool, tokens))


def _miscounted(nearest: "pl.DataFrame", pool: StageFolder, tokens: StageFolder) -> Iterator[str]:
    from tokenizers import Tokenizer

    from datashop_assets.documents.pool import read_chosen
    from datashop_assets.training_documents.results import TOKENIZER

    tokenizer = Tokenizer.from_file(str(tokens.file(TOKENIZER)))
    tokenizer.encode_special_tokens = True
    for (shard,), part in nearest.sort("shard", "row").group_by("shard", maintain_order=True):
        for counted, (row, document) in zip(part["tokens"], read_chosen(pool, str(shard), part["row"]), strict=True):
            now = len(tokenizer.encode(document.text, add_special_tokens=False).ids)
            if now != counted:
                yield f"row {row} of shard {shard} has {now} tokens, {counted} are recorded; make filtered_pool again"


def _decided(filtered: StepOutput[FilteredPoolResult], scores: StageFolder) -> Iterator[tuple[str, "pl.DataFrame"]]:
    """Every shard's name with its documents, a chunk at a time: row, score, margin, kept, size.

    Raises `ValueError` or `polars.ShapeError` where steps do not agree.
    """
    import polars as pl

    by_tokens = filtered.result.unit == "tokens"
    for name in (file.name for file in scores.shards):
        parts = [_columns(scores, name, "row", "score", "margin"), _columns(filtered, name, "kept")]
        if by_tokens:
            parts.append(_columns(filtered, tokens_name(name.removesuffix(".parquet")), "tokens"))
        size = (pl.col("tokens") if by_tokens else pl.lit(1, pl.Int64)).alias("size")
        for columns in zip(*parts, strict=True):
            yield name, pl.concat(columns, how="horizontal").with_columns(size)


def _documents(pool: StageFolder, name: str, *columns: str) -> "Iterator[pl.DataFrame]":
    """Columns of a shard's index, rejects left out."""
    from datashop_assets.storage.shards import rechunked

    frames = _columns(pool, name, *columns, "status")
    return rechunked((frame.filter(status=OK).select(columns) for frame in frames), CHUNK)


def _config(filtered: StepOutput[FilteredPoolResult]) -> FilteredPoolConfig:
    return FilteredPoolConfig.model_validate(filtered.manifest.config)


def _columns(folder: StageFolder, name: str, *columns: str) -> "Iterator[pl.DataFrame]":
    from datashop_assets.storage.shards import read_frames

    return read_frames(folder.file(name), columns, CHUNK)
