"""The answer store: what annotators said, kept by question and document, so that nothing is asked twice.

`<root>/answers/<generation digest>/` holds the answers to one question, in parts. An answer's key is the digest of the
document, and for a second try also that of the answers it offered. Failed calls are not kept.
"""

import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from datashop_assets.answers.parts import PartWriter, is_part, read_part
from datashop_assets.protocols.annotator import Answer, Ended, Question
from datashop_assets.storage.digests import digest_of
from datashop_assets.storage.folders import Folder

MOST, SECONDS = 64, 1.0  # answers in a small part, and how long the first of them waits: what a killed run loses


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
        while new := [name for name in self.folder.names() if is_part(name) and name not in seen]:
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

    def answers(self, wanted: Container[str]) -> dict[str, Answer]:
        """The answers under these keys, all in memory: for many see `ordered`."""
        return lesser((key, line) for key, line in self.lines() if key in wanted)


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
