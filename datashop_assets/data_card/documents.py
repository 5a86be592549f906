"""The documents that a card shows, and how all others are counted.

One pass over the scored pool counts scores, sources and what is kept, and picks the documents at the cut (`scan`). A
shard's part is a small JSON value, kept in scratch, so that a killed card goes on after the last shard and memory does
not grow with the pool. The page shows the picked documents and those on which annotator and encoder disagree most
(`samples`). The browser shows every annotated document and the pool beside it, above a limit a sample of both
(`browsed`).
"""

import base64
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import polars as pl

from datashop_assets.annotations.results import AnnotationsResult
from datashop_assets.data_card.results import CardRun, DataCardConfig
from datashop_assets.documents.pool import read_chosen
from datashop_assets.documents.results import PretrainingPoolResult
from datashop_assets.encoder.results import OUT_OF_FOLD, EncoderResult
from datashop_assets.excerpts import excerpt
from datashop_assets.filtered_pool.results import FilteredPoolResult, PoolScoresResult
from datashop_assets.storage.digests import keyed_hash
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.writing import on_disk

BINS = 100  # of the score from 0 to 1
SHOWN = 8  # documents of each kind of sample
CELL = ("source", "bin", "kept")
DRAWN = ("shard", "row", "id", "source", "split", "score", "kept")
Scanned = dict[str, Any]
SAMPLE_CHARACTERS = 1200  # of a text on the page
Samples = dict[str, list[dict[str, Any]]]
LIMIT = 100_000  # documents in the browser; more make it slow
CHARACTERS = 40_000_000  # of text in the browser, all documents together
SHOWN_CHARACTERS = 4000  # of an annotated text, whatever the annotator read
CODED = ("source", "split", "status")  # columns of few values: stored as numbers and a list of names
OUTSIDE = "outside the shards browsed"  # of an annotated document: another shard's, or no document of the pool
COLUMNS: dict[str, Any] = {
    "id": "",
    "source": "",
    "split": OUTSIDE,
    "score": None,  # the encoder's, as the pool was scored
    "kept": False,
    "status": "not asked",
    "asked": None,  # the annotator's expected score
    "label": None,
    "unseen": None,  # the encoder's score from a fold that did not see the label
    "reply": "",
    "text": "",
    "cut": False,
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Scan:
    """The whole pool: counts by source, bin of the score and kept or not; and samples, each in its order."""

    cells: pl.DataFrame  # source, bin, kept, documents, bytes
    best: Sequence[dict[str, Any]]
    above: Sequence[dict[str, Any]]  # the lowest scores kept
    below: Sequence[dict[str, Any]]  # the highest scores rejected

    @property
    def samples(self) -> list[dict[str, Any]]:
        return [*self.best, *self.above, *self.below]


def scan(run: CardRun, shards: Sequence[str]) -> Scan:
    """Scans every shard that an interrupted run has not scanned yet, and puts the parts together."""
    pool, kept = run.input(PretrainingPoolResult), run.input(FilteredPoolResult)
    parts = []
    with run.resources.progress.bar("data card: scores", len(shards), "shards") as bar:
        for shard in shards:
            place = run.output.scratch / f"{shard}.scan.json"
            if not place.exists():
                scanned = scan_shard(attributes(pool, kept, shard))
                with on_disk(place) as file:
                    file.write(orjson.dumps(scanned))
            parts.append(orjson.loads(place.read_bytes()))
            bar.advance()
    return merged(parts)


def attributes(pool: StageFolder, kept: StageFolder, shard: str) -> pl.DataFrame:
    """Every document of a shard without its text: what the index and the keep rule say of it."""
    index = pool.table(f"{shard}.parquet").select("row", "source", "bytes")
    decided = kept.table(f"{shard}.parquet").select("row", "id", "split", "score", "kept")
    return decided.join(index, on="row", how="left").with_columns(
        pl.lit(shard).alias("shard"),
        (pl.col("score").clip(0, 1) * BINS).floor().clip(0, BINS - 1).cast(pl.Int64).alias("bin"),
    )


def scan_shard(table: pl.DataFrame) -> Scanned:
    cells = table.group_by(CELL).agg(documents=pl.len().cast(pl.Int64), bytes=pl.col("bytes").sum()).sort(CELL)
    named = table.select(DRAWN)
    return {
        "cells": cells.rows(),
        "best": _first(named, descending=True),
        "above": _first(named.filter("kept"), descending=False),
        "below": _first(named.filter(~pl.col("kept")), descending=True),
    }


def merged(parts: Iterable[Scanned]) -> Scan:
    parts = list(parts)
    schema = {"source": pl.String, "bin": pl.Int64, "kept": pl.Boolean, "documents": pl.Int64, "bytes": pl.Int64}
    rows = [row for part in parts for row in part["cells"]]
    cells = pl.DataFrame(rows, schema, orient="row").group_by(CELL).sum().sort(CELL)
    return Scan(
        cells,
        list(_of(parts, "best", descending=True)),
        list(_of(parts, "above", descending=False)),
        list(_of(parts, "below", descending=True)),
    )


def _of(parts: Sequence[Scanned], kind: str, *, descending: bool) -> Iterator[dict[str, Any]]:
    found = [row for part in parts for row in part[kind]]
    sign = -1 if descending else 1
    yield from sorted(found, key=lambda row: (sign * row["score"], row["shard"], row["row"]))[:SHOWN]


def _first(table: pl.DataFrame, *, descending: bool) -> list[dict[str, Any]]:
    return table.sort(["score", "row"], descending=[descending, False]).head(SHOWN).to_dicts()


def yields(cells: pl.DataFrame) -> dict[str, list[float]]:
    """`score`, `documents`, `bytes`: how much has at least each hundredth of the score, from 0 to 0.99."""
    counts = binned(cells, ("documents", "bytes"))
    from_here_on = {name: found[::-1].cumsum()[::-1].tolist() for name, found in counts.items()}
    return {"score": (np.arange(BINS) / BINS).tolist(), **from_here_on}


def binned(cells: pl.DataFrame, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Sums of `Scan.cells` by bin of the score. [BINS] each."""
    every = pl.DataFrame({"bin": np.arange(BINS)}).join(
        cells.group_by("bin").agg(pl.col(columns).sum()), on="bin", how="left", maintain_order="left"
    )
    return {name: every[name].fill_null(0).to_numpy() for name in columns}


def annotated(run: CardRun) -> dict[str, Row]:
    """What annotator and encoder say of every annotated document, by id, with the text that the annotator read."""
    written = run.config.annotator.scoring == "generate"
    found = {
        row["id"]: {
            "source": row["source"],
            "status": row["status"],
            "asked": _rounded(row["expected_score"]),
            "reply": (row["raw"] if written else by_probability(row["raw"])) or row["reason"],
            "text": row["text"][:SHOWN_CHARACTERS],
            "cut": row["cut"],
        }
        for row in run.input(AnnotationsResult).all_rows()
    }
    for row in run.input(EncoderResult).table(OUT_OF_FOLD).iter_rows(named=True):
        found.get(row["id"], {}).update(label=row["label"], target=row["target"], unseen=_rounded(row["score"]))
    return found


def by_probability(raw: str) -> str:
    """Probabilities of answers as lines, the likeliest first. What is no such object stays as it is."""
    try:
        found = orjson.loads(raw)
        return "\n".join(f"{share:.3f} {answer}" for answer, share in sorted(found.items(), key=lambda one: -one[1]))
    except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError):
        return raw


def seen(text: str, config: DataCardConfig, characters: int) -> tuple[str, bool]:
    """The part of a text that the annotator reads, and whether more was written."""
    return excerpt(text, min(config.annotator.read_characters, characters), config.annotator.reading)


def samples(run: CardRun, found: Scan, answers: Mapping[str, Row]) -> Samples:
    """Title -> documents with id, source, score, what the annotator said, and the part that it reads.

    `answers` are those of `annotated`.
    """
    texts = _texts(run, found.samples)

    def shown(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{**_named(row), "text": texts[row["shard"], row["row"]]} for row in rows]

    return {
        "Best": shown(found.best),
        "Just kept": shown(found.above),
        "Rejected, but close": shown(found.below),
        **disagreements(answers),
    }


def disagreements(answers: Mapping[str, Row]) -> Samples:
    """Labelled documents whose target is farthest from the score of an encoder that had not seen it."""
    labelled = [
        {"id": name, **row, "text": row["text"][:SAMPLE_CHARACTERS]}
        for name, row in answers.items()
        if row.get("unseen") is not None
    ]
    ordered = sorted(labelled, key=lambda row: (row["unseen"] - row["target"], row["id"]))
    return {
        "The annotator says more, the encoder less": [row for row in ordered[:SHOWN] if row["unseen"] < row["target"]],
        "The encoder says more, the annotator less": [
            row for row in ordered[: -SHOWN - 1 : -1] if row["unseen"] > row["target"]
        ],
    }


def _texts(run: CardRun, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """Reads these rows, and no other, of the shards that hold one."""
    wanted = {(row["shard"], row["row"]) for row in rows}
    pool = run.input(PretrainingPoolResult)
    return {
        (shard, row): seen(document.text, run.config, SAMPLE_CHARACTERS)[0]
        for shard in sorted({shard for shard, _ in wanted})
        for row, document in read_chosen(pool, shard, sorted(row for name, row in wanted if name == shard))
    }


def _named(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "source", "split", "score", "kept")}


@dataclass(frozen=True)
class Browsed:
    """Rows with the columns above, and how many documents there are to choose from."""

    rows: Sequence[Row]
    documents: int

    def payload(self) -> str:
        """The rows as base64 of gzipped JSON, by column: `{"names": {...}, "columns": {...}, "documents": N}`."""
        columns: dict[str, list[Any]] = {name: [row[name] for row in self.rows] for name in COLUMNS}
        names = {name: sorted(set(columns[name])) for name in CODED}
        for name, values in names.items():
            code = {value: place for place, value in enumerate(values)}
            columns[name] = [code[value] for value in columns[name]]
        value = {"names": names, "columns": columns, "documents": self.documents}
        return base64.b64encode(gzip.compress(orjson.dumps(value), 6, mtime=0)).decode()


def browsed(run: CardRun, shards: Sequence[str], answers: Mapping[str, Row], limit: int = LIMIT) -> Browsed:
    """Annotated documents (at most half of `limit`) and beside them whole shards of the pool, chosen by hash.

    `answers` are those of `annotated`.
    """
    asked = dict(sorted(answers.items(), key=lambda one: keyed_hash("browse", one[0]))[: limit // 2])
    rows = list(_pool_rows(run, shards, asked, limit))
    found, total = {row["id"] for row in rows}, run.input(PoolScoresResult).result.documents
    alone = [COLUMNS | {"id": name} | answer for name, answer in asked.items() if name not in found]
    return Browsed([*rows, *alone], total + len(alone) if len(rows) == total else total)


def _pool_rows(run: CardRun, shards: Sequence[str], asked: Mapping[str, Row], limit: int) -> Iterator[Row]:
    """As many as leave room for the annotated documents that are not among them."""
    pool, kept = run.input(PretrainingPoolResult), run.input(FilteredPoolResult)
    characters = CHARACTERS // max(1, min(limit, run.input(PoolScoresResult).result.documents))
    left = limit - len(asked)
    with run.resources.progress.bar("data card: documents", len(shards), "shards") as bar:
        for shard in sorted(shards, key=lambda name: keyed_hash("browse", name)):
            if left <= 0:
                break
            table = attributes(pool, kept, shard)
            others = ~table["id"].is_in(list(asked))
            table = table.filter(others.cum_sum() <= left)
            known = {row["row"]: row for row in table.iter_rows(named=True)}
            for row, document in read_chosen(pool, shard, sorted(known)):
                yield _row(known[row], document.text, asked, run.config, characters)
            left -= int(others.sum())
            bar.advance()


def _row(known: Row, text: str, asked: Mapping[str, Row], config: DataCardConfig, characters: int) -> Row:
    part, cut = seen(text, config, characters)
    row: Row = COLUMNS | {name: known[name] for name in ("id", "source", "split", "kept")}
    return row | {"score": _rounded(known["score"]), "text": part, "cut": cut} | asked.get(known["id"], {})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
