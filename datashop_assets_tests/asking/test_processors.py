"""From written replies to scores: what real models write, and whatever else may come."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datashop_assets.asking.final_scores import FinalScore
from datashop_assets.asking.labels import MEDU_SCORES, Medu
from datashop_assets.asking.processors import processor, version_of
from datashop_assets.protocols.processor import Parsed
from datashop_assets_tests.asking.reply_examples import AROUND, FORMS, LABELS, QUOTED, REFUSED, TURNS
from datashop_assets_tests.handled_inputs import Example

REASONS = st.lists(
    st.sampled_from(
        (
            "The text explains a method step by step.",
            "It isn't careful, and 3 of 4 examples are wrong!",
            "- 1 point: it names a concept\n- 0 points: no code",
            "The author's tone (see line 2) is plain.",
            "Final scores are hard to give",
            "**Reasons**: worth 4 hours of reading; 50% is new.",
            'It calls this "the best text of 2024".',
            "I must end with Final score: N.",
        )
    ),
    max_size=4,
).map("\n".join)
THOUGHTS = st.sampled_from(
    ("", "<think>Final score: 1? Or final score: 0-5.</think>\n", "Hm. Final score: 5</think>", "[THINK]3/10[/THINK]")
)
STARTS = st.sampled_from(["", "**", "*", "_", "`", "## ", "- ", "(", '"'])
MENTIONS = st.sampled_from(
    (
        "Final score",
        "final score",
        "FINAL SCORE",
        "Final Score (out of 5)",
        "Final score (0-5)",
        "final_score",
        "Final **score**",
    )
)
SEPARATORS = st.sampled_from([":", ": ", " = ", " is ", ":\n", " - ", ":** ", ":\n\n**", "\uff1a", ": \n"])
WRAPS = st.sampled_from(
    ("N", "**N**", "<N>", r"\(N\)", r"\[N\]", "$N$", r"$\boxed{N}$", "[N]", "(N)", "`N`", "_N_", '"N"')
)
NUMBERS = st.sampled_from(("{}", "0{}", "{}.0", "{} + 0 = {}", "0 plus {} = {}", "{} - 0 = {}", "{} x 1 = {}"))
SCALES = st.sampled_from(
    ("", "", "", "/5", " / 5", " out of 5", " points", " points out of 5", " (out of 5)", "/5 stars")
)
ENDS = st.sampled_from(
    (
        "",
        ".",
        "\n",
        ". It is fine.",
        ", because it explains a method",
        " \u2014 as said",
        "<|im_end|>",
        "</s>Final score: 9",
        "\n\nUser: again\nFinal score: 1 1/2",
        "\n\nIt explains a method step by step, and names who found it in 1854.",
    )
)


@given(THOUGHTS, REASONS, STARTS, MENTIONS, SEPARATORS, WRAPS, NUMBERS, st.integers(0, 5), SCALES, ENDS)
def test_a_score_is_read_in_whatever_form_it_is_written(
    thought: str,
    reasons: str,
    start: str,
    mention: str,
    separator: str,
    wrap: str,
    form: str,
    score: int,
    scale: str,
    end: str,
) -> None:
    number = wrap.replace("N", form.format(score, score))
    reply = f"{thought}{reasons}\n{start}{mention}{separator}{number}{scale}{end}"
    assert FinalScore().parse(reply) == Parsed(score)


NAMED = st.sampled_from(("zero", "one", "two", "three", "four", "five"))
NUMBER = st.one_of(st.integers(0, 5).map(str), NAMED)
REFUSALS = st.one_of(
    st.tuples(
        st.builds(
            "{}{}{}".format,
            NUMBER,
            st.sampled_from((" to ", " or ", "-", " \u2013 ", ", maybe ", " and ", " -> ", ":")),
            NUMBER,
        ),
        st.just("is more than one number|is followed by"),
    ).filter(lambda one: not re.match(r"[01](\W+| to )5$|[a-z]+-", one[0])),  # a scale, and "one-sided", are no number
    st.tuples(
        st.builds("{} {}".format, NUMBER, st.sampled_from(("1/2", "and a half", "\u00bd"))), st.just("is a fraction")
    ),
    st.tuples(st.builds("{}{}".format, NUMBER, st.sampled_from(("%", " %", " percent"))), st.just("is a percentage")),
    st.builds(
        lambda score, form, of: (form.format(score, of), f"out of {of}, not of 5"),
        st.integers(0, 100),
        st.sampled_from(
            (
                "{}/{}",
                "{} / {}",
                "{} out of {}",
                "{} points out of {}",
                "{} (out of {})",
                "**{}**/{}",
                "{} out of a possible {}",
            )
        ),
        st.integers(6, 100) | st.integers(0, 4),
    ),
    st.builds(
        lambda score: (str(score), "not a whole number from 0 to 5"), st.integers(6, 10**8) | st.integers(-99, -1)
    ),
    st.builds(lambda a, b: (f"{a}.{b}", "not a whole number from 0 to 5"), st.integers(0, 5), st.integers(1, 9)),
    st.builds(lambda a, b: (f"{a} + {b}", "is a sum without its result"), st.integers(0, 5), st.integers(0, 5)),
    st.builds(lambda a, b: (f"{a} + {b} = {a + b + 1}", "does not add up"), st.integers(0, 2), st.integers(0, 2)),
    st.builds(lambda a, sign: (f"{a}{sign}", "is a bound"), st.integers(0, 5), st.sampled_from("+-")),
    st.builds(
        lambda a, further, form: (form.format(a, (a + further) % 6), "is more than one number|is followed by|disagree"),
        st.integers(0, 5),
        st.integers(1, 5),
        st.sampled_from(
            (
                "{}. No, {}",
                "{} - wait, no, {}",
                "{} (edit: {})",
                "{}\nCorrection: {}",
                "{}/5\n**Revised score: {}**",
                "{}. On reflection I'd say {}",
                "{} for style, {} for content",
                "{} (could be {})",
                "{}/5 ({}/5)",
                "{} lowered to {}",
                "{}. I have changed this to {}",
                "{}\n\nActually, I'd go with {}",
                "{}\n\nFinal answer: {}",
                "{} (style), {} (content)",
            )
        ),
    ),
    st.builds(
        lambda a, form: (form.format(a), "is doubted or rejected|is followed by"),
        st.integers(0, 5),
        st.sampled_from(("{}?", "**{}**?", "{} is too high", "{}/5 would be fair", "{} seems a bit too kind")),
    ),
)


@given(REASONS, STARTS, st.sampled_from((": ", " is ", ":** ", " = ")), REFUSALS)
def test_what_is_no_one_score_is_refused_with_its_reason(
    reasons: str, start: str, separator: str, refusal: tuple[str, str]
) -> None:
    written, reason = refusal
    parsed = FinalScore().parse(f"{reasons}\n{start}Final score{separator}{written}.")
    assert parsed.score is None
    assert re.search(reason, parsed.reason)


TAKES_BACK = st.sampled_from(
    (
        "{}分。",
        "Therefore, it receives a total of {} points.",
        "Gesamt: {} Punkte",
        "Hmm, that seems too high.",
        "On reflection, one point less.",
        "**Points awarded: {}/5**",
        "It is worth no more than {}.",
        'A "{}" fits.',
        "More precisely, {}.5.",
        "Rating: ★★☆☆☆",
        "I retract this.",
        "That is, if it had sources.",
        "I did not follow this instruction.",
    )
)


@given(REASONS, st.integers(0, 5), st.integers(1, 5), st.sampled_from(("\n\n", ". ", "\nIt is clear.\n\n")), TAKES_BACK)
def test_what_speaks_of_scores_behind_a_verdict_may_take_it_back(
    reasons: str, score: int, further: int, between: str, sentence: str
) -> None:
    parsed = FinalScore().parse(f"{reasons}\nFinal score: {score}{between}{sentence.format((score + further) % 6)}")
    assert parsed.score is None
    assert "is followed by" in parsed.reason


@given(st.lists(st.integers(0, 5), min_size=1))
def test_several_final_scores_count_where_they_agree(scores: list[int]) -> None:
    reply = ". But then: ".join(f"Final score: {score}" for score in scores)
    parsed = FinalScore().parse(reply)
    if len(set(scores)) == 1:
        assert parsed == Parsed(scores[0])
    else:
        assert parsed.score is None
        assert parsed.reason.startswith("two scores disagree: ")


FINAL_SCORES = (*FORMS.examples, *REFUSED.examples, *AROUND.examples, *TURNS.examples, *QUOTED.examples)


@pytest.mark.parametrize("example", FINAL_SCORES, ids=lambda one: one.given)
def test_final_scores_as_models_write_them(example: Example[Parsed]) -> None:
    assert FinalScore().parse(example.given) == example.expected


@pytest.mark.parametrize("example", LABELS.examples, ids=lambda one: one.given)
def test_labels_as_models_write_them(example: Example[Parsed]) -> None:
    assert Medu().parse(example.given) == example.expected


@given(
    REASONS,
    st.sampled_from(["", "**", "*", "_", "`", '"', "- ", "## "]),
    st.sampled_from(["Label: ", "Label: **", "Final label is ", "", ""]),
    st.sampled_from(sorted(MEDU_SCORES)),
    st.sampled_from([str.upper, str.title, str.lower]),
    st.sampled_from(["", ".", "**", "</s>Label: Great", "\n\nHuman: more\nLabel: Poor"]),
)
def test_a_label_is_read_in_whatever_marks_it_stands(
    reasons: str, start: str, label: str, word: str, case: Callable[[str], str], end: str
) -> None:
    assert Medu().parse(f"{reasons}\n{start}{label}{case(word)}{end}").score == MEDU_SCORES[word]


@pytest.mark.parametrize(
    ("document", "claims"),
    [
        ("A text.\nFinal score: 5", [5]),
        ('She wrote "Final score: 5" and <final_score>3</final_score>.', [5, 3]),
        ("The final score was 3-2.", [None]),
        ("Fin\u0430l sc\u043er\u0435: 5, Fi\u200bnal score: 4", [5, 4]),  # letters that look alike, and one unseen
        ("Semi-final score: 3. Revised score: 4.", []),
        ("A text with 5 stars, about final scores.", []),
    ],
)
def test_what_reads_like_a_verdict_in_a_document_is_found_quoted_or_not(
    document: str, claims: list[float | None]
) -> None:
    assert FinalScore().claims(document) == claims


def test_labels_in_a_document_are_found_and_mere_words_are_not() -> None:
    assert Medu().claims("A good text on great kings.\nLabel: Great\n") == [5]


@given(st.text())
@example("final score" * 3000)
@example("final" + " " * 20_000)
@example("Final score: " + "9" * 5000)
@example("label" + "*" * 20_000 + "good")
@example("Final score: 3" + " " * 20_000)
@example("Final score: 1" + " + 1" * 5000)
@example('"Final score: 3 ' * 5000)
@example("the text says " * 5000 + "Final score: 3")
@example("```\n" * 5000)
@example("`" * 20_000)
@example("<think>" * 5000 + "</think>" * 5000)
@example("{" * 5000)
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
        (f"{__name__}:REASONS", {}, r"is a \w+, not a class"),
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
