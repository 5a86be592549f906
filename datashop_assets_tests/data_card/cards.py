"""A card's inputs, written by hand: a pool whose texts, ids and sources try to be markup."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl

from datashop_assets.core.step import OpenRun, Resources
from datashop_assets.data_card.documents import LIMIT, Browsed, annotated, browsed
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.documents import making
from datashop_assets_tests.stages import finish, writer

SCRIPT = "<script>document.title='run'</script>"
SOURCES = ("web", f'"><img src=x onerror=alert(1)>{SCRIPT}', "$\\frac{1}{", "汉语")
ATTRIBUTES = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "split": pl.String, "kept": pl.Boolean}
ANSWERS = {
    "id": pl.String,
    "source": pl.String,
    "text": pl.String,
    "status": pl.String,
    "reason": pl.String,
    "raw": pl.String,
    "expected_score": pl.Float64,
    "cut": pl.Boolean,
}
UNSEEN = {"id": pl.String, "source": pl.String, "label": pl.Int8, "expected_score": pl.Float64, "score": pl.Float64}


def prompt(**changes: Any) -> dict[str, Any]:
    fields = {"name": f"Tides {SCRIPT}", "about": "</style><b>x", "rubric": f"{SCRIPT} {{example}}"}
    asked = {"question": "{example}?", "answer_begins": "It is", "targets": ["physics"]}
    return parse_prompt({**fields, "annotator": {"likelihood": asked}, **changes}, "tides", "test").model_dump(
        mode="json"
    )


def rows(documents: int) -> list[dict[str, str]]:
    return [
        {
            "id": f"d{n} {SCRIPT}",
            "text": f"{n} waves </script>{SCRIPT} ](javascript:alert(1))",
            "source": SOURCES[n % 4],
        }
        for n in range(documents)
    ]


def score(n: int, documents: int) -> float:
    return n / (documents - 1)


def card_run(place: Path, documents: int = 40, shards: int = 2) -> OpenRun:
    """The inputs of `scan`, `samples` and `browsed`: the upper half of the pool is kept, every fourth is annotated."""
    made = rows(documents)
    inputs = {
        "pretraining_pool": _pool(place, made, shards),
        "filtered_pool": _kept(place, made, shards),
        "annotations": _answers(place, made),
        "encoder": _encoder(place, made),
        "pool_scores": finish(writer(place, "pool_scores"), "pool_scores", {"documents": documents}, {}),
    }
    return OpenRun(
        prompt(), inputs, writer(place, "data_card"), Resources(), place / "cache", Folder(str(place / "answers"))
    )


def browsable(card: OpenRun, shards: int, limit: int = LIMIT) -> Browsed:
    return browsed(card, names(shards), annotated(card), limit)


def names(shards: int) -> list[str]:
    return [f"part-{shard}" for shard in range(shards)]


def _pool(place: Path, made: list[dict[str, str]], shards: int) -> StageFolder:
    (place / "files").mkdir()
    for shard, name in enumerate(names(shards)):
        lines = b"\n".join(orjson.dumps(row) for row in made[shard::shards])
        (place / "files" / f"{name}.jsonl").write_bytes(lines)
    return making.make_pool(str(place / "files"), place)


def _kept(place: Path, made: list[dict[str, str]], shards: int) -> StageFolder:
    output = writer(place, "filtered_pool")
    for shard, name in enumerate(names(shards)):
        numbers = range(shard, len(made), shards)
        decided = [
            {
                "row": row,
                "id": made[n]["id"],
                "score": score(n, len(made)),
                "split": "train",
                "kept": 2 * n >= len(made),
            }
            for row, n in enumerate(numbers)
        ]
        output.write_rows(f"{name}.parquet", decided, ATTRIBUTES)
    return finish(output, "filtered_pool", {}, {})


def _answers(place: Path, made: list[dict[str, str]]) -> StageFolder:
    output = writer(place, "annotations")
    told = {"status": "parsed", "reason": "", "raw": f"Score {SCRIPT}", "expected_score": 2.0, "cut": False}
    output.write_rows("round1-000.parquet", [{**row, **told} for row in made[::4]], ANSWERS)
    return finish(output, "annotations", {}, {})


def _encoder(place: Path, made: list[dict[str, str]]) -> StageFolder:
    output = writer(place, "encoder")
    unseen = [
        {"id": row["id"], "source": row["source"], "label": n % 2, "expected_score": 2.0, "score": (n % 7) / 7}
        for n, row in enumerate(made[::4])
    ]
    output.write_rows("out_of_fold.parquet", unseen, UNSEEN)
    return finish(output, "encoder", {}, {})
