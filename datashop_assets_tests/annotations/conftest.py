"""A sample of made texts, and the settings with which it is annotated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.annotations.build import build
from datashop_assets.core.step import Resources
from datashop_assets.rubric.build import build as build_rubric
from datashop_assets.storage.digests import digest_of_bytes, unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.stages import run_build, stage_of_rows

WORDS = ("theorem", "river", "king", "proof", "planet", "novel", "number", "city", "law", "cell", "wave", "song")
SAMPLE = {"id": pl.String, "text": pl.String, "source": pl.String, "content": pl.String}
LIKELIHOOD = {"question": "{example}?", "answer_begins": "It is", "options": ["mathematics", "history"]}
ASKED: dict[str, Any] = {
    "model": "counter",
    "revision": "",
    "scoring": "likelihood",
    "likelihood": LIKELIHOOD,
    "sampling": {},
    "read_characters": 80,
    "reading": "head",
}
CONFIG: dict[str, Any] = {
    "asked": ASKED,
    "parsing": {"scores": {"mathematics": 5, "history": 0}},
    "documents": 100,
    "second_round": {"documents": 60, "strata": 4},
}
WRITTEN: dict[str, Any] = {
    "asked": {**ASKED, "scoring": "generate"},
    "parsing": {"processor": {"type": "finalscore0-5", "options": {}}},
    "documents": 100,
    "second_round": {"documents": 0, "strata": 4},
}


def text_of(place: int) -> str:
    words = [word for word in WORDS if unit_hash(word, str(place)) < (0.06 if word in ("theorem", "proof") else 0.4)]
    return f"{place} " + " ".join(words)


def make_inputs(root: Path, documents: int = 600) -> dict[str, StageFolder]:
    texts = {f"doc-{place}": text_of(place) for place in range(documents)}
    rows = [
        {"id": name, "text": text, "source": "made", "content": digest_of_bytes(text.encode())}
        for name, text in texts.items()
    ]
    sample = stage_of_rows(root, f"sample-{documents}", {"sample.parquet": rows}, SAMPLE)
    rubric = run_build(build_rubric, "rubric", root, {"rubric": "Is {example} mathematics? $\\sum_{k}$"}, {})
    return {"annotation_sample": sample, "rubric": rubric}


@pytest.fixture
def inputs(tmp_path: Path) -> Mapping[str, StageFolder]:
    return make_inputs(tmp_path)


def annotate(
    root: Path, name: str, config: Mapping[str, Any], inputs: Mapping[str, StageFolder], annotator: WordCounter
) -> StageFolder:
    """The stage in `root/name`, with the answer store of `root`."""
    return run_build(build, name, root, config, inputs, Resources(annotator=annotator))
