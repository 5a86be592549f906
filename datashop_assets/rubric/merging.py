"""From target documents to one description a set: each document is described, then descriptions are merged in pairs.

As in MEDU (Held et al., 2025). Every set is merged by itself, so that a large one does not crowd out a small one.
"""

from collections.abc import Sequence

from datashop_assets.protocols.annotator import Reading
from datashop_assets.protocols.progress import Bar
from datashop_assets.rubric.scribe import Piece, Scribe
from datashop_assets.rubric.wording import DESCRIBE, MERGE, pair
from datashop_assets.storage.digests import keyed_hash


def described(scribe: Scribe, documents: Sequence[Piece], reading: Reading, least: float, bar: Bar) -> list[Piece]:
    """The descriptions of one set's documents. Those without one are left out, with their reason in `scribe.calls`.

    Raises `ValueError` where fewer than a share of `least` has one.
    """
    texts = scribe.write("describe", DESCRIBE, documents, bar, reading)
    found = [Piece(one.set, one.name, text) for one, text in zip(documents, texts, strict=True) if text]
    if len(found) < max(1, least * len(documents)):
        lost = next(call for call in scribe.calls if call["set"] == documents[0].set and call["lost"])
        raise ValueError(
            f"targets.{documents[0].set}: only {len(found)} of {len(documents)} documents could be described, "
            f"{least:.0%} are needed; the first that could not: {lost['document']!r} ({lost['reason']}). Run again if "
            "the annotator was away; else replace the document, or lower writing.described"
        )
    return found


def merged(scribe: Scribe, descriptions: Sequence[Piece], seed: int, bar: Bar) -> str:
    """One description, merged in pairs round by round in an order that `seed` and the texts give.

    An odd one waits a round.

    Raises `ValueError` naming the documents whose descriptions could not be merged.
    """
    order = sorted(descriptions, key=lambda one: keyed_hash(f"merge {seed}", one.text))
    number = 0
    while len(order) > 1:
        number += 1
        couples = list(zip(order[::2], order[1::2], strict=False))
        asked = [Piece(one.set, f"{one.name} + {other.name}", pair(one.text, other.text)) for one, other in couples]
        texts = scribe.write(f"merge {number}", MERGE, asked, bar)
        if "" in texts:
            lost = scribe.calls[texts.index("") - len(texts)]
            raise ValueError(
                f"targets.{lost['set']}: the descriptions of {lost['document']} could not be merged "
                f"({lost['reason']}). Run again if the annotator was away; else change writing.seed"
            )
        odd = order[len(couples) * 2 :]
        order = [Piece(one.set, one.name, text) for one, text in zip(asked, texts, strict=True)] + odd
    return order[0].text
