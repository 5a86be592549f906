"""Makes the filtered pool: the kept documents in `documents/`, and `<shard>.parquet` with what became of each one.

Pool shards keep their names and order. A kept document keeps all its fields and gains `datashop_score` (calibrated
probability) and `datashop_prompt` (the prompt's slug). The rule ranks held-out documents too and keeps them where they
belong; `split` in the attributes says which they are, and no training reads them.

JSON lines hold whatever fields a document has. A Parquet file has columns, one schema for all shards: the types of all
kept documents are looked at before the first file is written.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, tee
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from datashop_assets.core.step import StepRun
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import map_shards, read_chosen
from datashop_assets.documents.results import OTHERS, PretrainingPoolResult
from datashop_assets.filtered_pool.certificate import certified_threshold
from datashop_assets.filtered_pool.keep_rule import Decision, decide
from datashop_assets.filtered_pool.pool_table import PoolTable, TokenCounter, join, read_written
from datashop_assets.filtered_pool.results import (
    FilteredPoolConfig,
    FilteredPoolResult,
    GoldFigures,
    KeepCertificateResult,
    NearCut,
    PoolScoresResult,
    Selection,
    TokenSizes,
    documents_name,
    tokens_name,
)
from datashop_assets.prompts.keep_settings import PrecisionRule, RecallRule, SizeRule, ThresholdRule
from datashop_assets.statistics.intervals import wilson
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.shards import DOCUMENT_ROWS
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.training_documents.results import PoolTokensResult

SCHEMA = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "split": pl.String, "kept": pl.Boolean}
LISTED = 100  # documents near the cut, in pool order; the attributes hold the scores of all
GROUPS = ("source", "split", "gold", "kept")
Format = Literal["jsonl.zst", "parquet"]


def filter_pool(run: StepRun[FilteredPoolConfig]) -> FilteredPoolResult:
    """Decides, writes the attributes and the kept documents of every shard, then counts what was written."""
    rule, pool = _rule(run), run.input(PretrainingPoolResult)
    table = join(pool, run.input(PoolScoresResult), run.output.scratch)
    counter, sizes = None, table.of_documents
    if run.config.count is not None and not isinstance(rule, float):
        counter = TokenCounter(table, pool, run.input(PoolTokensResult), run.output, run.resources)
        counter.write(rule, run.config.count)
        sizes = counter.written
    flags, decision = decide(rule, table.ranked(sizes))
    for shard in table.names:
        chunks = table.chunks(shard, ("row", "id", "score", "split"))
        marked = (chunk.with_columns(kept=pl.Series(next(flags))) for chunk in chunks)
        if run.output.finished(f"{shard}.parquet"):
            deque(marked, maxlen=0)  # the flags are one stream over all shards
        else:
            run.output.write_frames(f"{shard}.parquet", marked, SCHEMA, beside=True)
    _write_documents(run, pool.uri, table.names)
    return _result(run, table, decision, counter)


def _rule(run: StepRun[FilteredPoolConfig]) -> SizeRule | float:
    """The rule by size, or the score from which everything is kept."""
    match run.config.rule:
        case ThresholdRule() as rule:
            return rule.threshold
        case PrecisionRule() | RecallRule():
            return certified_threshold(run.input(KeepCertificateResult).result)
        case rule:
            return rule


@dataclass(frozen=True)
class KeepJob:
    """One shard whose kept documents are to be written. It travels between processes."""

    pool: str
    shard: str
    slug: str
    format: Format
    output: StageWriter
    schema: pa.Schema | None = None  # of Parquet files

    @property
    def name(self) -> str:
        return documents_name(self.shard, self.format)


def _write_documents(run: StepRun[FilteredPoolConfig], pool: str, shards: Sequence[str]) -> None:
    """Writes the kept documents of every shard that is not written yet, wherever the step's compute does it."""
    jobs = [KeepJob(pool, shard, run.config.slug, run.config.format, run.output) for shard in shards]
    if run.config.format == "parquet":
        schemas = list(map_shards(run.resources, "columns", schema_of, jobs))
        schema = pa.unify_schemas(schemas, promote_options="permissive")
        if empty := [field.name for field in schema if _is_empty(field.type)]:
            raise ValueError(
                f"in all kept documents {', '.join(map(repr, empty))} is or holds an object without fields, for which "
                "Parquet has no column; set keep.format to jsonl.zst"
            )
        jobs = [replace(job, schema=schema) for job in jobs]
    unwritten = [job for job in jobs if not run.output.finished(job.name)]
    deque(map_shards(run.resources, "filtered pool", write_kept, unwritten), maxlen=0)


def write_kept(job: KeepJob) -> str:
    """Writes one shard's kept documents, in order, unless a worker that was lost afterwards had done so. Returns its
    name.
    """
    if not job.output.finished(job.name):
        job.output.write_rows(job.name, _kept_documents(job), job.schema)
    return job.shard


def schema_of(job: KeepJob) -> pa.Schema:
    """The columns that hold all kept documents of a shard. Raises `ValueError` where no column holds a field's values:
    types that differ, or an integer of more than 64 bits.
    """
    rows, found = _kept_documents(job), pa.schema([])
    while batch := list(islice(rows, DOCUMENT_ROWS)):
        try:
            found = pa.unify_schemas([found, pa.schema(pa.array(batch).type)], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise ValueError(
                f"the documents of shard {job.shard} have no common columns ({error}); set keep.format to jsonl.zst"
            ) from error
    return found


def _is_empty(kind: pa.DataType) -> bool:
    """Whether a type is, or holds, a structure without fields: Parquet cannot hold it."""
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not inner) or any(map(_is_empty, inner))


def _kept_documents(job: KeepJob) -> Iterator[Mapping[str, Any]]:
    """All fields of every kept document, and `datashop_score` and `datashop_prompt`."""
    frames = read_written(job.output, f"{job.shard}.parquet", ["row", "score", "kept"])
    rows, scores = tee(row for frame in frames for row in frame.filter("kept").select("row", "score").iter_rows())
    documents = read_chosen(StageFolder(Folder(job.pool)), job.shard, (row for row, _ in rows))
    for (_, document), (_, score) in zip(documents, scores, strict=True):
        yield {**document.fields, "datashop_score": score, "datashop_prompt": job.slug}


def _result(
    run: StepRun[FilteredPoolConfig], table: PoolTable, decision: Decision, counter: TokenCounter | None
) -> FilteredPoolResult:
    """Counts by source of those that the pool's counts name: a source field may hold a URL, others are together.

    Gold figures leave out documents without a gold label.
    """
    gold = load_gold(run.cache, run.data, run.config.gold_uri) if run.config.gold else {}
    named = list(run.input(PretrainingPoolResult).result.by_source)
    source = pl.when(pl.col("source").is_in(named)).then("source").otherwise(pl.lit(OTHERS))
    labels = [label in run.config.gold for label in gold.values()]
    label = pl.col("id").replace_strict(list(gold), labels, default=None, return_dtype=pl.Boolean)
    keys = {"source": source, "gold": label if gold else pl.lit(None, dtype=pl.Boolean)}
    groups, near, near_cut, cut_score = pl.DataFrame(), pl.DataFrame(), 0, None
    for chunk in _decided(table, run.output, with_tokens=counter is not None):
        sizes = pl.col("bytes") if counter is None else pl.col("bytes", "tokens", "counted").cast(pl.Int64)
        counted = (
            chunk.with_columns(**keys).group_by(GROUPS).agg(pl.len().cast(pl.Int64).alias("documents"), sizes.sum())
        )
        groups = pl.concat([groups, counted]).group_by(GROUPS).sum() if len(groups) else counted
        close = decision.near_cut(chunk.select("shard", "row", "id", "margin", "score", "kept"))
        near_cut += len(close)
        near = pl.concat([near, close[: LISTED - len(near)]]) if len(near) else close[:LISTED]
        cut_score = min((one for one in (cut_score, _lowest(chunk)) if one is not None), default=None)
    judged = groups.filter((pl.col("split") == "heldout") & pl.col("gold").is_not_null())
    by_source = {name: gold_figures(judged.filter(source=name)) for name in sorted(judged["source"].unique())}
    return FilteredPoolResult(
        rule=run.config.rule,
        unit=run.config.rule.unit,
        threshold=decision.threshold,
        total=decision.total,
        budget=decision.budget,
        tied_at_cut=decision.tied_at_cut,
        cut=decision.cut,
        cut_score=cut_score,
        near_cut=near_cut,
        near_cut_documents=tuple(NearCut.model_validate(row) for row in near.to_dicts()),
        **_selection(groups).model_dump(),
        by_source={name: _selection(part) for name, part in _parts(groups, "source")},
        by_split={name: _selection(part) for name, part in _parts(groups, "split")},
        tokens=None if counter is None else _tokens(groups, counter.bytes_per_token),
        gold=gold_figures(judged),
        gold_within={name: figures for name, figures in by_source.items() if figures is not None},
    )


def _decided(table: PoolTable, output: StageWriter, *, with_tokens: bool) -> Iterator[pl.DataFrame]:
    """What is known of the pool's documents, whether they are kept, and their tokens where the rule counts them."""
    for shard in table.names:
        parts = [
            table.chunks(shard, ("row", "id", "source", "split", "bytes", "score", "margin")),
            read_written(output, f"{shard}.parquet", ["kept"]),
        ]
        if with_tokens:
            parts.append(read_written(output, tokens_name(shard), ["tokens", "counted"]))
        for columns in zip(*parts, strict=True):
            yield pl.concat(columns, how="horizontal").with_columns(shard=pl.lit(shard))


def _lowest(chunk: pl.DataFrame) -> float | None:
    """The lowest score that is kept."""
    return chunk.filter("kept")["score"].min()  # type: ignore[return-value]


def _parts(groups: pl.DataFrame, column: str) -> Iterator[tuple[str, pl.DataFrame]]:
    for (name,), part in groups.sort(column).group_by(column, maintain_order=True):
        yield str(name), part


def _selection(groups: pl.DataFrame) -> Selection:
    kept = groups.filter("kept")
    return Selection(
        documents=int(groups["documents"].sum()),
        bytes=int(groups["bytes"].sum()),
        kept_documents=int(kept["documents"].sum()),
        kept_bytes=int(kept["bytes"].sum()),
    )


def _tokens(groups: pl.DataFrame, bytes_per_token: float) -> TokenSizes:
    return TokenSizes(
        tokens=int(groups["tokens"].sum()),
        kept=int(groups.filter("kept")["tokens"].sum()),
        counted_documents=int(groups["counted"].sum()),
        bytes_per_token=bytes_per_token,
    )


def gold_figures(heldout: pl.DataFrame) -> GoldFigures | None:
    """Precision and recall of what is kept of the held-out documents with gold, with Wilson's 95% intervals.

    `heldout` counts `documents` by `gold` and `kept`. None where nothing is kept, or nothing wanted.
    """
    found = int(heldout.filter("gold", "kept")["documents"].sum())
    kept, targets = (int(heldout.filter(column)["documents"].sum()) for column in ("kept", "gold"))
    if not kept or not targets:
        return None
    return GoldFigures(
        kept=kept, targets=targets, precision=wilson(found / kept, kept), recall=wilson(found / targets, targets)
    )
