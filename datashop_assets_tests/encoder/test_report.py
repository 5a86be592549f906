"""What length alone and source alone say of a document, and which errors are shown."""

import tracemalloc

import numpy as np
import polars as pl
import pytest

from datashop_assets.encoder.describe import errors_table
from datashop_assets.encoder.measures import ScoredSample, summarize
from datashop_assets.encoder.report import Baselines, errors_to_read, refuse_useless
from datashop_assets.statistics.ranking import auc


def test_a_source_says_the_share_of_its_positives_and_an_unknown_one_something_between() -> None:
    sources = ["a"] * 400 + ["b"] * 600
    labels = (np.arange(1000) % 400 < 100).astype(np.float64)  # of a 0.25, of b 0.333
    found = Baselines([9] * 1000, sources, labels, np.ones(1000)).scores([9] * 3, ["a", "b", "never seen"])["source"]
    assert found[:2] == pytest.approx([labels[:400].mean(), labels[400:].mean()], abs=0.01)
    assert found[0] < found[2] < found[1]


def test_length_alone_follows_a_rise_and_a_fall() -> None:
    lengths = np.exp(np.random.default_rng(0).uniform(3, 9, 600)).astype(int).tolist()
    share = np.exp(-((np.log(lengths) - 6) ** 2)) / 2  # highest at 400 characters
    labels = (np.random.default_rng(1).random(600) < share).astype(np.float64)
    length_only = Baselines(lengths, ["a"] * 600, labels, np.ones(600))
    found = length_only.scores(lengths, ["a"] * 600)["length"]
    assert auc(found, labels, np.ones((1, 600)))[0] > 0.8
    assert length_only.scores([20, 400, 8000], ["a"] * 3)["length"].argmax() == 1


def test_memory_does_not_grow_with_the_square_of_sources() -> None:
    sources, labels = [f"https://example.org/{n}" for n in range(3000)], (np.arange(3000) % 10 == 0).astype(np.float64)
    tracemalloc.start()
    Baselines([9] * 3000, sources, labels, np.ones(3000)).scores([9] * 3000, sources)
    assert tracemalloc.get_traced_memory()[1] < 20e6  # 3,000 times 3,000 numbers are 72 MB
    tracemalloc.stop()


def test_the_errors_to_read_are_the_surest_ones() -> None:
    rows = pl.DataFrame({"id": list("abcd"), "source": ["s"] * 4, "text": ["<b>", "y" * 999, "z", "w"]}).with_columns(
        label=pl.Series([0, 0, 1, 1]), expected_score=pl.Series([1.0, 1.0, 4.0, 4.0])
    )
    scores = np.array([0.6, 0.9, 0.2, 0.8])
    positives, negatives = errors_to_read(rows, scores, 0.5)
    assert [one.id for one in positives] == ["b", "a"]
    assert [one.id for one in negatives] == ["c"]
    assert [one.id for one in errors_to_read(rows, scores, 0.7)[0]] == ["b"]
    assert len(positives[0].text) == 300
    assert "<b>" not in errors_table(positives)


def test_worse_than_chance_is_refused() -> None:
    label, weight = (np.arange(200) % 2).astype(np.float64), np.ones(200)
    refuse_useless(summarize(ScoredSample(np.random.default_rng(0).random(200), label, weight)))
    backwards = ScoredSample(1 - 0.9 * label, label, weight)
    with pytest.raises(ValueError, match=r"AUC on labels .* is 0\.000 .*, worse than chance"):
        refuse_useless(summarize(backwards))


def test_worse_than_chance_is_refused_by_rank_where_nothing_is_positive() -> None:
    expected, none = np.linspace(0, 2, 50), np.zeros(50)
    backwards = ScoredSample(1 - expected / 5, none, np.ones(50), expected=expected)
    with pytest.raises(ValueError, match=r"rank correlation on labels .* is -1\.000"):
        refuse_useless(summarize(backwards))
