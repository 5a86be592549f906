"""The annotator as the graph holds it: one of three homes, chosen by the environment when something is first asked."""

from collections.abc import Callable, Iterable, Iterator
from threading import Lock

from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Question
from resources.annotator.names import identity_of
from resources.annotator.settings import AnnotatorSettings, from_environment


def _run_log(line: str) -> None:
    """Into the log of the Dagster run."""
    import dagster as dg

    dg.get_dagster_logger("datashop").info(line)


class AnnotatorResource:
    """An `Annotator` that costs nothing until it is asked, and is made once for all stages that ask it.

    `say` gets a line now and then, about a server that starts. Without `settings` the environment is read.
    """

    def __init__(self, say: Callable[[str], object] = _run_log, settings: AnnotatorSettings | None = None) -> None:
        self._say, self._settings = say, settings
        self._annotator: Annotator | None = None
        self._lock = Lock()

    @property
    def group(self) -> int | None:
        return self._made().group

    def identity(self, model: str) -> tuple[str, str]:
        """That of `make_annotator`'s, for which nothing of it needs to be imported."""
        settings = self._chosen()
        return identity_of(settings.home, model, settings.server.revision)

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        return self._made().answer(asked, question)

    def _made(self) -> Annotator:
        with self._lock:
            if self._annotator is None:
                self._annotator = make_annotator(self._chosen(), self._say)
            return self._annotator

    def _chosen(self) -> AnnotatorSettings:
        return self._settings or from_environment()


def make_annotator(settings: AnnotatorSettings, say: Callable[[str], object]) -> Annotator:
    """The annotator of the home that `settings` name. Only that home's packages are imported."""
    if settings.home == "embedded":
        from resources.annotator.embedded import EmbeddedAnnotator

        return EmbeddedAnnotator()
    if settings.home == "server":
        from resources.annotator.vllm.server import ServerAnnotator

        return ServerAnnotator(settings.server, settings.policy, say)
    from resources.annotator.endpoints.addresses import locate_endpoints
    from resources.annotator.endpoints.annotator import EndpointsAnnotator

    return EndpointsAnnotator(
        tuple(locate_endpoints(settings.urls, settings.policy.patience)), settings.policy, settings.key
    )
