"""Builds `decontamination`: the n-grams of all evaluation documents, and the test whether a text shares one.

A document that shares one run of 13 words with an evaluation document, or holds all words of one that has 8 to 12, is
trained on by no model (n-gram overlap after Brown et al., 2020, arXiv:2005.14165, appendix C, whole documents instead
of stretches of them). Evaluation documents are all held-out ones of the pool, whatever a prompt measures, and those
that a prompt names beside them. So prompts that name none share one index, and one control. The number of held-out
documents is bounded, and so is the index: 12 bytes a word of the evaluation documents. Training documents are not read
here: those that are drawn for training are tested where they are drawn, in 0.1 ms for 80 words.

Words are runs of letters and digits without case, in one form of Unicode, so that layout, punctuation and the way in
which an accent is written hide nothing. A Chinese or Japanese character is a word, since no space parts their words.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from datashop_assets.core.step import StepOutput, StepRun
from datashop_assets.documents.pool import pool_shards, read_chosen, read_index
from datashop_assets.documents.reading import read_source
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.documents.split import Split
from datashop_assets.protocols.documents import Document
from datashop_assets.statistics.draws import scramble
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_documents.results import DecontaminationResult
from datashop_assets.training_documents.settings import DecontaminationConfig

HELDOUT = "held-out"
NGRAMS = "ngrams.parquet"
NGRAMS_SCHEMA = {"hash": pl.UInt64, "document": pl.Int32}  # ascending, each once; the first document that has it
DOCUMENTS = "documents.parquet"
DOCUMENTS_SCHEMA = {
    "set": pl.String,  # `held-out`, or the address of named documents
    "id": pl.String,
    "words": pl.Int64,
}
UNSPACED = "\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Han
WORDS = re.compile(rf"[^\W{UNSPACED}]+|[{UNSPACED}]")
SHORTEST = 8  # words of a text that is looked for as a whole (Brown et al., 2020, take no shorter runs)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
Named = tuple[tuple[str, str], str]  # set and id, text


def build(run: StepRun[DecontaminationConfig]) -> DecontaminationResult:
    """Writes the n-grams, and beside them the documents that they are of."""
    size, named = run.config.ngram, list(_named(run.config.sets, run.cache, run.data))
    index = NgramIndex.of(chain(_heldout(run.input(PretrainingPoolResult)), named), size)
    ngrams = pl.DataFrame({"hash": index.hashes, "document": index.owners}, schema=NGRAMS_SCHEMA)
    documents = [
        {"set": which, "id": name, "words": words}
        for (which, name), words in zip(index.names, index.words, strict=True)
    ]
    run.output.write_frames(NGRAMS, [ngrams], NGRAMS_SCHEMA, beside=True)
    run.output.write_rows(DOCUMENTS, documents, DOCUMENTS_SCHEMA)
    return DecontaminationResult(
        ngram=size,
        ngrams=len(index.hashes),
        heldout_documents=len(documents) - len(named),
        named_documents=len(named),
        named_too_short=sum(count < min(size, SHORTEST) for count in index.words[len(documents) - len(named) :]),
    )


def load_ngrams(output: StepOutput[DecontaminationResult]) -> "NgramIndex":
    """The index that a finished step holds."""
    ngrams, documents = output.table(NGRAMS), output.table(DOCUMENTS)
    names = list(documents.select("set", "id").iter_rows())
    return NgramIndex(
        ngrams["hash"].to_numpy(),
        ngrams["document"].to_numpy(),
        names,
        documents["words"].to_list(),
        output.result.ngram,
    )


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a text shares with an evaluation document."""

    ngrams: int  # of the text
    shared: int  # of them, those that an evaluation document has
    example: str  # the first one
    set: str  # of the document that has that one
    evaluation_id: str


@dataclass(frozen=True, eq=False)
class NgramIndex:
    """The n-grams of some documents: 12 bytes each, and the documents' names."""

    hashes: np.ndarray  # uint64 [N], sorted, each once
    owners: np.ndarray  # int32 [N]: the first document that has it
    names: Sequence[tuple[str, str]]  # set and id of each document
    words: Sequence[int]  # of each document
    size: int  # of an n-gram, in words

    @classmethod
    def of(cls, documents: Iterable[Named], size: int) -> "NgramIndex":
        """One document of fewer than `size` words is one n-gram, if it has `SHORTEST` or more."""
        names, counts, parts = [], [], []
        for name, text in documents:
            words = hashed(text)
            whole = SHORTEST <= len(words) < size
            names.append(name)
            counts.append(len(words))
            parts.append(np.unique(runs(words, len(words) if whole else size)))
        owners = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        joined = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
        hashes, first = np.unique(joined, return_index=True)
        return cls(hashes, owners[first], names, counts, size)

    @property
    def sizes(self) -> list[int]:
        """Of all n-grams, in words, the longest first: short documents are looked for as a whole."""
        return sorted({self.size, *(count for count in self.words if SHORTEST <= count < self.size)}, reverse=True)

    def found(self, grams: np.ndarray) -> np.ndarray:
        """For each of `grams` the document that has it, -1 where none does: int32 [N]."""
        if not len(self.hashes):
            return np.full(len(grams), -1, dtype=np.int32)
        places = np.minimum(np.searchsorted(self.hashes, grams), len(self.hashes) - 1)
        return np.where(self.hashes[places] == grams, self.owners[places], np.int32(-1))

    def overlaps(self, texts: Iterable[str]) -> Iterator[Overlap | None]:
        """What each text shares with the documents; None where it shares nothing."""
        sizes = self.sizes
        for text in texts:
            yield self._overlap(text, sizes)

    def _overlap(self, text: str, sizes: Sequence[int]) -> Overlap | None:
        words = hashed(text)
        for size in sizes:
            found = self.found(runs(words, size))
            if (places := np.flatnonzero(found >= 0)).size:
                first = int(places[0])
                which, name = self.names[found[first]]
                example = " ".join(words_of(text)[first : first + size])
                return Overlap(len(found), len(places), example, which, name)
        return None


def words_of(text: str) -> list[str]:
    """The words of a text, in order: NFKC, case folded."""
    return WORDS.findall((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold())


def hashed(text: str) -> np.ndarray:
    """uint64 [words], a hash for each."""
    return np.array([zlib.crc32(word.encode()) for word in words_of(text)], dtype=np.uint64)


def runs(words: np.ndarray, size: int) -> np.ndarray:
    """words [N] of `hashed` -> uint64 [N - size + 1], one hash for every `size` consecutive ones; empty for fewer."""
    count = len(words) - size + 1
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    combined = words[:count].copy()
    for step in range(1, size):
        combined = combined * _FACTOR + words[step : step + count]
    return scramble(combined)


def _heldout(pool: StageFolder) -> Iterator[Named]:
    for shard in pool_shards(pool):
        rows = (row["row"] for row in read_index(pool, shard) if row["split"] == Split.HELDOUT)
        yield from (((HELDOUT, one.id), one.text) for _, one in read_chosen(pool, shard, rows))


def _named(sets: Iterable[DocumentSource], cache: Path, data: Path) -> Iterator[Named]:
    """The documents that a prompt names. Raises `ValueError` for data that hold none: they would pass for clean."""
    for one in sets:
        empty = True
        for _, _, found in read_source(one, cache, data):
            if isinstance(found, Document):
                empty = False
                yield (one.uri, found.id), found.text
        if empty:
            raise ValueError(
                f"{one.uri} has no document with text in the field {one.text_field!r}, so nothing could be left out "
                "of training for it; correct uri or text_field in evaluation.benchmarks or evaluation.targets"
            )
