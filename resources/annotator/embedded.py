"""An annotator in this process, on any machine: SmolLM2-135M-Instruct from the data lock, asked by likelihood.

It is too small to follow a rubric. Asked which of a few subjects a document belongs to, it is nearly always right; so
its score is one for topic, not for quality. Two cores read some 6.8 documents of 140 tokens a second.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from resources.annotator.names import embedded_weights, identity_of
from resources.annotator.resource import AnnotatorResource

if TYPE_CHECKING:
    from datashop_assets.models.llama.gguf_file import GGUF
    from datashop_assets.models.llama.model import Llama
    from resources.annotator.embedded_model import EmbeddedTextWriter, LikelihoodReader

CONTEXT = 1024  # tokens of a question and the text that is written about it; the model takes 2,048


class EmbeddedAnnotator(AnnotatorResource):
    """SmolLM2-135M-Instruct in this process, on any CPU. Weights are loaded with the first question.

    Documents are packed into rows. Longer rows would cost more in attention than they save in padding: 256 tokens hold
    1,000 characters of 95% of the embedded pool.
    """

    rows: int = Field(default=2, gt=0, description="Rows of tokens that the model computes at a time")
    length: int = Field(default=256, gt=0, description="Tokens of a row; a longer text is cut to it")
    documents: int = Field(
        default=64, gt=0, description="Documents that are packed at a time: answers repeat bit for bit for one number"
    )
    data: str = Field(
        default="",
        description="The folder of the data packages, which hold the weights; empty: where they are installed",
    )
    _loaded: dict[str, tuple["GGUF", "Llama"]] = PrivateAttr(default_factory=dict)
    _readers: dict[Question, Any] = PrivateAttr(default_factory=dict)  # a `LikelihoodReader`, or a `EmbeddedTextWriter`

    @property
    def group(self) -> int:
        return self.documents

    def identity(self, model: str) -> tuple[str, str]:
        return identity_of("embedded", model)

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """One answer for each document, in order. A document that cannot be read ends `failed`, and the rest go on.

        Raises `ValueError` for a model that is not embedded, or a way of scoring other than likelihood or `write`.
        """
        reader, remaining = self._reader(question), iter(asked)
        while window := list(islice(remaining, self.documents)):
            yield from reader.answers(window)

    def close(self) -> None:
        """Weights take 0.5 GB, which the steps that train can use."""
        self._loaded, self._readers = {}, {}

    def _reader(self, question: Question) -> "LikelihoodReader | EmbeddedTextWriter":
        self.identity(question.model)
        if question.scoring not in ("likelihood", "write"):
            raise ValueError(
                f"annotator.scoring is {question.scoring!r}; {question.model} is too small to write a reply that can "
                "be parsed. Use likelihood, or another annotator."
            )
        if question not in self._readers:
            self._readers = {question: self._opened(question)}
        reader: LikelihoodReader | EmbeddedTextWriter = self._readers[question]
        return reader

    def _opened(self, question: Question) -> "LikelihoodReader | EmbeddedTextWriter":
        from datashop_assets.models.llama.gguf_file import GGUF
        from resources.annotator import embedded_model

        if question.model not in self._loaded:
            gguf = GGUF(embedded_weights(self.data))
            self._loaded = {question.model: (gguf, gguf.model())}
        gguf, model = self._loaded[question.model]
        tokenizer = gguf.tokenizer()
        if question.scoring == "write":
            return embedded_model.EmbeddedTextWriter(model, tokenizer, gguf.chat_template, question, CONTEXT)
        tokens = embedded_model.PromptTokens(tokenizer, gguf.chat_template, question, self.length)
        options = embedded_model.first_tokens(tokenizer, question.options)
        probabilities = embedded_model.OptionProbabilities(
            model, tokens.before, options, rows=self.rows, length=self.length
        )
        return embedded_model.LikelihoodReader(question, tokens, probabilities)
