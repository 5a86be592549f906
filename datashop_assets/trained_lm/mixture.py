"""The data plan of a run: which documents a seed reads, and which tokens stand in which row of which step.

A fixed schedule gives exactly `filtered_share` of the rows to a stream of the model's own and the rest to a stream that
control and candidate share, row for row and step for step. What differs between the models is thus one stream: more of
the pool for the control, kept documents for the candidate, and for the matched control documents drawn at random from
the pool with the kept ones' mix: of every source and every length as many tokens as the candidate reads. That is what a
filter gives that knows sources and lengths, and nothing of the text, so the difference from it is the rubric's own.

Memory holds what the runs read, not the pool.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datashop_assets.core.step import StepOutput
from datashop_assets.documents.pool import pool_shards
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.statistics.draws import Draw, scramble
from datashop_assets.training_documents.results import PoolTokensResult
from datashop_assets.training_documents.settings import TrainingSettings
from datashop_assets.training_documents.tokens import (
    NONE,
    Keyed,
    PoolDocuments,
    Stream,
    TokenizedDocument,
    TokenizedDocuments,
    draw_exactly,
    pool_streams,
    read_documents_of,
    tokenized_documents,
)

FEW = 20  # documents of the pool: sources of fewer, which may be an address each, are one
OCTAVES = 64  # of lengths in bytes
SPARE_DOCUMENTS = 4  # of a stratum, drawn beyond what it needs at first
Laid = tuple[np.ndarray, np.ndarray, np.ndarray]  # tokens [B, T + 1], segments [B, T], positions [B, T], int32


@dataclass(frozen=True)
class SeedDocuments:
    """What one seed reads: documents of the shared stream and of the model's own, by key."""

    shared: Keyed
    own: Keyed

    @property
    def own_tokens(self) -> int:
        """Of the different documents of the own stream, a separator each included."""
        return sum(1 + len(piece.tokens) for _, piece in self.own)

    def rows(self, settings: TrainingSettings, end: int) -> "Rows":
        return mixed(self.shared, self.own, settings.own_rows, settings.length, end)


def pool_documents(tokens: StepOutput[PoolTokensResult], settings: TrainingSettings) -> list[SeedDocuments]:
    """What every seed of the control reads, and all models' shared streams.

    Raises `ValueError` where the pool, all of which was tokenized if it is small, has less than one batch, or no
    document for one of the two streams.
    """
    batch, held = settings.batch * settings.length, tokens.result.documents
    if (size := held.tokens + held.documents) < batch:
        raise ValueError(
            f"the pool's training documents hold {size} tokens, fewer than one batch of {batch} "
            f"(training.batch {settings.batch} x training.length {settings.length}); lower them or give a larger pool"
        )
    shared, own = settings.tokens - settings.own_tokens, settings.own_tokens
    streams = [
        stream for seed in range(settings.seeds) for stream in pool_streams(seed, shared, own, settings.filtered_share)
    ]
    drawn = own_documents(tokenized_documents(tokens), streams)
    seeds = [SeedDocuments(*pair) for pair in zip(drawn[::2], drawn[1::2], strict=True)]
    if any((shared and not seed.shared) or (own and not seed.own) for seed in seeds):
        raise ValueError(
            "the pool's training documents are too few for two streams, shared rows and the control's own: one of them "
            f"would have none (training.filtered_share {settings.filtered_share:g}); give a larger pool"
        )
    return seeds


def kept_streams(filtered: StepOutput[FilteredPoolResult], settings: TrainingSettings) -> list[Stream]:
    """For every seed the kept documents that the candidate reads."""

    @lru_cache(maxsize=1)
    def rows(shard: str) -> np.ndarray:
        return kept_rows(filtered, shard)

    def groups(documents: PoolDocuments) -> np.ndarray:
        return np.where(np.isin(documents.rows, rows(documents.shard)), 0, NONE)

    return [Stream(f"kept {seed}", [settings.own_tokens + 1], groups) for seed in range(settings.seeds)]


def kept_rows(filtered: StepOutput[FilteredPoolResult], shard: str) -> np.ndarray:
    """The rows of a shard that the filter keeps."""
    kept = filtered.table(f"{shard}.parquet").filter("kept")
    return np.asarray(kept["row"].to_numpy())


def own_documents(tokenized: Iterator[TokenizedDocuments], streams: Sequence[Stream]) -> list[Keyed]:
    """What every seed's stream reads of documents that were drawn for it: of one group, all that it needs."""
    return [list(draw.keyed()) for [draw] in draw_exactly(tokenized, streams)]


@dataclass(frozen=True)
class Strata:
    """Source and octave of length, as one number. Sources that are not named are one.

    Where a document is alone in its stratum, nothing but itself could be drawn: so sources of few documents are one.
    Memory grows with the number of sources, not of documents.
    """

    sources: dict[str, int]  # from 1; 0 stands for all others

    @classmethod
    def of_pool(cls, pool: StepOutput[PretrainingPoolResult]) -> "Strata":
        counts = Counter[str]()
        for shard in pool_shards(pool):
            counts.update(read_documents_of(pool, shard).sources.tolist())
        named = sorted(source for source, count in counts.items() if count >= FEW)
        return cls({source: number for number, source in enumerate(named, start=1)})

    def __len__(self) -> int:
        return (len(self.sources) + 1) * OCTAVES

    def of(self, sources: Iterable[str], sizes: np.ndarray) -> np.ndarray:
        """sources and bytes [N] -> int64 [N]."""
        numbers = np.array([self.sources.get(source, 0) for source in sources], dtype=np.int64)
        return numbers * OCTAVES + np.frexp(sizes.astype(np.float64))[1]


def matched_streams(kept: Sequence[Keyed], strata: Strata, bytes_per_token: float) -> list[Stream]:
    """For every seed a draw from the whole pool that needs of each stratum the tokens which `kept` holds of it."""
    return [_matched_stream(f"matched {seed}", found, strata, bytes_per_token) for seed, found in enumerate(kept)]


def _matched_stream(purpose: str, kept: Keyed, strata: Strata, bytes_per_token: float) -> Stream:
    pieces = [piece for _, piece in kept]
    places = strata.of((piece.source for piece in pieces), np.array([piece.bytes for piece in pieces]))
    tokens = Counter[int]()
    for stratum, piece in zip(places.tolist(), pieces, strict=True):
        tokens[stratum] += 1 + len(piece.tokens)
    numbers = np.full(len(strata), NONE, dtype=np.int64)
    numbers[list(tokens)] = np.arange(len(tokens))
    spare = [round(SPARE_DOCUMENTS * 2 ** (stratum % OCTAVES) / bytes_per_token) for stratum in tokens]
    return Stream(
        purpose, list(tokens.values()), lambda documents: numbers[strata.of(documents.sources, documents.bytes)], spare
    )


def matched_documents(tokenized: Iterator[TokenizedDocuments], streams: Sequence[Stream]) -> list[Keyed]:
    """What every seed reads of documents that were drawn for its strata, each stratum to the closest document."""
    drawn = draw_exactly(tokenized, streams)
    return [sorted((one for draw in own for one in _closest(draw)), key=lambda each: each[0]) for own in drawn]


def _closest(draw: Draw[TokenizedDocument]) -> Keyed:
    """A draw without its last of several documents, where that comes closer to what was wanted."""
    found = list(draw.keyed())
    too_much = draw.size - draw.need
    return found[:-1] if len(found) > 1 and 2 * too_much > 1 + len(found[-1][1].tokens) else found


@dataclass(frozen=True)
class Rows:
    """A stream, or a whole run, cut into N rows: T tokens to read and the T tokens that follow them."""

    tokens: np.ndarray  # [N, T + 1] int32
    end: int  # the token before every document
    ids: list[str]  # of documents, in the order in which a stream holds them
    first: np.ndarray  # [N] int64: where in `ids` a row's documents begin
    last: np.ndarray  # [N] int64: and end, that one included

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that other rows do not have."""
        return hashlib.blake2b(self.tokens.data, digest_size=4).hexdigest()

    def ids_of(self, row: int) -> list[str]:
        """The documents that row reads."""
        return self.ids[self.first[row] : self.last[row] + 1]

    def laid_out(self, rows: slice) -> Laid:
        """Some rows with the segments and positions that follow from where documents begin.

        A token sees only its own segment; positions count from 0 in every document.
        """
        tokens = self.tokens[rows]
        begins = tokens[:, :-1] == self.end
        begins[:, 0] = True
        place = np.arange(begins.shape[1], dtype=np.int32)
        positions = place - np.maximum.accumulate(np.where(begins, place, 0), axis=1)
        return tokens, np.cumsum(begins, axis=1, dtype=np.int32), positions


def mixed(shared: Keyed, own: Keyed, mine: np.ndarray, length: int, end: int) -> Rows:
    """The rows of a whole run; `mine` [N] are those of the own stream. A stream that is too short is repeated."""
    one = cut_into_rows(epochs_of(shared), int((~mine).sum()), length, end)
    two = cut_into_rows(epochs_of(own), int(mine.sum()), length, end)
    tokens = np.empty((len(mine), length + 1), dtype=np.int32)
    tokens[~mine], tokens[mine] = one.tokens, two.tokens
    first, last = np.empty(len(mine), dtype=np.int64), np.empty(len(mine), dtype=np.int64)
    first[~mine], first[mine] = one.first, two.first + len(one.ids)
    last[~mine], last[mine] = one.last, two.last + len(one.ids)
    return Rows(tokens, end, one.ids + two.ids, first, last)


def epochs_of(documents: Keyed) -> Iterator[TokenizedDocument]:
    """The documents over and over: first in the order of their keys, then reshuffled by key and epoch. Never ends."""
    keys = np.array([key for key, _ in documents], dtype=np.uint64)
    epoch = 0
    while documents:
        order = np.argsort(scramble(keys + np.uint64(epoch)) if epoch else keys, kind="stable")
        yield from (documents[index][1] for index in order)
        epoch += 1


def cut_into_rows(documents: Iterable[TokenizedDocument], rows: int, length: int, end: int) -> Rows:
    """Documents one after the other, `end` before each, cut into rows.

    A row begins with the last token of the row before it, so that every token is predicted exactly once. The documents
    must hold enough tokens.
    """
    need, parts, ids, begins = rows * length + 1, [], [], [0]
    for piece in documents:
        parts += [np.array([end], dtype=np.int32), piece.tokens]
        ids.append(piece.id)
        begins.append(begins[-1] + 1 + len(piece.tokens))
        if begins[-1] >= need:
            break
    joined = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
    starts = np.arange(rows) * length
    places = np.array(begins[1:])
    first, last = (np.searchsorted(places, at, side="right") for at in (starts, starts + length))
    return Rows(joined[starts[:, None] + np.arange(length + 1)], end, ids, first, last)
