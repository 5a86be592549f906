"""Kept documents of any fields: as they were in JSON lines, in columns where there are some, else an error by name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.filtered_pool.scoring import SCHEMA
from datashop_assets.filtered_pool.steps import filtered_pool
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.filtered_pool.pools import DATA, filtering, gold_pool
from datashop_assets_tests.stages import run_step, stage_of_rows


def kept(root: Path, shards: Sequence[Sequence[dict[str, Any]]], form: str) -> StepOutput[FilteredPoolResult]:
    """What is kept of a pool whose documents score 1 unless one says `score`: all from a half upward."""
    (root / "pool").mkdir()
    for number, rows in enumerate(shards):
        lines = (orjson.dumps({"text": "a", **row}) + b"\n" for row in rows)
        (root / "pool" / f"part-{number}.jsonl").write_bytes(b"".join(lines))
    pool = gold_pool(root, {**DATA, "uri": str(root / "pool")})
    scored = {
        f"part-{number}.parquet": [
            {"row": place, "id": f"part-{number}:{place}", "score": row.get("score", 1.0), "margin": 0.0}
            for place, row in enumerate(rows)
        ]
        for number, rows in enumerate(shards)
    }
    config = filtering({"threshold": 0.5, "format": form})
    return run_step(filtered_pool, root, config, [pool, stage_of_rows(root, "pool_scores", scored, SCHEMA)])


def documents(filtered: StageFolder) -> list[list[dict[str, Any]]]:
    """The kept documents of every shard, without what keeping adds."""
    names = [shard.name for shard in filtered.shards if shard.name.startswith("documents/")]
    added = ("datashop_score", "datashop_prompt", "text")
    return [[{key: row[key] for key in row if key not in added} for row in filtered.rows(name)] for name in names]


WILD = [[{"n": 2**64 - 1, "o": {}}, {"n": "x", "o": []}], [{"o": {"deep": [{}]}}]]


def test_json_lines_hold_whatever_fields_there_are(tmp_path: Path) -> None:
    assert documents(kept(tmp_path, WILD, "jsonl.zst")) == WILD


def test_columns_hold_what_one_type_can_hold(tmp_path: Path) -> None:
    shards = [[{"n": 1, "o": {}}, {"n": 0.5, "o": {"a": [1]}}], [{"o": {"b": "x"}}]]
    first, second = documents(kept(tmp_path, shards, "parquet"))
    assert first == [{"n": 1.0, "o": {"a": None, "b": None}}, {"n": 0.5, "o": {"a": [1], "b": None}}]
    assert second == [{"n": None, "o": {"a": None, "b": "x"}}]


@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
def test_a_shard_of_which_nothing_is_kept_is_there_and_empty(tmp_path: Path, form: str) -> None:
    assert documents(kept(tmp_path, [[{"n": 1}], [{"n": 2, "score": 0.1}]], form)) == [[{"n": 1}], []]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"n": 1}, {"n": "x"}], "the documents of shard part-0 have no common columns"),
        ([{"n": [1]}, {"n": {"a": 1}}], "the documents of shard part-0 have no common columns"),
        ([{"n": 2**64 - 1}], "the documents of shard part-0 have no common columns"),
        ([{"n": {}}], "'n' is or holds an object without fields"),
        ([{"n": [{"deep": {}}]}], "'n' is or holds an object without fields"),
    ],
)
def test_fields_that_no_column_holds_are_named(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s){said}.*set keep\.format to jsonl\.zst"):
        kept(tmp_path, [rows], "parquet")
