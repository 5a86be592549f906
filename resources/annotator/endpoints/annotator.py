"""An annotator behind any number of OpenAI-compatible addresses."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from datashop_assets.protocols.annotator import Answer, Asked, Question, failed
from resources.annotator.endpoints.conversation import Conversation
from resources.annotator.endpoints.failures import Failure
from resources.annotator.endpoints.fleet import Fleet
from resources.annotator.endpoints.policy import Policy
from resources.annotator.endpoints.threads import LoopThread
from resources.annotator.names import identity_of

LARGEST_WINDOW = 4096  # documents under way; at most some 400 MB of text
CONTEXT = 8192  # tokens, where no server says how many its model takes
logger = logging.getLogger("datashop.annotator")  # which Dagster shows


class EndpointsAnnotator:
    """An `Annotator`. Nothing is contacted before the first question.

    `lost` says why nobody will ever answer, where that is known; see `Fleet`.
    """

    group = None

    def __init__(
        self, urls: Sequence[str], policy: Policy, key: str = "", *, lost: Callable[[], str] = lambda: ""
    ) -> None:
        self._urls, self._policy, self._key, self._lost = tuple(urls), policy, key, lost

    def identity(self, model: str) -> tuple[str, str]:
        """The full name; which revision an endpoint serves, it does not say."""
        return identity_of("endpoints", model)

    def answer(self, asked: Iterable[Asked], question: Question) -> Iterator[Answer]:
        """Raises `ValueError` where no endpoint can be asked this question.

        Where none is there, or none comes back, every document ends `failed` with the reason.
        """
        fleet = Fleet(self._urls, self._policy, self._key, self._lost)
        conversation = Conversation(fleet, question, CONTEXT)
        window = min(LARGEST_WINDOW, 2 * len(self._urls) * self._policy.most)
        with LoopThread() as loop:
            loop.run(fleet.open())
            try:
                loop.run(conversation.open())
                yield from loop.stream(asked, conversation.ask, window)
            except Failure as error:
                yield from (failed(one.id, error.reason) for one in asked)
            finally:
                loop.run(fleet.close())
                _say(fleet)


def _say(fleet: Fleet) -> None:
    for endpoint in fleet.endpoints:
        counts = ", ".join(f"{what} {count}" for what, count in endpoint.counts.most_common())
        logger.info("%s: %s%s", endpoint.url, counts or "not asked", endpoint.unusable and f"; {endpoint.unusable}")
