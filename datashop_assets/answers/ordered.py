"""Answers in the order of the documents, whatever the order in which they came, without all of them in memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from datashop_assets.answers.store import AnswerStore, content_of, lesser
from datashop_assets.protocols.annotator import Answer

TOGETHER = 4096  # documents
MOST_FILES = 200  # open at once


def lot_size(count: int) -> int:
    """How many of `count` documents are held in memory together."""
    return max(TOGETHER, -(-count // MOST_FILES))


def answers_in_order(store: AnswerStore, contents: Sequence[str], scratch: Path) -> Iterator[dict[str, Answer]]:
    """For each lot of `lot_size` documents in turn: key -> answer, with all keys that the store has for them.

    The store is read once and dealt into local files, one for each lot; memory holds one lot.
    """
    size = lot_size(len(contents))
    files = [scratch / f"answers-{lot:05d}.jsonl" for lot in range(-(-len(contents) // size))]
    _deal(store, {content: place // size for place, content in enumerate(contents)}, files)
    for file in files:
        yield _lot(file)
        file.unlink()


def _deal(store: AnswerStore, lot_of: Mapping[str, int], files: Sequence[Path]) -> None:
    with ExitStack() as stack:
        lots = [stack.enter_context(file.open("wb")) for file in files]
        for key, line in store.lines():
            if (lot := lot_of.get(content_of(key))) is not None:
                lots[lot].write(key.encode() + b"\t" + line + b"\n")


def _lot(file: Path) -> dict[str, Answer]:
    with file.open("rb") as lines:
        parted = (line.rstrip(b"\n").partition(b"\t") for line in lines)
        return lesser((key.decode(), line) for key, _, line in parted)
