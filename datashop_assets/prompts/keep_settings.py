"""The section `keep` of a prompt file, and the rules that it can hold.

A rule says what it counts (`unit`) and what it keeps, in words. A rule by size says how much it allows; a rule by score
is turned into a threshold by `filtered_pool`.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from datashop_assets.prompts.section import Count, Section, SectionConfig, Share

Unit = Literal["documents", "tokens"]
TokenCount = Literal["sample", "exact"]
CertificateDesign = Literal["anytime", "fixed"]


class FractionRule(SectionConfig):
    """The highest-ranked share of documents, or of tokens."""

    fraction: float
    of: Unit

    @property
    def unit(self) -> Unit:
        return self.of

    @property
    def words(self) -> str:
        return f"the {100 * self.fraction:.3g}% of {self.of} that score highest"

    def allows(self, total: int) -> int:
        """How much of `total` may be kept. The fraction counts as it is written in decimal: 0.29 of 100 are 29."""
        return int(Fraction(repr(self.fraction)) * total)


class TokenBudgetRule(SectionConfig):
    """As many tokens as `budget`, from the highest score down."""

    budget: int
    of: Literal["tokens"] = "tokens"

    @property
    def unit(self) -> Unit:
        return self.of

    @property
    def words(self) -> str:
        return f"the highest scores that fit into {self.budget:,} tokens"

    def allows(self, total: int) -> int:
        """How many of `total` tokens may be kept."""
        return min(self.budget, total)


class ThresholdRule(SectionConfig):
    """Every score from `threshold` upward."""

    threshold: float
    unit: ClassVar[Unit] = "documents"

    @property
    def words(self) -> str:
        return f"every score from {self.threshold:g} upward"


class PrecisionRule(SectionConfig):
    """The lowest threshold of which labels show, with probability 1 - `delta`, at least this `precision`."""

    precision: float
    delta: float
    labels: int
    design: CertificateDesign
    unit: ClassVar[Unit] = "documents"

    @property
    def words(self) -> str:
        return (
            "every score from the lowest threshold that is certified to have a precision of at least "
            f"{self.precision:g} (delta {self.delta:g}, up to {self.labels:,} labels, {self.design})"
        )


class RecallRule(SectionConfig):
    """The highest threshold of which labels show, with probability 1 - `delta`, at least this `recall`."""

    recall: float
    delta: float
    labels: int
    unit: ClassVar[Unit] = "documents"

    @property
    def words(self) -> str:
        return (
            "every score from the highest threshold that is certified to have a recall of at least "
            f"{self.recall:g} (delta {self.delta:g}, up to {self.labels:,} labels)"
        )


CertifiedRule = PrecisionRule | RecallRule
SizeRule = FractionRule | TokenBudgetRule


def _rule_name(rule: Any) -> str | None:
    """A rule is recognized by the one field that no other rule has."""
    fields = rule if isinstance(rule, Mapping) else type(rule).model_fields if isinstance(rule, SectionConfig) else ()
    return next((name for name in ("fraction", "budget", "threshold", "precision", "recall") if name in fields), None)


KeepRule = Annotated[
    Annotated[FractionRule, Tag("fraction")]
    | Annotated[TokenBudgetRule, Tag("budget")]
    | Annotated[ThresholdRule, Tag("threshold")]
    | Annotated[PrecisionRule, Tag("precision")]
    | Annotated[RecallRule, Tag("recall")],
    Discriminator(_rule_name),
]


class Keep(Section):
    """Which scored documents to keep, and how they are written.

    One rule of five: a `fraction` of documents or of tokens; a budget of `tokens`, spent from the highest score down;
    every score from a `threshold` upward; or, with probability 1 - `delta` and by the annotator's labels, the lowest
    threshold whose `precision` is at least this, or the highest whose `recall` is.
    """

    fraction: Share | None = None
    of: Unit = "documents"
    tokens: Count | None = None
    # of a rule of tokens: sizes from bytes, by the ratio of a sample, and counted near the cut; or all counted
    count: TokenCount = "sample"
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    precision: Annotated[float, Field(ge=0.05, lt=1)] | None = None
    recall: Annotated[float, Field(ge=0.05, lt=1)] | None = None
    delta: Annotated[float, Field(ge=1e-6, le=0.5)] = 0.05
    labels: Count = 200  # at most this many documents are asked about
    design: CertificateDesign = "anytime"  # fixed needs fewer, and none may be added afterwards
    format: Literal["jsonl.zst", "parquet"] = "jsonl.zst"

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        rules = (self.fraction, self.tokens, self.threshold, self.precision, self.recall)
        if sum(rule is not None for rule in rules) != 1:
            raise ValueError("give exactly one of fraction, tokens, threshold, precision, recall")
        if self.recall is not None and self.design == "fixed":
            raise ValueError("design: fixed is for a precision; of a recall the number of positives cannot be settled")
        return self

    @property
    def keep_rule(self) -> KeepRule:
        """The rule that is given and what belongs to it, without what belongs to the others."""
        if self.fraction is not None:
            return FractionRule(fraction=self.fraction, of=self.of)
        if self.tokens is not None:
            return TokenBudgetRule(budget=self.tokens)
        if self.threshold is not None:
            return ThresholdRule(threshold=self.threshold)
        if self.recall is not None:
            return RecallRule(recall=self.recall, delta=self.delta, labels=self.labels)
        assert self.precision is not None, "one rule is given"
        return PrecisionRule(precision=self.precision, delta=self.delta, labels=self.labels, design=self.design)
