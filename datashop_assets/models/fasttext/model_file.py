"""The file that fastText writes, read and written without fastText, and folded to rows as wide as the labels.

After the lookup a softmax classifier is linear: a document's logits are the mean of its rows of the input matrix, times
the output matrix. `folded` multiplies the matrices beforehand. The stock library loads the result, whose output matrix
is the identity, and scores as before (to 1e-6); of 100 dimensions and two labels the file is some 40 times smaller.
Layout: `FastText::saveModel`, `Args::save`, `Dictionary::save` and `DenseMatrix::save` of fastText 0.9.2.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
MAGIC = (793712314, 12)  # of the file, and the version of its layout
HEAD, COUNTS, ENTRY, SHAPE = (struct.Struct(f"<{fields}") for fields in ("2i12id", "3i2q", "qb", "?2q"))
LOSSES = {2: "ns", 3: "softmax", 4: "ova"}  # whose scores follow from each label's logit; hs (1) has a tree instead
NAMES = ("dim", "ws", "epoch", "min_count", "neg", "word_ngrams", "loss", "model", "bucket", "minn", "maxn", "update")
LABEL = 1  # the type of an entry that is a label


@dataclass(frozen=True, eq=False)
class FastTextFile:
    """A supervised model: `words` and `labels` in order, rows [words + buckets, dim], output [labels, dim]."""

    settings: dict[str, int]
    threshold: float  # `t`, of sampling; not used in scoring
    tokens: int  # read in training
    words: Sequence[bytes]
    labels: Sequence[str]
    counts: Sequence[int]  # of every word, then of every label
    rows: Matrix
    output: Matrix

    def folded(self) -> "FastTextFile":
        """The same scores from rows [words + buckets, labels] and an output that is the identity."""
        rows = np.einsum("rd,ld->rl", self.rows, self.output, dtype=np.float64)  # not BLAS: the same bits on any core
        size = len(self.labels)
        settings = {**self.settings, "dim": size}
        return replace(self, settings=settings, rows=rows.astype(np.float32), output=np.eye(size, dtype=np.float32))


def read_model(path: Path) -> FastTextFile:
    """Raises `ValueError` for a file that is no dense supervised model of the layout above."""
    data = path.read_bytes()
    try:
        found, place = _read(data)
    except (struct.error, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a fastText model: {error}; train the encoder again") from error
    if place != len(data):
        raise ValueError(f"{path} has {len(data) - place} bytes after its end; train the encoder again")
    return found


def write_model(model: FastTextFile, path: Path) -> None:
    """Writes a file that the stock library loads."""
    with path.open("wb") as file:
        file.write(HEAD.pack(*MAGIC, *(model.settings[name] for name in NAMES), model.threshold))
        sizes = (len(model.counts), len(model.words), len(model.labels))
        file.write(COUNTS.pack(*sizes, model.tokens, -1))
        names = [*model.words, *(label.encode() for label in model.labels)]
        for place, (name, count) in enumerate(zip(names, model.counts, strict=True)):
            file.write(name + b"\0" + ENTRY.pack(count, LABEL if place >= len(model.words) else 0))
        for matrix in (model.rows, model.output):
            file.write(SHAPE.pack(False, *matrix.shape) + matrix.tobytes())


def _read(data: bytes) -> tuple[FastTextFile, int]:
    magic, version, *values, threshold = HEAD.unpack_from(data)
    settings = dict(zip(NAMES, values, strict=True))
    if (magic, version) != MAGIC:
        raise ValueError(f"it begins with {magic}, {version} and not with {MAGIC}")
    if settings["loss"] not in LOSSES:
        raise ValueError(f"its loss is number {settings['loss']}; give one of {', '.join(LOSSES.values())}")
    size, words, labels, tokens, pruned = COUNTS.unpack_from(data, HEAD.size)
    if pruned >= 0:
        raise ValueError("it is quantized; give the file that was not")
    names, counts, place = _entries(data, HEAD.size + COUNTS.size, size)
    rows, place = _matrix(data, place)
    output, place = _matrix(data, place)
    if rows.shape != (words + settings["bucket"], settings["dim"]) or output.shape != (labels, settings["dim"]):
        raise ValueError(f"its matrices are {rows.shape} and {output.shape}, which is not what its settings say")
    shown = [name.decode() for name in names[words:]]
    return FastTextFile(settings, threshold, tokens, names[:words], shown, counts, rows, output), place


def _entries(data: bytes, place: int, size: int) -> tuple[list[bytes], list[int], int]:
    names, counts = [], []
    for _ in range(size):
        end = data.index(b"\0", place)
        count, _ = ENTRY.unpack_from(data, end + 1)
        names.append(data[place:end])
        counts.append(count)
        place = end + 1 + ENTRY.size
    return names, counts, place


def _matrix(data: bytes, place: int) -> tuple[Matrix, int]:
    quantized, rows, columns = SHAPE.unpack_from(data, place)
    if quantized:
        raise ValueError("it is quantized; give the file that was not")
    place += SHAPE.size
    values = np.frombuffer(data, np.float32, rows * columns, place)
    return values.reshape(rows, columns), place + values.nbytes
