"""What shares text with the evaluation sets is left out of training, counted and shown."""

import unicodedata
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.documents.sources import DocumentSource
from datashop_assets.graph import plan
from datashop_assets.prompts.settings import Data
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_documents.decontamination import NgramIndex, Overlap, hashed, load_ngrams, runs
from datashop_assets.training_documents.settings import DecontaminationConfig, TrainingSettings
from datashop_assets.training_documents.steps import decontamination, pool_tokens
from datashop_assets.training_documents.tokens import SHARED, tokenized_documents
from datashop_assets_tests.small import experiment
from datashop_assets_tests.small_lm import TRAINING, TokenizedPool, make_pool, tokenize_pool, tokens_config
from datashop_assets_tests.stages import run_step

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
    [found] = index.overlaps(["Ask: WHAT IS\nthe (sum) of -- 2 ..."])
    assert found == Overlap(ngrams=3, shared=2, example="what is the sum of", set="set", evaluation_id="q")


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
    [found] = index.overlaps([document])
    assert found is not None
    assert found.shared >= 1


def test_a_benchmark_without_a_readable_document_is_refused(pool: StageFolder, tmp_path: Path) -> None:
    benchmark = tmp_path / "questions.jsonl"
    benchmark.write_bytes(orjson.dumps({"id": "q1", "question": "which of these is the largest prime?"}) + b"\n")
    config = DecontaminationConfig(ngram=13, sets=(named(benchmark),))
    with pytest.raises(
        ValueError, match=r"questions.jsonl has no document with text in the field 'text', .* correct uri"
    ):
        run_step(decontamination, tmp_path, config, [pool])


def named(file: Path) -> DocumentSource:
    return DocumentSource.of(Data(uri=str(file)))


def test_a_question_shorter_than_a_run_is_found_as_a_whole_unless_it_is_very_short() -> None:
    short, shorter = "which gas do plants take from the air", "what is the sum of two"  # 8 and 6 words
    index = NgramIndex.of([(("set", "q1"), short), (("set", "q2"), shorter)], 13)
    texts = [f"Ask: {short}? Carbon dioxide.", f"Ask: {shorter}?", short.replace("gas", "metal")]
    first, *others = index.overlaps(texts)
    assert first is not None
    assert (first.evaluation_id, first.example) == ("q1", short)
    assert others == [None, None]


def test_the_index_that_is_read_finds_what_the_one_that_was_written_does(pool: StageFolder, tmp_path: Path) -> None:
    benchmark = tmp_path / "questions.jsonl"
    short = "which gas do plants take from the air"  # a text that is looked for as a whole
    benchmark.write_bytes(orjson.dumps({"id": "q1", "text": short}) + b"\n")
    config = DecontaminationConfig(ngram=13, sets=(named(benchmark),))
    made = run_step(decontamination, tmp_path, config, [pool])
    index = load_ngrams(made)
    heldout = [row["id"] for shard in pool_shards(pool) for row in read_index(pool, shard) if row["split"] == "heldout"]
    assert [name for _, name in index.names] == [*heldout, "q1"]
    assert made.result.ngrams == len(index.hashes)
    assert (made.result.heldout_documents, made.result.named_documents) == (len(heldout), 1)
    texts = [one.text for shard in pool_shards(pool) for _, one in read_pool(pool, shard) if one.id in heldout[:3]]
    shared = list(index.overlaps([*texts, f"Ask: {short}?", "nothing of the kind is written anywhere else"]))
    assert [found is not None for found in shared] == [True] * 4 + [False]
    assert [found.set for found in shared if found] == ["held-out"] * 3 + [str(benchmark)]


def test_named_documents_too_short_to_look_for_are_counted(pool: StageFolder, tmp_path: Path) -> None:
    benchmark = tmp_path / "questions.jsonl"
    benchmark.write_bytes(b"".join(orjson.dumps({"id": n, "text": n}) + b"\n" for n in ("what is two", "one " * 20)))
    made = run_step(decontamination, tmp_path, DecontaminationConfig(ngram=13, sets=(named(benchmark),)), [pool])
    assert made.result.named_too_short == 1
    assert (
        "1 of the prompt's own evaluation documents are too short"
        in (decontamination.describe(made)["evaluation documents"])
    )


def made(root: Path, words: int) -> TokenizedPool:
    """400 random texts of 40 words, one of which quotes a benchmark's question."""
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 500, 40)) for _ in range(400)]
    question = "which of these numbers is the largest prime below one hundred and why is that so"
    texts[QUOTES] += " " + question
    pool = make_pool(root, [{"id": f"d{n}", "text": text, "source": "web"} for n, text in enumerate(texts)])
    benchmark = root / "questions.jsonl"
    benchmark.write_bytes(orjson.dumps({"id": "q1", "text": question, "source": "quiz"}) + b"\n")
    config = DecontaminationConfig(ngram=words, sets=(named(benchmark),))
    index = run_step(decontamination, root, config, [pool])
    drawn = tokens_config(TrainingSettings(**{**TRAINING, "steps": 1000}), 280)  # more than the pool has
    return TokenizedPool(pool, index, run_step(pool_tokens, root, drawn, [pool, index]))


def test_a_document_that_quotes_a_benchmark_is_left_out_with_an_example(tmp_path: Path) -> None:
    found = made(tmp_path, 13)
    assert found.pool.table().filter(id=f"d{QUOTES}")["split"].to_list() == ["train"]
    assert found.decontamination.result.named_documents == 1
    assert found.tokens.result.documents.left_out == {SHARED: 1}
    assert (
        "shares a run of 13 words, or all words of a shorter text"
        in (decontamination.describe(found.decontamination)["evaluation documents"])
    )
    shown = pool_tokens.describe(found.tokens)
    assert "which of these numbers is the largest prime below one hundred" in shown["some overlaps"]
    trained_on = {piece.id for part in tokenized_documents(found.tokens) for piece in part.pieces}
    assert trained_on == set(found.pool.table().filter(split="train")["id"]) - {f"d{QUOTES}"}


def test_what_is_left_out_is_counted_by_its_largest_sources(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 5000, 80)) for _ in range(300)]
    quote = " ".join(f"q{n}" for n in range(13))
    pool = make_pool(
        tmp_path,
        [{"id": f"d{n}", "text": f"{text} {quote}", "source": f"https://{n}.org"} for n, text in enumerate(texts)],
    )
    counted = tokenize_pool(tmp_path, pool, 280).tokens.result.documents
    assert counted.left_out == {SHARED: pool.table()["split"].to_list().count("train")}
    assert sum(counted.left_out_by_source.values()) == counted.left_out[SHARED]
    assert len(counted.left_out_by_source) <= 101
    assert counted.left_out_by_source["(other sources)"] > 100


def test_the_controls_digest_holds_that_of_the_evaluation_sets(tmp_path: Path) -> None:
    pool, benchmark = tmp_path / "pool.jsonl", tmp_path / "questions.jsonl"
    pool.write_bytes(orjson.dumps({"id": "d", "text": "a document", "source": "web"}))

    def digests(question: str | None = None) -> dict[str, str]:
        benchmark.write_bytes(orjson.dumps({"id": "q", "text": question}))
        named = {"evaluation": {"benchmarks": [{"uri": str(benchmark)}]}} if question else {}
        found = plan(experiment("digests", str(pool), **named).prompt(), Root(str(tmp_path / "root")))
        return {name: stage.digest for name, stage in found.items()}

    one, two, three = digests(), digests("what is two and two"), digests("what is three and three")
    for name in ("decontamination", "pool_tokens", "control_lm", "matched_lm", "trained_lm"):
        assert len({one[name], two[name], three[name]}) == 3, name
    assert one["pool_scores"] == two["pool_scores"] == three["pool_scores"]
