"""A pool of two sources whose kept documents speak of proofs, some of them annotated before."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.blind_test.results import BlindTestConfig, BlindTestResult
from datashop_assets.blind_test.steps import blind_test
from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question, failed_answer
from datashop_assets.storage.digests import unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.conftest import given_rubric
from datashop_assets_tests.documents import making
from datashop_assets_tests.stages import run_step, stage_of_rows

KEPT = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "split": pl.String, "kept": pl.Boolean}
LIKELIHOOD = {"question": "{example}?", "answer_begins": "It is", "options": ["yes", "no"], "targets": ["yes"]}
ASKED: dict[str, dict[str, Any]] = {
    "likelihood": {"scoring": "likelihood", "model": "m", "likelihood": LIKELIHOOD},
    "score_token": {"scoring": "score_token", "model": "m"},
    "generate": {"scoring": "generate", "model": "m"},
}


@dataclass
class Reader:
    """Scores a text by its proofs, and of two chooses by `chooses`, which gets both and gives the reply."""

    chooses: Callable[[str, str], str] = lambda first, second: f"Choice: {1 + ('proof' in second)}"
    scores: Callable[[str], float] = lambda text: 0.9 if "proof" in text else 0.1
    fails_on: str = "\0"
    reads: int = 10**6  # characters of a request
    dies_after: int = 10**9
    costs: int = 7  # tokens of a request
    requests: list[AnnotationRequest] = field(default_factory=list)
    questions: set[Question] = field(default_factory=set)
    group = None

    def identity(self, model: str) -> tuple[str, str]:
        return f"maker/{model}", "1"

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        self.questions.add(question)
        for one in asked:
            if len(self.requests) == self.dies_after:
                raise KeyboardInterrupt
            self.requests.append(one)
            if self.fails_on in one.text:
                yield failed_answer(one.id, "broken")
                continue
            text, probabilities, raw = one.text[: self.reads], None, ""
            if question.scoring == "generate":
                raw = self.chooses(*text.split("document 2 -----", 1))
            else:
                first, *rest = question.options
                high = self.scores(text)
                probabilities = {first: high} | dict.fromkeys(rest, (1 - high) / len(rest))
                if question.scoring == "score_token":  # the first option is the lowest score
                    probabilities = {
                        option: probabilities[name]
                        for option, name in zip(question.options, [*rest, first], strict=True)
                    }
            ended = Ended.REFUSED if raw == "refused" else Ended.COMPLETE
            yield Answer(
                one.id, ended, "", raw, probabilities, text, len(text) < len(one.text), self.costs, 3, 0.0, "here"
            )


@dataclass(frozen=True)
class Made:
    root: Path
    inputs: list[StageFolder]
    pool: StageFolder
    filtered: StageFolder
    annotated: pl.Series

    def test(
        self, name: str, annotator: Reader, scoring: str = "generate", **given: Any
    ) -> StepOutput[BlindTestResult]:
        return run_step(
            blind_test,
            self.root / name,
            configured(scoring, given.pop("pairs", 40)),
            self.inputs,
            resources=Resources(annotator=annotator),
            **given,
        )


def configured(scoring: str, pairs: int) -> BlindTestConfig:
    fields = {"name": "Proofs", "rubric": "Proofs? {example}", "annotator": ASKED[scoring]}
    config = blind_test.configure(parse_prompt({**fields, "blind_test": {"pairs": pairs}}, "proofs", "proofs.yaml"))
    assert config is not None
    return config


def is_proof(place: int) -> bool:
    return unit_hash("proof", str(place)) < 0.3


def text_of(place: int) -> str:
    words = 4 + int(30 * unit_hash("length", str(place)))
    return f"{place} {'a proof' if is_proof(place) else 'a river'} {'and more ' * words}"


def filtered(root: Path, pool: StageFolder, keeps: Callable[[str], bool]) -> StageFolder:
    shards = {
        f"{shard}.parquet": [
            {"row": row, "id": one.id, "score": 0.9 if keeps(one.text) else 0.1, "split": "", "kept": keeps(one.text)}
            for row, one in read_pool(pool, shard)
        ]
        for shard in pool_shards(pool)
    }
    return stage_of_rows(root, "filtered_pool", shards, KEPT)


def made_of(root: Path, rows: list[dict[str, Any]], keeps: Callable[[str], bool], annotated: int) -> Made:
    (root / "files").mkdir(parents=True)
    for shard in range(2):
        making.write_documents(root / "files" / f"part-{shard}.jsonl.zst", rows[shard::2])
    pool = making.make_pool(f"{root}/files/*.jsonl.zst", root)
    contents = [row["content"] for shard in pool_shards(pool) for row in read_index(pool, shard)][:annotated]
    used = stage_of_rows(
        root, "annotations", {"round1.parquet": [{"content": one} for one in contents]}, {"content": pl.String}
    )
    kept = filtered(root, pool, keeps)
    rubric = given_rubric(root, "Proofs? {example} Final score: N")
    return Made(root, [pool, kept, used, rubric], pool, kept, pl.Series(contents, dtype=pl.String))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """1,000 documents of two sources, three in ten kept; 200 of them annotated."""
    rows = [{"id": f"d{n}", "text": text_of(n), "source": ("web", "books")[n % 3 == 0]} for n in range(1000)]
    return made_of(tmp_path_factory.mktemp("blind"), rows, lambda text: "proof" in text, 200)
