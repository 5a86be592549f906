"""The sample, read in a stream: texts one by one, and an index small enough for memory."""

from collections.abc import Container, Iterator
from typing import Any

from datashop_assets.documents.sampling import SAMPLE
from datashop_assets.storage.stage_folder import StageFolder

Row = dict[str, Any]
INDEXED = ("id", "source", "content")


def index_of(sample: StageFolder) -> list[Row]:
    """`id`, `source`, `content` and `characters` of every document, in the order of the file."""
    return [{name: row[name] for name in INDEXED} | {"characters": len(row["text"])} for row in sample.rows(SAMPLE)]


def documents(sample: StageFolder, contents: Container[str]) -> Iterator[Row]:
    """The rows of the sample with these contents, in the order of the file."""
    return (row for row in sample.rows(SAMPLE) if row["content"] in contents)
