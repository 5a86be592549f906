"""One question to a fleet: what is found out before the first document, and the course of each document."""

from dataclasses import replace

from datashop_assets.prompts.template import fill
from datashop_assets.protocols.annotator import Answer, Asked, Ended, Question, failed
from resources.annotator.endpoints.asking import Found, way_of
from resources.annotator.endpoints.cutting import CHARACTERS_A_TOKEN, LEAST, SLACK, Cutter, excerpted
from resources.annotator.endpoints.failures import Failure, Filtered, TooLong
from resources.annotator.endpoints.fleet import Fleet, Posted
from resources.annotator.endpoints.looking import Seen, look_around
from resources.annotator.endpoints.reading import token_ids

SHORTENINGS = 12  # to a thousandth, where the server does not say how much it takes
CHAT = 64  # tokens that a chat template puts around a turn; SmolLM2's system prompt makes 31 of them


class Conversation:
    """Open it with `open`, then ask; many documents at a time."""

    def __init__(self, fleet: Fleet, question: Question, context: int) -> None:
        self._fleet, self._question, self._context = fleet, question, context

    async def open(self) -> None:
        """Raises `ValueError` where no endpoint can be asked this question, `Nobody` where none is there."""
        seen = await look_around(self._fleet, self._question.model, needs_tokens=not self._question.writes)
        self._way = await way_of(self._question, self._tokens if seen.tokenizes else None)
        self._cutter = Cutter(await self._room(seen), self._count if seen.tokenizes else None)

    async def ask(self, one: Asked) -> Answer:
        """The answer about one document, whatever it holds and whatever happens."""
        try:
            return await self._course(one)
        except Failure as error:
            return failed(one.id, error.reason)
        except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
            return failed(one.id, self._fleet.hide(f"{type(error).__name__}: {error}"[:200]))

    async def _course(self, one: Asked) -> Answer:
        text, cut, characters = await self._cutter.cut(one.text, self._question.reading)
        for _ in range(SHORTENINGS):
            try:
                return _answer(one, text, cut, await self._post(one, text))
            except Filtered as error:
                return replace(failed(one.id, error.reason), ended=Ended.REFUSED, text=text, cut=cut)
            except TooLong as error:
                if characters <= LEAST:
                    raise
                characters = max(LEAST, int(min(characters, len(one.text)) * error.share()))
                text, cut = excerpted(one.text, characters, self._question.reading)
        raise TooLong(f"still too long after it was cut to {characters} characters")

    async def _post(self, one: Asked, text: str) -> Posted[Found]:
        payload = self._way.payload(one, text)
        return await self._fleet.post("/chat/completions", payload, lambda body: self._way.read(body, one))

    async def _room(self, seen: Seen) -> int:
        """Tokens that are left for a document. Raises `ValueError` where the question leaves none."""
        context, question = seen.context or self._context, self._question
        new = question.sampling.max_tokens if question.writes else 1
        around = fill(question.prompt, "") + question.answer_begins + "\n".join(question.options)
        template = len(await self._tokens(around)) if seen.tokenizes else int(len(around) / CHARACTERS_A_TOKEN)
        room = context - template - new - CHAT - SLACK
        if room < LEAST:
            raise ValueError(
                f"the question takes {template} and the reply {new} of {context} tokens; shorten the rubric, lower "
                "annotator.sampling.max_tokens or raise the server's --max-model-len"
            )
        return room

    async def _tokens(self, text: str) -> list[int]:
        payload = {"model": self._question.model, "prompt": text, "add_special_tokens": False}
        return (await self._fleet.post("/tokenize", payload, token_ids)).found

    async def _count(self, text: str) -> int:
        return len(await self._tokens(text))


def _answer(one: Asked, text: str, cut: bool, posted: Posted[Found]) -> Answer:
    said, probabilities = posted.found
    return Answer(
        id=one.id,
        ended=said.ended,
        reason=said.reason,
        raw=said.raw,
        probabilities=probabilities,
        text=text,
        cut=cut,
        tokens_in=said.tokens_in,
        tokens_out=said.tokens_out,
        seconds=round(posted.seconds, 4),
        endpoint=f"{posted.url} {said.server}".rstrip(),
    )
