"""A fastText classifier with two classes that trains to the same bytes every time and scores exactly.

Stock fastText leaves weights uninitialised when it trains with fewer than ten threads, and with ten it does not repeat.
Here it trains on one thread in a subprocess whose allocator fills memory with zeros. It neither shuffles nor weighs,
and knows labels alone: documents are shuffled by seed, weighed by how often they are repeated, and one whose target
lies between the classes is read under both labels, in that proportion.
After the lookup a softmax classifier is linear: the model that is kept is folded (`model_file.py`), and a compiled
kernel (`scoring.py`) scores with it. Unlike stock `predict` it does not round probabilities to 1e-5.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datashop_assets.models.fasttext.model_file import FastTextFile, read_model, write_model
from datashop_assets.processes.child import run_child
from datashop_assets.storage.writing import replacing

TRAINING_PROCESS = Path(__file__).with_name("training_process.py")
MODEL = "model.bin"
POSITIVE, NEGATIVE = "__label__yes", "__label__no"
LARGEST_WEIGHT = 1e4  # healthy weights stay below 100; memory read as floats reaches 1e30
# Nine tenths of the weights start at zero, so learning sets in late: with 550 simulated labels AUC against gold was
# 0.93 after 5,500 documents read and 0.976 after 14,000; from 12,000 to 24,000 it is flat.
LEAST_READ = 16_000
COPIES = 20  # times a document with a target between the classes is read; with 10 or 40 the AUC was the same to 0.003


@dataclass(frozen=True, slots=True)
class FastTextSettings:
    """Hyperparameters. Subwords carry most of the gain; a file has some 4 * dim * buckets bytes."""

    dim: int = 16
    epochs: int = 5  # more where that reads fewer than `LEAST_READ` documents
    learning_rate: float = 0.5
    min_subword: int = 3
    max_subword: int = 5
    buckets: int = 50_000
    each_word_once: bool = True  # and lower-cased; else a text is read as it stands, like stock `predict` reads it


def words(text: str) -> list[str]:
    """A text as fastText reads it here: lower-cased, split at white space, each word once, in order of appearance.

    A word that looks like a label is taken apart, and what UTF-8 cannot hold becomes a question mark.
    """
    plain = text.lower().replace("__label__", "label ").replace("\0", " ")
    return list(dict.fromkeys(plain.encode("utf-8", "replace").decode().split()))


def _line(text: str, each_word_once: bool) -> str:
    """A text as a line of a training file, without its end. What would be taken for a label is taken apart."""
    if each_word_once:
        return " ".join(words(text))
    plain = text.replace("__label__", "label ").replace("\n", " ").replace("\0", " ")
    return plain.encode("utf-8", "replace").decode()


def training_lines(
    texts: Sequence[str], targets: Sequence[float], repeats: Sequence[int], seed: int, each_word_once: bool = True
) -> list[str]:
    """Lines of a training file, shuffled: every text as often as it is to be read in an epoch, with its label.

    Where targets are not 0 and 1 alone, each text has `COPIES` lines for one, of which a share of its target is
    positive. Shares are moved by the root of the mean odds: rare positives are else drowned (AUC 0.90 for 0.94), and
    moved by all of the odds, frequent ones count too much (precision 0.78 for 0.83).
    """
    copies = 1 if set(targets) <= {0.0, 1.0} else COPIES
    mean = sum(targets) / max(1, len(targets))
    odds = 1.0 if copies == 1 else ((1 - mean) / mean) ** 0.5
    lines = []
    for text, target, repeat in zip(texts, targets, repeats, strict=True):
        line = _line(text, each_word_once)
        positive = round(copies * target * odds / (target * odds + 1 - target))
        lines += [f"{POSITIVE} {line}\n"] * (repeat * positive)
        lines += [f"{NEGATIVE} {line}\n"] * (repeat * (copies - positive))
    random.Random(seed).shuffle(lines)  # noqa: S311 - an order, no secret
    return lines


def fit(
    texts: Sequence[str],
    targets: Sequence[float],
    *,
    settings: FastTextSettings,
    seed: int,
    folder: Path,
    repeats: Sequence[int] | None = None,
) -> "FastText":
    """Trains on targets from 0 to 1 and leaves the folded model in `folder`, as `model.bin`.

    Raises `ValueError` when all targets are near one class, and `RuntimeError` when a trained weight is not a plausible
    number.
    """
    repeats = repeats or [1] * len(texts)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        text, path = Path(scratch) / "lines.txt", Path(scratch) / MODEL
        lines = training_lines(texts, targets, repeats, seed, settings.each_word_once)
        if len({line.partition(" ")[0] for line in lines}) < 2:
            raise ValueError(
                f"the targets of {len(targets)} documents go from {min(targets, default=0):g} to "
                f"{max(targets, default=0):g}: a classifier needs both classes. Annotate more documents, or change the "
                "question or the score from which a document counts as positive"
            )
        text.write_text("".join(lines), encoding="utf-8")
        arguments: dict[str, str | float] = {
            "input": str(text),
            "seed": seed,
            "dim": settings.dim,
            "epoch": max(1, -(-settings.epochs * sum(repeats) // len(lines)), -(-LEAST_READ // len(lines))),
            "lr": settings.learning_rate,
            "minn": settings.min_subword,
            "maxn": settings.max_subword,
            "bucket": settings.buckets,
            "thread": 1,
            "verbose": 0,
        }
        train_supervised(arguments, path)
        model = read_model(path)
        _refuse_implausible(path, model)
        with replacing(folder / MODEL) as ready:
            write_model(model.folded(), ready)
    return FastText(folder / MODEL, settings.each_word_once)


def train_supervised(arguments: Mapping[str, str | float], model: Path) -> None:
    """Trains with the `arguments` of `fasttext.train_supervised` in a process of its own, into the file `model`.

    Raises `RuntimeError` with the end of the process's standard error where it fails.
    """
    # 255 makes glibc fill what it allocates with zeros, which stands in for the initialisation that fastText leaves out
    environment = {**os.environ, "MALLOC_PERTURB_": "255"}
    command = [sys.executable, "-P", str(TRAINING_PROCESS), json.dumps(arguments), str(model)]
    done = run_child(command, environment)
    if done.returncode:
        raise RuntimeError(f"fastText's training process ended with {done.returncode}: {done.stderr.strip()[-2000:]}")


class FastText:
    """A trained classifier, loaded from a file of the stock library, folded or not.

    Raises `ValueError` for a file that cannot be scored with and `RuntimeError` for implausible weights.
    """

    def __init__(self, path: Path, each_word_once: bool = True) -> None:
        from datashop_assets.models.fasttext.scoring import Reader

        self.path = path
        model = read_model(path)
        _refuse_implausible(path, model)
        self._once = each_word_once
        self._reader = Reader(model, model.labels.index(POSITIVE))

    @property
    def paths(self) -> Sequence[Path]:
        return (self.path,)

    def margin(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """Log-odds of the positive class, float64 [documents]."""
        return self._reader.margins([self._plain(text) for text in texts], self._once)

    def score(self, texts: Iterable[str]) -> NDArray[np.float64]:
        """P(positive), float64 [documents], by the model's own logistic: not calibrated."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.margin(texts))))

    def _plain(self, text: str) -> bytes:
        if self._once:
            text = text.lower().replace("__label__", "label ")
        return text.encode("utf-8", "replace")


def _refuse_implausible(path: Path, model: FastTextFile) -> None:
    for matrix in (model.rows, model.output):
        if not np.isfinite(matrix).all() or np.abs(matrix).max() > LARGEST_WEIGHT:
            raise RuntimeError(
                f"{path} holds weights that are not finite, or above {LARGEST_WEIGHT:g}: it was trained on memory that "
                "was not filled with zeros, which MALLOC_PERTURB_=255 asks of glibc. Train it again on Linux with glibc"
            )
