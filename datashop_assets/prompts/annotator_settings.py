"""The section `annotator`: which model scores the sample, how it is asked, how much of it, and what must hold.

In order: the questions that need no written reply, the cascade that ranks the sample for the second round, the gates,
the report, the budget, and the section that holds them all. `AnnotationQuestionConfig` is the part that an answer
depends on; several steps store it in their configuration.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from datashop_assets.asking.number_forms import HIGHEST_SCORE
from datashop_assets.asking.replies import OptionParsing, Parsing, ProcessorConfig, WrittenParsing
from datashop_assets.excerpts import Part
from datashop_assets.prompts.section import Characters, Count, Scoring, Section, SectionConfig
from datashop_assets.prompts.template import AnswerBeginning, Template
from datashop_assets.protocols.annotator import ModelNames, Question, Reading, Sampling

EMBEDDED_MODEL = "smollm2-135m-instruct"
RUBRIC_MODEL = "Llama-3.3-70B-Instruct"  # what the field annotates with
SUBJECTS = (
    "mathematics", "history", "biology", "computers", "geography", "politics",
    "literature", "physics", "religion", "art", "software", "law",
)  # fmt: skip
DIGITS = {str(score): float(score) for score in range(6)}

Fraction = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(gt=0)]


class SamplingSettings(Section):
    """How new tokens are chosen."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.1
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 256
    seed: int = 0


class Likelihood(Section):
    """A question for annotators too small to follow a rubric: the probability of the target among the options."""

    question: Template
    answer_begins: AnswerBeginning
    options: tuple[str, ...] = SUBJECTS
    targets: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _targets_are_options(self) -> Self:
        if any(not option.strip() for option in self.options):
            raise ValueError("an option is empty; give it a word, or remove it")
        if unknown := [target for target in self.targets if target not in self.options]:
            raise ValueError(f"targets {unknown} are not among the options; add them to options")
        if len(set(self.options)) < 2 or len(set(self.options)) < len(self.options):
            raise ValueError("options must be two or more different words; remove repetitions")
        if set(self.targets) == set(self.options):
            raise ValueError("every option is a target; leave at least one option that is not")
        return self


class ScoreToken(Section):
    """The answer is one of these options and nothing else; each stands for a score from 0 to 5.

    `answer_begins` is what the assistant's turn begins with, where the annotator's server can do that.
    """

    options: dict[str, Annotated[float, Field(ge=0, le=5)]] = Field(default=DIGITS, min_length=2, max_length=26)
    answer_begins: AnswerBeginning = ""

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        if any(not option.strip() for option in self.options):
            raise ValueError("an option of score_token is empty; give it a word or a digit")
        if len(set(self.options.values())) < 2:
            raise ValueError("all options of score_token stand for the same score; give at least two")
        return self


class AnnotationQuestionConfig(SectionConfig):
    """What an answer depends on beside rubric and document: no size of a sample, no threshold.

    `scoring` says which of the sections `likelihood` and `score_token` is used; one that is None is not in the JSON.
    """

    model: str
    revision: str
    scoring: Scoring
    sampling: SamplingSettings
    likelihood: Likelihood | None = None
    score_token: ScoreToken | None = None
    read_characters: int
    reading: Part

    @model_serializer(mode="wrap")
    def _without_unused_sections(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    @property
    def shows_rubric(self) -> bool:
        """False by likelihood, which has a question of its own, because a small model cannot follow a rubric."""
        return self.scoring != "likelihood" or self.likelihood is None

    def resolve(self, rubric: str, annotator: ModelNames) -> Question:
        """The question as it is asked of this annotator; `rubric` is read where the question shows it.

        Raises `ValueError` for a model that the annotator does not have.
        """
        model, revision = annotator.identity(self.model)
        prompt, answer_begins, options = rubric, "", tuple[str, ...]()
        if self.scoring == "likelihood" and self.likelihood is not None:
            own = self.likelihood
            prompt, answer_begins, options = own.question, own.answer_begins, own.options
        elif self.scoring == "score_token" and self.score_token is not None:
            scores, answer_begins = self.score_token.options, self.score_token.answer_begins
            # from the lowest score up, in one order whatever the file's
            options = tuple(sorted(scores, key=lambda option: (scores[option], option)))
        return Question(
            model=model,
            revision=self.revision or revision,
            scoring=self.scoring,
            prompt=prompt,
            answer_begins=answer_begins,
            options=options,
            sampling=Sampling(**self.sampling.model_dump()),
            reading=Reading(self.read_characters, self.reading),
        )

    def parsing(self, processor: ProcessorConfig) -> Parsing:
        """How its answers are read: options by their scores, written replies by `processor`."""
        if self.scoring == "likelihood" and self.likelihood is not None:
            targets = self.likelihood.targets
            return OptionParsing(scores={one: HIGHEST_SCORE * (one in targets) for one in self.likelihood.options})
        if self.scoring == "score_token" and self.score_token is not None:
            return OptionParsing(scores=self.score_token.options)
        return WrittenParsing(processor=processor)


class ScoringConfig(SectionConfig):
    """How documents are given scores: what is asked about each, and how the answer is read."""

    question: AnnotationQuestionConfig
    parsing: Parsing


class EncoderRankingConfig(SectionConfig):
    """A finished encoder step ranks the sample."""

    encoder: str  # its plan digest


class QuestionRankingConfig(SectionConfig):
    """A short question about every document ranks the sample."""

    question: AnnotationQuestionConfig
    prompt: str  # in place of the rubric; empty by likelihood


class AnnotationCascade(Section):
    """What ranks the sample before the second round is drawn: a short prompt, a likelihood question, or an encoder.

    The first round stays a random draw. The second is drawn at random within strata of the first pass's score, in
    place of the pilot's; `second_round.strata` says how sharply: with s strata the highest-ranked 1/2^(s-1) of the
    documents get 1/s of its draws.
    """

    prompt: Template | None = None
    scoring: Literal["score_token", "generate"] = "score_token"  # of `prompt`; generate ends in `Final score: N`
    likelihood: Likelihood | None = None
    encoder: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None  # plan digest of a finished encoder stage
    model: str | None = None  # None: the annotator's
    read_characters: Characters = 500
    max_tokens: Annotated[int, Field(ge=1, le=1000)] = 64  # of a written reply

    @model_validator(mode="after")
    def _ranks_in_one_way(self) -> Self:
        if sum(way is not None for way in (self.prompt, self.likelihood, self.encoder)) != 1:
            raise ValueError("a cascade ranks in one way; give exactly one of prompt, likelihood and encoder")
        return self

    def ranking_config(self, annotator_model: str) -> EncoderRankingConfig | QuestionRankingConfig:
        """All that the ranking depends on. `annotator_model` is asked where the cascade names no model."""
        if self.encoder is not None:
            return EncoderRankingConfig(encoder=self.encoder)
        question = AnnotationQuestionConfig(
            model=self.model or annotator_model,
            revision="",
            scoring="likelihood" if self.likelihood else self.scoring,
            sampling=SamplingSettings(temperature=0.0, max_tokens=self.max_tokens),
            likelihood=self.likelihood,
            score_token=ScoreToken() if self.scoring == "score_token" and not self.likelihood else None,
            read_characters=self.read_characters,
            reading="head",
        )
        return QuestionRankingConfig(question=question, prompt=self.prompt or "")


class SecondRound(Section):
    """Documents drawn at random within strata of a pilot encoder's score, after the first round; 0 turns it off."""

    documents: Annotated[int, Field(ge=0)] = 150
    strata: Annotated[int, Field(ge=2, le=20)] = 4


Gate = Literal[
    "coverage", "unparsed_share", "both_ends_used", "length_score_band", "longest_decile_kept", "spread_within_sources"
]
# By likelihood a score is a topic's probability. A source about nothing else has no spread, and of a rare topic no
# document may score high: neither is a fault, for an encoder learns the scores as they are.
BLOCKING: dict[str, tuple[Gate, ...]] = {
    **dict.fromkeys(
        ("generate", "score_token"), ("coverage", "unparsed_share", "longest_decile_kept", "both_ends_used")
    ),
    "likelihood": ("coverage", "unparsed_share", "longest_decile_kept"),
}


class Gates(Section):
    """What answers must be like before anything is learnt from them.

    Thresholds, and which gates stop a run (`blocking`; null: the usual ones for the way of scoring).
    """

    coverage: Fraction = 0.95  # least share of asked documents that have a score
    unparsed: Fraction = 0.10  # largest share whose reply holds no score
    low_end: Annotated[float, Field(ge=0, le=5)] = 1.0  # some documents must score at most this
    high_end: Annotated[float, Field(ge=0, le=5)] = 4.0  # and some at least this
    ends: Annotated[int, Field(ge=1)] = 1  # how many documents at each end
    length_score: tuple[float, float] = (-0.10, 0.35)  # band of Spearman's rho of length and score within a source
    longest_decile: Fraction = 0.90  # least share of the longest tenth that has a score
    spread: Annotated[float, Field(ge=0)] = 0.1  # least standard deviation of scores within a source
    source_documents: Annotated[int, Field(ge=3)] = 30  # sources with fewer scores are not judged by themselves
    blocking: tuple[Gate, ...] | None = None

    @model_validator(mode="after")
    def _band_has_two_ends(self) -> Self:
        if not -1 <= self.length_score[0] <= self.length_score[1] <= 1:
            raise ValueError("length_score is a band from -1 to 1, lower end first; correct it")
        if self.low_end >= self.high_end:
            raise ValueError("low_end must be below high_end; correct one of them")
        return self

    def blocks(self, scoring: str) -> tuple[Gate, ...]:
        """The gates that stop a run for a way of scoring."""
        return BLOCKING[scoring] if self.blocking is None else self.blocking


class SecondAnnotator(Section):
    """Another opinion on documents that are annotated already: another model, another question, or both.

    What is not given is as in the section `annotator`.
    """

    model: str | None = None
    revision: str = ""
    scoring: Scoring | None = None
    likelihood: Likelihood | None = None
    documents: Annotated[int, Field(ge=10, le=100_000)] = 100

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if self.model is None and self.scoring is None and self.likelihood is None:
            raise ValueError("a second annotator differs in model, scoring or likelihood; give at least one")
        return self


class Report(Section):
    """How much of the annotated sample is asked again, with another seed (and order of options), and by whom else.

    `again` is a number of documents; null: 50, and none by likelihood, whose answers are the same every time.
    """

    again: Annotated[int, Field(ge=0, le=100_000)] | None = None
    seed: int = 1  # of the second asking
    second: SecondAnnotator | None = None

    def repeated(self, scoring: str) -> int:
        """How many documents are asked again."""
        if self.again is not None:
            return self.again
        return 0 if scoring == "likelihood" else 50

    def second_question_config(self, first: AnnotationQuestionConfig) -> AnnotationQuestionConfig | None:
        """The second annotator's question: the first one with what the second annotator replaces."""
        if self.second is None:
            return None
        given = {name: getattr(self.second, name) for name in ("model", "scoring", "likelihood")}
        replaced = {name: value for name, value in given.items() if value is not None}
        return first.model_copy(update={**replaced, "revision": self.second.revision})


class Budget(Section):
    """What may be spent on the answers to one question, over all runs; the first limit that is reached counts.

    It changes no digest: no answer depends on it.
    """

    tokens: Count | None = None  # read and written
    hours: Amount | None = None  # of asking, by the clock
    money: Amount | None = None  # hours at the price of `hardware`
    hardware: str | None = None  # of the price table; None: what the table says for annotations

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.tokens is None and self.hours is None and self.money is None:
            raise ValueError("a budget has at least one of tokens, hours and money; give one, or remove the section")
        return self


def _default_model(given: dict[str, Any]) -> str:
    """A rubric needs a model that can follow it; the embedded one can be asked by likelihood alone."""
    return EMBEDDED_MODEL if given.get("scoring") == "likelihood" else RUBRIC_MODEL


class AnnotatorSettings(Section):
    """Who scores the sample, how, and how much of it."""

    scoring: Scoring = "likelihood"
    model: str = Field(default_factory=_default_model)
    revision: Annotated[str, Field(max_length=200)] = ""
    sampling: SamplingSettings = SamplingSettings()
    likelihood: Likelihood | None = None
    score_token: ScoreToken = ScoreToken()
    sample: Count = 4000
    documents: Count = 450
    second_round: SecondRound = SecondRound()
    cascade: AnnotationCascade | None = None  # what ranks the sample for the second round; None: a pilot encoder
    read_characters: Characters = 500  # by the annotator; the encoder has a setting of its own
    reading: Part = "head"  # the beginning, or beginning, middle and end
    gates: Gates = Gates()
    report: Report = Report()
    budget: Budget | None = None

    @model_validator(mode="after")
    def _sample_is_large_enough(self) -> Self:
        if self.documents + self.second_round.documents > self.sample:
            raise ValueError("documents and second_round.documents together exceed sample; raise sample")
        return self

    @model_validator(mode="after")
    def _cascade_has_a_second_round(self) -> Self:
        if self.cascade is not None and not self.second_round.documents:
            raise ValueError("a cascade ranks documents for the second round; raise second_round.documents above 0")
        return self

    @property
    def question_config(self) -> AnnotationQuestionConfig:
        """What an answer depends on, without the section of another way to score."""
        return AnnotationQuestionConfig(
            model=self.model,
            revision=self.revision,
            scoring=self.scoring,
            sampling=self.sampling,
            likelihood=self.likelihood if self.scoring == "likelihood" else None,
            score_token=self.score_token if self.scoring == "score_token" else None,
            read_characters=self.read_characters,
            reading=self.reading,
        )
