"""The kinds of encoder beside fastText, built as the stage builds them: a tiny transformer, vectors, a cascade."""

import json
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.pool import pool_shards, read_pool
from datashop_assets.encoder import steps
from datashop_assets.encoder.describe import describe, describe_embeddings
from datashop_assets.encoder.embeddings import vectors_of
from datashop_assets.encoder.results import (
    EncoderResult,
    EncoderStepConfig,
    PoolEmbeddingsConfig,
    PoolEmbeddingsResult,
    encoder_report,
)
from datashop_assets.encoder_kinds.kinds import fingerprint
from datashop_assets.encoder_kinds.trained import load, was_passed
from datashop_assets.filtered_pool.scoring import pool_margins
from datashop_assets.graph import plan
from datashop_assets.models.bert.weights import load_bert
from datashop_assets.models.tuning import TuningSettings
from datashop_assets.prompts.encoder_settings import MINILM, EncoderSettings, Static, Transformer
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import Root
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_set.steps import training_set
from datashop_assets_tests.filtered_pool.pools import gold_pool, training_set_of_rows
from datashop_assets_tests.graph.golden_plans import prompt_of
from datashop_assets_tests.models.tiny_bert import write_tiny
from datashop_assets_tests.stages import LosesEveryWorker, run_step

MATHEMATICS = ("theorem", "integral", "prime", "number", "proof")
OTHERS = ("king", "river", "album", "village", "battle")
EMBEDDING = PoolEmbeddingsConfig(model=MINILM, fingerprint=MINILM, read_characters=200, reading="head")


def labelled(documents: int = 120) -> list[dict[str, Any]]:
    """Texts of words, a fifth of them positive, whose topic every model can learn."""
    random = np.random.default_rng(0)
    rows = []
    for place in range(documents):
        label = int(place % 5 == 0)
        text = " ".join(random.choice(MATHEMATICS if label else OTHERS, 6)) + f" {place}"
        rows.append({"id": str(place), "source": "ab"[place % 2], "text": text, "label": label})
        rows[-1] |= {"characters": len(text), "expected_score": 4.0 * label + 0.5, "target": 0.8 * label + 0.1}
        rows[-1] |= {"weight": 1.0 + place % 3, "repeat": 1, "fold": (place // 5) % 5}
    return rows


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kinds")
    for kind in ("modernbert", "gte"):
        write_tiny(root / kind, kind)
    write_tiny(root / "tiny")
    training_set_of_rows(root, labelled())
    return root


def built(root: Path, name: str, settings: Mapping[str, Any]) -> StepOutput[EncoderResult]:
    if (root / name / "manifest.json").exists():
        return steps.encoder.output(Folder(str(root / name)))
    config = EncoderStepConfig(
        encoder=EncoderSettings.model_validate_json(json.dumps(settings)).encoder_config,
        read_characters=200,
        reading="head",
        gold=(),
        gold_uri="embedded",
    )
    return run_step(steps.encoder, root, config, [training_set.output(Folder(str(root / "training_set")))], name=name)


def transformer(root: Path, **more: Any) -> dict[str, Any]:
    model = {"model": str(root / "tiny"), "longest": 48, "learning_rate": 0.02, "epochs": 6}
    return {"kind": "transformer", "transformer": {**model, **more}}


def settings_of(root: Path, name: str) -> dict[str, Any]:
    return {
        "frozen": transformer(root),
        "modernbert": transformer(root, model=str(root / "modernbert"), pooling="first"),
        "modernbert tuned": transformer(root, model=str(root / "modernbert"), tune="all", learning_rate=3e-3),
        "gte tuned": transformer(root, model=str(root / "gte"), tune="all", learning_rate=3e-3),
        "tuned": transformer(root, tune="all", epochs=8, head="ordinal", learning_rate=3e-3),
        "static": {"kind": "static", "calibration": "best"},
        "vectors": {"kind": "static", "static": {"embed_pool": True}},
        "cascade": {**transformer(root), "cascade": {"passes": 0.4}, "buckets": 100, "dimensions": 4},
    }[name]


TUNED = [  # compiling a step of all weights takes long
    pytest.param(name, marks=pytest.mark.faults) for name in ("tuned", "modernbert tuned", "gte tuned")
]


@pytest.mark.parametrize("name", ["frozen", "modernbert", *TUNED, "static", "vectors", "cascade"])
def test_every_kind_learns_and_scores_again_as_it_was_built(root: Path, name: str) -> None:
    encoder = built(root, name, settings_of(root, name))
    assert encoder.result.auc is not None
    assert encoder.result.auc.value > 0.8
    loaded = load(encoder)
    texts = ["prime number theorem proof", "the king of the village", ""]
    margins = loaded.margins(texts)
    assert margins[0] > margins[1]
    scores = loaded.calibration.probability(margins)
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_array_equal(load(encoder).margins(texts), margins)
    assert {"reliability", "precision and recall", "false positives"} <= set(describe(encoder))


def test_a_long_text_is_read_in_windows_from_its_beginning_to_its_end(root: Path) -> None:
    bert = load_bert(root / "tiny")
    text = " ".join(f"word {number}" for number in range(200))
    [every], [some] = (bert.windows([text], 16, most) for most in (10_000, 3))
    [short] = bert.windows(["a"], 16, 3)
    assert len(every) > 20
    assert some == [every[0], every[round((len(every) - 1) / 2)], every[-1]]
    assert all(len(window) <= 16 for window in every)
    bert.tokenizer.no_truncation()
    assert [token for window in every for token in window[1:-1]] == bert.tokenizer.encode(text).ids[1:-1]
    assert short == bert.tokenize(["a"], 16)


def test_the_score_of_a_long_text_is_the_mean_of_its_windows(root: Path) -> None:
    encoder = load(built(root, "frozen", settings_of(root, "frozen")))
    parts = ["prime number theorem proof " * 12, "the king of the village " * 12]
    both = encoder.model.margin([" ".join(parts)])
    alone = encoder.model.margin(parts)
    assert alone[1] < both[0] < alone[0]


def test_a_transformer_is_stored_as_a_folder_that_others_open(root: Path) -> None:
    encoder = built(root, "frozen", settings_of(root, "frozen"))
    config = json.loads(encoder.file("config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    names = {file.name for file in encoder.manifest.files}
    assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names


def test_a_build_that_was_killed_after_its_folds_gives_the_same_content(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = built(root, "frozen", settings_of(root, "frozen"))
    monkeypatch.setattr("datashop_assets.encoder.fitting.fit_calibration", _killed)
    with pytest.raises(InterruptedError):
        built(root, "again", settings_of(root, "frozen"))
    monkeypatch.undo()
    again = built(root, "again", settings_of(root, "frozen"))
    assert again.manifest.content_digest == whole.manifest.content_digest


def _killed(*_: Any) -> None:
    raise InterruptedError


def test_a_cascade_puts_what_it_does_not_pass_beneath_everything_else(root: Path) -> None:
    encoder = built(root, "cascade", settings_of(root, "cascade"))
    loaded = load(encoder)
    texts = [row["text"] for row in labelled()]
    margins = loaded.margins(texts)
    passed = was_passed(margins)
    assert 0 < passed.sum() < len(texts)
    assert margins[passed].min() > margins[~passed].max()
    scores = loaded.calibration.probability(margins)
    assert scores[passed].min() >= scores[~passed].max()
    assert len(set(margins[~passed])) > 10  # what is beneath keeps its order


def test_a_cascade_says_what_it_costs(root: Path) -> None:
    encoder = built(root, "cascade", settings_of(root, "cascade"))
    found = encoder_report(encoder).cascade
    assert found is not None
    assert found == encoder.result.cascade
    assert found.passed + found.lost_positives <= found.documents
    assert found.recall is not None
    assert found.recall.low is not None
    assert found.recall.high is not None
    assert found.recall.low <= found.recall.value <= found.recall.high <= 1
    assert "positives passed on" in describe(encoder)["cascade"]
    margins = encoder.table("out_of_fold.parquet")["margin"].to_numpy()
    assert int(was_passed(margins).sum()) == found.passed


@pytest.fixture(scope="module")
def pool(root: Path) -> StageFolder:
    lines = [{"text": f"{word} {place}"} for place in range(30) for word in ("theorem", "king")] + [{"text": None}]
    (root / "pool").mkdir()
    for shard in ("a", "b"):
        text = "\n".join(json.dumps({**line, "id": f"{shard}{n}"}) for n, line in enumerate(lines))
        (root / "pool" / f"{shard}.jsonl").write_text(text)
    (root / "pool" / "none.jsonl").write_text('{"text": null}\n')
    data = {"uri": str(root / "pool"), "text_field": "text", "id_field": "id", "source_field": "source"}
    return gold_pool(root, data)


def embedded(root: Path, pool: StageFolder) -> StepOutput[PoolEmbeddingsResult]:
    if (root / "pool_embeddings" / "manifest.json").exists():
        return steps.pool_embeddings.output(Folder(str(root / "pool_embeddings")))
    return run_step(steps.pool_embeddings, root, EMBEDDING, [pool])


def test_margins_of_the_pools_vectors_are_those_of_its_texts(root: Path, pool: StageFolder) -> None:
    assert not load(built(root, "static", settings_of(root, "static"))).scores_embeddings
    loaded = load(built(root, "vectors", settings_of(root, "vectors")))
    assert loaded.scores_embeddings
    vectors = embedded(root, pool)
    for shard in pool_shards(pool):
        documents = list(read_pool(pool, shard))
        found = list(pool_margins(loaded, pool, vectors, shard))
        assert [one for batch, _ in found for one in batch] == [(row, document.id) for row, document in documents]
        margins = np.concatenate([np.zeros(0), *(margins for _, margins in found)])
        wanted = loaded.margins([document.text for _, document in documents])
        np.testing.assert_allclose(margins, wanted, atol=1e-9)
        of_texts = np.concatenate([np.zeros(0), *(one for _, one in pool_margins(loaded, pool, None, shard))])
        np.testing.assert_array_equal(of_texts, wanted)


def test_a_margin_that_is_not_a_number_is_named_with_its_row(
    root: Path, pool: StageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(built(root, "vectors", settings_of(root, "vectors")))
    monkeypatch.setattr(loaded.model, "bias", np.where(np.arange(60) == 7, np.nan, 0.0))
    with pytest.raises(ValueError, match=r"row 7 of shard a \('a7'\) has no number as its margin"):
        list(pool_margins(loaded, pool, embedded(root, pool), "a"))


def test_memory_holds_what_is_read_of_long_documents(root: Path, tmp_path: Path) -> None:
    line = json.dumps({"text": "a king of the village " * 10_000}) + "\n"
    (tmp_path / "long.jsonl").write_text(line * 150)  # 33 MB
    data = {"uri": str(tmp_path / "long.jsonl"), "text_field": "text", "id_field": "id", "source_field": "source"}
    long = gold_pool(tmp_path, data)
    loaded = replace(load(built(root, "static", settings_of(root, "static"))), model=OfLength())
    tracemalloc.start()
    found = np.concatenate([margins for _, margins in pool_margins(loaded, long, long, "long")])
    vectors = list(vectors_of(OfLength(), read_pool(long, "long"), EMBEDDING))  # type: ignore[arg-type]
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert found.tolist() == vectors[0].tolist() == [204.0] * 150


class OfLength:
    """Scores, and embeds, a text by its length."""

    paths = ()

    def margin(self, texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([len(text) for text in texts], dtype=np.float64)

    embed = margin


def test_embeddings_say_what_they_are(root: Path, pool: StageFolder) -> None:
    found = embedded(root, pool)
    assert found.result == PoolEmbeddingsResult(documents=120, width=384, bytes=120 * 384 * 2)
    assert "120 documents" in describe_embeddings(found)["embeddings"]


def test_vectors_of_a_lost_worker_are_not_made_again(root: Path, pool: StageFolder) -> None:
    resources = Resources(compute=LosesEveryWorker(root / "again-vectors"))
    again = run_step(steps.pool_embeddings, root, EMBEDDING, [pool], name="again-vectors", resources=resources)
    assert again.manifest.content_digest == embedded(root, pool).manifest.content_digest


def test_the_pool_is_embedded_only_for_a_prompt_that_keeps_vectors(tmp_path: Path) -> None:
    kept, by_default = (plan(prompt_of(kind), Root(str(tmp_path))) for kind in ("embedded-pool", "static"))
    assert "pool_embeddings" in kept["pool_scores"].inputs
    assert "pool_embeddings" not in by_default
    assert "pool_embeddings" not in by_default["pool_scores"].inputs


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fingerprint(str(tmp_path / "nowhere"))


def test_a_model_that_changes_has_another_fingerprint(root: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    before = fingerprint(str(tmp_path))
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text() + " ")
    assert fingerprint(str(tmp_path)) != before


def test_the_recipes_are_fineweb_edus_for_a_head_and_the_usual_one_for_all_weights() -> None:
    head, every = (TuningSettings(**Transformer(tune=tune).training()) for tune in ("head", "all"))
    assert (head.epochs, head.rates(1000)(0), head.rates(1000)(999)) == (20, 3e-4, 3e-4)
    rates = np.array([every.rates(1000)(step) for step in range(1000)])
    assert (every.epochs, rates.argmax(), rates.max()) == (3, 100, np.float32(5e-5))
    assert rates[0] == 0
    assert rates[-1] < 1e-9
    assert rates[550] == pytest.approx(2.5e-5, rel=1e-3)  # halfway down a cosine


def test_only_the_named_kind_is_part_of_the_configuration() -> None:
    fasttext = EncoderSettings(kind="fasttext").config()
    assert EncoderSettings(kind="fasttext", static=Static(model="/elsewhere")).config() == fasttext
    assert "dimensions" not in EncoderSettings.model_validate({"kind": "static"}).config()
    with pytest.raises(ValueError, match="scored by their vectors alone; remove words or embed_pool"):
        EncoderSettings.model_validate({"static": {"words": True, "embed_pool": True}})
    with pytest.raises(ValueError, match="ends in a transformer"):
        EncoderSettings.model_validate({"cascade": {"passes": 0.2}})
