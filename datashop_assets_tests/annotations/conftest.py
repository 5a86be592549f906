"""A sample of made texts, and the settings with which it is annotated."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.annotations.results import AnnotationsConfig, AnnotationsResult
from datashop_assets.annotations.steps import annotations
from datashop_assets.asking.replies import OptionParsing, ProcessorConfig, WrittenParsing
from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.prompts.annotator_settings import (
    AnnotationQuestionConfig,
    Likelihood,
    SamplingSettings,
    SecondRound,
)
from datashop_assets.rubric.results import RubricConfig, RubricResult
from datashop_assets.rubric.steps import rubric
from datashop_assets.storage.digests import digest_of_bytes, unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.stages import run_step, stage_of_rows

Inputs = Sequence[StageFolder]
WORDS = ("theorem", "river", "king", "proof", "planet", "novel", "number", "city", "law", "cell", "wave", "song")
SAMPLE = {"id": pl.String, "text": pl.String, "source": pl.String, "content": pl.String}
LIKELIHOOD = Likelihood(
    question="{example}?", answer_begins="It is", options=("mathematics", "history"), targets=("mathematics",)
)
QUESTION = AnnotationQuestionConfig(
    model="counter",
    revision="",
    scoring="likelihood",
    sampling=SamplingSettings(),
    likelihood=LIKELIHOOD,
    read_characters=80,
    reading="head",
)
CONFIG = AnnotationsConfig(
    question=QUESTION,
    parsing=OptionParsing(scores={"mathematics": 5, "history": 0}),
    documents=100,
    second_round=SecondRound(documents=60, strata=4),
    cascade=None,
)
GENERATE = QUESTION.model_copy(update={"scoring": "generate", "likelihood": None})
FINAL_SCORE = ProcessorConfig(type="finalscore0-5", options={}, version="2")
ONE_ROUND = SecondRound(documents=0, strata=4)
WRITTEN = CONFIG.model_copy(
    update={"question": GENERATE, "parsing": WrittenParsing(processor=FINAL_SCORE), "second_round": ONE_ROUND}
)


def text_of(place: int) -> str:
    words = [word for word in WORDS if unit_hash(word, str(place)) < (0.06 if word in ("theorem", "proof") else 0.4)]
    return f"{place} " + " ".join(words)


def make_inputs(root: Path, documents: int = 600) -> Inputs:
    texts = {f"doc-{place}": text_of(place) for place in range(documents)}
    rows = [
        {"id": name, "text": text, "source": "made", "content": digest_of_bytes(text.encode())}
        for name, text in texts.items()
    ]
    sample = stage_of_rows(root / f"sample-{documents}", "annotation_sample", {"sample.parquet": rows}, SAMPLE)
    return [sample, given_rubric(root, "Is {example} mathematics? $\\sum_{k}$")]


def given_rubric(root: Path, text: str) -> StepOutput[RubricResult]:
    return run_step(rubric, root, RubricConfig(text=text))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return make_inputs(tmp_path)


def annotate(
    root: Path, name: str, config: AnnotationsConfig, inputs: Inputs, annotator: WordCounter, **given: Any
) -> StepOutput[AnnotationsResult]:
    """The step in `root/name`, with the answer store of `root`."""
    return run_step(annotations, root, config, inputs, name=name, resources=Resources(annotator=annotator), **given)
