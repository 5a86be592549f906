"""A fastText model as the kernel wants it, and margins of whole batches of texts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datashop_assets.models import fasttext_kernel as kernel
from datashop_assets.models.fasttext_file import FastTextFile
from datashop_assets.models.fasttext_kernel import Lexicon, Seen, Tokens

END = b"</s>"


class Reader:
    """Scores UTF-8 texts by the margin of one label. Raises `ValueError` for a model that cannot read an empty text."""

    def __init__(self, model: FastTextFile, label: int) -> None:
        self._label = label
        self._lexicon = lexicon_of(model, label)

    def margins(self, texts: Sequence[bytes], once: bool) -> NDArray[np.float64]:
        """Log-odds of the label against all others, float64 [texts]. `once`: each word of a text counts once.

        Bytes that are no UTF-8 are letters like any other.
        """
        data = np.frombuffer(b"".join(texts), np.uint8)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        ends = np.concatenate([[0], np.cumsum(lengths)])
        longest = int(lengths.max(initial=0)) // 2 + 2  # words: a letter and a space each, and the end
        seen = _seen(self._lexicon, longest if once else 1)
        means = kernel.mean_rows(data, ends, once, self._lexicon, seen, _tokens(longest))
        return margins_of(means, self._label)


def margins_of(logits: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    """Logits [N, labels] -> log-odds of one label [N]; of two labels `lexicon_of` has made one column of it."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    others = np.delete(logits, label, axis=1)
    highest = others.max(axis=1)
    total = np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return np.asarray(logits[:, label] - highest - total)


def lexicon_of(model: FastTextFile, label: int) -> Lexicon:
    """With two labels, rows hold one column: the difference of the two logits."""
    if END not in model.words or len(model.labels) < 2:
        raise ValueError(f"a model of {len(model.labels)} labels, with or without {END.decode()}, cannot be scored by")
    rows = _logits(model)
    if len(model.labels) == 2:
        rows = rows[:, [label]] - rows[:, [1 - label]]
    size = len(model.words)
    letters = np.frombuffer(b"".join(model.words), np.uint8)
    ends = np.concatenate([[0], np.cumsum([len(word) for word in model.words])])
    slots = np.full(_slots(size), -1, np.int32)
    kernel.fill_slots(letters, ends, slots)
    settings = model.settings
    sums, heads = np.zeros((size, rows.shape[1])), np.zeros((size, 4), np.int64)
    sizes = settings["bucket"], settings["minn"], settings["maxn"], settings["word_ngrams"]
    lexicon = Lexicon(letters, ends, heads, slots, sums, np.ascontiguousarray(rows), *sizes, model.words.index(END))
    kernel.fill_sums(lexicon)
    return lexicon


def _logits(model: FastTextFile) -> NDArray[np.float64]:
    """Rows [words + buckets, labels]; those of a folded model as they are."""
    if np.array_equal(model.output, np.eye(len(model.labels))):
        return model.rows.astype(np.float64)
    return np.asarray(np.einsum("rd,ld->rl", model.rows, model.output, dtype=np.float64))


def _seen(lexicon: Lexicon, words: int) -> Seen:
    slots = _slots(words)
    empty = np.full(slots, -1, np.int64)
    return Seen(np.full(len(lexicon.sums), -1, np.int64), empty, np.empty(slots, np.int64), np.empty(slots, np.int64))


def _tokens(words: int) -> Tokens:
    begins, ends, tails = np.empty((3, words), np.int64)
    return Tokens(np.empty(words, np.uint32), begins, ends, tails, np.empty(words, np.int32))


def _slots(items: int) -> int:
    """A power of two at least twice the items, so that few share a slot."""
    return 1 << (2 * items + 1).bit_length()
