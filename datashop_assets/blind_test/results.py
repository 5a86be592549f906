"""What the blind test depends on, and what it gives to the card and the UI."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from datashop_assets.asking.replies import OptionParsing
from datashop_assets.core.step import AnnotatorResult, StepConfig
from datashop_assets.prompts.annotator_settings import AnnotationQuestionConfig
from datashop_assets.statistics.figure import Figure

PAIRS = "pairs.parquet"
RATIO = 1.25  # the longer document of a pair has less than so many times the characters of the shorter one
CHANCE = 0.5
Method = Literal["choice", "scores"]  # both documents in one question, or each scored by the prompt's own
Outcome = Literal["right", "wrong", "abstained"]


class BlindTestConfig(StepConfig):
    """How many pairs, and how the annotator is asked about them.

    `options` says how an answer in probabilities is scored. It is None where the annotator writes: then it is shown
    both documents and chooses one, and no processor has a say.
    """

    pairs: int
    question: AnnotationQuestionConfig
    options: OptionParsing | None


class Tally(BaseModel):
    """What became of some pairs. `share_right` leaves abstentions out; None where nothing else is left."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    pairs: int
    right: int
    abstained: int
    share_right: Figure | None


class BlindTestResult(AnnotatorResult):
    """How often the annotator chooses the kept document of a pair. Intervals are Clopper and Pearson's, n is pairs."""

    step: ClassVar[str] = "blind_test"
    headlines: ClassVar[tuple[str, ...]] = ("share_right",)
    method: Method
    wanted: int
    pairs: int
    unmatched: int  # kept documents that came up and had no partner of their source and length
    right: int
    wrong: int
    abstained: dict[str, int]  # reason -> pairs
    share_right: Figure | None  # of those with a choice
    by_source: dict[str, Tally]
    chose_first: Figure | None  # by choice: how often the first document was chosen; half would be no bias
    by_place_of_kept: dict[Literal["first", "second"], Tally]  # by choice; empty by scores
    tokens: int  # read and written, as servers report them

    def tokens_spent(self) -> int:
        return self.tokens if self.spent is None else self.spent.total

    @property
    def abstentions(self) -> int:
        return sum(self.abstained.values())

    @property
    def above_chance(self) -> bool:
        """Whether the kept document is chosen more often than by chance."""
        return self.share_right is not None and (self.share_right.low or 0.0) > CHANCE

    def sentence(self) -> str:
        """What was found, for the terminal, the card and the check."""
        if self.share_right is None:
            return f"the annotator makes no choice in {self.pairs} pairs"
        return (
            f"the annotator chooses the kept document in {self.right} of {self.right + self.wrong} pairs, "
            f"{self.share_right} ({self.abstentions} abstentions)"
        )
