"""An annotator that writes what the words of a text tell it to, so that every call can be followed."""

from collections.abc import Iterable, Iterator

from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question, failed_answer


class Scribbler:
    """Describes a text by its capital words, and merges descriptions by listing all of theirs. `calls` counts."""

    group: int | None = None

    def __init__(self, fails: str = "") -> None:
        self.fails = fails  # calls about texts with this word fail
        self.asked: list[str] = []

    def identity(self, model: str) -> tuple[str, str]:
        return model, "1"

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        assert question.scoring == "write"
        for one in asked:
            self.asked.append(one.text)
            if self.fails and self.fails in one.text:
                yield failed_answer(one.id, "the line is dead")
                continue
            words = " ".join(sorted({word for word in one.text.split() if word.isupper() and word.isascii()}))
            ended = Ended.REFUSED if "SECRET" in words else Ended.COMPLETE
            reply = "" if "SILENCE" in words else words
            yield Answer(one.id, ended, "", reply, None, one.text, False, len(one.text), len(words), 0.01, "here")
