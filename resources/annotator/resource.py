"""Annotators as Dagster resources: what all have in common, how model servers live, and endpoints.

A resource is itself the `Annotator` that steps get, and a lazy one: Dagster enters it before the first step of a run
and leaves it after the last, so nothing is loaded, started or contacted before the first question, and a run that asks
nothing costs nothing. What a model server goes through is `ServedModel`.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field, PrivateAttr, field_validator

from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Closable, Meter, Question
from resources.annotator.endpoints.addresses import checked_url
from resources.annotator.endpoints.pacing import Policy
from resources.annotator.names import full_name, identity_of

if TYPE_CHECKING:
    from resources.annotator.endpoints.annotator import EndpointsAnnotator

logger = logging.getLogger("datashop.annotator")  # which Dagster shows in the run's events, and the terminal as lines


class AnnotatorResource(dg.ConfigurableResource[Annotator], ABC):
    """Where documents are asked. Subclasses answer; `close` frees what answering took, and a later question takes it
    again."""

    _say: Callable[[str], object] = PrivateAttr(default_factory=lambda: logger.info)

    @property
    def group(self) -> int | None:
        """How many documents are asked together, where answers repeat bit for bit only then."""
        return None

    @abstractmethod
    def identity(self, model: str) -> tuple[str, str]:
        """Full name and revision of what a prompt file's `model` means here; nothing is imported or asked for it."""

    @abstractmethod
    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """One answer for each document; see `Annotator`."""

    def close(self) -> None:
        """Frees what was taken to answer; nothing where nothing was asked."""

    def saying(self, say: Callable[[str], object]) -> "AnnotatorResource":
        """The same, which hands lines about a server that starts to `say` rather than to the log."""
        self._say = say
        return self

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Annotator]:  # noqa: ARG002
        """The annotator of a run (of a step, with the multiprocess executor), closed at its end and after a failure."""
        try:
            yield self
        finally:
            self.close()


class AskedOverHTTP(AnnotatorResource, ABC):
    """The fields of annotators that are asked over HTTP: how much effort a document is worth."""

    concurrency: int = Field(
        default=Policy.most, gt=0, description="Most requests under way at each endpoint; the pace finds its own way up"
    )
    deadline: float = Field(default=Policy.deadline, gt=0, description="Seconds that a request may take")
    attempts: int = Field(default=Policy.attempts, gt=0, description="Attempts that a document is worth")
    patience: float = Field(
        default=Policy.patience, gt=0, description="Seconds that documents wait while no endpoint answers at all"
    )

    @property
    def policy(self) -> Policy:
        return Policy(attempts=self.attempts, deadline=self.deadline, patience=self.patience, most=self.concurrency)


class AnnotatorEndpoints(AskedOverHTTP):
    """Any number of OpenAI-compatible addresses, asked as one; those that go away may come back."""

    addresses: list[str] = Field(
        description="Base addresses such as http://host:8000/v1, or ray-serve://HOST:8265/NAME for an application of "
        "Ray Serve by its name. No user, password or query: addresses are stored with answers",
    )
    key: str = Field(
        default="",
        description="The key, sent as a bearer token. A secret: give the environment variable that holds it, "
        "as {env: DATASHOP_ANNOTATOR_KEY}; in Python dg.EnvVar('DATASHOP_ANNOTATOR_KEY')",
    )
    _annotator: "EndpointsAnnotator | None" = PrivateAttr(default=None)

    @field_validator("addresses")
    @classmethod
    def _plain(cls, addresses: list[str]) -> list[str]:
        return list(dict.fromkeys(map(checked_url, addresses)))

    def identity(self, model: str) -> tuple[str, str]:
        """The full name; which revision an endpoint serves, it does not say."""
        return identity_of("endpoints", model)

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """Raises `ValueError` where no endpoint can be asked this question, or none is named."""
        if self._annotator is None:
            self._annotator = self._found(self.policy)
        return self._annotator.answer(asked, question)

    def examine(self, question: Question | None, deadline: float, meter: Meter | None = None) -> dict[str, str]:
        """Address -> why it cannot be asked this question now, empty where it can; see `EndpointsAnnotator.examine`.

        A request may take `deadline` seconds. Raises `ValueError` for the name of an application that is not there.
        """
        policy = replace(self.policy, deadline=min(deadline, self.deadline), patience=0.0)
        return self._found(policy).examine(question, meter)

    def close(self) -> None:
        if self._annotator is not None:
            self._annotator.close()
        self._annotator = None

    @property
    def bearer(self) -> str:
        """The key itself, also where Dagster has not read its variable yet. It is in no log, answer or metadata."""
        return (self.key.get_value() or "") if isinstance(self.key, dg.EnvVar) else self.key

    def _found(self, policy: Policy) -> "EndpointsAnnotator":
        from resources.annotator.endpoints.addresses import locate_endpoints
        from resources.annotator.endpoints.annotator import EndpointsAnnotator

        return EndpointsAnnotator(tuple(locate_endpoints(self.addresses, policy.patience)), policy, self.bearer)


class ServedModel(AskedOverHTTP, ABC):
    """A model server that lives for the questions it is asked: create → wait → connect → clean up.

    Those four are the hooks of a subclass. They run with the first question about a model; a question about another
    model, or one that comes when the server is gone, goes through all four again. Clean-up follows after the last step
    of a run that asks, at the end of the run, after any failure, and `idle_seconds` after the last answer: in one
    process a server would otherwise hold the accelerator while the steps after it train.
    """

    model: str = Field(
        default="", description="The one model that is served, by a short name or a full one; empty: whichever is asked"
    )
    revision: str = Field(default="", description="The model's revision on the hub; empty: the newest")
    tensor_parallel_size: int | None = Field(
        default=None, gt=0, description="Chips that a model is spread over; by default as its name says, else 8"
    )
    max_model_len: int = Field(default=8192, gt=0, description="Tokens of prompt and reply together")
    dtype: str = Field(default="auto", description="The number format of the weights, as vLLM names it")
    arguments: list[str] = Field(default=[], description="Further engine arguments, such as --max-num-seqs=64")
    start_deadline: float = Field(
        default=1800.0, gt=0, description="Seconds until it must be healthy; a 70B model takes some ten minutes"
    )
    idle_seconds: float = Field(
        default=120.0, gt=0, description="Seconds without a question after which it is stopped; the next one starts it"
    )
    _serving: tuple[str, str] | None = PrivateAttr(default=None)  # model and revision
    _annotator: Annotator | None = PrivateAttr(default=None)
    _asking: int = PrivateAttr(default=0)
    _idle: threading.Timer | None = PrivateAttr(default=None)
    _lock: threading.RLock = PrivateAttr(default_factory=threading.RLock)

    @abstractmethod
    def create(self, model: str, revision: str) -> None:
        """Begins to serve the model, and does not wait for it."""

    @abstractmethod
    def wait(self) -> None:
        """Returns when it can be asked. Raises `RuntimeError` or `ValueError` that says why it will not come."""

    @abstractmethod
    def connect(self) -> Annotator:
        """What asks it."""

    @abstractmethod
    def clean_up(self) -> None:
        """Ends what `create` began, however far it came."""

    def alive(self) -> bool:
        """Whether what was created is still there."""
        return True

    def watched(self) -> AbstractContextManager[None]:
        """Is entered while questions are asked."""
        return nullcontext()

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """Raises what `create` and `wait` raise. Without a document nothing is started."""
        remaining = iter(asked)
        for first in remaining:
            annotator = self._connected(question.model, question.revision)
            try:
                with self.watched():
                    yield from annotator.answer(chain([first], remaining), question)
            finally:
                self._answered()

    def close(self) -> None:
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            serving, annotator = self._serving, self._annotator
            self._serving, self._annotator, self._idle = None, None, None
            if isinstance(annotator, Closable):
                annotator.close()
            if serving is not None:
                self.clean_up()

    def _connected(self, model: str, revision: str) -> Annotator:
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            if self._annotator is None or self._serving != (model, revision) or not self.alive():
                self.close()
                self._refuse_others(model)
                self._serving = model, revision
                try:
                    self.create(model, revision)
                    self.wait()
                    self._annotator = self.connect()
                except BaseException:  # Ctrl-C while a model loads, too
                    self.close()
                    raise
            self._asking += 1
            return self._annotator

    def _answered(self) -> None:
        with self._lock:
            self._asking -= 1
            if self._asking == 0:
                self._idle = threading.Timer(self.idle_seconds, self._close_if_idle)
                self._idle.daemon = True
                self._idle.start()

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._asking == 0 and self._idle is threading.current_thread():  # else a question came in between
                self.close()

    def _refuse_others(self, model: str) -> None:
        if self.model and full_name(model) != full_name(self.model):
            raise ValueError(
                f"annotator.model is {model!r}, and this annotator serves {full_name(self.model)!r} alone; name that "
                "one, or empty the resource's field `model`"
            )
