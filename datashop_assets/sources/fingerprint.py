"""What a plan digest knows of its sources: enough to notice a changed file, without reading any.

Listing costs one request a folder. A file counts as changed when its name, size or version does: the checksum or
generation that a bucket keeps, or the time of its last change on a disk.
"""

from collections.abc import Mapping
from typing import Any

from datashop_assets.datasets import EMBEDDED, EMBEDDED_DIGEST
from datashop_assets.sources.files import find_source_files


def fingerprint(data: Mapping[str, Any]) -> Any:
    """A JSON value that changes when the documents that `data["uri"]` names may have changed."""
    if data["uri"] == EMBEDDED:
        return EMBEDDED_DIGEST
    return [[file.name, file.bytes, file.version] for file in find_source_files(data["uri"])]
