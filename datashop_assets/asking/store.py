"""The answer store: what annotators said, kept by question and document, so that nothing is asked twice.

`<root>/answers/<generation digest>/` holds the answers to one question. The generation digest covers all that an answer
depends on beside the document (`Question.digest`); an answer's key is the digest of the document, and for a second try
also that of the answers it offered. How a reply is read is in neither: another processor reads the same answers. Failed
calls are not kept, but for what they took: `lost-<run>.txt` holds the tokens of one run, as it estimated them.

Answers stand in parts: small files, each written once, whole, and never changed. A part's name ends in the digest of
its bytes, so that a reader knows a damaged one. It is a sequence of zstd frames of JSON lines, so that parts are joined
without being read.
"""

import logging
import re
import time
import uuid
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
import zstandard

from datashop_assets.protocols.annotator import Answer, Ended, Question
from datashop_assets.storage.digests import digest_of, digest_of_bytes
from datashop_assets.storage.folders import Folder

logger = logging.getLogger("datashop")  # which the terminal and Dagster show
ENDING = ".jsonl.zst"
LOST = re.compile(r"lost-[0-9a-f]{12}\.txt")
PART = re.compile(rf"part-[0-9a-f]{{12}}-[0-9]{{6,}}-[0-9a-f]{{32}}{re.escape(ENDING)}")
DAMAGED = "damaged"
JOINED = 64  # parts of one writer that are joined into one
MOST, SECONDS = 64, 1.0  # answers in a small part, and how long the first of them waits: what a killed run loses
TOGETHER = 4096  # documents whose answers are in memory together
MOST_FILES = 200  # open at once


def key_of(content: str, constrain: tuple[str, ...] = ()) -> str:
    """The key of an answer about the document with this digest."""
    return f"{content}+{digest_of(list(constrain))}" if constrain else content


def content_of(key: str) -> str:
    return key.partition("+")[0]


@dataclass
class AnswerStore:
    """The answers to one question."""

    folder: Folder
    damaged: list[str] = field(default_factory=list)  # parts that this reader has set aside

    @classmethod
    def of(cls, answers: Folder, question: Question) -> "AnswerStore":
        return cls(answers.child(question.digest))

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Key and line of every answer, in no order. Two writers may have brought the same key: see `lesser`.

        Memory holds one part. A damaged part is set aside, and what it held will be asked again.
        """
        seen: set[str] = set()
        while new := [name for name in self.folder.names() if _is_part(name) and name not in seen]:
            for name in new:
                seen.add(name)
                try:
                    lines = read_part(self.folder, name)
                except FileNotFoundError:
                    continue  # joined by its writer; the next listing has the joined part
                if lines is None:
                    self.damaged.append(name)
                yield from ((orjson.loads(line)["key"], line) for line in lines or ())

    def keys(self) -> set[str]:
        return {key for key, _ in self.lines()}

    def lost_tokens(self) -> int:
        """Tokens of calls that failed after they may have been processed, as all runs estimated them.

        Raises `ValueError` for a file that holds no number.
        """
        total = 0
        for name in filter(LOST.fullmatch, self.folder.names()):
            try:
                total += int(self.folder.read(name))
            except ValueError as error:
                raise ValueError(
                    f"{self.folder.uri}/{name} does not hold the number of tokens that failed calls took; remove it"
                ) from error
        return total

    def note_lost(self, run: str, tokens: int) -> None:
        """Keeps what failed calls of one run (12 hexadecimal digits) took so far."""
        self.folder.write(f"lost-{run}.txt", b"%d\n" % tokens)

    def answers(self, wanted: Container[str]) -> dict[str, Answer]:
        """The answers under these keys, all in memory: for many see `answers_in_order`."""
        return lesser((key, line) for key, line in self.lines() if key in wanted)


def batch_size(count: int) -> int:
    """How many of `count` documents `answers_in_order` holds in memory together."""
    return max(TOGETHER, -(-count // MOST_FILES))


def answers_in_order(store: AnswerStore, contents: Sequence[str], scratch: Path) -> Iterator[dict[str, Answer]]:
    """For each batch of `batch_size` documents in turn: key -> answer, with all keys that the store has for them.

    The order is that of the documents, whatever the one in which answers came. The store is read once and dealt into
    local files, one for each batch; memory holds one batch.
    """
    size = batch_size(len(contents))
    files = [scratch / f"answers-{batch:05d}.jsonl" for batch in range(-(-len(contents) // size))]
    _deal(store, {content: place // size for place, content in enumerate(contents)}, files)
    for file in files:
        with file.open("rb") as lines:
            parted = (line.rstrip(b"\n").partition(b"\t") for line in lines)
            yield lesser((key.decode(), line) for key, _, line in parted)
        file.unlink()


def _deal(store: AnswerStore, batch_of: Mapping[str, int], files: Sequence[Path]) -> None:
    with ExitStack() as stack:
        batches = [stack.enter_context(file.open("wb")) for file in files]
        for key, line in store.lines():
            if (batch := batch_of.get(content_of(key))) is not None:
                batches[batch].write(key.encode() + b"\t" + line + b"\n")


class AnswerWriter:
    """Keeps answers as they come. Use it as a context: what is still in memory is written at its end.

    With `grouped`, answers are kept by whole groups, each ended by `flush`: half a group would be completed later by
    another one, whose answers are other bits.
    """

    def __init__(self, store: AnswerStore, *, grouped: bool = False) -> None:
        self._parts, self._grouped = PartWriter(store.folder), grouped
        self._waiting: list[bytes] = []
        self._since = time.monotonic()

    def __enter__(self) -> "AnswerWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None or not self._grouped:
            self.flush()

    def add(self, line: bytes) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(line)
        due = len(self._waiting) >= MOST or time.monotonic() - self._since >= SECONDS
        if due and not self._grouped:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._parts.write(self._waiting)
            self._waiting = []


@dataclass
class PartWriter:
    """Adds parts under a name of its own, so that any number of writers can add to one folder at once."""

    folder: Folder
    _name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _count: int = 0
    _small: dict[str, bytes] = field(default_factory=dict)  # not read back: what is stored may be damaged by now

    def write(self, lines: list[bytes]) -> None:
        data = zstandard.compress(b"\n".join(lines) + b"\n", 3)
        self._small[self._put(data)] = data
        if len(self._small) >= JOINED:
            self._join()

    def _join(self) -> None:
        """The joined part is in place before the small ones go: a reader finds every answer once at least."""
        self._put(b"".join(self._small.values()))
        for name in self._small:
            self.folder.remove(name)
        self._small.clear()

    def _put(self, data: bytes) -> str:
        self._count += 1
        name = f"part-{self._name}-{self._count:06d}-{digest_of_bytes(data)}{ENDING}"
        self.folder.write(name, data)
        return name


def _is_part(name: str) -> bool:
    """Whether a writer gave this name: what else stands in the folder is somebody else's, and left alone."""
    return PART.fullmatch(name) is not None


def read_part(folder: Folder, name: str) -> list[bytes] | None:
    """The lines of a part. None where it is damaged: it is then set aside in `damaged/`.

    Raises `FileNotFoundError` where its writer has joined it with others in the meantime.
    """
    data = folder.read(name)
    if digest_of_bytes(data) != name.removesuffix(ENDING).rpartition("-")[2]:
        folder.write(f"{DAMAGED}/{name}", data)
        folder.remove(name)
        logger.warning(
            "%s/%s is damaged: its bytes are not those that were written. It was moved to %s/, and what it held is "
            "asked again; `datashop prune` removes it",
            *(folder.uri, name, DAMAGED),
        )
        return None
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as plain:
        return plain.read().splitlines()


def to_line(key: str, answer: Answer) -> bytes:
    """Raises `TypeError` for text that UTF-8 cannot hold."""
    return orjson.dumps({"key": key, **asdict(answer)})


def from_line(line: bytes) -> Answer:
    fields: dict[str, Any] = orjson.loads(line)
    del fields["key"]
    return Answer(**{**fields, "ended": Ended(fields["ended"])})


def lesser(lines: Iterable[tuple[str, bytes]]) -> dict[str, Answer]:
    """Key -> answer. Of two lines under one key the lesser stands, in whatever order they come."""
    least: dict[str, bytes] = {}
    for key, line in lines:
        least[key] = min(line, least.get(key, line))
    return {key: from_line(line) for key, line in least.items()}
