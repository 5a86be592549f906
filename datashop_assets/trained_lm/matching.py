"""Documents drawn to match the kept ones: the same tokens from every source and every length.

A stratum is a source and an octave of lengths. Of each, a random draw of all training documents, kept ones among them,
takes as many tokens as the filter kept there: what a filter gives that knows sources and lengths, and nothing of the
text. So the difference from it is the rubric's own. Sources of few documents, which may be an address each, are one:
where a document is alone in its stratum, nothing but itself could be drawn. Memory grows with the number of sources,
not of documents.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from datashop_assets.documents.results import OTHERS
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.draws import Draw
from datashop_assets.trained_lm.training_pool import Batch, Piece, TrainingPool, kept_rows

FEW = 20  # training documents
Stratum = tuple[str, int]  # source, and the bits of the number of tokens


@dataclass(frozen=True)
class Kept:
    """What a filter kept of the documents that may be trained on."""

    tokens: Counter[Stratum]
    named: frozenset[str]  # sources that are strata of their own

    def strata(self, batch: Batch) -> list[Stratum]:
        """The stratum of each document."""
        places = zip(batch.sources, batch.sizes.tolist(), strict=True)
        return [(str(source) if source in self.named else OTHERS, size.bit_length()) for source, size in places]


def kept_of(pool: TrainingPool, filtered: StageFolder) -> Kept:
    """Tokens that the filter kept in each stratum. Sources of fewer than `FEW` documents are one."""
    documents, found = Counter[str](), Counter[Stratum]()
    for shard in pool.shards:
        kept = kept_rows(filtered, shard)
        for batch in pool.batches(shard):
            documents.update(map(str, batch.sources))
            chosen = np.isin(batch.rows, kept)
            for source, size in zip(batch.sources[chosen], batch.sizes[chosen].tolist(), strict=True):
                found[str(source), size.bit_length()] += size
    named = frozenset(source for source, count in documents.items() if count >= FEW)
    tokens = Counter[Stratum]()
    for (source, bits), total in found.items():
        tokens[source if source in named else OTHERS, bits] += total
    return Kept(tokens, named)


class MatchedDraw:
    """A draw in every stratum, together about `need` tokens or as many as were kept, whichever is less."""

    def __init__(self, kept: Kept, need: int) -> None:
        self.kept = kept
        share = min(1.0, need / max(1, kept.tokens.total()))
        self.draws: dict[Stratum, Draw[Piece]] = {
            stratum: Draw(round(tokens * share)) for stratum, tokens in kept.tokens.items() if round(tokens * share)
        }

    @property
    def size(self) -> int:
        return sum(1 + len(piece.tokens) for _, piece in self.keyed())

    def offer(self, stratum: Stratum, key: int, size: int, piece: Piece) -> None:
        if (draw := self.draws.get(stratum)) is not None:
            draw.offer(key, size, piece)

    def keyed(self) -> Iterator[tuple[int, Piece]]:
        """What was drawn, lowest key first."""
        yield from sorted((found for draw in self.draws.values() for found in _closest(draw)), key=lambda each: each[0])


def _closest(draw: Draw[Piece]) -> list[tuple[int, Piece]]:
    """A draw without its last document, where that comes closer to what was wanted."""
    found = list(draw.keyed())
    too_much = draw.size - draw.need
    return found[:-1] if found and 2 * too_much > 1 + len(found[-1][1].tokens) else found
