"""What the answers to one question have cost, and whether the next request may be sent.

A budget in tokens holds because the most that a request can take is reserved before it is sent, and settled by what it
took when its answer comes. The most is what the reply may have (`max_tokens`) and what the prompt can be: no token is
shorter than a byte. That is four times too much for English, so after some answers the largest share of tokens in bytes
that was seen, and a margin, takes its place. Hours, and the money that they cost, cannot be reserved: with them a
budget is over by what is under way when it is reached.

Where a server reports no usage, or half of it, tokens are estimated from bytes, and are counted as estimated. So are
those of a call that failed after the server may have processed it: the prompt, and all that the reply may have. Such a
call is tried again where there is room for it. What failed calls took stands beside the answers, for later runs.

A server may ignore `max_tokens`, and may put a prompt of its own before ours. The most that a request was over what it
can take is reserved for every one after that, and for those under way. Room is looked for again right before a request
is sent, for it may have waited for its turn since it was reserved: so a budget is over by no more than what those took
beyond it that were under way when the first of them was answered.
"""

import math
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from datashop_assets.asking.store import AnswerStore, from_line
from datashop_assets.asking.usage import estimated_tokens, size_of, unreported_tokens
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.storage.writing import on_disk

HOUR = 3600.0  # seconds
SPENT = "spent.json"  # how long was asked so far, written every so many seconds:
NOTED_EVERY = 10.0
CHAT_TEMPLATE = 64  # tokens that a chat template puts around a turn
CALIBRATED = 8  # answers after which the share of tokens in bytes is taken from them
MARGIN = 1.25  # above the largest share that was seen


class BudgetReachedError(ValueError):
    """A step stops at its budget. `problem` says what was spent and what is not asked, `fix` how it goes on."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)
        self.problem, self.fix = problem, fix

    def __str__(self) -> str:
        return f"{self.problem}. {self.fix}"


class _Usage(NamedTuple):
    """What one answer took; `share` is tokens in a byte of its prompt, where the server reported them."""

    tokens: int
    estimated: int  # of these
    share: float | None
    excess: int  # tokens of the reply beyond what it may have, and of the prompt beyond its bytes


@dataclass(frozen=True)
class SpendingLimits:
    """What the answers to one question may cost; None is no limit. Money is hours at `price_per_hour`."""

    tokens: int | None = None
    hours: float | None = None
    money: float | None = None
    price_per_hour: float | None = None

    def of(self, what: str) -> float | None:
        return {"tokens": self.tokens, "hours": self.hours, "money": self.money}[what]


NO_LIMITS = SpendingLimits()


@dataclass
class Spending:
    """What a question cost so far, over all runs, and whether more may be asked; the `Meter` of its requests.

    Tokens are counted from the answer store, hours by the clock while asking. The time of runs before stands in a small
    file beside the output.
    """

    limits: SpendingLimits
    question: Question
    file: Path | None = None  # holds the time of runs before; None: it is kept nowhere
    tokens: int = 0
    estimated: int = 0  # tokens of these that no server reported
    seconds_before: float = 0.0
    store: AnswerStore | None = None  # where it is kept what failed calls took; None: nowhere
    lost_tokens: int = 0  # of these that calls took which failed in this run
    _run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    _lock: threading.RLock = field(default_factory=threading.RLock)  # calls fail in the annotator's thread
    _reserved: dict[str, int] = field(default_factory=dict)
    _given_back: list[str] = field(default_factory=list)
    _sent: set[str] = field(default_factory=set)  # of the reserved ones
    _answers: int = 0
    _largest_share: float = 0.0  # tokens in a byte of the prompt
    _largest_excess: int = 0  # tokens beyond what a request can take, reserved for every one beside what it has
    _refused: int = 0  # the most tokens of the request that had no room
    _started: float = field(default_factory=time.monotonic)
    _noted: float = 0.0

    @classmethod
    def so_far(cls, limits: SpendingLimits, question: Question, store: AnswerStore, scratch: Path) -> "Spending":
        """With what the answers in the store have cost, where a budget asks for it."""
        file = scratch / SPENT
        before = float(orjson.loads(file.read_bytes())["seconds"]) if file.exists() else 0.0
        spending = cls(limits, question, file, seconds_before=before, store=store)
        if limits.tokens:
            spending.tokens = spending.estimated = store.lost_tokens()
            # a key's last answer counts; what it cost is held and no text, of which there may be millions
            for usage in {key: spending._usage(from_line(line)) for key, line in store.lines()}.values():
                spending._count(usage)
        return spending

    def reserve(self, requests: Iterable[AnnotationRequest]) -> bool:
        """Whether there is room for all of these; it is then theirs until they are settled."""
        with self._lock:
            most = {request.id: self._most(request) for request in requests}
            if not self._fits(*most.values(), beside=self._reserved):
                self._refused = max(most.values()) + self._largest_excess
                return False
            if self._reached("hours", "money"):
                return False
            self._reserved |= most
            return True

    def settle(self, answer: Answer) -> None:
        """The answer to a request has come."""
        with self._lock:
            self._forget(answer.id)
            self._count(self._usage(answer))
            if time.monotonic() - self._noted >= NOTED_EVERY:
                self.note()

    def admit(self, request: AnnotationRequest) -> bool:
        """Whether there still is room for a request that is about to be sent; where there is none it is given back."""
        with self._lock:
            most = self._reserved.setdefault(request.id, self._most(request))
            if self._fits(most, beside=self._sent - {request.id}):
                self._sent.add(request.id)
                return True
            self._forget(request.id)
            self._given_back.append(request.id)
            self._refused = most + self._largest_excess
            return False

    def given_back(self) -> list[str]:
        """The requests that were not admitted since this was asked last."""
        with self._lock:
            found, self._given_back = self._given_back, []
            return found

    def learn(self, answer: Answer) -> None:
        """An answer has come, before it is settled: what it was over is reserved for others from now on."""
        with self._lock:
            self._largest_excess = max(self._largest_excess, self._usage(answer).excess)

    def lost(self, request: AnnotationRequest) -> bool:
        """A call failed after the server may have processed it. Returns whether there is room to try again.

        What the request has reserved is then reserved for the next try.
        """
        with self._lock:
            most = self._reserved.get(request.id) or self._most(request)
            sent = "".join([request.text[: self.question.reading.characters], request.before, *request.constrain])
            written = self._longest_reply + self._largest_excess if self.question.writes else 0
            tokens = min(most + self._largest_excess, estimated_tokens(self.question, sent, "") + written)
            self.tokens += tokens
            self.estimated += tokens
            self.lost_tokens += tokens
            if self._fits(
                *([] if request.id in self._reserved else [most]), beside=self._reserved
            ) and not self._reached("hours", "money"):
                return True
            self._forget(request.id)
            self._refused = most + self._largest_excess
            return False

    def release(self, keys: Iterable[str]) -> None:
        """These requests were not answered."""
        with self._lock:
            for key in keys:
                self._forget(key)

    def _forget(self, key: str) -> None:
        self._reserved.pop(key, None)
        self._sent.discard(key)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Writes down at the end what was spent, also where the asking was broken off."""
        try:
            yield
        finally:
            self.note()

    def note(self) -> None:
        with self._lock:
            self._noted = time.monotonic()
            if self.file is not None:
                with on_disk(self.file) as file:
                    file.write(orjson.dumps({"seconds": self.seconds}))
            if self.lost_tokens and self.store is not None:
                self.store.note_lost(self._run, self.lost_tokens)

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self._started

    @property
    def spent(self) -> dict[str, float]:
        hours = self.seconds / HOUR
        return {"tokens": self.tokens, "hours": hours, "money": hours * (self.limits.price_per_hour or 0.0)}

    def stopped(self, answered: int, unasked: int) -> BudgetReachedError:
        """The error of a step whose asking the budget stopped: `answered` documents now, `unasked` left."""
        self.note()
        said = self.said("hours", "money")
        if self._refused and not said:
            said = [f"{self._spent_of('tokens')}, and the next request may take up to {self._refused:,}"]
        return BudgetReachedError(
            f"annotator.budget is reached ({'; '.join(said)}); {unasked} documents are not asked ({answered} were "
            "answered now) and the stage is not finished",
            "All answers are kept: raise the budget and run again, which asks only for the rest, or lower "
            "annotator.documents",
        )

    def said(self, *of: str) -> list[str]:
        """The limits (of all, or of these) that are reached, with what was spent."""
        return [self._spent_of(what) for what in self._reached(*(of or ("tokens", "hours", "money")))]

    def _spent_of(self, what: str) -> str:
        some = f", of which {self.estimated:,} are estimated" if what == "tokens" and self.estimated else ""
        return f"{what}: {self.spent[what]:,.6g} spent of {self.limits.of(what):,.6g}{some}"

    def _fits(self, *more: int, beside: Iterable[str]) -> bool:
        """Whether there is room for requests that take so many tokens each, beside these that have reserved theirs."""
        limit, reserved = self.limits.tokens, [*(self._reserved[key] for key in beside), *more]
        return limit is None or self.tokens + sum(reserved) + len(reserved) * self._largest_excess <= limit

    def _reached(self, *of: str) -> list[str]:
        spent = self.spent
        return [what for what in of if (limit := self.limits.of(what)) is not None and spent[what] >= limit]

    def _usage(self, answer: Answer) -> "_Usage":
        missing = unreported_tokens(self.question, answer)
        size = size_of(self.question.prompt) + size_of(answer.text)
        written = answer.tokens_out or estimated_tokens(self.question, answer.text, answer.raw, tokens_in=1)
        return _Usage(
            tokens=answer.tokens_in + answer.tokens_out + missing,
            estimated=missing,
            share=answer.tokens_in / max(1, size) if answer.tokens_in else None,
            excess=max(0, written - self._longest_reply) + max(0, answer.tokens_in - size - CHAT_TEMPLATE),
        )

    def _count(self, usage: "_Usage") -> None:
        self.tokens += usage.tokens
        self.estimated += usage.estimated
        self._largest_excess = max(self._largest_excess, usage.excess)
        if usage.share is not None:
            self._largest_share = max(self._largest_share, usage.share)
            self._answers += 1

    def _most(self, request: AnnotationRequest) -> int:
        """The most tokens that this request can take, prompt and reply together, where the reply keeps to its limit."""
        read = request.text[: self.question.reading.characters]
        size = sum(map(size_of, (self.question.prompt, read, request.before, *request.constrain)))
        certain = size + CHAT_TEMPLATE
        calibrated = self._answers >= CALIBRATED
        prompt = min(certain, math.ceil(size * self._largest_share * MARGIN)) if calibrated else certain
        return prompt + self._longest_reply

    @property
    def _longest_reply(self) -> int:
        """Tokens that a reply may have."""
        return self.question.sampling.max_tokens if self.question.writes else 1
