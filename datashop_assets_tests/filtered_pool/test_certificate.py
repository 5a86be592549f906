"""The certificate as the graph makes it: fresh labels drawn from the scored pool, a threshold or an honest refusal."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.pool import read_index, read_pool
from datashop_assets.filtered_pool.certificate import RefusedError, certified_threshold, draw
from datashop_assets.filtered_pool.results import KeepCertificateConfig, KeepCertificateResult
from datashop_assets.filtered_pool.steps import keep_certificate
from datashop_assets.filtered_pool.threshold_tests import Claim
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.storage.digests import unit_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.annotations.annotators import WordCounter
from datashop_assets_tests.annotations.conftest import LIKELIHOOD
from datashop_assets_tests.documents.making import NAMES, write_documents
from datashop_assets_tests.filtered_pool.pools import gold_pool
from datashop_assets_tests.stages import run_step, stage_of_rows

RULE = {"precision": 0.8, "delta": 0.1, "labels": 300, "design": "anytime"}
SCORES = {"row": pl.Int64, "id": pl.String, "score": pl.Float64, "margin": pl.Float64}
ANNOTATOR = {"model": "counter", "likelihood": LIKELIHOOD.model_dump(mode="json"), "read_characters": 80}
Made = tuple[Path, dict[str, StageFolder]]


def text_of(place: int) -> str:
    return f"{place} {'theorem and proof' if unit_hash('kind', str(place)) < 0.3 else 'river and city'}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """2,000 documents, a third of them on theorems; scores that put most of these on top; 50 annotated before."""
    root = tmp_path_factory.mktemp("certificate")
    (root / "pool").mkdir()
    rows = [{"id": f"doc-{place}", "text": text_of(place), "source": "made"} for place in range(2000)]
    write_documents(root / "pool" / "part.jsonl.zst", rows)
    pool = gold_pool(root, {**NAMES, "uri": f"{root}/pool/*.jsonl.zst"})
    scores = [
        {"row": row, "id": one.id, "margin": 0.0, "score": 0.6 * ("proof" in one.text) + 0.4 * unit_hash("s", one.id)}
        for row, one in read_pool(pool, "part")
    ]
    used = [{"content": row["content"]} for row, _ in zip(read_index(pool, "part"), range(50), strict=False)]
    return root, {
        "pretraining_pool": pool,
        "pool_scores": stage_of_rows(root, "pool_scores", {"part.parquet": scores}, SCORES),
        "annotations": stage_of_rows(root, "annotations", {"round1.parquet": used}, {"content": pl.String}),
    }


def configured(**changes: Any) -> KeepCertificateConfig:
    fields = {"name": "Proofs", "rubric": "{example}", "annotator": ANNOTATOR, "keep": {**RULE, **changes}}
    config = keep_certificate.configure(parse_prompt(fields, "proofs", "proofs.yaml"))
    assert config is not None
    return config


def certified(made: Made, name: str, annotator: WordCounter, **changes: Any) -> StepOutput[KeepCertificateResult]:
    root, inputs = made
    resources = Resources(annotator=annotator)
    return run_step(keep_certificate, root / name, configured(**changes), inputs.values(), resources=resources)


@pytest.mark.parametrize("design", ["anytime", "fixed"])
def test_the_lowest_threshold_that_the_labels_show_is_certified(made: Made, design: str) -> None:
    found = certified(made, design, WordCounter(), design=design)
    threshold = certified_threshold(found.result)
    scores = made[1]["pool_scores"].table().filter(pl.col("score") >= threshold)
    truth = [unit_hash("kind", name.removeprefix("doc-")) < 0.3 for name in scores["id"]]
    assert found.result.certified is not None
    assert found.result.certified.threshold == found.result.threshold == threshold
    assert sum(truth) / len(truth) >= 0.8
    assert 0.3 <= threshold <= 0.6
    assert "Certified" in keep_certificate.describe(found)["certificate"]


def test_the_highest_threshold_whose_recall_the_labels_show_is_certified(made: Made) -> None:
    found = certified(made, "recall", WordCounter(), precision=None, recall=0.8, labels=600)
    threshold = certified_threshold(found.result)
    scores = made[1]["pool_scores"].table()
    wanted = scores.filter(
        pl.col("id").map_elements(lambda name: unit_hash("kind", name[4:]) < 0.3, return_dtype=pl.Boolean)
    )
    assert len(wanted.filter(pl.col("score") >= threshold)) / len(wanted) >= 0.8
    assert 0.3 <= threshold <= 0.7
    assert found.result.certified is not None
    assert found.result.certified.missed < 0.2 * found.result.certified.positives
    assert "Certified: recall at least 0.8" in keep_certificate.describe(found)["certificate"]


def test_a_refused_recall_says_what_was_seen_and_what_would_help(made: Made) -> None:
    found = certified(made, "refused recall", WordCounter(), precision=None, recall=0.9, labels=20)
    with pytest.raises(RefusedError, match=r"of 20 labels \d+ are positive, and 0 .*Raise keep.labels to some \d+"):
        certified_threshold(found.result)


def test_a_recall_has_no_fixed_design() -> None:
    with pytest.raises(PromptError, match="design: fixed is for a precision"):
        configured(precision=None, recall=0.9, design="fixed")


def test_copies_of_one_text_under_one_name_are_drawn_each_by_itself(tmp_path: Path) -> None:
    rows = [{"id": f"doc-{place // 10}", "text": text_of(place // 10), "source": "made"} for place in range(300)]
    write_documents(tmp_path / "part.jsonl.zst", rows)
    pool = gold_pool(tmp_path, {**NAMES, "uri": f"{tmp_path}/*.jsonl.zst"})
    scores = [{"row": row, "id": one.id, "margin": 0.0, "score": 0.9} for row, one in read_pool(pool, "part")]
    scored = stage_of_rows(tmp_path, "pool_scores", {"part.parquet": scores}, SCORES)
    drawn = draw(Claim(0.8, 0.1), pool, scored, set(), 60).rows
    assert drawn["key"].n_unique() == len(drawn) == 60
    texts = (drawn["row"] // 10).n_unique()
    assert texts > 20  # of 30 texts, where drawn together six would do


def test_labels_are_fresh_and_drawn_once(made: Made) -> None:
    found = certified(made, "fresh", counter := WordCounter())
    labels = found.table("labels.parquet")
    before = {row["content"] for row in made[1]["annotations"].all_rows()}
    texts = {row["content"] for row in read_index(made[1]["pretraining_pool"], "part") if row["row"] in labels["row"]}
    assert len(counter.requests) == len(labels) == found.result.labelled <= RULE["labels"]
    assert not texts & before
    assert labels["key"].is_sorted()


def test_asking_again_for_more_asks_nothing_twice_and_draws_the_same(made: Made) -> None:
    root, _ = made
    first = certified(made, "few", few := WordCounter(), labels=40, precision=0.97)
    (root / "more").mkdir()
    (root / "few" / "answers").rename(root / "more" / "answers")
    more = certified(made, "more", many := WordCounter(), labels=300, precision=0.97)
    assert first.result.threshold is None
    assert first.table("labels.parquet")["row"].is_in(more.table("labels.parquet")["row"].implode()).all()
    assert not {one.text for one in few.requests} & {one.text for one in many.requests}


def test_failed_calls_count_as_negative(made: Made) -> None:
    broken = WordCounter(fails_on=tuple(f"{digit}" for digit in range(1, 10)))
    found = certified(made, "broken", broken)
    assert found.result.threshold is None
    assert found.result.unlabelled > 0


def test_a_refusal_says_what_was_seen_and_what_would_help_and_nothing_is_kept(made: Made) -> None:
    found = certified(made, "refused", WordCounter(), labels=20, precision=0.97)
    with pytest.raises(RefusedError, match=r"of 20 labels .* upward 20 are positive.*Raise keep.labels to some \d+"):
        certified_threshold(found.result)
    assert "Refused" in keep_certificate.describe(found)["certificate"]


def test_without_an_annotator_it_says_so(made: Made) -> None:
    root, inputs = made
    with pytest.raises(ValueError, match="need an annotator"):
        run_step(keep_certificate, root / "nobody", configured(), inputs.values())


def test_a_prompt_that_asks_for_no_precision_has_no_certificate() -> None:
    fields = {"name": "Proofs", "rubric": "{example}", "annotator": ANNOTATOR, "keep": {"threshold": 0.5}}
    assert keep_certificate.configure(parse_prompt(fields, "proofs", "proofs.yaml")) is None
