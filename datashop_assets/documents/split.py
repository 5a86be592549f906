"""Which documents are held out: decided by content alone, so that no prompt, order or shard can change it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from datashop_assets.documents.nearness import HeldoutBands
from datashop_assets.documents.reading import Fields, read_documents
from datashop_assets.documents.sources import SourceFile
from datashop_assets.protocols.documents import Document, Reject
from datashop_assets.storage.digests import digest_of_bytes, unit_hash


class Split(StrEnum):
    TRAIN = "train"
    HELDOUT = "heldout"  # drawn by the hash of the content: never annotated, never trained on
    NEAR_HELDOUT = "near_heldout"  # shares a MinHash band with a held-out document: neither, and not evaluated on


def content_of(text: str) -> str:
    """The digest that stands for a text."""
    return digest_of_bytes(text.encode())


def is_heldout(content: str, fraction: float) -> bool:
    return unit_hash("heldout", content) < fraction


@dataclass(frozen=True, eq=False)
class SplitRule:
    """The rule of one pool."""

    fraction: float
    heldout: HeldoutBands = field(default_factory=lambda: HeldoutBands.of(()))

    def of(self, text: str, content: str) -> Split:
        if is_heldout(content, self.fraction):
            return Split.HELDOUT
        [near] = self.heldout.near([text])
        return Split.NEAR_HELDOUT if near else Split.TRAIN


@dataclass(frozen=True, eq=False)
class FileTask:
    """One source file, and the rule to split it by: what travels to wherever the file is read."""

    file: SourceFile
    fields: Fields
    rule: SplitRule

    def documents(self) -> Iterator[Document | Reject]:
        return read_documents(self.file, self.fields)


def heldout_bands(task: FileTask) -> tuple[str, HeldoutBands]:
    """A file's shard name, and the bands of its held-out documents."""
    texts = (found.text for found in task.documents() if isinstance(found, Document))
    return task.file.shard, HeldoutBands.of(text for text in texts if is_heldout(content_of(text), task.rule.fraction))
