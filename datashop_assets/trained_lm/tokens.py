"""The pool as tokens, made once for every prompt that trains with the same vocabulary or from the same checkpoint.

The tokenizer learns from documents of the split `train` alone, or is the checkpoint's. Encoding gives some
1 MB of text a second and core.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl
from tokenizers import Tokenizer

from datashop_assets.core.step import Metrics, OpenRun
from datashop_assets.documents.pool import pool_shards, read_chosen, read_pool
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.checkpoint_start import Start
from datashop_assets.trained_lm.draws import Draw
from datashop_assets.trained_lm.tokenizer import BATCH, CHARACTERS_A_TOKEN, END, bytes_of, encode, train_tokenizer

TOKENIZER = "tokenizer.json"
SCHEMA = {
    "row": pl.Int64,
    "id": pl.String,
    "split": pl.String,
    "source": pl.String,
    "bytes": pl.Int64,
    "length": pl.Int64,  # in tokens
    "tokens": pl.List(pl.Int32),
}


def build(run: OpenRun) -> Metrics:
    """Writes `tokenizer.json` and, for each shard of the pool, the tokens of its documents in order."""
    pool = run.inputs["pretraining_pool"]
    shards = pool_shards(pool)
    tokenizer, separator = _tokenizer(run, pool, shards)
    with run.resources.progress.bar("tokenizing", len(shards), "shards") as bar:
        for shard in shards:
            if not run.output.finished(f"{shard}.parquet"):
                run.output.write_rows(f"{shard}.parquet", _rows(pool, shard, tokenizer), SCHEMA)
            bar.advance()
    return {"vocabulary": tokenizer.get_vocab_size(), "separator": separator, **_counts(run, shards)}


def read_tokenizer(folder: StageFolder) -> tuple[Tokenizer, str]:
    """A pool's tokenizer, and the token that stands before every document."""
    return Tokenizer.from_file(str(folder.file(TOKENIZER))), str(folder.metrics["separator"])


def _tokenizer(run: OpenRun, pool: StageFolder, shards: list[str]) -> tuple[Tokenizer, str]:
    start = Start.named(run.config["checkpoint"]["name"]) if run.config.get("checkpoint") else None
    if run.output.finished(TOKENIZER):
        tokenizer = Tokenizer.from_str(run.output.folder.read(TOKENIZER).decode())
    elif start:
        tokenizer = start.tokenizer()
    else:
        vocabulary = run.config["vocabulary"]
        tokenizer = train_tokenizer(_sample(pool, shards, vocabulary * CHARACTERS_A_TOKEN), vocabulary)
    if not run.output.finished(TOKENIZER):
        run.output.put_bytes(TOKENIZER, tokenizer.to_str().encode())
    return tokenizer, start.separator(tokenizer) if start else END


def _sample(pool: StageFolder, shards: list[str], characters: int) -> Iterator[str]:
    """Texts of a random draw of training documents, in pool order, `characters` in all."""
    draw: Draw[tuple[str, int]] = Draw(characters)
    for shard in shards:
        index = pool.table(f"{shard}.parquet").filter(status="ok", split="train")
        for row, size, content in index.select("row", "characters", "content").iter_rows():
            draw.offer(keyed_hash(f"tokenizer {shard} {row}", content), size, (shard, row))
    wanted: dict[str, list[int]] = {}
    for shard, row in sorted(place for _, place in draw.keyed()):
        wanted.setdefault(shard, []).append(row)
    for shard, rows in wanted.items():
        yield from (document.text for _, document in read_chosen(pool, shard, rows))


def _rows(pool: StageFolder, shard: str, tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
    index = pool.table(f"{shard}.parquet")
    splits = dict(zip(index["row"], index["split"], strict=True))
    documents = read_pool(pool, shard)
    while batch := list(islice(documents, BATCH)):
        texts = [document.text for _, document in batch]
        for (row, document), size, tokens in zip(batch, bytes_of(texts), encode(tokenizer, texts), strict=True):
            yield {
                "row": row,
                "id": document.id,
                "split": splits[row],
                "source": document.source,
                "bytes": size,
                "length": len(tokens),
                "tokens": tokens.tolist(),
            }


def _counts(run: OpenRun, shards: list[str]) -> Metrics:
    documents: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for shard in shards:
        with run.output.folder.open(f"{shard}.parquet") as file:
            table = pl.read_parquet(file, columns=["split", "bytes", "length"])
        grouped = table.group_by("split").agg(pl.len(), pl.col("length").sum(), pl.col("bytes").sum())
        for split, rows, length, size in grouped.iter_rows():
            documents[split] += rows
            tokens[split] += length
            sizes[split] += size
    return {
        "documents": dict(sorted(documents.items())),
        "tokens": dict(sorted(tokens.items())),
        "bytes_per_token": round(sizes.total() / max(tokens.total(), 1), 3),
    }
