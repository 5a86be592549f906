"""From written replies to scores: what real models write, and whatever else may come."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datashop_assets.asking.replies import MEDU_SCORES, FinalScore, Medu, processor, version_of
from datashop_assets.protocols.processor import Parsed
from datashop_assets_tests.asking.reply_examples import FORMS
from datashop_assets_tests.handled_inputs import Example

MARKS = st.sampled_from(["", " ", "**", "*", "_", "`", "\n", " **", '"', "> ", "\n\n# "])
SEPARATORS = st.sampled_from([":", ": ", " = ", " is ", ":\n", " - ", ":** ", ":\n\n**"])


@given(
    st.text(), MARKS, SEPARATORS, MARKS, st.integers(0, 5), st.sampled_from(["", ".", "/5", " out of 5", "**", "\n"])
)
def test_a_final_score_is_read_in_whatever_marks_it_stands(
    reasons: str, before: str, separator: str, inside: str, score: int, after: str
) -> None:
    reply = f"{reasons}\n{before}Final score{separator}{inside}{score}{after}"
    assert FinalScore().parse(reply) == Parsed(score)


@given(st.lists(st.integers(0, 5), min_size=1))
def test_the_last_of_several_final_scores_counts(scores: list[int]) -> None:
    reply = " but then ".join(f"Final score: {score}" for score in scores)
    assert FinalScore().parse(reply).score == scores[-1]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Final score: 6", "6, not a whole number from 0 to 5"),
        ("Final score: -1", "-1, not a whole number"),
        ("Final score: 3.5", "3.5, not a whole number"),
        ("Final score: 45", "45, not a whole number"),
        ("Final score: 8/10", "out of 10, not of 5"),
        ("Final score: 4/0", "out of 0, not of 5"),
        ("Final score: 0-5", "no number after"),
        ("Final score: N", "no number after"),
        ("I would give it a 4.", "does not say"),
        ("", "does not say"),
    ],
)
def test_what_is_no_score_from_0_to_5_is_unparsed_with_a_reason(reply: str, reason: str) -> None:
    parsed = FinalScore().parse(reply)
    assert parsed.score is None
    assert reason in parsed.reason


@pytest.mark.parametrize("example", FORMS.examples, ids=lambda one: one.given)
def test_final_scores_as_models_write_them(example: Example[Parsed]) -> None:
    assert FinalScore().parse(example.given) == example.expected


def test_a_mention_without_a_number_is_passed_over() -> None:
    assert FinalScore().parse("Final score: N is hard to say. Final score: 2") == Parsed(2)


@given(st.sampled_from(sorted(MEDU_SCORES)), MARKS, MARKS, st.sampled_from([str.upper, str.title, str.lower]))
def test_a_medu_word_is_read_in_whatever_marks_it_stands(word: str, before: str, after: str, case: object) -> None:
    assert callable(case)
    assert Medu().parse(f"{before}{case(word)}{after}").score == MEDU_SCORES[word]


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("It is a great story and useless for study.\nLabel: Poor", 2),
        ("Rating: **Okay**. A great text would do more.", 3),
        ("Not poor, rather good", 4),
        ("Goodness, greater poorly uselessness", None),
        ("Excellent", None),
        ("OK", 3),
    ],
)
def test_medu_words_as_models_write_them(reply: str, score: int | None) -> None:
    assert Medu().parse(reply).score == score


@given(st.text())
@example("final score" * 3000)
@example("final" + " " * 20_000)
@example("Final score: " + "9" * 5000)
@example("label" + "*" * 20_000 + "good")
def test_any_text_gives_a_score_from_0_to_5_or_a_reason(reply: str) -> None:
    for parser in (FinalScore(), Medu()):
        parsed = parser.parse(reply)
        assert parsed.score in range(6) if parsed.score is not None else parsed.reason


@pytest.mark.parametrize("name", ["finalscore0-5", "medu"])
def test_what_a_second_try_offers_is_read(name: str) -> None:
    made = processor(name, {})
    assert all(made.parse(answer).score is not None for answer in made.answers)


class Yes:
    answers = ("yes", "no")
    version = "3"

    def parse(self, reply: str) -> Parsed:
        return Parsed({"yes": 5.0, "no": 0.0}.get(reply), "neither yes nor no")


class NoAnswers:
    def parse(self, reply: str) -> Parsed:
        return Parsed(None, "never")


class Crashes(NoAnswers):
    answers = ()

    def parse(self, reply: str) -> Parsed:
        raise KeyError(reply)


class ReadsNot(NoAnswers):
    answers = ("maybe",)


class Number(Crashes):
    def parse(self, reply: str) -> int:  # type: ignore[override]
        return 3


def test_a_class_of_a_users_own_is_used_by_its_import_path() -> None:
    assert processor(f"{__name__}:Yes", {}).parse("yes") == Parsed(5.0, "neither yes nor no")
    assert version_of(f"{__name__}:Yes") == "3"
    assert len(version_of(f"{__name__}:Crashes")) == 32  # of the source, where the class names no version


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("no_such_package:Class", {}, "cannot be imported .* PYTHONPATH"),
        (f"{__name__}:Missing", {}, "cannot be imported"),
        (f"{__name__}:MARKS", {}, r"is a \w+, not a class"),
        (f"{__name__}:Yes", {"strict": True}, "takes no arguments; it is called with the options by name"),
        (f"{__name__}:NoAnswers", {}, "must have `answers`"),
        (f"{__name__}:Crashes", {}, "must read any text, also an empty one"),
        (f"{__name__}:ReadsNot", {}, "does not read 'maybe'"),
        (f"{__name__}:Number", {}, "must return a Parsed"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_with_the_fix(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        processor(name, options)


def test_a_class_that_is_no_processor_is_never_called(tmp_path: Path) -> None:
    """A prompt file is data: that it is read runs no command that stands in it."""
    options = {"args": ["touch", str(tmp_path / "run")]}
    with pytest.raises(ValueError, match="subprocess:Popen is not a processor: the class has no `parse"):
        processor("subprocess:Popen", options)
    assert list(tmp_path.iterdir()) == []
