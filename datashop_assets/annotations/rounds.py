"""A round of annotation: documents that were drawn are asked about, and every one of them becomes a row."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from datashop_assets.annotations.draws import Drawn
from datashop_assets.annotations.rows import SCHEMA, VOLATILE, drawn_of, row_of
from datashop_assets.annotations.sample import Row, documents
from datashop_assets.answers.asking import Asking
from datashop_assets.answers.ordered import answers_in_order, lot_size
from datashop_assets.answers.store import content_of
from datashop_assets.core.step import OpenRun
from datashop_assets.processors.judging import Judge
from datashop_assets.protocols.annotator import AnnotationRequest, Answer
from datashop_assets.protocols.progress import Bar
from datashop_assets.storage.shards import read_rows


@dataclass(frozen=True)
class Rounds:
    """Asks and writes the rounds of one stage, in `round<n>-<nnn>.parquet`."""

    run: OpenRun
    asking: Asking
    judge: Judge

    def annotate(self, drawn: Sequence[Drawn], bar: Bar) -> None:
        """Asks about documents that have no answer yet, and writes a row for each of `drawn`, in that order."""
        contents = {one.row["content"] for one in drawn}
        self.asking.ask(((row["content"], _asked(row)) for row in self._texts(contents)), bar)
        self._repair(drawn)
        self._write(drawn)

    def complete(self, number: int, count: int) -> bool:
        """Whether all rows of a round of `count` documents are written."""
        return all(map(self.run.output.finished, _names(number, count)))

    def read(self, number: int, count: int) -> Iterator[Row]:
        """The rows of a complete round."""
        for name in _names(number, count):
            with self.run.output.folder.open(name) as file:
                yield from read_rows(name, file)

    def drawn(self, number: int, count: int) -> list[Drawn]:
        """What a complete round drew."""
        return [drawn_of(row) for row in self.read(number, count)]

    def _repair(self, drawn: Sequence[Drawn]) -> None:
        """Second tries, for replies that hold no score. Memory holds those replies, and no others."""
        if not (offered := self.judge.answers):
            return
        before = {
            key: answer.raw
            for answers in self._answers(drawn)
            for key, answer in answers.items()
            if key == content_of(key) and self.judge.needs_repair(self.judge.judge(answer))
        }
        if not before:  # asking would read the whole store for nothing
            return
        again = (
            (row["content"], replace(_asked(row), constrain=offered, before=before[row["content"]]))
            for row in self._texts(before)
        )
        with self.run.resources.progress.bar("second tries", len(before), "documents") as bar:
            self.asking.ask(again, bar)

    def _write(self, drawn: Sequence[Drawn]) -> None:
        size = lot_size(len(drawn))
        lots = (drawn[start : start + size] for start in range(0, len(drawn), size))
        for name, lot, answers in zip(_names(drawn[0].round, len(drawn)), lots, self._answers(drawn), strict=True):
            rows = (row_of(one, answers, self.asking.failures, self.judge) for one in lot)
            self.run.output.write_rows(name, rows, SCHEMA, volatile=VOLATILE)

    def _answers(self, drawn: Sequence[Drawn]) -> Iterator[dict[str, Answer]]:
        contents = [one.row["content"] for one in drawn]
        return answers_in_order(self.asking.store, contents, self.run.output.scratch)

    def _texts(self, contents: Container[str]) -> Iterator[Row]:
        return documents(self.run.inputs["annotation_sample"], contents)


def _asked(row: Row) -> AnnotationRequest:
    return AnnotationRequest(row["id"], row["text"], row["source"])


def _names(number: int, count: int) -> list[str]:
    return [f"round{number}-{lot:03d}.parquet" for lot in range(-(-count // lot_size(count)))]
