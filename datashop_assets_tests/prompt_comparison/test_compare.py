"""Prompts side by side: figures that follow from scores made here, whatever the number of shards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from scipy import stats

from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import StepOutput
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.filtered_pool.results import PoolScoresResult
from datashop_assets.prompt_comparison.compare import (
    ComparedPrompt,
    compare,
    correlations,
    cost_and_benefit,
    shared,
)
from datashop_assets.prompt_comparison.report import report
from datashop_assets_tests.data_card.cards import annotations_result, finished
from datashop_assets_tests.documents import making
from datashop_assets_tests.filtered_pool.pools import kept_result
from datashop_assets_tests.stages import writer

DOCUMENTS = 64  # so that scores are exact in binary
SCORES = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "margin": pl.Float64}


def indexed(place: Path, shards: int) -> StepOutput[PretrainingPoolResult]:
    (place / "files").mkdir(parents=True)
    for shard in range(shards):
        rows = [{"id": f"d{n}", "text": f"Text {n} | <b>", "source": "a"} for n in range(shard, DOCUMENTS, shards)]
        (place / "files" / f"part-{shard}.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    return making.make_pool(str(place / "files"), place)


def prompt(
    place: Path, pool: StepOutput[PretrainingPoolResult], scores: list[float], kept: int, shards: int
) -> ComparedPrompt:
    """A prompt that gave these scores, document 0 first, and keeps `kept`."""
    output = writer(place, "pool_scores")
    for shard in range(shards):
        rows = [
            {"row": row, "id": f"d{n}", "score": scores[n], "margin": scores[n]}
            for row, n in enumerate(range(shard, DOCUMENTS, shards))
        ]
        output.write_rows(f"part-{shard}.parquet", rows, SCORES)
    scored = finished(output, PoolScoresResult(documents=DOCUMENTS, positive=0, not_passed=0, histogram=()))
    by_source = {
        "a": {"documents": 16, "bytes": 100, "kept_documents": kept, "kept_bytes": 25},
        "b": {"documents": 48, "bytes": 300, "kept_documents": 0, "kept_bytes": 75},
    }
    result = kept_result(documents=DOCUMENTS, bytes=400, kept_bytes=100, kept_documents=kept, by_source=by_source)
    filtered = finished(writer(place, "filtered_pool"), result)
    return ComparedPrompt(place.name, {"pretraining_pool": pool, "pool_scores": scored, "filtered_pool": filtered})


@pytest.mark.parametrize("shards", [1, 4])
def test_overlap_is_taken_at_equal_yield(tmp_path: Path, shards: int) -> None:
    rising = [n / DOCUMENTS for n in range(DOCUMENTS)]
    shifted = rising[10:] + rising[:10]  # document n has the score of n + 10
    pool = indexed(tmp_path, shards)
    sides = [prompt(tmp_path / "one", pool, rising, 20, shards), prompt(tmp_path / "two", pool, shifted, 40, shards)]
    found = compare(sides)
    assert found.at == 20  # the best 20: 44 to 63 of the one, 34 to 53 of the other
    assert found.overlap == [[20, 10], [10, 20]]
    expected = stats.spearmanr(rising, shifted).statistic
    assert found.rank_correlation[0][1] == pytest.approx(expected)
    apart = found.apart[0]
    assert (apart.keeps, apart.drops) == ("one", "two")
    assert {one.id for one in apart.documents} < {f"d{n}" for n in range(54, 64)}
    assert all(one.text == f"Text {one.id[1:]} | <b>" for one in apart.documents)


def test_ties_at_the_cut_are_kept_exactly(tmp_path: Path) -> None:
    pool = indexed(tmp_path, 2)
    sides = [prompt(tmp_path / name, pool, [0.5] * DOCUMENTS, 13, 2) for name in ("one", "two")]
    found = compare(sides)
    assert found.overlap == [[13, 13], [13, 13]]
    assert found.rank_correlation == [[None, None], [None, None]]


def test_the_cost_is_that_of_the_stages_that_the_prompts_do_not_share(tmp_path: Path) -> None:
    pool = indexed(tmp_path, 1)
    rising = [n / DOCUMENTS for n in range(DOCUMENTS)]
    sides = []
    for name, seconds in {"one": 40.0, "two": 50.0}.items():
        measured = annotations_result(  # two runs, one killed
            tokens_in=5,
            tokens_out=1,
            seconds_asking=seconds,
            spent=TokensSpent(reported=6, without_usage=3 if name == "two" else 0),
        )
        answers = finished(writer(tmp_path / name, "annotations"), measured)
        side = prompt(tmp_path / name, pool, rising, 13, 1)
        sides.append(replace(side, outputs={**side.outputs, "annotations": answers}))
    assert shared(sides) == {"pretraining_pool"}
    found = [cost_and_benefit(side, shared(sides)) for side in sides]
    assert [one.seconds for one in found] == [pytest.approx(40, abs=1), pytest.approx(50, abs=1)]
    assert (found[0].tokens_in, found[0].tokens_out, found[0].verdict) == (5, 1, None)
    assert (found[1].tokens_in, found[1].tokens_out) == (None, None)  # a part is no sum


def test_prompts_on_different_pools_are_not_compared(tmp_path: Path) -> None:
    scores = [n / DOCUMENTS for n in range(DOCUMENTS)]
    one = prompt(tmp_path / "one", indexed(tmp_path / "x", 1), scores, 5, 1)
    other = prompt(tmp_path / "two", indexed(tmp_path / "y", 2), scores, 5, 2)
    with pytest.raises(ValueError, match=rf"different pools \('{tmp_path}/x/files' and '{tmp_path}/y/files'\)"):
        compare([one, other])


def test_the_report_says_it_all_and_stays_markdown(tmp_path: Path) -> None:
    pool = indexed(tmp_path, 1)
    rising = [n / DOCUMENTS for n in range(DOCUMENTS)]
    sides = [prompt(tmp_path / "one", pool, rising, 20, 1), prompt(tmp_path / "two", pool, rising[::-1], 20, 1)]
    text = report(compare(sides))
    assert "| one | 100.0% | 0.0% |" in text
    assert "| one | 1.000 | -1.000 |" in text
    assert "| b | 75.0% | 75.0% | 75.0% |" in text
    assert "<b>" not in text
    assert all(line.count(" | ") <= 4 for line in text.splitlines())


def test_a_constant_score_has_no_rank() -> None:
    assert correlations(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]])) == [[None, None], [None, pytest.approx(1.0)]]
