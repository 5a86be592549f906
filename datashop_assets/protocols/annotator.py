"""What the graph agrees on with any annotator, wherever it runs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from datashop_assets.storage.digests import digest_of


class Status(StrEnum):
    """How an asked document ended. Every one ends in exactly one of these."""

    PARSED = "parsed"
    REPAIRED = "repaired"  # by one second try with a constrained answer
    TRUNCATED = "truncated"  # the reply reached the limit of tokens before its score
    REFUSED = "refused"
    UNPARSED = "unparsed"
    FAILED = "failed"  # the call itself; asked again by the next run


class Ended(StrEnum):
    """How a generation ended, before anybody reads what it says."""

    COMPLETE = "complete"
    LENGTH = "length"  # at the limit of new tokens
    OTHER_LIMIT = "other_limit"  # of the server: its context, its time; the answer's reason names it
    REFUSED = "refused"
    FAILED = "failed"


CUT = (Ended.LENGTH, Ended.OTHER_LIMIT)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How new tokens are chosen. The defaults are those of the original Datashop."""

    temperature: float = 0.1
    top_p: float = 1.0
    max_tokens: int = 256  # new ones
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """How a document is cut before it is read; see `excerpts`."""

    characters: int
    part: Literal["head", "windows"] = "head"


@dataclass(frozen=True, slots=True)
class Question:
    """All that an answer depends on beside the document, resolved: no default is left to fill in.

    `prompt` holds `{example}` exactly once, replaced literally by the document. `answer_begins` is what the assistant's
    turn begins with. For `likelihood` the answer is the softmax over the first token of each option, for `score_token`
    the probability of each option as the whole answer.
    """

    model: str  # in full, as its home names it
    revision: str  # empty where the home knows none
    scoring: str  # "generate", "score_token", "likelihood"; or "write": text that is no answer, as of a rubric
    prompt: str
    answer_begins: str
    options: tuple[str, ...]
    sampling: Sampling
    reading: Reading

    @property
    def writes(self) -> bool:
        """Whether what is wanted is text of up to `sampling.max_tokens`."""
        return self.scoring in ("generate", "write")

    @property
    def digest(self) -> str:
        """The generation digest: the name under which answers are stored."""
        return digest_of(asdict(self))


@dataclass(frozen=True, slots=True)
class AnnotationRequest:
    """One document to ask about. With `constrain` it is a repair: the answer must be one of these texts."""

    id: str
    text: str  # whole; the annotator cuts it as the question's `reading` says, and further if the model takes less
    source: str
    constrain: tuple[str, ...] = ()
    before: str = ""  # the first reply, where this is a repair
    meter: "Meter | None" = field(default=None, compare=False, repr=False)  # None: nobody counts


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model answered about one document, not yet parsed for its score."""

    id: str
    ended: Ended
    reason: str  # what was odd about it; empty for a reply that ended as it should
    raw: str  # the reply, thinking in <think> marks; for likelihood the probability of every option, as JSON
    probabilities: Mapping[str, float] | None  # option -> probability, adding up to one; None for `generate`
    text: str  # what was read of the document, cuts marked: the encoder reads the same
    cut: bool  # whether that is less than all of it
    tokens_in: int
    tokens_out: int
    seconds: float  # from request to reply, or this document's share of its batch
    endpoint: str  # who answered: an address, and after a blank what the server there says it is, where it does
    otherwise: str = ""  # how it was asked or answered, where not as the question says: `without seed`


def failed_answer(id: str, reason: str) -> Answer:  # noqa: A002, the field's name
    """The answer about a document for which the call itself failed."""
    return Answer(id, Ended.FAILED, reason, "", None, "", False, 0, 0, 0.0, "")


class Meter(Protocol):
    """What counts calls that an annotator makes beside the one for each document: tries that failed, and probes.

    The one for each document is reserved before the annotator gets it, and settled when it gives the answer. May be
    called from any thread.
    """

    def reserve(self, requests: Iterable[AnnotationRequest]) -> bool:
        """Whether there is room for requests of the annotator's own; it is then theirs until they are settled."""

    def settle(self, answer: Answer) -> None:
        """The answer to such a request has come."""

    def admit(self, request: AnnotationRequest) -> bool:
        """Whether there still is room for a request that is about to be sent, which may have waited for its turn.

        Where there is none it is given back: it gets no answer, and is asked later or not at all.
        """

    def learn(self, answer: Answer) -> None:
        """An answer has come and is not settled yet: what it took tells what others may take."""

    def lost(self, request: AnnotationRequest) -> bool:
        """A call failed after the server may have processed it. Returns whether there is room to try again."""

    def release(self, keys: Iterable[str]) -> None:
        """Requests under these names are not tried again."""


class ModelNames(Protocol):
    """What an annotator calls its models: all that a plan asks of it."""

    def identity(self, model: str) -> tuple[str, str]:
        """Full name and revision of what a prompt file's `model` means here. Raises `ValueError` where it is nothing.

        The revision is empty where it is not known.
        """


class Annotator(ModelNames, Protocol):
    """Documents in, answers out: exactly one for each, as they come, in any order, in bounded memory."""

    @property
    def group(self) -> int | None:
        """How many documents are asked together, where answers repeat bit for bit only then; None: any number."""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """Raises `ValueError` for a question that cannot be asked here; what one document holds ends as `failed`."""


@runtime_checkable
class Closable(Protocol):
    """An annotator that holds something while it answers: an accelerator, a server, connections."""

    def close(self) -> None:
        """Frees it; a later question takes it again."""
