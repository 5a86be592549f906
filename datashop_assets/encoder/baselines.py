"""What can be guessed without reading: a document's length, and where it is from.

Both are logistic curves fit on the same labels as the encoder. An encoder that does not beat them has learnt the mix of
sources or the habits of length, not the rubric.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

Array = NDArray[np.float64]


class Baselines:
    """Length-only and source-only scores, fit on labelled documents."""

    def __init__(self, lengths: Sequence[int], sources: Sequence[str], labels: Array, weights: Array) -> None:
        self._sources = {source: place for place, source in enumerate(sorted(set(sources)))}
        scale = weights / weights.mean()
        # two numbers need no penalty, and under one the curve cannot bend
        self._length = LogisticRegression(C=1e6, max_iter=1000).fit(_curve(lengths), labels, sample_weight=scale)
        self._source = LogisticRegression(max_iter=1000).fit(self._one_hot(sources), labels, sample_weight=scale)

    def scores(self, lengths: Sequence[int], sources: Sequence[str]) -> Mapping[str, Array]:
        """P(positive) by length (characters of whole documents) and by source, each float64 [documents].

        A source never seen gets the average.
        """
        return {
            "length": np.asarray(self._length.predict_proba(_curve(lengths))[:, 1]),
            "source": np.asarray(self._source.predict_proba(self._one_hot(sources))[:, 1]),
        }

    def _one_hot(self, sources: Sequence[str]) -> sparse.csr_array:
        """[documents, known sources], of which only the ones are held: a source field may hold a URL."""
        columns = [self._sources.get(source, -1) for source in sources]
        rows = [row for row, column in enumerate(columns) if column >= 0]
        ones = (np.ones(len(rows)), (rows, [columns[row] for row in rows]))
        return sparse.csr_array(ones, (len(sources), len(self._sources)))


def _curve(lengths: Sequence[int]) -> Array:
    """The logarithm of a length and its square: the share of positives may rise and fall with length."""
    log = np.log1p(np.asarray(lengths, dtype=np.float64)) / 10
    return np.stack([log, log**2], axis=1)
