"""The embedded annotator as Dagster holds it: nothing of JAX is imported until the first document is asked."""

from collections.abc import Iterable, Iterator

from datashop_assets.protocols.annotator import Annotator, Question, Reply
from datashop_assets.protocols.documents import Document


class EmbeddedAnnotatorResource:
    """The small language model of the data lock, in this process, loaded once for all stages that ask it."""

    def __init__(self) -> None:
        self._annotator: Annotator | None = None

    def annotate(self, documents: Iterable[Document], question: Question) -> Iterator[Reply]:
        if self._annotator is None:
            from resources.annotator.embedded import EmbeddedAnnotator

            self._annotator = EmbeddedAnnotator()
        return self._annotator.annotate(documents, question)
