"""An annotator for tests that counts words, and keeps count of what it is asked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from datashop_assets.excerpts import excerpt
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Question, failed_answer


@dataclass
class WordCounter:
    """By likelihood: the more certain of mathematics, the more proofs. Writing: "Final score: 4", or what `says` says.

    Fails on texts that begin with one of `fails_on`, and can be killed after some answers.
    """

    group: int | None = None
    dies_after: int = 10**9
    fails_on: tuple[str, ...] = ()
    says: dict[str, str] = field(default_factory=dict)  # word in a text -> the reply to it
    revision: str = "1"
    requests: list[AnnotationRequest] = field(default_factory=list)

    def identity(self, model: str) -> tuple[str, str]:
        return f"maker/{model}", self.revision

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        for one in asked:
            if len(self.requests) == self.dies_after:
                raise KeyboardInterrupt
            self.requests.append(one)
            if one.text.startswith(self.fails_on):
                yield failed_answer(one.id, "broken | text")
            else:
                yield self._answer(one, question)

    def _answer(self, one: AnnotationRequest, question: Question) -> Answer:
        text, cut = excerpt(one.text, question.reading.characters, question.reading.part)
        proofs = min(5, 3 * (text.count("theorem") + text.count("proof")))
        said = next((reply for word, reply in self.says.items() if word in text), f"Final score: {proofs}")
        ended, probabilities = Ended.COMPLETE, None
        if one.constrain:
            said = one.constrain[-1]
        elif question.scoring == "generate":
            ended = {"...": Ended.LENGTH, "no": Ended.REFUSED}.get(said, Ended.COMPLETE)
        else:
            first, *rest = question.options
            said, probabilities = "{}", {first: proofs / 5} | dict.fromkeys(rest, (1 - proofs / 5) / len(rest))
        return Answer(one.id, ended, "", said, probabilities, text, cut, 9, 4, 0.01, "here")
