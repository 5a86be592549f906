"""An annotator behind any number of OpenAI-compatible addresses: the course of a document from question to answer.

Documents are read and answers given in the caller's thread; requests are sent on an event loop in a thread of its own.
"""

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from queue import SimpleQueue
from typing import Any, TypeVar

from datashop_assets.printable import printable_line
from datashop_assets.prompts.template import fill
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Meter, Question, failed_answer
from resources.annotator.endpoints.errors import (
    COMPLETIONS,
    ContentFilteredError,
    NoRoomError,
    PromptTooLongError,
    RequestError,
)
from resources.annotator.endpoints.fleet import Fleet, OrdinaryRequest
from resources.annotator.endpoints.pacing import ANSWERED, Endpoint, Policy, Standing
from resources.annotator.endpoints.probing import Capabilities, probe, probe_one, silent
from resources.annotator.endpoints.replies import Completion, read_token_ids
from resources.annotator.endpoints.requests import (
    CHARACTERS_PER_TOKEN,
    FEWEST_CHARACTERS,
    DocumentCutter,
    GenerateScoring,
    Scoring,
    excerpt_to_send,
    scoring_of,
)
from resources.annotator.names import identity_of

LARGEST_WINDOW = 4096  # documents in flight; at most some 400 MB of text
CONTEXT = 8192  # tokens, where no server says how many its model takes
CHAT_TEMPLATE = 64  # tokens that a chat template puts around a turn; SmolLM2's system prompt makes 31 of them
SLACK = 16  # tokens that question and document may gain where they meet
SUMMARIES_EVERY = 60.0  # seconds between two lines on endpoints at which nothing odd happens
MOST_CUTS = 12  # to a thousandth, where the server does not say how much it takes
ORDINARY = AnnotationRequest("ordinary", "The sun rises in the east, and water boils when it is heated.", "")
logger = logging.getLogger("datashop.annotator")  # which Dagster shows
Item = TypeVar("Item")
Result = TypeVar("Result")


class EndpointsAnnotator:
    """An `Annotator`. Nothing is contacted before the first question.

    What endpoints turn out not to take is remembered as long as this object lives, which is a run.
    `lost` says why no endpoint will ever answer, where that is known; see `Fleet`.
    """

    group = None

    def __init__(
        self, urls: Sequence[str], policy: Policy, key: str = "", *, lost: Callable[[], str] = lambda: ""
    ) -> None:
        self._urls, self._policy, self._key, self._lost = tuple(urls), policy, key, lost
        self._standings: dict[tuple[str, str], dict[str, Standing]] = {}  # by model and scoring, then by address
        self._summaries: dict[tuple[str, str], EndpointSummaries] = {}  # by model and scoring

    def identity(self, model: str) -> tuple[str, str]:
        """The full name; an endpoint does not say which revision it serves."""
        return identity_of("endpoints", model)

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """Raises `ValueError` where no endpoint can be asked this question, which the first few documents may tell.

        Where no endpoint is up, or none comes back, every document ends `failed` with the reason.
        """
        remaining = iter(asked)
        if (first := next(remaining, None)) is None:
            return
        asked = chain([first], remaining)
        fleet = self._fleet(question, first.meter)
        conversation = Conversation(fleet, question)
        window = min(LARGEST_WINDOW, 2 * len(self._urls) * self._policy.most)
        with EventLoopThread() as loop:
            loop.run(fleet.open())
            try:
                loop.run(conversation.open())
                for answer in loop.map_unordered(conversation.ask, asked, window):
                    if answer is not None:
                        yield answer
                    if fleet.refused:
                        raise ValueError(fleet.refused)
            except RequestError as error:
                yield from (failed_answer(document.id, error.reason) for document in asked)
            finally:
                loop.cancel()
                loop.run(fleet.close())
                key = question.model, question.scoring
                self._summaries.setdefault(key, EndpointSummaries()).add(fleet.endpoints)
                conversation.warn_of_other_models()

    def close(self) -> None:
        """Says what was not said yet of the endpoints."""
        for summaries in self._summaries.values():
            summaries.say()

    def examine(self, question: Question | None, meter: Meter | None = None) -> dict[str, str]:
        """Address -> why it cannot be asked this question now, empty where it can: by one chat request to each, which
        `meter` counts.

        It is what `answer` does with the first document, without its patience. Without a question: why nobody answers.
        """
        fleet = self._fleet(question, meter) if question else Fleet(self._urls, self._policy, self._key, self._lost)
        with EventLoopThread() as loop:
            loop.run(fleet.open())
            try:
                return loop.run(Conversation(fleet, question).examine() if question else silent(fleet))
            finally:
                loop.run(fleet.close())

    def _fleet(self, question: Question, meter: Meter | None) -> Fleet:
        standings = self._standings.setdefault((question.model, question.scoring), {})
        return Fleet(self._urls, self._policy, self._key, self._lost, standings, meter=meter)


class EndpointSummaries:
    """Says what happened at endpoints, over all calls of `answer`: at once what is odd, and counts now and then.

    Near the end of a budget few requests have room at a time, and each few are a call.
    """

    def __init__(self) -> None:
        self._endpoints: dict[str, Endpoint] = {}
        self._unsaid: set[str] = set()
        self._said_at = -math.inf

    def add(self, endpoints: Iterable[Endpoint]) -> None:
        odd = False
        for endpoint in endpoints:
            before = self._endpoints.get(endpoint.url)
            odd |= bool(endpoint.unusable) or set(endpoint.outcomes) - {ANSWERED} != set() or before is None
            if before is not None:
                odd |= before.standing is not endpoint.standing
                endpoint.outcomes = before.outcomes + endpoint.outcomes
                endpoint.said = before.said | endpoint.said
            self._endpoints[endpoint.url] = endpoint
            self._unsaid.add(endpoint.url)
        if odd or time.monotonic() - self._said_at >= SUMMARIES_EVERY:
            self.say()

    def say(self) -> None:
        for url in sorted(self._unsaid):
            logger.info("%s", self._endpoints[url])
        self._unsaid.clear()
        self._said_at = time.monotonic()


class Conversation:
    """One question to a fleet. Open it, then ask about many documents at a time."""

    def __init__(self, fleet: Fleet, question: Question) -> None:
        self._fleet, self._question = fleet, question
        self._named: Counter[tuple[str, str]] = Counter()  # address and model that its answers name

    async def open(self) -> None:
        """Finds out what the endpoints can do, and what that leaves for a document.

        Raises `ValueError` where no endpoint can be asked this question, `NoEndpointError` where none is up.
        """
        needs_tokens = self._prepare()
        capabilities = await probe(self._fleet, self._question.model, needs_tokens=needs_tokens)
        tokenize = self._tokenize if capabilities.tokenizes else None
        self._scoring = await scoring_of(self._question, tokenize)
        self._fleet.ordinary = _ordinary(self._scoring)
        self._cutter = DocumentCutter(await self._document_budget(capabilities), tokenize)

    def _prepare(self) -> bool:
        """Says what an ordinary request is, as far as that is known yet. Returns whether tokens are needed."""
        if not self._question.writes:
            return True
        self._fleet.ordinary = _ordinary(GenerateScoring(self._question, constrains=False))
        return False

    async def examine(self) -> dict[str, str]:
        """See `EndpointsAnnotator.examine`."""
        needs_tokens = self._prepare()

        async def one(endpoint: Endpoint) -> str:
            found = await probe_one(self._fleet, endpoint, self._question.model, needs_tokens=needs_tokens)
            if isinstance(found, str):
                return found
            try:
                await self._fleet.ask_ordinary(endpoint)
            except RequestError as error:
                return error.reason
            return ""

        whys = await asyncio.gather(*map(one, self._fleet.endpoints))
        return {endpoint.url: why for endpoint, why in zip(self._fleet.endpoints, whys, strict=True)}

    async def _document_budget(self, capabilities: Capabilities) -> int:
        """Tokens that are left for a document. Raises `ValueError` where the question leaves none."""
        context, question = capabilities.context or CONTEXT, self._question
        new = question.sampling.max_tokens if question.writes else 1
        around = fill(question.prompt, "") + question.answer_begins + "\n".join(question.options)
        tokenizes = capabilities.tokenizes
        template = len(await self._tokenize(around)) if tokenizes else int(len(around) / CHARACTERS_PER_TOKEN)
        budget = context - template - new - CHAT_TEMPLATE - SLACK
        if budget < FEWEST_CHARACTERS:
            raise ValueError(
                f"the question takes {template} and the reply {new} of {context} tokens; shorten the rubric, lower "
                "annotator.sampling.max_tokens or raise the server's --max-model-len"
            )
        return budget

    async def _tokenize(self, text: str) -> list[int]:
        payload = {"model": self._question.model, "prompt": text, "add_special_tokens": False}
        return (await self._fleet.post("/tokenize", payload, read_token_ids)).content

    async def ask(self, document: AnnotationRequest) -> Answer | None:
        """The answer about one document, whatever it holds and whatever happens; None where the budget has no room."""
        try:
            return await self._ask(document)
        except NoRoomError:
            return None
        except RequestError as error:
            return replace(failed_answer(document.id, error.reason), endpoint=error.url)
        except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
            return failed_answer(document.id, self._fleet.client.hide(f"{type(error).__name__}: {error}"[:200]))

    async def _ask(self, document: AnnotationRequest) -> Answer:
        """An endpoint that has answered nothing yet, and no document however short, is given up."""
        while True:
            try:
                return await self._cut_until_it_fits(document)
            except PromptTooLongError as error:
                if not self._fleet.has_no_space(error):
                    raise

    async def _cut_until_it_fits(self, document: AnnotationRequest) -> Answer:
        """Cuts the document further for as long as the server says that it is too long."""
        reading = self._question.reading
        text, cut, characters = await self._cutter.cut(document.text, reading)
        for _ in range(MOST_CUTS):
            try:
                return await self._request(document, text, cut)
            except ContentFilteredError as error:
                refused = failed_answer(document.id, error.reason)
                return replace(refused, ended=Ended.REFUSED, text=text, cut=cut, endpoint=error.url)
            except PromptTooLongError as error:
                last = error
                if characters <= FEWEST_CHARACTERS:
                    raise
                fitting = int(min(characters, len(document.text)) * error.share_that_fits())
                characters = max(FEWEST_CHARACTERS, fitting)
                text, cut = excerpt_to_send(document.text, characters, reading)
        too_long = PromptTooLongError(f"still too long after it was cut to {characters} characters: {last.reason}")
        too_long.url = last.url
        raise too_long

    async def _request(self, document: AnnotationRequest, text: str, cut: bool) -> Answer:
        def read(body: dict[str, Any]) -> tuple[Completion, Mapping[str, float] | None]:
            found = self._scoring.read(body, document)
            if document.meter is not None:  # before another takes this one's place
                spent = replace(failed_answer(document.id, ""), raw=found[0].text, text=text)
                document.meter.learn(replace(spent, tokens_in=found[0].tokens_in, tokens_out=found[0].tokens_out))
            return found

        response = await self._fleet.post(COMPLETIONS, self._scoring.body(document, text), read, document)
        completion, probabilities = response.content
        other = completion.model if completion.model != self._question.model else ""
        if other:
            self._named[response.url, other] += 1
        return Answer(
            id=document.id,
            ended=completion.ended,
            reason=completion.reason,
            raw=completion.text,
            probabilities=probabilities,
            text=text,
            cut=cut,
            tokens_in=completion.tokens_in,
            tokens_out=completion.tokens_out,
            seconds=round(response.seconds, 4),
            endpoint=printable_line(f"{response.url} {completion.server}".rstrip()),
            otherwise="; ".join(filter(None, (response.otherwise, other and printable_line(f"answered as {other}")))),
        )

    def warn_of_other_models(self) -> None:
        """An alias or a path names the same model, a gateway may have sent the request to another one."""
        for (url, model), count in self._named.items():
            logger.warning(
                "%s: %d answers name the model %s where %s was asked: another name of it, or another model",
                *(url, count, printable_line(model), self._question.model),
            )


def _ordinary(scoring: Scoring) -> OrdinaryRequest:
    def read(body: dict[str, Any]) -> Answer:
        completion, _ = scoring.read(body, ORDINARY)
        return replace(
            failed_answer(ORDINARY.id, completion.reason),
            ended=completion.ended,
            raw=completion.text,
            text=ORDINARY.text,
            tokens_in=completion.tokens_in,
            tokens_out=completion.tokens_out,
        )

    return OrdinaryRequest(ORDINARY, scoring.body(ORDINARY, ORDINARY.text), read)


class EventLoopThread:
    """An event loop in a thread of its own, for code that is not asynchronous.

    Use it as a context: at its end whatever is still in flight is cancelled and the thread is gone.
    """

    def __enter__(self) -> "EventLoopThread":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="annotator", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cancel(self) -> None:
        """Ends whatever is in flight."""
        self.run(_cancel_other_tasks())

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` returns or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def map_unordered(
        self, work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], window: int
    ) -> Iterator[Result]:
        """`work` on every item, at most `window` at a time; results as they come. `items` are read in this thread."""
        done: SimpleQueue[asyncio.Future[Result]] = SimpleQueue()
        in_flight: set[asyncio.Future[Result]] = set()  # the loop itself holds tasks only weakly
        left = 0

        def start(item: Item) -> None:
            task = asyncio.ensure_future(work(item))
            in_flight.add(task)
            task.add_done_callback(finish)

        def finish(task: asyncio.Future[Result]) -> None:
            in_flight.discard(task)
            done.put(task)

        for item in items:
            while left >= window or not done.empty():
                left -= 1
                yield done.get().result()
            self._loop.call_soon_threadsafe(start, item)
            left += 1
        for _ in range(left):
            yield done.get().result()


async def _cancel_other_tasks() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
