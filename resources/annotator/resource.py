"""The embedded annotator as Dagster holds it: nothing of JAX is imported until something is asked of it."""

from collections.abc import Iterable, Iterator

from datashop_assets.protocols.annotator import Annotator, Answer, Asked, Question


class EmbeddedAnnotatorResource:
    """The small language model of the data lock, in this process, loaded once for all stages that ask it."""

    def __init__(self) -> None:
        self._annotator: Annotator | None = None

    @property
    def group(self) -> int | None:
        return self._made().group

    def identity(self, model: str) -> tuple[str, str]:
        return self._made().identity(model)

    def answer(self, asked: Iterable[Asked], question: Question) -> Iterator[Answer]:
        return self._made().answer(asked, question)

    def _made(self) -> Annotator:
        if self._annotator is None:
            from resources.annotator.embedded import EmbeddedAnnotator

            self._annotator = EmbeddedAnnotator()
        return self._annotator
