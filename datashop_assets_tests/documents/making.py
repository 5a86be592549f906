"""Source files written for a test, and stages built from them by the real build functions."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets.core.step import OpenRun, Resources
from datashop_assets.documents.index import build as build_pool
from datashop_assets.documents.sampling import build as build_sample
from datashop_assets.documents.sources import SourceFile, find_source_files
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.manifest import Manifest, content_digest
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.storage.stage_writer import StageWriter

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    ".jsonl": bytes,
    ".jsonl.gz": gzip.compress,
    ".jsonl.zst": zstandard.compress,
}
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
) -> StageFolder:
    config = {"data": {"uri": uri, **NAMES, **names}, "heldout_fraction": fraction, "fingerprint": None}
    return make("pretraining_pool", build_pool, config, {}, folder, tools)


def make_sample(
    uri: str, folder: Path, pool: StageFolder, documents: int, tools: Resources | None = None
) -> StageFolder:
    config = {"data": {"uri": uri, **NAMES}, "documents": documents, "fingerprint": None}
    return make("annotation_sample", build_sample, config, {"pretraining_pool": pool}, folder, tools)


def make(
    stage: str,
    build: Callable[[OpenRun], dict[str, Any]],
    config: dict[str, Any],
    inputs: dict[str, StageFolder],
    folder: Path,
    tools: Resources | None,
) -> StageFolder:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    writer = StageWriter(Folder(str(folder / stage)), scratch)
    metrics = build(
        OpenRun(config, inputs, writer, tools or Resources(), folder / "cache", Folder(f"{folder}/answers"))
    )
    files = writer.files()
    writer.close(
        Manifest(
            stage=stage,
            plan_digest="plan",
            content_digest=content_digest(files),
            code_version="1",
            config=config,
            inputs={},
            files=files,
            metrics=metrics,
            seconds=0.0,
            finished_at="",
            versions={},
            machine={},
        )
    )
    return StageFolder(writer.folder)
