"""The real graph, small: 1,000 documents of the embedded pool, some dozens annotated, language models of 20 steps."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import yaml
import zstandard

from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import DOCUMENTS, embedded_pool, load_gold
from datashop_assets.runner import DatashopRunnerConfig
from datashop_assets.storage.shards import read_rows

MATHEMATICS = {"Mathematics", "sympy", "mpmath"}
RUBRIC = "Is this of use to somebody who studies mathematics? {example} Final score: N, from 0 to 5."
LIKELIHOOD = {
    "question": "Document:\n{example}\n\nWhat school subject does this document belong to?",
    "answer_begins": "This document is useful for studying",
    "targets": ["mathematics"],
}
SETTINGS: dict[str, Any] = {
    "annotator": {
        "sample": 300,
        "documents": 28,
        "second_round": {"documents": 8, "strata": 2},
        "read_characters": 400,
    },
    "keep": {"fraction": 0.2},
    "blind_test": {"pairs": 4},
    "training": {"depth": 1, "vocabulary": 400, "length": 32, "batch": 4, "steps": 20, "seeds": 2},
    "evaluation": {"target_documents": 8, "general_documents": 8},
}


def small_pool(folder: Path, cache: Path, shards: int = 2) -> str:
    """Writes 300 mathematical and 700 other documents as `shards` files in `folder`. Returns the glob for them."""
    made = embedded_pool(cache, installed_data())
    gold = load_gold(cache, installed_data(), "embedded")
    files = sorted((made / DOCUMENTS).iterdir())
    rows = [row for file in files for row in read_rows(file.name, BytesIO(file.read_bytes()))]
    labelled = [row for row in rows if row["id"] in gold]
    mathematics = [row for row in labelled if gold[row["id"]] in MATHEMATICS][:300]
    others = [row for row in labelled if gold[row["id"]] not in MATHEMATICS][:700]
    chosen = sorted(mathematics + others, key=lambda row: str(row["id"]))
    for shard in range(shards):
        lines = b"".join(orjson.dumps(row) + b"\n" for row in chosen[shard::shards])
        (folder / f"part-{shard}.jsonl.zst").write_bytes(zstandard.compress(lines))
    return f"{folder}/*.jsonl.zst"


def experiment(name: str, pool: str, **changes: Any) -> DatashopRunnerConfig:
    """An experiment over a small pool; `changes` are settings of a prompt file that replace those above."""
    return DatashopRunnerConfig(
        experiment_name=name,
        annotator_model_name="smollm2-135m-instruct",
        pretraining_data_path=pool,
        annotator_data_path=pool,
        data_filter_prompt=changes.pop("rubric", RUBRIC),
        dataset_output_processor_config_kwargs={"processor_type": "finalscore0-5"},
        likelihood=LIKELIHOOD,
        settings={**SETTINGS, **changes},
    )


def write_prompt(folder: Path, slug: str, pool: str, **changes: Any) -> Path:
    """The same experiment as a prompt file."""
    prompt = experiment(slug, pool, **changes).prompt()
    fields: Mapping[str, Any] = prompt.model_dump(mode="json", exclude={"slug"}, exclude_none=True)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{slug}.yaml"
    file.write_text(yaml.safe_dump(fields, sort_keys=False))
    return file
