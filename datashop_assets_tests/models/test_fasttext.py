"""fastText that repeats, scores exactly, and refuses what it cannot learn from."""

from pathlib import Path

import fasttext
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.models.fasttext.classifier import (
    NEGATIVE,
    POSITIVE,
    FastText,
    FastTextSettings,
    fit,
    training_lines,
    words,
)

SETTINGS = FastTextSettings(dim=4, buckets=500)
TEXTS = [f"a theorem about prime number {n} and its proof" for n in range(20)]
TEXTS += [f"the king of city {n} won a battle at sea" for n in range(40)]
LABELS = [1] * 20 + [0] * 40


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> FastText:
    return fit(TEXTS, LABELS, settings=SETTINGS, seed=1, folder=tmp_path_factory.mktemp("fasttext"))


def test_training_again_gives_the_same_bytes(trained: FastText, tmp_path: Path) -> None:
    for attempt in range(2):
        again = fit(TEXTS, LABELS, settings=SETTINGS, seed=1, folder=tmp_path / str(attempt))
        assert again.path.read_bytes() == trained.path.read_bytes()


def test_training_leaves_nothing_but_the_model(trained: FastText) -> None:
    assert [path.name for path in trained.path.parent.iterdir()] == ["model.bin"]


def test_it_learns_what_separates_the_classes(trained: FastText) -> None:
    assert trained.score(["a proof of the theorem"])[0] > 0.9
    assert trained.score(["the battle of the king"])[0] < 0.1


def test_scores_are_those_of_the_stock_library(trained: FastText) -> None:
    stock = fasttext.load_model(str(trained.path))
    texts = [*TEXTS, "", "words never seen before", "prime prime prime", "Prime\nKING \u00e9\u4e2d"]
    for text, score in zip(texts, trained.score(texts), strict=True):
        labels, shares = stock.predict(" ".join(words(text)), k=2)
        assert dict(zip(labels, shares, strict=True))[POSITIVE] == pytest.approx(score, abs=2e-5)


def test_a_margin_does_not_depend_on_what_was_scored_before(trained: FastText) -> None:
    together = trained.margin(TEXTS)
    assert [FastText(trained.path).margin([text])[0] for text in TEXTS[:3]] == together[:3].tolist()


def test_repeats_say_how_often_a_text_is_read() -> None:
    lines = training_lines(["one", "two"], [1, 0], [3, 1], seed=0)
    assert sorted(lines) == [f"{NEGATIVE} two\n", *[f"{POSITIVE} one\n"] * 3]


def test_a_target_between_the_classes_is_read_under_both_in_proportion() -> None:
    lines = training_lines(["half", "yes", "no"], [0.5, 1.0, 0.0], [1, 1, 1], seed=0)
    counts = {line.strip(): lines.count(line) for line in lines}
    assert counts == {
        f"{POSITIVE} half": 10, f"{NEGATIVE} half": 10, f"{POSITIVE} yes": 20, f"{NEGATIVE} no": 20
    }  # fmt: skip


def test_rare_targets_count_for_more() -> None:
    lines = training_lines(["some", *map(str, range(9))], [0.5, *[0.0] * 9], [1] * 10, seed=0)
    positive = sum(line.startswith(POSITIVE) for line in lines)
    assert positive == round(20 * 19**0.5 / (19**0.5 + 1))


def test_the_order_of_lines_follows_the_seed() -> None:
    first, again, other = (training_lines(TEXTS, LABELS, [1] * 60, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first) == sorted(other)


def test_one_class_alone_is_refused_with_its_counts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the targets of 2 documents go from 0 to 0: a classifier needs both classes"):
        fit(["one", "two"], [0, 0], settings=SETTINGS, seed=0, folder=tmp_path)


def test_weights_that_are_no_plausible_numbers_are_refused(trained: FastText, tmp_path: Path) -> None:
    data = trained.path.read_bytes()
    weights = np.frombuffer(data[-4 * 2 * 2 :], np.float32).copy()  # the output of two labels ends the file
    for bad in (np.nan, np.inf, 1e30):
        weights[0] = bad
        broken = tmp_path / "broken.bin"
        broken.write_bytes(data[: -weights.nbytes] + weights.tobytes())
        with pytest.raises((RuntimeError, ValueError), match=r"not finite|NaN"):
            FastText(broken)


def test_a_failed_training_process_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="training process ended"):
        fit(TEXTS, LABELS, settings=FastTextSettings(dim=-1), seed=0, folder=tmp_path)


@given(st.text(st.characters(), max_size=200))
def test_any_text_becomes_one_line_of_different_lower_case_words(text: str) -> None:
    found = words(text)
    line = " ".join(found)
    assert len(set(found)) == len(found)
    assert "\n" not in line
    assert "\0" not in line
    assert "__label__" not in line
    line.encode()


@given(texts=st.lists(st.text(max_size=100), max_size=5))
def test_any_text_gets_a_finite_margin(trained: FastText, texts: list[str]) -> None:
    assert np.isfinite(trained.margin(texts)).all()
