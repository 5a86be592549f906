"""What a pool holds, counted: documents by source and split, rejects by reason with some examples."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel

EXAMPLES = 5  # of every reason
SOURCES = 100  # named; the smaller ones are counted together, since a source field may hold a URL
MET = 10_000  # names kept while counting; documents of sources that are met later are among the others
OTHERS = "(other sources)"
Numbers = dict[str, int]
Row = TypeVar("Row", bound=Mapping[str, Any])


class Counts(BaseModel):
    """Counts of one shard, or of many: small enough to be a stage's metrics however large the pool."""

    rows: int = 0
    by_source: dict[str, dict[str, Numbers]] = {}  # source -> split -> documents, characters, bytes
    rejects: dict[str, int] = {}
    examples: list[dict[str, str]] = []

    @classmethod
    def empty(cls) -> Self:
        return cls(by_source={}, rejects={}, examples=[])

    @classmethod
    def of(cls, shard: str, rows: Iterable[Mapping[str, Any]]) -> Self:
        counts = cls.empty()
        deque(counts.counting(shard, rows), maxlen=0)
        return counts

    def counting(self, shard: str, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted as they pass. Memory does not grow with them."""
        for row in rows:
            self.rows += 1
            if row["content"] is not None:
                self._add(row["source"], row["split"], 1, row["characters"], row["bytes"])
            else:
                self._reject(row["status"], f"{shard} row {row['row']}", row["detail"])
            yield row
        self._shortened()

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """The sum of `parts`, whose order decides which examples are shown."""
        total = cls.empty()
        for part in parts:
            total.rows += part.rows
            for source, splits in part.by_source.items():
                for split, numbers in splits.items():
                    total._add(source, split, numbers["documents"], numbers["characters"], numbers["bytes"])
            for example in part.examples:
                total._show(example)
            total.rejects = dict(Counter(total.rejects) + Counter(part.rejects))
        return total._shortened()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        return cls.model_validate_json(data)

    def to_json(self) -> bytes:
        return self.model_dump_json().encode()

    def metrics(self) -> dict[str, Any]:
        splits: dict[str, Numbers] = {}
        for numbers in self.by_source.values():
            for split, found in numbers.items():
                _add_to(splits.setdefault(split, {}), found)
        return {
            "rows": self.rows,
            "documents": sum(found["documents"] for found in splits.values()),
            "rejected": sum(self.rejects.values()),
            "rejects": self.rejects,
            "reject_examples": self.examples,
            "by_split": splits,
            "by_source": self.by_source,
        }

    def _add(self, source: str, split: str, documents: int, characters: int, size: int) -> None:
        found = {"documents": documents, "characters": characters, "bytes": size}
        source = source if source in self.by_source or len(self.by_source) < MET else OTHERS
        _add_to(self.by_source.setdefault(source, {}).setdefault(split, {}), found)

    def _reject(self, reason: str, place: str, detail: str) -> None:
        self.rejects[reason] = self.rejects.get(reason, 0) + 1
        self._show({"reason": reason, "place": place, "detail": detail})

    def _show(self, example: dict[str, str]) -> None:
        if sum(shown["reason"] == example["reason"] for shown in self.examples) < EXAMPLES:
            self.examples.append(example)

    def _shortened(self) -> Self:
        named = self.by_source.keys() - {OTHERS}
        largest = sorted(named, key=lambda source: (-_documents(self.by_source[source]), source))
        for source in largest[SOURCES:]:
            for split, found in self.by_source.pop(source).items():
                self._add(OTHERS, split, found["documents"], found["characters"], found["bytes"])
        self.rejects = dict(sorted(self.rejects.items()))
        return self


def _documents(splits: Mapping[str, Numbers]) -> int:
    return sum(found["documents"] for found in splits.values())


def _add_to(total: Numbers, found: Numbers) -> None:
    for name, number in found.items():
        total[name] = total.get(name, 0) + number
