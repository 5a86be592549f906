"""The annotations stage on a sample of real texts, with an annotator that counts words."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.annotations.build import build
from datashop_assets.annotations.describe import describe
from datashop_assets.excerpts import excerpt
from datashop_assets.protocols.annotator import Question, Reply, Status
from datashop_assets.protocols.documents import Document
from datashop_assets.rubric.build import build as build_rubric
from datashop_assets.stage import Tools
from datashop_assets.storage.digests import digest_of_bytes, unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.stages import run_build, stage_of_rows

WORDS = ("theorem", "river", "king", "proof", "planet", "novel", "number", "city", "law", "cell", "wave", "song")
SAMPLE = {"id": pl.String, "text": pl.String, "source": pl.String, "content": pl.String}
CONFIG: dict[str, Any] = {
    "model": "counter",
    "scoring": "likelihood",
    "likelihood": {
        "question": "{example}?",
        "answer_begins": "It is",
        "options": ["mathematics", "history"],
        "targets": ["mathematics"],
    },
    "documents": 100,
    "second_round": {"documents": 60, "strata": 4},
    "read_characters": 80,
}


class WordCounter:
    """An annotator that scores by words, fails on one document, and can be killed after some."""

    def __init__(self, dies_after: int = 10**9) -> None:
        self.left = dies_after

    def annotate(self, documents: Iterable[Document], question: Question) -> Iterator[Reply]:
        for document in documents:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            text, cut = excerpt(document.text, question.read_characters)
            if document.id == "doc-7":
                yield Reply(document.id, Status.FAILED, "broken | text", "", None, None, "", False, 0, 0, 0.0)
            else:
                score = 5.0 * min(1, text.count("theorem") + text.count("proof"))
                yield Reply(document.id, Status.PARSED, "", "{}", int(score), score, text, cut, 9, 0, 0.01)


@pytest.fixture
def inputs(tmp_path: Path) -> Mapping[str, StageFolder]:
    texts = {f"doc-{place}": text_of(place) for place in range(600)}
    rows = [
        {"id": name, "text": text, "source": "made", "content": digest_of_bytes(text.encode())}
        for name, text in texts.items()
    ]
    sample = stage_of_rows(tmp_path, "annotation_sample", {"sample.parquet": rows}, SAMPLE)
    rubric = run_build(build_rubric, "rubric", tmp_path, {"rubric": "Is {example} mathematics? $\\sum_{k}$"}, {})
    return {"annotation_sample": sample, "rubric": rubric}


def text_of(place: int) -> str:
    words = [word for word in WORDS if unit_hash(word, str(place)) < (0.06 if word in ("theorem", "proof") else 0.4)]
    return f"{place} " + " ".join(words)


def test_every_drawn_document_ends_in_a_row_with_its_status(tmp_path: Path, inputs: Mapping[str, StageFolder]) -> None:
    made = run_build(build, "annotations", tmp_path, CONFIG, inputs, Tools(annotator=WordCounter()))
    rows = made.table()

    assert [shard.name for shard in made.shards] == [f"round{name}.parquet" for name in ("1-000", "1-001", "2-000")]
    assert rows["id"].n_unique() == len(rows) == made.metrics["asked"] == 160
    assert made.metrics["not_drawn"] == 440
    assert sum(made.metrics["by_status"].values()) == 160
    assert sum(made.metrics["score_histogram"]) == made.metrics["by_status"]["parsed"]
    assert (1 / rows["probability"]).sum() == pytest.approx(600)


def test_the_second_round_finds_more_positives_and_weights_take_that_out(
    tmp_path: Path, inputs: Mapping[str, StageFolder]
) -> None:
    rows = run_build(build, "annotations", tmp_path, CONFIG, inputs, Tools(annotator=WordCounter())).table()
    positive = rows["expected_score"].fill_null(0) >= 2.5
    by_round = [positive.filter(rows["round"] == number).mean() for number in (1, 2)]
    weighted = (positive / rows["probability"]).sum() / 600
    truth = sum("theorem" in text_of(place) or "proof" in text_of(place) for place in range(600)) / 600

    assert by_round[1] > 1.5 * by_round[0]
    assert weighted == pytest.approx(truth, abs=0.06)


def test_a_killed_run_goes_on_to_the_same_content(tmp_path: Path, inputs: Mapping[str, StageFolder]) -> None:
    whole = run_build(build, "whole", tmp_path, CONFIG, inputs, Tools(annotator=WordCounter()))
    for dies_after in (30, 90, 40):
        with pytest.raises(KeyboardInterrupt):
            run_build(build, "killed", tmp_path, CONFIG, inputs, Tools(annotator=WordCounter(dies_after)))
    resumed = run_build(build, "killed", tmp_path, CONFIG, inputs, Tools(annotator=WordCounter(dies_after=96)))

    assert resumed.manifest.content_digest == whole.manifest.content_digest


def test_without_a_second_round_every_document_stands_for_the_same_number(
    tmp_path: Path, inputs: Mapping[str, StageFolder]
) -> None:
    config = {**CONFIG, "second_round": {"documents": 0, "strata": 4}}
    made = run_build(build, "annotations", tmp_path, config, inputs, Tools(annotator=WordCounter()))

    assert made.table()["probability"].unique().to_list() == [pytest.approx(100 / 600)]
    assert made.metrics["pilot"] == "not asked"


def test_where_all_answers_are_alike_the_second_round_is_drawn_at_random(
    tmp_path: Path, inputs: Mapping[str, StageFolder]
) -> None:
    config = {**CONFIG, "read_characters": 3}
    made = run_build(build, "annotations", tmp_path, config, inputs, Tools(annotator=WordCounter()))

    assert made.metrics["pilot"].startswith("none")
    assert made.metrics["asked"] == 160


def test_a_sample_smaller_than_asked_is_asked_whole(tmp_path: Path, inputs: Mapping[str, StageFolder]) -> None:
    config = {**CONFIG, "documents": 580}
    made = run_build(build, "annotations", tmp_path, config, inputs, Tools(annotator=WordCounter()))

    assert (made.metrics["asked"], made.metrics["not_drawn"]) == (600, 0)
    assert made.table()["probability"].unique().to_list() == [pytest.approx(1.0)]


def test_what_the_ui_shows_is_escaped(tmp_path: Path, inputs: Mapping[str, StageFolder]) -> None:
    config = {**CONFIG, "documents": 600}
    shown = describe(run_build(build, "annotations", tmp_path, config, inputs, Tools(annotator=WordCounter())))
    replies = shown["replies across the scores"].splitlines()

    assert len(replies) == 2 + 8
    assert r"broken \| text" in replies[2]
    assert all(line.count(" | ") == 4 for line in replies)
