"""What the UI shows of a pool and of a sample: counts, rejects with examples, and a few documents."""

from collections.abc import Iterable, Mapping
from itertools import islice

from datashop_assets.core.step import StepOutput
from datashop_assets.documents.left_out import left_out
from datashop_assets.documents.pool import pool_shards, read_pool
from datashop_assets.documents.results import AnnotationSampleResult, PretrainingPoolResult, Size, SourceResult
from datashop_assets.documents.sampling import SAMPLE
from datashop_assets.documents.split import Split
from datashop_assets.markdown import escaped
from datashop_assets.protocols.documents import Document

SHOWN = 5  # documents


def describe_pool(output: StepOutput[PretrainingPoolResult]) -> Mapping[str, str]:
    """Title -> Markdown. Text of documents is escaped."""
    documents = (document for shard in pool_shards(output) for _, document in read_pool(output, shard))
    return {
        "documents by source": _by_source(output.result),
        "rejects": _rejects(output.result),
        **described_left_out(output.result),
        "some documents": _documents(documents),
    }


def described_left_out(result: SourceResult) -> Mapping[str, str]:
    """Title -> Markdown: files and rows that are not among the documents; nothing where there are none."""
    lines = left_out(result)
    return {"left out": "\n".join(f"- {escaped(line.strip())}" for line in lines)} if lines else {}


def describe_sample(output: StepOutput[AnnotationSampleResult]) -> Mapping[str, str]:
    """Title -> Markdown. Text of documents is escaped."""
    documents = (Document(row["id"], row["text"], row["source"]) for row in output.rows(SAMPLE))
    return {
        "sample": _drawn(output.result),
        "rejects": _rejects(output.result),
        **described_left_out(output.result),
        "some documents": _documents(documents),
    }


def _by_source(pool: PretrainingPoolResult) -> str:
    rows = [
        (
            escaped(source),
            *(sizes.get(split, Size()).documents for split in Split),
            f"{sum(size.bytes for size in sizes.values()) / 1e6:.2f}",
        )
        for source, sizes in pool.by_source.items()
    ]
    return _table(("source", *(f"{split} documents" for split in Split), "MB of text"), rows)


def _drawn(sample: AnnotationSampleResult) -> str:
    rows = {
        "drawn": sample.documents,
        "asked for": sample.requested,
        "not held out": sample.available,
        "held out": sample.heldout,
        "left out: near a held-out document": sample.near_heldout,
        "rejected": sample.rejected,
        "drawn with an id that another one has": sample.same_id,
    }
    return _table(("", "documents"), rows.items())


def _rejects(result: PretrainingPoolResult | AnnotationSampleResult) -> str:
    if not result.rejects:
        return "Every row is a document."
    counts = _table(("reason", "rows"), result.rejects.items())
    examples = [(one.reason, escaped(one.place), escaped(one.detail)) for one in result.reject_examples]
    return f"{counts}\n\n{_table(('reason', 'place', 'detail'), examples)}"


def _documents(documents: Iterable[Document]) -> str:
    first = islice(documents, SHOWN)
    return _table(
        ("id", "source", "text"), [(escaped(one.id), escaped(one.source), escaped(one.text)) for one in first]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
