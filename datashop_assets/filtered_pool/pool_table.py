"""What the keep rule reads of every pool document: its score, beside what the index says of it, and its size.

Choosing reads a pool's margins up to nine times. So index and scores are joined once into Arrow files in the step's
scratch folder, one a shard, `CHUNK` documents at a time: memory holds one chunk's columns, however large the shard.

Where a rule counts tokens, the size of every document is written to `tokens/<shard>.parquet`. By default sizes are
bytes by the ratio of the sample that the tokenizer was trained on, and the documents in the million tokens on either
side of the cut are counted: it is their sizes that decide which document is the last. A pool of less than two million
tokens is counted as a whole. With `count: exact` every document is, at some 1 MB of text a second and core.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from tokenizers import Tokenizer

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.pool import map_shards, pool_shards, read_chosen, read_pool
from datashop_assets.documents.results import OK, PretrainingPoolResult
from datashop_assets.filtered_pool.keep_rule import (
    Cut,
    Flags,
    Keys,
    Ranked,
    RankedPool,
    Sizes,
    find_cut,
    keep_before,
    total_size,
)
from datashop_assets.filtered_pool.results import PoolScoresResult, tokens_name
from datashop_assets.models.tokenizer import BATCH, encode
from datashop_assets.prompts.keep_settings import SizeRule, TokenCount
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.shards import read_frames, rechunked
from datashop_assets.storage.stage_folder import StageFolder, removal
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.storage.writing import on_disk
from datashop_assets.training_documents.results import TOKENIZER, PoolTokensResult

CHUNK = 1 << 14  # documents
INDEX = ("row", "id", "source", "split", "content", "bytes")
SCHEMA = {
    "row": pl.Int64,
    **dict.fromkeys(("id", "source", "split", "content"), pl.String),
    "bytes": pl.Int64,
    "score": pl.Float64,
    "margin": pl.Float64,
}
TOKENS_SCHEMA = {"row": pl.Int64, "tokens": pl.Int64, "counted": pl.Boolean}
COUNTED = 1_000_000  # tokens on either side of the cut
NOTHING = pl.DataFrame({"row": pl.Series([], dtype=pl.Int64)})

ShardSizes = Callable[[str], Iterator[Sizes]]  # the sizes of a shard's documents, `CHUNK` at a time
Counted = Mapping[str, pl.DataFrame]  # shard -> row, tokens of the documents that were counted


@dataclass(frozen=True)
class PoolTable:
    """The joined shards of a pool, in pool order."""

    names: Sequence[str]
    folder: Path

    def chunks(self, shard: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns of one shard, `CHUNK` documents at a time."""
        with pa.memory_map(str(self.folder / f"{shard}.arrow")) as file:
            reader = pa.ipc.open_file(file)
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number).select(list(columns))
                yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))

    def ranked(self, sizes: ShardSizes) -> RankedPool:
        """The pool as the keep rule sees it, chunk by chunk."""

        def parts() -> Iterator[Ranked]:
            for name in self.names:
                chunks = self.chunks(name, ("margin", "score", "content", "id"))
                for table, counted in zip(chunks, sizes(name), strict=True):
                    yield Ranked(table["margin"].to_numpy(), table["score"].to_numpy(), counted, _tie_hashes(table))

        return parts

    def of_documents(self, shard: str) -> Iterator[Sizes]:
        """Every document has size 1."""
        for chunk in self.chunks(shard, ("row",)):
            yield np.ones(len(chunk), np.int64)


def _tie_hashes(table: pl.DataFrame) -> Callable[[Flags], Keys]:
    def hashes(chosen: Flags) -> Keys:
        """By content and id: two documents with one text are still told apart."""
        rows = table.select("content", "id").filter(pl.Series(chosen)).iter_rows()
        return np.array([keyed_hash("keep", f"{content} {name}") for content, name in rows], np.uint64)

    return hashes


def join(pool: StepOutput[PretrainingPoolResult], scores: StepOutput[PoolScoresResult], scratch: Path) -> PoolTable:
    """Joins every shard that is not joined yet. Raises `ValueError` naming a shard whose scores are not the pool's."""
    arrow = pl.DataFrame(schema=SCHEMA).to_arrow().schema
    names = pool_shards(pool)
    for name in names:
        place = scratch / f"{name}.arrow"
        if place.exists():
            continue
        with on_disk(place) as file, pa.ipc.new_file(file, arrow) as writer:
            for chunk in side_by_side(name, pool, scores):
                writer.write_table(chunk.to_arrow().cast(arrow).combine_chunks(), max_chunksize=CHUNK)
    return PoolTable(names, scratch)


def side_by_side(name: str, pool: StageFolder, scores: StageFolder) -> Iterator[pl.DataFrame]:
    """The columns of one shard in pool order, one row a document, `CHUNK` at a time."""
    file = f"{name}.parquet"
    index = read_frames(pool.file(file), (*INDEX, "status"))
    documents = rechunked((frame.filter(status=OK).select(INDEX) for frame in index), CHUNK)
    scored = read_frames(scores.file(file), ("row", "score", "margin"), CHUNK)
    for known, beside in zip_longest(documents, scored, fillvalue=NOTHING):
        if not beside["row"].equals(known["row"]):
            raise ValueError(
                f"shard {name}: pool_scores has {len(beside)} rows where the pool has {len(known)} documents, or they "
                f"are not the same ones; {removal(scores.folder)}"
            )
        yield pl.concat([known, beside.drop("row")], how="horizontal")


def read_written(output: StageWriter, name: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Columns of a Parquet shard that the step itself has written, in this run or in one that was killed."""
    with output.folder.open(name) as file:
        yield from read_frames(file, columns, CHUNK)


@dataclass(frozen=True)
class TokenJob:
    """The documents of a shard whose tokens are to be counted. It travels between processes."""

    pool: str
    tokenizer: str  # the output of `pool_tokens`
    shard: str
    output: StageWriter
    rows: Sequence[int] = ()  # that ascend


class TokenCounter:
    """Makes the sizes of a rule of tokens, as the rule's prompt wants them counted."""

    def __init__(
        self,
        table: PoolTable,
        pool: StepOutput[PretrainingPoolResult],
        tokens: StepOutput[PoolTokensResult],
        output: StageWriter,
        resources: Resources,
    ) -> None:
        self._table, self._output, self._resources = table, output, resources
        self._pool, self._tokenizer = pool.uri, tokens.uri
        self.bytes_per_token = tokens.result.bytes_per_token

    def write(self, rule: SizeRule, count: TokenCount) -> None:
        """Writes `tokens/<shard>.parquet` for every shard that has none yet."""
        unwritten = [name for name in self._table.names if not self._output.finished(tokens_name(name))]
        if count == "exact":
            jobs = [TokenJob(self._pool, self._tokenizer, name, self._output) for name in unwritten]
            deque(map_shards(self._resources, "filtered pool: tokens", count_shard, jobs), maxlen=0)
        elif unwritten:
            counted = self._counted_near_cut(rule)
            for name in unwritten:
                self._output.write_frames(tokens_name(name), self._sizes_of(name, counted), TOKENS_SCHEMA, beside=True)

    def written(self, shard: str) -> Iterator[Sizes]:
        """The sizes that `write` has written, in tokens."""
        for frame in read_written(self._output, tokens_name(shard), ["tokens"]):
            yield frame["tokens"].to_numpy()

    def _counted_near_cut(self, rule: SizeRule) -> Counted:
        """The tokens of the documents around the cut, so many that the cut stands among them."""
        estimated = self._ranked({})
        total = total_size(estimated)
        budget, reach = rule.allows(total), COUNTED
        while True:
            above, below = find_cut(estimated, max(budget - reach, 0)), find_cut(estimated, budget + reach)
            counted = self._count(self._between(estimated, above, below))
            sized = self._ranked(counted)
            cut = find_cut(sized, rule.allows(total_size(sized)))
            if _stands_between(cut, above, below):
                return counted
            reach *= 4

    def _between(self, pool: RankedPool, above: Cut | None, below: Cut | None) -> dict[str, list[int]]:
        """Shard -> rows of the documents from the cut `above` to the cut `below`."""
        flags = zip(keep_before(above, pool), keep_before(below, pool), strict=True)
        rows: dict[str, list[int]] = {}
        for name in self._table.names:
            chunks = self._table.chunks(name, ("row",))  # first, so that its end takes nothing from the flags
            for chunk, (before, within) in zip(chunks, flags, strict=False):
                rows.setdefault(name, []).extend(chunk["row"].filter(pl.Series(within & ~before)))
        return rows

    def _count(self, rows: Mapping[str, Sequence[int]]) -> Counted:
        jobs = [TokenJob(self._pool, self._tokenizer, name, self._output, some) for name, some in rows.items() if some]
        return dict(map_shards(self._resources, "filtered pool: tokens near the cut", count_rows, jobs))

    def _ranked(self, counted: Counted) -> RankedPool:
        def sizes(shard: str) -> Iterator[Sizes]:
            return (frame["tokens"].to_numpy() for frame in self._sizes_of(shard, counted))

        return self._table.ranked(sizes)

    def _sizes_of(self, shard: str, counted: Counted) -> Iterator[pl.DataFrame]:
        """row, tokens, counted: what was counted, else the estimate."""
        known = counted.get(shard, pl.DataFrame(schema={"row": pl.Int64, "tokens": pl.Int64}))
        for chunk in self._table.chunks(shard, ("row", "bytes")):
            beside = chunk.join(known, on="row", how="left", maintain_order="left")
            yield beside.select(
                "row",
                pl.coalesce("tokens", estimated_tokens(self.bytes_per_token)),
                pl.col("tokens").is_not_null().alias("counted"),
            )


def _stands_between(cut: Cut | None, above: Cut | None, below: Cut | None) -> bool:
    """Whether the first document left out is among those from `above` to before `below`; None is the pool's end."""
    if cut is None:
        return below is None
    return (above is None or above.keys <= cut.keys) and (below is None or cut.keys < below.keys)


def estimated_tokens(bytes_per_token: float) -> pl.Expr:
    """Tokens of a document from its column `bytes`, to the nearest whole number, at least one."""
    return (pl.col("bytes") / bytes_per_token + 0.5).floor().clip(1).cast(pl.Int64).alias("tokens")


def count_shard(job: TokenJob) -> str:
    """Writes the tokens of all documents of a shard, unless a worker that was lost afterwards had done so."""
    name = tokens_name(job.shard)
    if not job.output.finished(name):
        counts = _counts(job, read_pool(StageFolder(Folder(job.pool)), job.shard))
        frames = (frame.with_columns(counted=pl.lit(value=True)) for frame in counts)
        job.output.write_frames(name, frames, TOKENS_SCHEMA, beside=True)
    return job.shard


def count_rows(job: TokenJob) -> tuple[str, pl.DataFrame]:
    """The shard's name, and row and tokens of the job's documents."""
    counts = list(_counts(job, read_chosen(StageFolder(Folder(job.pool)), job.shard, job.rows)))
    return job.shard, pl.concat(counts)


def _counts(job: TokenJob, documents: Iterator[tuple[int, Document]]) -> Iterator[pl.DataFrame]:
    tokenizer = _tokenizer(job.tokenizer)
    while batch := list(islice(documents, BATCH)):
        lengths: list[int] = [len(tokens) for tokens in encode(tokenizer, (one.text for _, one in batch))]
        yield pl.DataFrame({"row": [row for row, _ in batch], "tokens": lengths}, {"row": pl.Int64, "tokens": pl.Int64})


def _tokenizer(uri: str) -> Tokenizer:
    return _loaded(uri, StageFolder(Folder(uri)).manifest.content_digest)


@lru_cache(maxsize=1)
def _loaded(uri: str, content: str) -> Tokenizer:  # noqa: ARG001, another content is another tokenizer
    return Tokenizer.from_file(str(StageFolder(Folder(uri)).file(TOKENIZER)))
