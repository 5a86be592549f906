"""A rubric written from target documents: described, merged set by set, wrapped, and every call accounted for."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.asking.usage import TokensSpent
from datashop_assets.core.step import Resources, StepOutput
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.template import EXAMPLE, fill
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from datashop_assets.rubric.results import RubricResult, WritingResult, rubric_text
from datashop_assets.rubric.steps import rubric
from datashop_assets.rubric.wording import wrapped
from datashop_assets_tests.rubric.scribes import Scribbler
from datashop_assets_tests.stages import run_step

LIKELIHOOD = {"question": "{example}?", "answer_begins": "It is", "targets": ["mathematics"]}
SETS = {"algebra": ["a ROOT", "a RING {x}", "a FIELD"], "history": ["the KING"]}


Made = StepOutput[RubricResult]


def written(root: Path, targets: Any, annotator: Scribbler, name: str = "rubric", **writing: Any) -> Made:
    fields = {"name": "x", "targets": targets, "writing": writing, "annotator": {"likelihood": LIKELIHOOD}}
    config = rubric.configure(parse_prompt(fields, "x", "x.yaml"))
    assert config is not None
    return run_step(rubric, root, config, name=name, resources=Resources(annotator=annotator))


def writing_of(made: Made) -> WritingResult:
    assert made.result.writing is not None
    return made.result.writing


def test_every_document_of_every_set_is_in_the_rubric_and_every_call_in_the_accounts(tmp_path: Path) -> None:
    made = written(tmp_path, SETS, Scribbler())
    calls = made.table("calls.parquet")

    assert "algebra: FIELD RING ROOT\n\nhistory: KING" in rubric_text(made)
    assert rubric_text(made).count(EXAMPLE) == 1
    assert sorted(calls["step"]) == ["describe"] * 4 + ["merge 1", "merge 2"]
    assert writing_of(made).described == 4
    assert writing_of(made).calls == len(calls) == 6
    assert "6 calls" in rubric.describe(made)["how it was written"]


class WithoutUsage(Scribbler):
    """Its server reports no tokens, and the first call about each text fails under way."""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        for one in asked:
            assert one.meter is not None
            assert one.meter.lost(one)
            yield from (replace(answer, tokens_in=0, tokens_out=0) for answer in super().answer([one], question))


def test_tokens_that_no_server_reports_are_estimated_and_marked(tmp_path: Path) -> None:
    spent = written(tmp_path, SETS, WithoutUsage()).result.spent
    assert spent is not None
    assert (spent.reported, spent.without_usage) == (0, 6)
    assert spent.estimated > 6
    assert spent.lost > 6 * 300  # each may have had a reply of writing.sampling.max_tokens
    counted = written(tmp_path / "counted", SETS, Scribbler())
    assert counted.result.spent == TokensSpent(reported=writing_of(counted).tokens_in + writing_of(counted).tokens_out)
    assert counted.result.tokens_spent() == counted.result.spent.total


def test_what_was_written_once_is_not_asked_again(tmp_path: Path) -> None:
    first, second = Scribbler(), Scribbler()
    text = rubric_text(written(tmp_path, SETS, first))
    again = written(tmp_path, SETS, second, name="again")

    assert rubric_text(again) == text
    assert (len(first.asked), second.asked) == (6, [])


def test_the_order_of_merging_follows_the_seed_and_not_the_order_in_the_file(tmp_path: Path) -> None:
    texts = [f"WORD{chr(65 + place)}" for place in range(5)]

    def steps(name: str, listed: list[str], seed: int) -> list[str]:
        annotator = Scribbler()
        written(tmp_path / name, listed, annotator, seed=seed)
        return [text for text in annotator.asked if "Description 1" in text]

    assert len(steps("one", texts, 0)) == 4
    assert steps("other order", texts[::-1], 0) == steps("one order", texts, 0)
    assert steps("other seed", texts, 1) != steps("one seed", texts, 0)


def test_a_document_that_cannot_be_described_is_left_out_and_counted_if_enough_remain(tmp_path: Path) -> None:
    texts = [*(f"a WORD{chr(65 + place)}" for place in range(9)), "a DEAD line"]
    annotator = Scribbler(fails="DEAD")
    made = written(tmp_path, texts, annotator)

    assert writing_of(made).described == 9
    assert writing_of(made).left_out == ["targets: targets 10: the line is dead"]
    assert annotator.asked.count("a DEAD line") == 3  # attempts
    assert "DEAD" not in rubric_text(made)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a DEAD line", "the line is dead"), ("a SILENCE", "the reply is empty"), ("SECRET", "refused")],
)
def test_too_few_descriptions_are_an_error_that_names_the_document(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"only 1 of 2 documents could be described.*'targets 2' \\({reason}\\)"):
        written(tmp_path, ["a WORD", text], Scribbler(fails="DEAD"))


def test_a_file_of_targets_is_drawn_from_whatever_its_order(tmp_path: Path) -> None:
    rows = [{"body": f"number N{chr(65 + place)}"} for place in range(26)] + [{"other": 1}]
    for name, order in (("one", rows), ("other", rows[::-1])):
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(map(orjson.dumps, order)))
    made = [
        written(tmp_path / name, {"uri": f"{tmp_path}/{name}.jsonl", "text_field": "body", "documents": 7}, Scribbler())
        for name in ("one", "other")
    ]

    assert rubric_text(made[0]).split("-----")[0] == rubric_text(made[1]).split("-----")[0]
    assert writing_of(made[0]).documents == {"targets": 7}
    assert writing_of(made[0]).rejected == {"targets": 1}


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=500), min_size=1, max_size=5))
def test_whatever_a_description_holds_the_document_goes_to_one_place(descriptions: dict[str, str]) -> None:
    rubric = wrapped({**descriptions, "planted": "a {example} {0} $\\frac{a}{b}$"}, 6000)

    assert rubric.count(EXAMPLE) == 1
    assert "{0} $\\frac{a}{b}$" in rubric
    assert "the DOCUMENT" in fill(rubric, "the DOCUMENT")


def test_a_long_description_does_not_crowd_out_a_short_one() -> None:
    rubric = wrapped({"long": "word " * 5000, "short": "the short one"}, 600)

    assert "the short one" in rubric
    assert len(rubric) < 2200
    assert "[…]" in rubric
