"""Source files written for a test, and stages built from them by the real build functions."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.documents.results import (
    AnnotationSampleConfig,
    AnnotationSampleResult,
    PretrainingPoolConfig,
    PretrainingPoolResult,
)
from datashop_assets.documents.sources import DocumentSource, SourceFile, find_source_files
from datashop_assets.documents.steps import annotation_sample, pretraining_pool
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.stages import run_step

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".jsonl.gz": gzip.compress,
    ".jsonl.zst": zstandard.compress,
}
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lamda", "mu")
NAMES = {"text_field": "text", "id_field": "id", "source_field": "source"}


def write_lines(path: Path, lines: Sequence[bytes]) -> SourceFile:
    suffix = next(suffix for suffix in sorted(COMPRESS, key=len, reverse=True) if path.name.endswith(suffix))
    path.write_bytes(COMPRESS[suffix](b"".join(line + b"\n" for line in lines)))
    return only_file(path)


def write_documents(path: Path, rows: Sequence[Mapping[str, Any]]) -> SourceFile:
    if path.suffix != ".parquet":
        return write_lines(path, [orjson.dumps(row) for row in rows])
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return only_file(path)


def only_file(path: Path) -> SourceFile:
    [file] = find_source_files(str(path))
    return file


def make_pool(
    uri: str, folder: Path, fraction: float = 0.3, tools: Resources | None = None, **names: str
) -> StepOutput[PretrainingPoolResult]:
    """Indexes the documents at `uri` in `folder/pretraining_pool`. A killed build is gone on with when called again."""
    config = PretrainingPoolConfig(data=source(uri, **names), heldout_fraction=fraction)
    return run_step(pretraining_pool, folder, config, resources=tools)


def make_sample(
    uri: str, folder: Path, pool: StageFolder, documents: int, tools: Resources | None = None
) -> StepOutput[AnnotationSampleResult]:
    config = AnnotationSampleConfig(data=source(uri), documents=documents)
    return run_step(annotation_sample, folder, config, [pool], resources=tools)


def source(uri: str, **names: str) -> DocumentSource:
    return DocumentSource(uri=uri, fingerprint="", **names)


def text(number: int) -> str:
    return " ".join(f"{word}{number * 31 % 977}x{place}" for place, word in enumerate(WORDS * 4))


def rows(first: int, count: int) -> list[dict[str, Any]]:
    sources = ("web", "books")
    return [{"id": f"d{i}", "text": text(i), "source": sources[i % 2], "n": i} for i in range(first, first + count)]
