"""Documents that language models read: drawn from the pool by hash, checked, and tokenized where they are used.

A draw takes the documents with the lowest keys, as few as hold the tokens that are needed. How many tokens a document
has is known once it is tokenized, and whether it may be read once it is checked. So somewhat more is drawn by size in
bytes (`MARGIN`), checked and tokenized; where that does not suffice, the draw is repeated with twice as much. What is
read of it is then drawn by exact sizes, and is the same whatever was guessed.

A document may be read if it is not held out (the index says so), not near a held-out document (its MinHash bands) and
shares no n-gram with an evaluation document. The others stand in the output with the reason, and no tokens.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

import numpy as np
import polars as pl
from tokenizers import Tokenizer

from datashop_assets.core.step import StepOutput, StepRun
from datashop_assets.documents.nearness import HeldoutBands
from datashop_assets.documents.pool import map_shards, pool_shards, read_chosen
from datashop_assets.documents.results import OK, OTHERS, PretrainingPoolResult
from datashop_assets.documents.split import Split
from datashop_assets.models.tokenizer import BATCH, CHARACTERS_A_TOKEN, END, bytes_of, encode, train_tokenizer
from datashop_assets.protocols.documents import Document
from datashop_assets.statistics.draws import Draw, row_keys
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets.training_documents.checkpoint import Start
from datashop_assets.training_documents.decontamination import NgramIndex, Overlap, load_ngrams
from datashop_assets.training_documents.results import (
    TOKENIZER,
    DecontaminationResult,
    DrawnDocuments,
    PoolTokensResult,
)
from datashop_assets.training_documents.settings import PoolTokensConfig

NEAR = "near a held-out document"
SHARED = "shares text with an evaluation document"
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.Int64,
    "id": pl.String,
    "source": pl.String,
    "bytes": pl.Int64,
    "left_out": pl.String,  # why no model reads it; null for a document that may be read
    "set": pl.String,  # where the evaluation document is that it shares text with
    "evaluation_id": pl.String,
    "shared": pl.Int64,  # n-grams of it
    "example": pl.String,  # the first of them
    "length": pl.Int64,  # in tokens
    "tokens": pl.List(pl.Int32),
}
MARGIN = 1.25  # times the tokens that are needed are drawn at first
MEASURED = 4_000_000  # bytes of the sample that a tokenizer which is not trained here is measured on
NAMED_SOURCES = 100  # counted by name; a source field may hold a URL
NONE = -1  # the group of a document that a stream does not take
HIGHEST_KEY = (1 << 64) - 1


@dataclass(frozen=True)
class PoolDocuments:
    """N documents of a shard of the pool that are not held out."""

    shard: str
    rows: np.ndarray  # int64 [N]
    sources: np.ndarray  # [N] of str
    bytes: np.ndarray  # int64 [N]


@dataclass(frozen=True, slots=True)
class TokenizedDocument:
    """A document as tokens."""

    id: str
    source: str
    bytes: int
    tokens: np.ndarray  # int32 [T]


@dataclass(frozen=True)
class TokenizedDocuments:
    """N documents of a shard, and their tokens."""

    documents: PoolDocuments
    pieces: Sequence[TokenizedDocument]


Keyed = list[tuple[int, TokenizedDocument]]  # documents by key, lowest first


@dataclass(frozen=True)
class Stream:
    """A random draw, the same from the pool's index and from what was tokenized of it.

    Documents lie in groups, of each of which as many tokens are drawn as it needs, separators included. `groups` gives
    int64 [N], `NONE` for a document that is not of the stream. `purpose` keys the hashes of the draw. `spare` tokens a
    group are drawn beyond the margin at first: where a group needs few documents, one that is left out is a large part.
    """

    purpose: str
    needs: Sequence[int]
    groups: Callable[[PoolDocuments], np.ndarray]
    spare: Sequence[int] = ()

    def offer(
        self, draws: Sequence[Draw[Any]], documents: PoolDocuments, sizes: np.ndarray, items: Sequence[Any]
    ) -> None:
        """Offers N documents of these sizes, each with its item, to the draws of their groups."""
        groups, keys = self.groups(documents), row_keys(self.purpose, documents.shard, documents.rows)
        limits = np.array([min(draw.limit, HIGHEST_KEY) for draw in draws], dtype=np.uint64)
        wanted = np.flatnonzero(groups != NONE)
        for index in wanted[keys[wanted] <= limits[groups[wanted]]]:
            draws[groups[index]].offer(int(keys[index]), int(sizes[index]), items[index])


def everything(documents: PoolDocuments) -> np.ndarray:
    """All documents as one group."""
    return np.zeros(len(documents.rows), dtype=np.int64)


def pool_streams(seed: int, shared_tokens: int, own_tokens: int, filtered_share: float) -> tuple[Stream, Stream]:
    """What a seed reads of the pool: the stream that all its models share, and the control's own. They are disjoint."""

    def is_second(documents: PoolDocuments) -> np.ndarray:
        keys = row_keys(f"stream {seed}", documents.shard, documents.rows)
        return keys < np.uint64(filtered_share * 2.0**64)

    shared = Stream(f"pool {seed}", [shared_tokens + 1], lambda documents: np.where(is_second(documents), NONE, 0))
    own = Stream(f"pool {seed}", [own_tokens + 1], lambda documents: np.where(is_second(documents), 0, NONE))
    return shared, own


def build(run: StepRun[PoolTokensConfig]) -> PoolTokensResult:
    """Writes `tokenizer.json` and the random documents that models read, by shard of the pool."""
    config, pool = run.config, run.input(PretrainingPoolResult)
    start = Start.named(config.checkpoint.name, run.data) if config.checkpoint else None
    sample = _sample(pool, config.vocabulary * CHARACTERS_A_TOKEN if config.vocabulary else MEASURED)
    if run.output.finished(TOKENIZER):
        tokenizer = Tokenizer.from_str(run.output.folder.read(TOKENIZER).decode())
    else:
        tokenizer = start.tokenizer() if start else train_tokenizer(sample, config.vocabulary or 0)
        run.output.put_bytes(TOKENIZER, tokenizer.to_str().encode())
    bytes_per_token = sum(bytes_of(sample)) / max(1, sum(len(tokens) for tokens in encode(tokenizer, sample)))
    streams = [
        stream
        for seed in range(config.seeds)
        for stream in pool_streams(seed, config.shared_tokens, config.own_tokens, config.filtered_share)
    ]
    drawing = Drawing(run, run.output.folder, bytes_per_token, "tokenizing")
    drawing.write(streams)
    return PoolTokensResult(
        vocabulary=tokenizer.get_vocab_size(),
        separator=start.separator(tokenizer) if start else END,
        bytes_per_token=round(bytes_per_token, 3),
        documents=drawing.counts(),
    )


def _sample(pool: StageFolder, size: int) -> list[str]:
    """Texts of a random draw of documents, in pool order, `size` bytes in all but for those near a held-out one."""
    stream = Stream("tokenizer", [size], everything)
    draw: Draw[tuple[str, int]] = Draw(size)
    for shard in pool_shards(pool):
        documents = read_documents_of(pool, shard)
        stream.offer([draw], documents, documents.bytes, [(shard, row) for row in documents.rows.tolist()])
    places: dict[str, list[int]] = {}
    for shard, row in sorted(place for _, place in draw.keyed()):
        places.setdefault(shard, []).append(row)
    texts = [document.text for shard, rows in places.items() for _, document in read_chosen(pool, shard, rows)]
    return [text for text, near in zip(texts, HeldoutBands.load(pool).near(texts), strict=True) if not near]


def read_documents_of(pool: StageFolder, shard: str) -> PoolDocuments:
    """The documents of a shard that are not held out, as the pool's index has them."""
    columns = ["row", "source", "bytes", "status", "split"]
    return _documents(shard, pool.table(f"{shard}.parquet", columns).filter(status=OK, split=Split.TRAIN))


def _documents(shard: str, table: pl.DataFrame) -> PoolDocuments:
    sources = np.array(table["source"].to_list(), dtype=object)
    return PoolDocuments(shard, table["row"].to_numpy(), sources, table["bytes"].to_numpy())


@dataclass
class Drawing:
    """Draws documents from the pool for streams, and writes them, checked and tokenized, to `<place><shard>.parquet`.

    `tokenizer` is the folder that holds it.
    """

    run: StepRun[Any]
    tokenizer: Folder
    bytes_per_token: float
    label: str  # of the progress bar
    place: str = ""
    shards: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.shards = pool_shards(self.run.input(PretrainingPoolResult))

    def write(self, streams: Sequence[Stream]) -> None:
        """Until every stream has what it needs, or all that the pool has for it. A killed build goes on by shards."""
        factors = [MARGIN] * len(streams)
        while True:
            draws = self._drawn(streams, factors)
            places: dict[str, set[int]] = {}
            for shard, row in (place for own in draws for draw in own for _, place in draw.keyed()):
                places.setdefault(shard, set()).add(row)
            lengths = self._tokenized(places)
            short = [number for number, own in enumerate(draws) if _is_short(streams[number], own, lengths)]
            if not short:
                return
            for number in short:
                factors[number] *= 2

    def read(self) -> Iterator[TokenizedDocuments]:
        """What was written, by shard, without what is left out."""
        return (_tokenized(shard, table) for shard, table in self._tables())

    def counts(self) -> DrawnDocuments:
        tables = [table for _, table in self._tables(["source", "bytes", "left_out", "length"])]
        return _counted(pl.concat(tables) if tables else pl.DataFrame(schema=SCHEMA))

    def bytes_drawn(self) -> int:
        """Of all documents, those that are left out included."""
        return sum(int(table["bytes"].sum()) for _, table in self._tables(["bytes"]))

    def _drawn(self, streams: Sequence[Stream], factors: Sequence[float]) -> list[list[Draw[tuple[str, int]]]]:
        """For each group of each stream the places of a draw by estimated sizes."""
        draws: list[list[Draw[tuple[str, int]]]] = [
            [
                Draw(round(need * factor) + spare)
                for need, spare in zip(stream.needs, stream.spare or [0] * len(stream.needs), strict=True)
            ]
            for stream, factor in zip(streams, factors, strict=True)
        ]
        pool = self.run.input(PretrainingPoolResult)
        for shard in self.shards:
            documents = read_documents_of(pool, shard)
            sizes = np.ceil(1 + documents.bytes / self.bytes_per_token).astype(np.int64)
            places = [(shard, row) for row in documents.rows.tolist()]
            for stream, own in zip(streams, draws, strict=True):
                stream.offer(own, documents, sizes, places)
        return draws

    def _tokenized(self, places: Mapping[str, set[int]]) -> dict[tuple[str, int], int]:
        """Writes the shards that lack any of them. Returns place -> tokens and a separator, 0 for what is left out."""
        pool, ngrams = self.run.input(PretrainingPoolResult), self.run.input(DecontaminationResult)
        jobs = [
            ShardJob(pool.uri, ngrams.uri, self.tokenizer, shard, frozenset(rows), self._name(shard), self.run.output)
            for shard, rows in places.items()
            if rows - _rows_there(self.run.output, self._name(shard))
        ]
        for _ in map_shards(self.run.resources, self.label, tokenize_shard, jobs):
            pass
        lengths = {}
        for shard in places:
            table = _written(self.run.output, self._name(shard), ["row", "left_out", "length"])
            assert table is not None, "it was written just now, or stood there before"
            for row, left_out, length in table.iter_rows():
                lengths[shard, row] = 0 if left_out else 1 + length
        return lengths

    def _name(self, shard: str) -> str:
        return f"{self.place}{shard}.parquet"

    def _tables(self, columns: list[str] | None = None) -> Iterator[tuple[str, pl.DataFrame]]:
        for shard in self.shards:
            if (table := _written(self.run.output, self._name(shard), columns)) is not None:
                yield shard, table


def _written(output: StageWriter, name: str, columns: list[str] | None = None) -> pl.DataFrame | None:
    if not output.finished(name):
        return None
    with output.folder.open(name) as file:
        return pl.read_parquet(file, columns=columns)


def _rows_there(output: StageWriter, name: str) -> set[int]:
    table = _written(output, name, ["row"])
    return set() if table is None else set(table["row"].to_list())


def _is_short(stream: Stream, draws: Sequence[Draw[tuple[str, int]]], lengths: Mapping[tuple[str, int], int]) -> bool:
    """Whether a group has less than it needs although there is more to draw."""
    for need, draw in zip(stream.needs, draws, strict=True):
        if draw.size >= draw.need and sum(lengths[place] for _, place in draw.keyed()) < need:
            return True
    return False


@dataclass(frozen=True)
class ShardJob:
    """Documents of one shard to check and tokenize. It travels between processes, so it holds places, no open files."""

    pool: str
    decontamination: str
    tokenizer: Folder
    shard: str
    rows: frozenset[int]
    name: str
    output: StageWriter


def tokenize_shard(job: ShardJob) -> str:
    """Writes one file, with what stands there already, unless that is all. Returns its name."""
    there = _rows_there(job.output, job.name)
    if job.rows <= there:
        return job.name
    pool = StageFolder(Folder(job.pool))
    near = HeldoutBands.load(pool)
    ngrams = load_ngrams(StepOutput(Folder(job.decontamination), DecontaminationResult))
    tokenizer = Tokenizer.from_str(job.tokenizer.read(TOKENIZER).decode())
    documents = read_chosen(pool, job.shard, sorted(job.rows | there))
    job.output.write_rows(job.name, _rows(documents, near, ngrams, tokenizer), SCHEMA, beside="/" in job.name)
    return job.name


def _rows(
    documents: Iterator[tuple[int, Document]], near: HeldoutBands, ngrams: NgramIndex, tokenizer: Tokenizer
) -> Iterator[dict[str, Any]]:
    while batch := list(islice(documents, BATCH)):
        texts = [document.text for _, document in batch]
        checked = zip(
            batch, bytes_of(texts), near.near(texts), ngrams.overlaps(texts), encode(tokenizer, texts), strict=True
        )
        for (row, document), size, is_near, overlap, tokens in checked:
            left_out = NEAR if is_near else SHARED if overlap else None
            yield {
                "row": row,
                "id": document.id,
                "source": document.source,
                "bytes": size,
                "left_out": left_out,
                **_shown(overlap),
                "length": 0 if left_out else len(tokens),
                "tokens": [] if left_out else tokens.tolist(),
            }


def _shown(overlap: Overlap | None) -> dict[str, Any]:
    if overlap is None:
        return dict.fromkeys(("set", "evaluation_id", "shared", "example"))
    return {
        "set": overlap.set,
        "evaluation_id": overlap.evaluation_id,
        "shared": overlap.shared,
        "example": overlap.example,
    }


def _counted(table: pl.DataFrame) -> DrawnDocuments:
    read, left_out = table.filter(pl.col("left_out").is_null()), table.filter(pl.col("left_out").is_not_null())
    sources = Counter(left_out["source"].to_list())
    named = sorted(sources.items(), key=lambda each: (-each[1], each[0]))[:NAMED_SOURCES]
    by_source = dict(sorted(named))
    if others := sources.total() - sum(by_source.values()):
        by_source[OTHERS] = by_source.get(OTHERS, 0) + others
    return DrawnDocuments(
        documents=len(read),
        bytes=int(read["bytes"].sum()),
        tokens=int(read["length"].sum()),
        left_out=dict(sorted(Counter(left_out["left_out"].to_list()).items())),
        left_out_by_source=by_source,
    )


def tokenized_documents(output: StepOutput[PoolTokensResult]) -> Iterator[TokenizedDocuments]:
    """The random documents of a finished `pool_tokens` that may be read, by shard."""
    for shard in output.shards:
        yield _tokenized(shard.name.removesuffix(".parquet"), output.table(shard.name))


def _tokenized(shard: str, table: pl.DataFrame) -> TokenizedDocuments:
    table = table.filter(pl.col("left_out").is_null())
    values = table["tokens"].to_arrow().flatten().to_numpy()
    ends = [0, *np.cumsum(table["length"].to_numpy()).tolist()]
    named = table.select("id", "source", "bytes").iter_rows()
    pieces = [
        TokenizedDocument(name, source, size, values[begin:stop].copy())
        for (name, source, size), (begin, stop) in zip(named, pairwise(ends), strict=True)
    ]
    return TokenizedDocuments(_documents(shard, table), pieces)


def draw_exactly(
    tokenized: Iterator[TokenizedDocuments], streams: Sequence[Stream]
) -> list[list[Draw[TokenizedDocument]]]:
    """What each group of each stream reads of tokenized documents: the lowest keys that hold what it needs."""
    draws: list[list[Draw[TokenizedDocument]]] = [[Draw(need) for need in stream.needs] for stream in streams]
    for part in tokenized:
        sizes = np.array([1 + len(piece.tokens) for piece in part.pieces], dtype=np.int64)
        for stream, own in zip(streams, draws, strict=True):
            stream.offer(own, part.documents, sizes, part.pieces)
    return draws
