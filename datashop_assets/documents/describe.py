"""What the UI shows of a pool and of a sample: counts, rejects with examples, and a few documents."""

from collections.abc import Iterable, Mapping
from itertools import islice

from datashop_assets.documents.pool import pool_shards, read_pool
from datashop_assets.documents.sampling import SAMPLE
from datashop_assets.documents.split import Split
from datashop_assets.markdown import escaped
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.stage_folder import StageFolder

SHOWN = 5  # documents


def describe(folder: StageFolder) -> Mapping[str, str]:
    """Title -> markdown, for either of this room's stages. Text of documents is escaped."""
    tables = {"rejects": _rejects(folder)}
    if folder.manifest.stage == "pretraining_pool":
        return {"documents by source": _by_source(folder), **tables, "some documents": _documents(_of_pool(folder))}
    return {"sample": _sizes(folder), **tables, "some documents": _documents(_of_sample(folder))}


def _by_source(pool: StageFolder) -> str:
    rows = [
        (escaped(source), *(splits.get(split, {}).get("documents", 0) for split in Split), _megabytes(splits))
        for source, splits in pool.metrics["by_source"].items()
    ]
    return _table(("source", *(f"{split} documents" for split in Split), "MB of text"), rows)


def _megabytes(splits: Mapping[str, Mapping[str, int]]) -> str:
    return f"{sum(numbers['bytes'] for numbers in splits.values()) / 1e6:.2f}"


def _sizes(sample: StageFolder) -> str:
    found = sample.metrics
    rows = [("drawn", found["documents"]), ("asked for", found["asked"]), ("could be drawn", found["available"])]
    rows += [(f"excluded: {split.replace('_', ' ')}", count) for split, count in found["excluded"].items()]
    return _table(("", "documents"), [*rows, ("rejected", found["rejected"])])


def _rejects(folder: StageFolder) -> str:
    if not folder.metrics["rejects"]:
        return "Every row is a document."
    counts = _table(("reason", "rows"), [(escaped(reason), rows) for reason, rows in folder.metrics["rejects"].items()])
    examples = [tuple(escaped(value) for value in shown.values()) for shown in folder.metrics["reject_examples"]]
    return f"{counts}\n\n{_table(('reason', 'place', 'detail'), examples)}"


def _of_pool(pool: StageFolder) -> Iterable[Document]:
    return (document for shard in pool_shards(pool) for _, document in read_pool(pool, shard))


def _of_sample(sample: StageFolder) -> Iterable[Document]:
    return (Document(row["id"], row["text"], row["source"]) for row in sample.rows(SAMPLE))


def _documents(documents: Iterable[Document]) -> str:
    first = islice(documents, SHOWN)
    return _table(
        ("id", "source", "text"), [(escaped(one.id), escaped(one.source), escaped(one.text)) for one in first]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
