"""Scores UTF-8 texts as fastText reads them, by a compiled kernel that averages one row a word, on one core.

The kernel repeats `Dictionary::getLine`, `computeSubwords`, `addWordNgrams` and `Model::computeHidden` of fastText
0.9.2: white space is any of space, tab, line feed, vertical tab, form feed, carriage return and zero, a word's hash is
32-bit FNV-1a over sign-extended bytes, every text ends with the word `</s>`, which also ends a text in which it stands.
A word is found by its hash and then compared byte by byte. Sums are float64 in the order of the text and depend on
nothing else.

A text is first split, then all its words are looked up, then summed: lookups that do not wait for each other overlap
their cache misses. A word's head holds its last eight bytes, so most words are compared without a look at `letters`.
"""

# ruff: noqa: PLR0917, SIM110 - compiled functions take no keywords, and generators cost them a call

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from datashop_assets.models.fasttext.model_file import FastTextFile

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Reals = NDArray[np.float64]
BASIS, PRIME, NGRAM_PRIME = np.uint32(2166136261), np.uint32(16777619), np.uint64(116049371)
LABEL = np.frombuffer(b"__label__", np.uint8)
END_WORD = b"</s>"
END = np.frombuffer(END_WORD, np.uint8)
KINDS = np.zeros(256, np.uint8)  # of bytes: 1 is white space, 2 begins what only Python takes for it, 0 neither
KINDS[[0, *range(9, 14), 32]] = 1
KINDS[[*range(28, 32), 0xC2, 0xE1, 0xE2, 0xE3]] = 2
SIZE, TAIL, BEGIN, PARTS = range(4)


class Lexicon(NamedTuple):
    """The words of a model and what each adds. K columns are averaged at once."""

    letters: Bytes  # all words, one after the other
    ends: Ints  # [words + 1], word w is letters[ends[w]:ends[w + 1]]
    heads: Ints  # [words, 4], `SIZE`, `TAIL`, `BEGIN` and `PARTS` of a word in one half of a cache line
    slots: NDArray[np.int32]  # open addressing by hash, -1 where empty; its size is a power of two
    sums: Reals  # [words, K], a word's own row and those of its subwords
    rows: Reals  # [words + buckets, K]
    buckets: int
    shortest: int  # subwords have this many characters at least,
    longest: int  # and at most this many; 0: none
    ngrams: int  # the longest run of words with a row of its own
    end: int  # the word `</s>`


class Tokens(NamedTuple):
    """Buffers for the words of any text, all [words]."""

    hashes: NDArray[np.uint32]
    begins: Ints
    ends: Ints
    tails: Ints  # the last eight bytes
    words: NDArray[np.int32]  # -1 where it is not known


class Seen(NamedTuple):
    """Words met in the text being read, where each counts once: known ones by number, others by hash and letters."""

    known: Ints  # [words], the text in which it was last met
    texts: Ints  # open addressing by hash: the text that filled the slot,
    begins: Ints  # and where in it the word stands
    ends: Ints


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
        means = mean_rows(data, ends, once, self._lexicon, seen, _tokens(longest))
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
    if END_WORD not in model.words or len(model.labels) < 2:
        raise ValueError(
            f"a model of {len(model.labels)} labels, with or without {END_WORD.decode()}, cannot be scored by"
        )
    rows = model.rows.astype(np.float64)
    if not np.array_equal(model.output, np.eye(len(model.labels))):  # it is not folded
        rows = np.einsum("rd,ld->rl", model.rows, model.output, dtype=np.float64)
    if len(model.labels) == 2:
        rows = rows[:, [label]] - rows[:, [1 - label]]
    size = len(model.words)
    letters = np.frombuffer(b"".join(model.words), np.uint8)
    ends = np.concatenate([[0], np.cumsum([len(word) for word in model.words])])
    slots = np.full(_slots(size), -1, np.int32)
    fill_slots(letters, ends, slots)
    lexicon = Lexicon(
        letters=letters,
        ends=ends,
        heads=np.zeros((size, 4), np.int64),
        slots=slots,
        sums=np.zeros((size, rows.shape[1])),
        rows=np.ascontiguousarray(rows),
        buckets=model.settings["bucket"],
        shortest=model.settings["minn"],
        longest=model.settings["maxn"],
        ngrams=model.settings["word_ngrams"],
        end=model.words.index(END_WORD),
    )
    fill_sums(lexicon)
    return lexicon


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


@njit(cache=True)
def hash_of(data: Bytes, begin: int, end: int) -> np.uint32:
    found = BASIS
    for place in range(begin, end):
        found = _hashed(found, data[place])
    return found


@njit(cache=True, inline="always")
def _hashed(found: np.uint32, byte: np.uint8) -> np.uint32:
    return np.uint32((found ^ np.uint32(np.int32(np.int8(byte)))) * PRIME)


@njit(cache=True)
def fill_slots(letters: Bytes, ends: Ints, slots: NDArray[np.int32]) -> None:
    """Puts every word into its slot, or the next that is free."""
    for word in range(len(ends) - 1):
        slot = np.int64(hash_of(letters, ends[word], ends[word + 1])) & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = word


@njit(cache=True)
def fill_sums(lexicon: Lexicon) -> None:
    """The head of every word, and the sum and number of its rows. `</s>` has no subwords."""
    for word in range(len(lexicon.ends) - 1):
        begin, end, tail = lexicon.ends[word], lexicon.ends[word + 1], np.int64(0)
        for place in range(begin, end):
            tail = tail << 8 | np.int64(lexicon.letters[place])
        lexicon.sums[word], parts = lexicon.rows[word], 1
        if word != lexicon.end:
            parts += _add_subwords(lexicon, lexicon.letters, begin, end, lexicon.sums[word])
        head = lexicon.heads[word]
        head[SIZE], head[TAIL], head[BEGIN], head[PARTS] = end - begin, tail, begin, parts


@njit(cache=True)
def mean_rows(data: Bytes, ends: Ints, once: bool, lexicon: Lexicon, seen: Seen, tokens: Tokens) -> Reals:
    """Texts data[ends[n]:ends[n + 1]] -> the mean of each one's rows [N, K].

    `once`: every word of a text counts once, and white space is what Python splits at. `tokens` is long enough
    for the words of any text.
    """
    means = np.zeros((len(ends) - 1, lexicon.rows.shape[1]))
    for text in range(len(ends) - 1):
        count = _split(data, ends[text], ends[text + 1], once, tokens)
        _find_all(lexicon.slots, lexicon.heads, lexicon.letters, data, tokens, count)
        means[text] /= _add_all(data, text, once, lexicon, seen, tokens, count, means[text])
    return means


@njit(cache=True)
def _split(data: Bytes, place: int, end: int, once: bool, tokens: Tokens) -> int:
    """The words of a text into `tokens`, up to a `</s>`; returns how many they are."""
    count = 0
    while place < end:
        width = _space(data, place, end, once)
        if width:
            place += width
            continue
        begin, found, tail = place, BASIS, np.int64(0)
        while place < end:
            byte = data[place]
            if KINDS[byte] and _space(data, place, end, once):
                break
            found = _hashed(found, byte)
            tail = tail << 8 | np.int64(byte)
            place += 1
        if place - begin == len(END) and _equal(data, begin, END, 0, len(END)):
            break
        tokens.hashes[count], tokens.tails[count] = found, tail
        tokens.begins[count], tokens.ends[count] = begin, place
        count += 1
    return count


@njit(cache=True)
def _find_all(slots: NDArray[np.int32], heads: Ints, letters: Bytes, data: Bytes, tokens: Tokens, count: int) -> None:
    """The number of every word in `tokens`, -1 for one that is not known."""
    last = len(slots) - 1
    for token in range(count):
        tokens.words[token] = slots[np.int64(tokens.hashes[token]) & last]
    for token in range(count):
        slot, word = np.int64(tokens.hashes[token]) & last, tokens.words[token]
        begin, size, tail = tokens.begins[token], tokens.ends[token] - tokens.begins[token], tokens.tails[token]
        while word >= 0:
            same = heads[word, SIZE] == size and heads[word, TAIL] == tail
            if same and (size <= 8 or _equal(data, begin, letters, int(heads[word, BEGIN]), size - 8)):
                break
            slot = (slot + 1) & last
            word = slots[slot]
        tokens.words[token] = word


@njit(cache=True)
def _add_all(
    data: Bytes,
    text: int,
    once: bool,
    lexicon: Lexicon,
    seen: Seen,
    tokens: Tokens,
    count: int,
    total: Reals,
) -> int:
    """Adds the rows of all words in `tokens`, and of the end, to `total`; returns how many they are."""
    parts, words, size = 0, 0, len(LABEL)
    for token in range(count):
        word, begin, end, found = tokens.words[token], tokens.begins[token], tokens.ends[token], tokens.hashes[token]
        if once and _met(seen, text, word, data, begin, end, found):
            continue
        if word < 0 and end - begin >= size and _equal(data, begin, LABEL, 0, size):
            continue
        tokens.hashes[words] = found
        words += 1
        if word >= 0:
            parts += int(lexicon.heads[word, PARTS])
            for column in range(len(total)):
                total[column] += lexicon.sums[word, column]
        else:
            parts += _add_subwords(lexicon, data, begin, end, total)
    tokens.hashes[words] = hash_of(END, 0, len(END))
    total += lexicon.sums[lexicon.end]
    parts += int(lexicon.heads[lexicon.end, PARTS])
    return int(parts + _add_ngrams(lexicon, tokens.hashes[: words + 1], total))


@njit(cache=True)
def _add_subwords(lexicon: Lexicon, data: Bytes, begin: int, end: int, total: Reals) -> int:
    """Adds the rows of a word's subwords, of `<word>` between its brackets; returns how many they are."""
    count, length = 0, end - begin + 2
    if lexicon.longest <= 0:
        return count
    for first in range(length):
        if 0 < first < length - 1 and data[begin + first - 1] & 0xC0 == 0x80:
            continue
        found, place, size = BASIS, first, 0
        while place < length and size < lexicon.longest:
            size += 1
            found = _hashed(found, _letter(data, begin, end, place))
            place += 1
            while place < length - 1 and data[begin + place - 1] & 0xC0 == 0x80:
                found = _hashed(found, data[begin + place - 1])
                place += 1
            if size >= lexicon.shortest and not (size == 1 and (first == 0 or place == length)):
                row = len(lexicon.ends) - 1 + np.int64(found) % lexicon.buckets
                for column in range(len(total)):
                    total[column] += lexicon.rows[row, column]
                count += 1
    return count


@njit(cache=True, inline="always")
def _letter(data: Bytes, begin: int, end: int, place: int) -> np.uint8:
    if place == 0:
        return np.uint8(60)  # <
    return data[begin + place - 1] if begin + place - 1 < end else np.uint8(62)  # >


@njit(cache=True)
def _add_ngrams(lexicon: Lexicon, hashes: NDArray[np.uint32], total: Reals) -> int:
    """Adds the rows of runs of words; returns how many they are."""
    count = 0
    for first in range(len(hashes) if lexicon.ngrams > 1 else 0):
        found = np.uint64(np.int64(np.int32(hashes[first])))
        for place in range(first + 1, min(first + lexicon.ngrams, len(hashes))):
            found = found * NGRAM_PRIME + np.uint64(np.int64(np.int32(hashes[place])))
            row = len(lexicon.ends) - 1 + np.int64(found % np.uint64(lexicon.buckets))
            total += lexicon.rows[row]
            count += 1
    return count


@njit(cache=True)
def _met(seen: Seen, text: int, word: int, data: Bytes, begin: int, end: int, found: np.uint32) -> bool:
    """Whether the text had this word before; from now on it had."""
    if word >= 0:
        met = seen.known[word] == text
        seen.known[word] = text
        return bool(met)
    slot = np.int64(found) & (len(seen.texts) - 1)
    while seen.texts[slot] == text:
        size = end - begin
        if seen.ends[slot] - seen.begins[slot] == size and _equal(data, begin, data, seen.begins[slot], size):
            return True
        slot = (slot + 1) & (len(seen.texts) - 1)
    seen.texts[slot], seen.begins[slot], seen.ends[slot] = text, begin, end
    return False


@njit(cache=True)
def _equal(data: Bytes, begin: int, other: Bytes, start: int, size: int) -> bool:
    for place in range(size):
        if data[begin + place] != other[start + place]:
            return False
    return True


@njit(cache=True)
def _space(data: Bytes, place: int, end: int, wide: bool) -> int:
    """Bytes of the white space that begins here; 0 where none does."""
    kind = KINDS[data[place]]
    if kind < 2:
        return int(kind)
    return _wide_space(data, place, end) if wide else 0


@njit(cache=True)
def _wide_space(data: Bytes, place: int, end: int) -> int:
    """What Python's `str.split` takes for white space and fastText does not, as UTF-8."""
    byte = data[place]
    if 28 <= byte <= 31:
        return 1
    if byte == 0xC2 and place + 1 < end:
        return 2 if data[place + 1] in (0x85, 0xA0) else 0
    if byte < 0xE1 or byte > 0xE3 or place + 2 >= end:
        return 0
    code = np.int64(byte & 0x0F) << 12 | np.int64(data[place + 1] & 0x3F) << 6 | np.int64(data[place + 2] & 0x3F)
    found = code in (0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000) or 0x2000 <= code <= 0x200A
    return 3 if found else 0
