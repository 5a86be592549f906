"""A card's inputs, written by hand: a pool whose texts, ids and sources try to be markup."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl

from datashop_assets.annotations.results import AnnotationDigests, AnnotationsResult
from datashop_assets.core.step import Resources, StepOutput, StepResult, StepRun
from datashop_assets.data_card.documents import LIMIT, Browsed, annotated, browsed
from datashop_assets.data_card.results import CardRun, DataCardConfig
from datashop_assets.data_packages import installed_data
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.results import EncoderResult
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresResult
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_writer import StageWriter
from datashop_assets_tests.documents import making
from datashop_assets_tests.encoder.made import encoder_result
from datashop_assets_tests.filtered_pool.pools import kept_result
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
UNSEEN = {"id": pl.String, "source": pl.String, "label": pl.Int8} | dict.fromkeys(
    ("target", "expected_score", "score"), pl.Float64
)


def config(**changes: Any) -> DataCardConfig:
    fields = {"name": f"Tides {SCRIPT}", "about": "</style><b>x", "rubric": f"{SCRIPT} {{example}}"}
    asked = {"question": "{example}?", "answer_begins": "It is", "targets": ["physics"]}
    return DataCardConfig.of(parse_prompt({**fields, "annotator": {"likelihood": asked}, **changes}, "tides", "test"))


def prompt(**changes: Any) -> dict[str, Any]:
    """The configuration as `card.json` has it."""
    return config(**changes).model_dump(mode="json")


def annotations_result(**changes: Any) -> AnnotationsResult:
    """A result that says nothing but what the test is about."""
    counts = dict.fromkeys(("asked", "not_drawn", "cut", "tokens_in", "tokens_out", "asked_now"), 0)
    numbers = dict.fromkeys(("coverage", "unparsed_share", "seconds_asking"), 0.0)
    unknown = dict.fromkeys(("documents_per_second", "mean_score", "mean_entropy"))
    parts: dict[str, Any] = {name: {} for name in ("by_status", "reasons", "by_round", "by_endpoint")}
    lists: dict[str, Any] = {"score_histogram": [], "damaged_parts": []}
    digests = AnnotationDigests(generation="", parsing="")
    named = {"scoring": "likelihood", "pilot": "", "digests": digests}
    return AnnotationsResult(**{**counts, **numbers, **unknown, **parts, **lists, **named, **changes})


def finished(output: StageWriter, result: StepResult) -> StepOutput[Any]:
    """The output of the step that gives this result."""
    return StepOutput(finish(output, result.step, result.model_dump(mode="json"), {}).folder, type(result))


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


def card_run(place: Path, documents: int = 40, shards: int = 2) -> CardRun:
    """The inputs of `scan`, `samples` and `browsed`: the upper half of the pool is kept, every fourth is annotated."""
    made = rows(documents)
    scores = PoolScoresResult(documents=documents, positive=0, not_passed=0, histogram=())
    outputs = [
        _pool(place, made, shards),
        _kept(place, made, shards),
        _answers(place, made),
        _encoder(place, made),
        finished(writer(place, "pool_scores"), scores),
    ]
    return run_of(place, *outputs)


def run_of(place: Path, *outputs: StepOutput[Any]) -> CardRun:
    """A card of these inputs alone."""
    return StepRun(
        config=config(),
        inputs={output.result.step: output for output in outputs},
        output=writer(place, "data_card"),
        resources=Resources(),
        cache=place / "cache",
        data=installed_data(),
        answers=Folder(str(place / "answers")),
        prompt_folder=Folder(str(place / "prompt")),
    )


def browsable(card: CardRun, shards: int, limit: int = LIMIT) -> Browsed:
    return browsed(card, names(shards), annotated(card), limit)


def names(shards: int) -> list[str]:
    return [f"part-{shard}" for shard in range(shards)]


def _pool(place: Path, made: list[dict[str, str]], shards: int) -> StepOutput[PretrainingPoolResult]:
    (place / "files").mkdir()
    for shard, name in enumerate(names(shards)):
        lines = b"\n".join(orjson.dumps(row) for row in made[shard::shards])
        (place / "files" / f"{name}.jsonl").write_bytes(lines)
    return making.make_pool(str(place / "files"), place)


def _kept(place: Path, made: list[dict[str, str]], shards: int) -> StepOutput[FilteredPoolResult]:
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
    return finished(output, kept_result())


def _answers(place: Path, made: list[dict[str, str]]) -> StepOutput[AnnotationsResult]:
    output = writer(place, "annotations")
    told = {"status": "parsed", "reason": "", "raw": f"Score {SCRIPT}", "expected_score": 2.0, "cut": False}
    output.write_rows("round1-000.parquet", [{**row, **told} for row in made[::4]], ANSWERS)
    return finished(output, annotations_result())


def _encoder(place: Path, made: list[dict[str, str]]) -> StepOutput[EncoderResult]:
    output = writer(place, "encoder")
    unseen = [
        {"id": row["id"], "source": row["source"], "label": n % 2, "expected_score": 2.0, "score": (n % 7) / 7}
        | {"target": float(n % 2)}
        for n, row in enumerate(made[::4])
    ]
    output.write_rows("out_of_fold.parquet", unseen, UNSEEN)
    return finished(output, encoder_result())
