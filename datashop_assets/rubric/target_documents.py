"""The target documents of each set, as the prompt file names them."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datashop_assets.documents.reading import fields_of, read_documents
from datashop_assets.documents.sources import source_files
from datashop_assets.documents.split import content_of
from datashop_assets.protocols.documents import Document
from datashop_assets.storage.digests import keyed_hash

Target = tuple[str, str]  # name of the document, text


@dataclass(frozen=True)
class TargetDocuments:
    """The documents of one set, each text once, and how many rows of its file were no documents."""

    documents: tuple[Target, ...]
    rejected: int = 0


def target_documents(name: str, wanted: Mapping[str, Any], cache: Path) -> TargetDocuments:
    """Texts as they are listed; of a file `documents` drawn by the hash of their text, whatever their order.

    Raises `ValueError` for a file without a document.
    """
    if wanted["texts"]:
        unique = dict.fromkeys(wanted["texts"])
        return TargetDocuments(tuple((f"{name} {number}", text) for number, text in enumerate(unique, start=1)))
    rejected = 0

    def found() -> Iterator[tuple[int, Target]]:
        nonlocal rejected
        for file in source_files(wanted["uri"], cache):
            for one in read_documents(file, fields_of(wanted)):
                if isinstance(one, Document):
                    yield keyed_hash("rubric targets", content_of(one.text)), (one.id, one.text)
                else:
                    rejected += 1

    drawn = _smallest(found(), wanted["documents"])
    if not drawn:
        raise ValueError(
            f"targets.{name}: no document in {wanted['uri']!r} ({rejected} rows are none); "
            "correct `uri` or `text_field`"
        )
    return TargetDocuments(tuple(drawn), rejected)


def _smallest(keyed: Iterator[tuple[int, Target]], count: int) -> list[Target]:
    """The `count` smallest by key, each text once, in the order of their keys. Memory holds as many."""
    kept: list[tuple[int, Target]] = []  # a heap, the largest first
    inside: set[int] = set()
    for key, target in keyed:
        if key in inside or (len(kept) == count and key >= -kept[0][0]):
            continue
        inside.add(key)
        if len(kept) < count:
            heapq.heappush(kept, (-key, target))
        else:
            inside.remove(-heapq.heapreplace(kept, (-key, target))[0])
    return [target for _, target in sorted(kept, reverse=True)]
