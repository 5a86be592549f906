"""What shares text with the evaluation sets is left out of training, counted and shown."""

import unicodedata
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.graph import plan
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.decontamination import build, left_out, overlaps
from datashop_assets.trained_lm.describe import describe
from datashop_assets.trained_lm.ngrams import NgramIndex, hashed, runs
from datashop_assets.trained_lm.training_pool import TrainingPool
from datashop_assets_tests.documents import making
from datashop_assets_tests.small import experiment
from datashop_assets_tests.small_lm import FIELDS, make_tokens
from datashop_assets_tests.stages import run_build

QUOTES = 2  # whose text is not held out by its hash
LETTERS = st.lists(st.sampled_from("abcd"), max_size=30)


@settings(deadline=None, max_examples=80)
@given(LETTERS, st.lists(LETTERS, max_size=4), st.integers(1, 6))
def test_an_overlap_is_a_run_of_words_that_stands_in_both(one: list[str], others: list[list[str]], size: int) -> None:
    index = NgramIndex.of(((("set", str(n)), " ".join(words)) for n, words in enumerate(others)), size)
    standing = {tuple(words[at : at + size]) for words in others for at in range(len(words) - size + 1)}
    wanted = [tuple(one[at : at + size]) in standing for at in range(len(one) - size + 1)]
    assert (index.found(runs(hashed(" ".join(one)), size)) >= 0).tolist() == wanted


def test_case_and_punctuation_hide_nothing() -> None:
    index = NgramIndex.of([(("set", "q"), "What is the sum of 2, 3 and 5?")], 5)
    document = Document("d", "Ask: WHAT IS\nthe (sum) of -- 2 ...", "web")
    [row] = overlaps([(7, document)], index)
    assert (row["row"], row["shared"], row["example"], row["evaluation_id"]) == (7, 2, "what is the sum of", "q")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("où mon élève a brûlé la forêt", unicodedata.normalize("NFD", "où mon élève a brûlé la forêt")),
        ("the efficient way to find five", "THE EFFICIENT WAY TO FIND FIVE".replace("FI", "\ufb01")),
        ("die große Straße ist heute leer", "DIE GROSSE STRASSE IST HEUTE LEER"),
        ("小于一百的最大质数", "请问: 小于一百的最大质数。是哪一个"),
    ],
)
def test_the_same_text_written_otherwise_is_found(one: str, other: str) -> None:
    index = NgramIndex.of([(("set", "q"), one)], 6)
    assert len(index.hashes)
    assert (index.found(runs(hashed(other), 6)) >= 0).sum() == len(index.hashes)


@pytest.mark.parametrize(
    ("question", "document"),
    [
        ("下列哪一个数字是小于一百的最大质数", "请回答下列哪一个数字是小于一百的最大质数。为什么"),
        ("où était le café fermé", unicodedata.normalize("NFD", "Dis-moi où était le café fermé hier")),
        ("which \ufb01nal \uff13 of \ufb01ve", "the which final 3 of five"),
    ],
)
def test_neither_script_nor_how_an_accent_is_written_hides_a_question(question: str, document: str) -> None:
    index = NgramIndex.of([(("set", "q"), question)], 5)
    [row] = overlaps([(0, Document("d", document, "web"))], index)
    assert row["shared"] >= 1


def test_a_benchmark_without_a_readable_document_is_refused(pool: StageFolder, tmp_path: Path) -> None:
    benchmark = tmp_path / "questions.jsonl"
    benchmark.write_bytes(orjson.dumps({"id": "q1", "question": "which of these is the largest prime?"}) + b"\n")
    config = {"ngram": 13, "sets": [{"data": {"uri": str(benchmark), **FIELDS}, "fingerprint": None}]}
    with pytest.raises(
        ValueError, match=r"questions.jsonl has no document with text in the field 'text', .* correct uri"
    ):
        run_build(build, "decontamination", tmp_path, config, {"pretraining_pool": pool})


def test_a_question_shorter_than_a_run_is_found_as_a_whole_unless_it_is_very_short() -> None:
    short, shorter = "which gas do plants take from the air", "what is the sum of two"  # 8 and 6 words
    index = NgramIndex.of([(("set", "q1"), short), (("set", "q2"), shorter)], 13)
    texts = [f"Ask: {short}? Carbon dioxide.", f"Ask: {shorter}?", short.replace("gas", "metal")]
    found = list(overlaps(((row, Document(f"d{row}", text, "web")) for row, text in enumerate(texts)), index))
    assert [(row["row"], row["evaluation_id"], row["example"]) for row in found] == [(0, "q1", short)]


def made(root: Path, words: int) -> tuple[StageFolder, StageFolder]:
    """400 random texts of 40 words, one of which quotes a benchmark's question. The pool and what is left out."""
    random = np.random.default_rng(0)
    (root / "documents").mkdir(parents=True)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 500, 40)) for _ in range(400)]
    question = "which of these numbers is the largest prime below one hundred and why is that so"
    texts[QUOTES] += " " + question
    rows = [{"id": f"d{n}", "text": text, "source": "web"} for n, text in enumerate(texts)]
    (root / "documents" / "part-0.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    benchmark = root / "questions.jsonl"
    benchmark.write_bytes(orjson.dumps({"id": "q1", "text": question, "source": "quiz"}) + b"\n")
    pool = making.make_pool(f"{root}/documents/*.jsonl", root, 0.2)
    sets = [{"data": {"uri": str(benchmark), **FIELDS}, "fingerprint": None}]
    config = {"ngram": words, "sets": sets}
    return pool, run_build(build, "decontamination", root, config, {"pretraining_pool": pool})


def test_a_document_that_quotes_a_benchmark_is_left_out_with_an_example(tmp_path: Path) -> None:
    pool, decontamination = made(tmp_path, 13)
    assert pool.table()["split"][QUOTES] == "train"
    assert left_out(decontamination, "part-0").tolist() == [QUOTES]
    assert decontamination.metrics["left_out"] == decontamination.metrics["named_documents"] == 1
    shown = describe(decontamination)
    assert (
        "1 training documents share a run of 13 words, or all words of a shorter text" in shown["left out of training"]
    )
    assert "which of these numbers is the largest prime below one hundred" in shown["some overlaps"]
    trained_on = [
        piece.id
        for batch in TrainingPool(make_tokens(tmp_path, pool, 280), decontamination).batches("part-0")
        for piece in batch.pieces
    ]
    train = pool.table().filter(split="train")["id"].to_list()
    assert trained_on == [name for name in train if name != f"d{QUOTES}"]


def test_what_is_left_out_is_counted_by_the_sources_that_the_pool_names(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "documents").mkdir()
    texts = [" ".join(f"w{n}" for n in random.integers(0, 5000, 80)) for _ in range(300)]
    quote = " ".join(f"q{n}" for n in range(13))
    rows = [{"id": f"d{n}", "text": f"{text} {quote}", "source": f"https://{n}.org"} for n, text in enumerate(texts)]
    (tmp_path / "documents" / "part-0.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    pool = making.make_pool(f"{tmp_path}/documents/*.jsonl", tmp_path, 0.2)
    metrics = run_build(
        build, "decontamination", tmp_path, {"ngram": 13, "sets": []}, {"pretraining_pool": pool}
    ).metrics
    assert metrics["left_out"] == pool.table()["split"].to_list().count("train")
    assert sum(metrics["left_out_by_source"].values()) == metrics["left_out"]
    assert len(metrics["left_out_by_source"]) <= 101
    assert metrics["left_out_by_source"]["(other sources)"] > 100


def test_the_controls_digest_holds_that_of_the_evaluation_sets(tmp_path: Path) -> None:
    pool, benchmark = tmp_path / "pool.jsonl", tmp_path / "questions.jsonl"
    pool.write_bytes(orjson.dumps({"id": "d", "text": "a document", "source": "web"}))

    def digests(question: str | None = None) -> dict[str, str]:
        benchmark.write_bytes(orjson.dumps({"id": "q", "text": question}))
        named = {"evaluation": {"benchmarks": [{"uri": str(benchmark)}]}} if question else {}
        found = plan(experiment("digests", str(pool), **named).prompt(), Root(str(tmp_path / "root")))
        return {name: stage.digest for name, stage in found.items()}

    one, two, three = digests(), digests("what is two and two"), digests("what is three and three")
    for name in ("decontamination", "control_lm", "matched_lm", "trained_lm"):
        assert len({one[name], two[name], three[name]}) == 3, name
    assert one["pool_tokens"] == two["pool_tokens"] == three["pool_tokens"]
