"""The folded model and the compiled kernel against the stock library: any text, any settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from datashop_assets.models.fasttext.classifier import train_supervised
from datashop_assets.models.fasttext.model_file import read_model, write_model
from datashop_assets.models.fasttext.scoring import Reader

SHAPES = {
    "words": {},
    "subwords": {"minn": 2, "maxn": 4, "bucket": 50},
    "single letters": {"minn": 1, "maxn": 3, "bucket": 50},
    "word n-grams": {"wordNgrams": 3, "bucket": 70},
    "three labels": {"labels": 3, "minn": 3, "maxn": 5, "bucket": 50},
    "one against all": {"loss": "ova", "labels": 3},
}
pieces = st.one_of(
    st.sampled_from(["theorem", "prime", "king", "</s>", "__label__a", "__label__x", "\x1c", "\u00a0", "\u3000", "é"]),
    st.text(max_size=12),
)
texts = st.lists(pieces, max_size=20).map(" ".join)


@dataclass(frozen=True)
class Pair:
    """The stock library's model, and ours of the same file."""

    stock: Any
    path: Path

    def readers(self) -> list[Reader]:
        model = read_model(self.path)
        return [Reader(model, label) for label in range(len(model.labels))]

    def shares(self, text: bytes) -> dict[str, float]:
        return {label: share for share, label in self.stock.f.predict(text + b"\n", -1, 0.0, "replace")}


@pytest.fixture(scope="module", params=SHAPES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("kernel")
    options = dict(SHAPES[request.param])
    words = ["a theorem on prime number", "the king won a battle", "é中 ünï red"][: options.pop("labels", 2)]
    lines = [f"__label__{'abc'[n]} {text} {count}\n" for count in range(20) for n, text in enumerate(words)]
    (folder / "lines.txt").write_text("".join(lines))
    return trained(folder, dim=5, **{"loss": "softmax", **options})


def trained(folder: Path, **options: Any) -> Pair:
    """A model trained on `lines.txt`, with weights drawn at random: every row counts."""
    arguments = {"input": str(folder / "lines.txt"), "thread": 1, "verbose": 0, "epoch": 1, **options}
    path = folder / "model.bin"
    train_supervised(arguments, path)
    stock, random = fasttext.load_model(str(path)), np.random.default_rng(0)
    stock.set_matrices(
        random.normal(size=stock.get_input_matrix().shape).astype(np.float32),
        random.normal(size=stock.get_output_matrix().shape).astype(np.float32),
    )
    stock.save_model(str(path))
    return Pair(stock, path)


def expected(pair: Pair, text: bytes) -> list[float]:
    """The margin of every label against all others, from the stock library's own mean of the text's rows."""
    mean = fasttext.FastText.fasttext.Vector(pair.stock.get_dimension())
    pair.stock.f.getSentenceVector(mean, text + b"\n")
    logits = pair.stock.get_output_matrix().astype(np.float64) @ np.array(mean)
    return [logit - float(logsumexp(np.delete(logits, place))) for place, logit in enumerate(logits)]


@settings(deadline=None, max_examples=60)
@given(text=texts | st.binary(max_size=80))
def test_every_margin_is_that_of_the_stock_library(pair: Pair, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    data = data.replace(b"\n", b" ")
    for reader, margin in zip(pair.readers(), expected(pair, data), strict=True):
        assert reader.margins([data], once=False)[0] == pytest.approx(margin, abs=1e-5)


def test_a_folded_file_scores_in_the_stock_library_as_the_whole_one(pair: Pair, tmp_path: Path) -> None:
    model = read_model(pair.path)
    write_model(model.folded(), tmp_path / "folded.bin")
    folded = Pair(fasttext.load_model(str(tmp_path / "folded.bin")), tmp_path / "folded.bin")
    assert folded.stock.get_dimension() == len(model.labels)
    for text in (b"", b"a theorem", b"king \xff\xfe", "é中 red blue".encode()):
        assert folded.shares(text) == pytest.approx(pair.shares(text), abs=2e-5)


def test_a_file_read_and_written_is_the_same_bytes(pair: Pair, tmp_path: Path) -> None:
    write_model(read_model(pair.path), tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == pair.path.read_bytes()


@settings(deadline=None, max_examples=60)
@given(many=st.lists(texts, max_size=6))
def test_reading_each_word_once_is_reading_a_text_without_its_repetitions(pair: Pair, many: list[str]) -> None:
    plain = [text.encode("utf-8", "replace").replace(b"\0", b" ") for text in many]
    singled = [" ".join(dict.fromkeys(text.decode().split())).encode() for text in plain]
    reader = pair.readers()[0]
    assert reader.margins(plain, once=True).tolist() == reader.margins(singled, once=False).tolist()


def test_words_that_share_a_hash_are_told_apart(tmp_path: Path) -> None:
    first, second = colliding()
    (tmp_path / "lines.txt").write_text(f"__label__a {first}\n__label__b other\n" * 5)
    pair = trained(tmp_path, dim=2, minCount=1)
    reader = pair.readers()[0]
    empty, known, unknown = reader.margins([b"", first.encode(), second.encode()], once=False)
    assert unknown == empty
    assert pair.shares(second.encode()) == pair.shares(b"")
    assert known == reader.margins([f"{first} {second} {first}".encode()], once=True)[0]


def colliding() -> tuple[str, str]:
    """Two words of one 32-bit hash, among 400,000 of ten letters."""
    letters = np.random.default_rng(0).integers(ord("a"), ord("z") + 1, (10, 400_000), np.uint32)
    hashes = np.full(letters.shape[1], 2166136261, np.uint32)
    for letter in letters:
        hashes = (hashes ^ letter) * np.uint32(16777619)
    order = np.argsort(hashes, kind="stable")
    place = int(np.flatnonzero(np.diff(hashes[order]) == 0)[0])
    first, second = ("".join(map(chr, letters[:, order[place + step]])) for step in (0, 1))
    return first, second


def test_a_file_that_is_no_model_is_refused_with_its_path(tmp_path: Path, pair: Pair) -> None:
    whole = pair.path.read_bytes()
    for broken in (b"", whole[:100], whole[:-8], whole + b"x", b"\0" * 200):
        (tmp_path / "broken.bin").write_bytes(broken)
        with pytest.raises(ValueError, match=r"broken\.bin"):
            read_model(tmp_path / "broken.bin")
