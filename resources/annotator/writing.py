"""Free text by the embedded annotator: descriptions, not scores. Documents are written about one after the other."""

from collections.abc import Iterable, Iterator
from time import perf_counter

from tokenizers import Tokenizer

from datashop_assets.models.llama.generation import Greedy
from datashop_assets.models.llama.model import Llama
from datashop_assets.protocols.annotator import Answer, Asked, Ended, Question, failed
from resources.annotator.question_tokens import QuestionTokens

END_OF_TURN = ("<|im_end|>", "<|endoftext|>")


class Writer:
    """Answers one question of the scoring `write`; always by the likeliest token, whatever temperature is asked for.

    `context` is how many tokens prompt and text may have together; what is longer is cut.
    """

    def __init__(self, model: Llama, tokenizer: Tokenizer, template: str, question: Question, context: int) -> None:
        self._greedy, self._tokenizer, self._most = Greedy(model), tokenizer, question.sampling.max_tokens
        before = len(QuestionTokens(tokenizer, template, question, context).before)
        self._tokens = QuestionTokens(tokenizer, template, question, context - before - self._most)
        self._stops = {token for name in END_OF_TURN if (token := tokenizer.token_to_id(name)) is not None}

    def answers(self, documents: Iterable[Asked]) -> Iterator[Answer]:
        for document in documents:
            try:
                yield self._answer(document)
            except Exception as error:  # noqa: BLE001 - whatever one document holds, the others are asked
                yield failed(document.id, f"{type(error).__name__}: {error}"[:200])

    def _answer(self, document: Asked) -> Answer:
        started, read = perf_counter(), self._tokens.read(document.text)
        prompt = [*self._tokens.before, *read.tokens]
        written, ended = self._greedy.write(prompt, self._most, self._stops)
        return Answer(
            id=document.id,
            ended=Ended.COMPLETE if ended else Ended.LENGTH,
            reason="" if ended else f"cut off after {self._most} tokens",
            raw=self._tokenizer.decode(written),
            probabilities=None,
            text=read.text,
            cut=read.cut,
            tokens_in=len(prompt),
            tokens_out=len(written),
            seconds=round(perf_counter() - started, 4),
            endpoint="embedded",
        )
