"""The embedded pool, indexed, and labels from its gold: real documents without an annotator."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from datashop_assets.core.step import StepOutput, config_json
from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import load_gold
from datashop_assets.documents.pool import pool_shards, read_index, read_pool
from datashop_assets.encoder.results import EncoderStepConfig
from datashop_assets.filtered_pool.results import FilteredPoolConfig, FilteredPoolResult
from datashop_assets.filtered_pool.steps import filtered_pool
from datashop_assets.models.tokenizer import END, encode, train_tokenizer
from datashop_assets.prompts.encoder_settings import EncoderSettings
from datashop_assets.prompts.keep_settings import FractionRule
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.training_documents.results import TOKENIZER, DrawnDocuments, PoolTokensResult
from datashop_assets.training_set.labels import SCHEMA, counts
from datashop_assets.training_set.results import LABELS, TrainingSetConfig, TrainingSetResult
from datashop_assets.training_set.steps import training_set
from datashop_assets_tests.documents import making
from datashop_assets_tests.stages import finish, writer

GOLD = ["Mathematics", "sympy", "mpmath"]
CONFIG = EncoderStepConfig(
    encoder=EncoderSettings(kind="fasttext", dimensions=8, buckets=20_000).encoder_config,
    read_characters=1000,
    reading="head",
    gold=(),
    gold_uri="embedded",
)
PROMPT = {
    "name": "Mathematics",
    "rubric": "{example}",
    "annotator": {"likelihood": {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}},
}
DATA = {"uri": "embedded", "text_field": "text", "id_field": "id", "source_field": "source"}


def gold_pool(root: Path, data: dict[str, str] | None = None) -> StageFolder:
    """An indexed pool below `root`: the embedded one unless `data` names another."""
    if (root / "pretraining_pool" / "manifest.json").exists():
        return StageFolder(Folder(str(root / "pretraining_pool")))
    return making.make_pool((data or DATA)["uri"], root)


def filtering(keep: dict[str, Any], **changes: Any) -> FilteredPoolConfig:
    """How `filtered_pool` is configured by a prompt with this section `keep`."""
    prompt = parse_prompt({**PROMPT, "keep": keep}, "mathematics", "mathematics.yaml")
    config = filtered_pool.configure(prompt)
    assert config is not None
    return config.model_copy(update=changes)


def kept_result(**changes: Any) -> FilteredPoolResult:
    """A result that says nothing but what the test is about."""
    nothing = dict.fromkeys(("threshold", "total", "budget", "tied_at_cut", "cut", "cut_score", "tokens", "gold"))
    counts = dict.fromkeys(("near_cut", "documents", "bytes", "kept_documents", "kept_bytes"), 0)
    parts = {"near_cut_documents": (), "by_source": {}, "by_split": {}, "gold_within": {}}
    rule = FractionRule(fraction=0.5, of="documents")
    return FilteredPoolResult.model_validate(
        {"rule": rule, "unit": "documents", **nothing, **counts, **parts, **changes}
    )


def pool_tokenizer(root: Path, pool: StageFolder, times: float = 1.0) -> StageFolder:
    """`pool_tokens` as far as filtering reads it: a tokenizer, and the bytes of a token in 500 documents.

    `times` makes that ratio a wrong one.
    """
    texts = [document.text for _, document in islice(read_pool(pool, pool_shards(pool)[0]), 500)]
    tokenizer = train_tokenizer(texts, 400)
    size, tokens = sum(len(text.encode()) for text in texts), sum(len(one) for one in encode(tokenizer, texts))
    output = writer(root, "pool_tokens")
    output.put_bytes(TOKENIZER, tokenizer.to_str().encode())
    result = PoolTokensResult(
        vocabulary=tokenizer.get_vocab_size(),
        separator=END,
        bytes_per_token=round(times * size / tokens, 3),
        documents=DrawnDocuments(documents=0, bytes=0, tokens=0, left_out={}, left_out_by_source={}),
    )
    return finish(output, "pool_tokens", result.model_dump(mode="json"), {})


def training_set_of_rows(root: Path, rows: Iterable[dict[str, Any]]) -> StepOutput[TrainingSetResult]:
    """A finished training set of these rows of `SCHEMA`, whose scores are learnt."""
    output, listed = writer(root, "training_set"), list(rows)
    output.write_rows(LABELS, listed, SCHEMA)
    config = TrainingSetConfig(train_on="scores", positive_from=2.5, balance=False)
    finished = finish(output, "training_set", counts(listed, [], config).model_dump(mode="json"), config_json(config))
    return training_set.output(finished.folder)


def training_rows(root: Path, documents: int) -> Iterator[dict[str, Any]]:
    """Documents of the training split, drawn by hash, labelled by their gold."""
    pool, gold = gold_pool(root), load_gold(root / "cache", installed_data(), "embedded")
    found = [
        (row, document)
        for shard in pool_shards(pool)
        for row, (_, document) in zip(read_index(pool, shard), read_pool(pool, shard), strict=True)
        if row["split"] == "train" and document.id in gold
    ]
    chosen = sorted(found, key=lambda one: keyed_hash("labels", one[1].id))[:documents]
    for place, (_, document) in enumerate(chosen):
        label = int(gold[document.id] in GOLD)
        yield {"id": document.id, "source": document.source, "text": document.text[:1000], "label": label} | {
            "characters": len(document.text),
            "expected_score": 5.0 * label,
            "target": float(label),
            "weight": 1.0,
            "repeat": 1,
            "fold": place % 5,
        }
