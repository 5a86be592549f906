"""Which documents are held out: decided by content alone, so that no prompt, order or shard can change it.

A document is held out when the hash of its text is below a threshold, so two copies of a text always stand on the same
side. The threshold follows from the prompt's `heldout_fraction` and from the sizes of the files as they are listed,
before anything is read. Held-out documents are never annotated and never trained on, and neither are their near
duplicates (`nearness`), which are looked for among what is drawn.
"""

from enum import StrEnum

from datashop_assets.storage.digests import digest_of_bytes, unit_hash

MOST_HELDOUT = 20_000  # documents of a large pool; more would narrow no interval that matters
FILE_BYTES_A_DOCUMENT = 1000  # of a compressed file: FineWeb's Parquet takes 2,000, leads of encyclopedias 200


class Split(StrEnum):
    TRAIN = "train"
    HELDOUT = "heldout"


def content_of(text: str | bytes) -> str:
    """The digest that stands for a text, or for its UTF-8."""
    return digest_of_bytes(text if isinstance(text, bytes) else text.encode())


def is_heldout(content: str, fraction: float) -> bool:
    """Whether the text with this digest is held out, if `fraction` of all texts are."""
    return unit_hash("heldout", content) < fraction


def bounded_fraction(fraction: float, listed_bytes: int) -> float:
    """The fraction that is held out of files of so many bytes in all: `fraction`, or what gives some 20,000 documents.

    A pool that grows holds out a subset of what it held out before. Files whose size nobody says count as empty, so
    that a pool of such files holds out `fraction` however large it is.
    """
    documents = listed_bytes / FILE_BYTES_A_DOCUMENT
    return fraction if documents * fraction <= MOST_HELDOUT else MOST_HELDOUT / documents
