"""What prompts have in common on one pool, and what sets them apart. Memory does not grow with the pool.

Overlap is taken at equal yield: each prompt's best documents, as many as the most sparing of them keeps. Otherwise a
prompt that keeps twice as much would always seem to have little in common with the other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.documents.pool import pool_shards, read_chosen
from datashop_assets.estimating.spent import seconds_spent
from datashop_assets.markdown import CHARACTERS
from datashop_assets.prompt_comparison.sides import Side, check_one_pool
from datashop_assets.statistics.ranking import spearman
from datashop_assets.storage.digests import unit_hash

RANKED = 100_000  # documents that the rank correlation is taken over, at most some more
SHOWN = 8  # documents that one prompt keeps and the other drops
DIFFERENCES = ("target_bpb_difference", "matched_target_bpb_difference", "general_bpb_difference")
FIGURES = {
    "annotations": ("tokens_in", "tokens_out"),
    "encoder": ("auc", "gold_auc"),
    "filtered_pool": ("kept_documents", "kept_tokens", "gold_precision", "gold_recall"),
    "evaluation": ("verdict", *(f"{name}{end}" for name in DIFFERENCES for end in ("", "_low", "_high"))),
}


@dataclass
class _Tally:
    """What is summed and collected, shard by shard."""

    both: np.ndarray  # [prompts, prompts] documents among the best of both
    ranked: list[np.ndarray] = field(default_factory=list)  # [prompts, sampled documents of a shard] each
    apart: dict[tuple[int, int], list[dict[str, Any]]] = field(default_factory=dict)


def compare(sides: Sequence[Side]) -> dict[str, Any]:
    """JSON values: `documents`, `at`, `overlap`, `rank_correlation`, `apart`, `sources`, `figures`."""
    check_one_pool(sides)
    shards = pool_shards(sides[0].stages["pretraining_pool"])
    documents = int(sides[0].stages["pool_scores"].metrics["documents"])
    at = min(side.kept_documents for side in sides)
    tally = _tally(sides, shards, at, documents)
    return {
        "prompts": [side.slug for side in sides],
        "documents": documents,
        "at": at,
        "overlap": tally.both.tolist(),
        "rank_correlation": correlations(np.concatenate(tally.ranked, axis=1)),
        "ranked": sum(part.shape[1] for part in tally.ranked),
        "apart": _read(sides, tally.apart),
        "sources": {side.slug: source_shares(side) for side in sides},
        "figures": {side.slug: figures(side, shared(sides)) for side in sides},
    }


def correlations(scores: np.ndarray) -> list[list[float | None]]:
    """Spearman's rank correlation of each pair. [prompts, documents] -> [prompts][prompts]; None for a constant one."""
    once = np.ones((1, scores.shape[1]))
    found = [[float(spearman(one, other, once)[0]) for other in scores] for one in scores]
    return [[value if np.isfinite(value) else None for value in row] for row in found]


def source_shares(side: Side) -> dict[str, dict[str, float]]:
    """Source -> its share of tokens in the pool and in what the prompt keeps."""
    by_source = side.stages["filtered_pool"].metrics["by_source"]
    totals = {key: sum(one[key] for one in by_source.values()) or 1 for key in ("tokens", "kept_tokens")}
    return {
        name: {"pool": one["tokens"] / totals["tokens"], "kept": one["kept_tokens"] / totals["kept_tokens"]}
        for name, one in by_source.items()
    }


def shared(sides: Sequence[Side]) -> set[str]:
    """The stages that all prompts have in common: made once, whoever asked first."""
    folders = [{(name, folder.uri) for name, folder in side.stages.items()} for side in sides]
    return {name for name, _ in set.intersection(*folders)}


def figures(side: Side, without: Collection[str]) -> dict[str, Any]:
    """Cost and benefit: seconds of the stages but those `without`, tokens of the annotator, what came of it."""
    own = [folder for name, folder in side.stages.items() if name not in without]
    found: dict[str, Any] = {"seconds": sum(map(seconds_spent, own))}
    for stage, names in FIGURES.items():
        measured = side.stages[stage].metrics if stage in side.stages else {}
        found |= {name: measured.get(name) for name in names}
    return found


def _tally(sides: Sequence[Side], shards: Sequence[str], at: int, documents: int) -> _Tally:
    tally = _Tally(np.zeros((len(sides), len(sides)), dtype=np.int64))
    rate = min(1.0, RANKED / max(1, documents))
    for shard, *flags in zip(shards, *(side.best(shards, at) for side in sides), strict=True):
        tables = [side.scores(shard) for side in sides]
        best = np.stack(flags)
        scores = np.stack([table["score"].to_numpy() for table in tables])
        tally.both += best.astype(np.int64) @ best.T.astype(np.int64)
        drawn = np.array([unit_hash("rank", f"{shard} {row}") < rate for row in tables[0]["row"].to_list()], dtype=bool)
        tally.ranked.append(scores[:, drawn])
        for pair, rows in _apart(shard, tables[0], best, scores):
            tally.apart[pair] = _first([*tally.apart.get(pair, []), *rows])
    return tally


def _apart(
    shard: str, table: pl.DataFrame, best: np.ndarray, scores: np.ndarray
) -> Iterator[tuple[tuple[int, int], list[dict[str, Any]]]]:
    """For each ordered pair, documents among the best of the first and not of the second, farthest apart first."""
    for i, j in permutations(range(len(best)), 2):
        places = np.flatnonzero(best[i] & ~best[j])
        order = places[np.argsort(scores[j, places] - scores[i, places], kind="stable")][:SHOWN]
        rows = [
            {
                "shard": shard,
                "row": table["row"][int(place)],
                "id": table["id"][int(place)],
                "keeps": float(scores[i, place]),
                "drops": float(scores[j, place]),
            }
            for place in order
        ]
        yield (i, j), rows


def _first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["drops"] - row["keeps"], row["shard"], row["row"]))[:SHOWN]


def _read(sides: Sequence[Side], apart: Mapping[tuple[int, int], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The documents apart with the beginning of their texts, one entry for each ordered pair."""
    pool = sides[0].stages["pretraining_pool"]
    wanted = {(row["shard"], row["row"]) for rows in apart.values() for row in rows}
    texts = {
        (shard, row): document.text[:CHARACTERS]
        for shard in sorted({shard for shard, _ in wanted})
        for row, document in read_chosen(pool, shard, sorted(row for name, row in wanted if name == shard))
    }
    return [
        {
            "keeps": sides[i].slug,
            "drops": sides[j].slug,
            "documents": [{**row, "text": texts[row["shard"], row["row"]]} for row in rows],
        }
        for (i, j), rows in sorted(apart.items())
    ]
