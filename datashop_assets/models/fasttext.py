"""A fastText classifier with two classes that trains to the same bytes every time and scores exactly.

Stock fastText leaves weights uninitialised when it trains with fewer than ten threads, and with ten it does not repeat.
Here it trains on one thread in a subprocess whose allocator fills memory with zeros; the price is 0.4 s a model.
It neither shuffles nor weighs: documents are shuffled by seed and weighed by how often they are repeated.
After the lookup a softmax classifier is linear, so a document's margin is a mean over one number a word, and every word
is looked up once. That is as fast as stock `predict` and, unlike it, does not round probabilities to 1e-5.
Several members with different seeds, their margins averaged, take out the noise of one: see `FastTextSettings`.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fasttext
import numpy as np
from numpy.typing import NDArray

CHILD = Path(__file__).with_name("fasttext_child.py")
POSITIVE, NEGATIVE = "__label__yes", "__label__no"
LARGEST_WEIGHT = 1e4  # healthy weights stay below 100; memory read as floats reaches 1e30
CACHED_WORDS = 1 << 20  # some 200 MB; a pool's words are mostly the same ones


@dataclass(frozen=True, slots=True)
class FastTextSettings:
    """What fastText is told. Subwords carry most of the gain; a file has some 4 * dim * buckets bytes."""

    dim: int = 16
    epochs: int = 25
    learning_rate: float = 0.5
    min_subword: int = 3
    max_subword: int = 5
    buckets: int = 50_000
    repetitions: int = 1  # lines a document of weight one is given; labels between 0 and 1 need several
    members: int = 1


def words(text: str) -> list[str]:
    """A text as fastText reads it here: lower-cased, split at white space, each word once, in order of appearance.

    A word that looks like a label is taken apart, and what UTF-8 cannot hold becomes a question mark.
    """
    plain = text.lower().replace("__label__", "label ").replace("\0", " ")
    return list(dict.fromkeys(plain.encode("utf-8", "replace").decode().split()))


def training_lines(
    texts: Sequence[str], labels: Sequence[float], weights: Sequence[float] | None, repetitions: int, seed: int
) -> list[str]:
    """Lines of a training file. A label of 0.7 and ten repetitions give seven positive lines and three negative."""
    lines = []
    for text, label, weight in zip(texts, labels, weights or [1.0] * len(texts), strict=True):
        total = max(1, round(weight * repetitions))
        positive = round(label * total)
        line = " ".join(words(text))
        lines += [f"{POSITIVE} {line}\n"] * positive + [f"{NEGATIVE} {line}\n"] * (total - positive)
    random.Random(seed).shuffle(lines)  # noqa: S311 - an order, no secret
    return lines


def fit(
    texts: Sequence[str],
    labels: Sequence[float],
    *,
    settings: FastTextSettings,
    seed: int,
    folder: Path,
    weights: Sequence[float] | None = None,
) -> "FastText":
    """Trains `settings.members` models on labels between 0 and 1 and leaves them in `folder` as `model-<n>.bin`.

    Raises `ValueError` when one class is missing, and `RuntimeError` when a trained weight is not a plausible number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"model-{member}.bin" for member in range(settings.members)]
    for member, path in enumerate(paths):
        member_seed = seed * settings.members + member
        lines = training_lines(texts, labels, weights, settings.repetitions, member_seed)
        _refuse_one_class(lines, len(texts))
        _train(lines, settings, member_seed, path)
    return FastText(paths)


def _refuse_one_class(lines: Sequence[str], documents: int) -> None:
    positive = sum(line.startswith(POSITIVE) for line in lines)
    if positive in (0, len(lines)):
        raise ValueError(
            f"{documents} documents give {positive} positive lines of {len(lines)}: a classifier needs both classes. "
            "Annotate more documents, or change the score from which a document counts as positive"
        )


def _train(lines: Sequence[str], settings: FastTextSettings, seed: int, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        text, arguments, model = (Path(scratch) / name for name in ("lines.txt", "arguments.json", "model.bin"))
        text.write_text("".join(lines), encoding="utf-8")
        options = {
            "input": str(text),
            "dim": settings.dim,
            "epoch": settings.epochs,
            "lr": settings.learning_rate,
            "minn": settings.min_subword,
            "maxn": settings.max_subword,
            "bucket": settings.buckets,
            "thread": 1,
            "seed": seed,
            "verbose": 0,
        }
        arguments.write_text(json.dumps(options))
        _run_child([sys.executable, "-P", str(CHILD), str(arguments), str(model)])
        model.replace(path)


def _run_child(command: Sequence[str]) -> None:
    # 255 makes glibc fill what it allocates with zeros, which stands in for the initialisation that fastText leaves out
    environment = {**os.environ, "MALLOC_PERTURB_": "255"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise RuntimeError(f"fastText's training process ended with {done.returncode}: {done.stderr.strip()[-2000:]}")


class FastText:
    """A trained classifier, loaded from the files that `fit` left."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self._members = [_Member(path) for path in paths]

    def margin(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """Log-odds of the positive class, float64 [documents], averaged over members."""
        split = [words(text) for text in texts]
        by_member = [[member.margin(document) for document in split] for member in self._members]
        return np.asarray(np.mean(by_member, axis=0), dtype=np.float64)

    def score(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """P(positive), float64 [documents], by the model's own logistic: not calibrated."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.margin(texts))))


class _Member:
    def __init__(self, path: Path) -> None:
        self._model = fasttext.load_model(str(path))
        rows, columns = self._model.get_input_matrix(), self._model.get_output_matrix()
        for name, matrix in (("input", rows), ("output", columns)):
            if not np.isfinite(matrix).all() or np.abs(matrix).max() > LARGEST_WEIGHT:
                raise RuntimeError(
                    f"{path}: the {name} matrix holds weights that are not finite or above {LARGEST_WEIGHT:g}. "
                    "The C library must fill memory with zeros under MALLOC_PERTURB_=255, as glibc does"
                )
        labels = self._model.get_labels()
        difference = columns[labels.index(POSITIVE)] - columns[labels.index(NEGATIVE)]
        self._folded = rows.astype(np.float64) @ difference
        self._known: dict[str, tuple[float, int]] = {}
        self._end = self._word("</s>")

    def _word(self, word: str) -> tuple[float, int]:
        """Sum of the folded weights of a word and its subwords, and how many they are."""
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= CACHED_WORDS:
                self._known.clear()
            ids = self._model.get_subwords(word)[1]
            found = self._known[word] = (float(self._folded[ids].sum()) if len(ids) else 0.0, len(ids))
        return found

    def margin(self, document: Iterable[str]) -> float:
        total, count = self._end
        for value, parts in map(self._word, document):
            total += value
            count += parts
        return total / count
