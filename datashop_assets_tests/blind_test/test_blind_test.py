"""The blind test as the graph makes it: every pair ends in a counted state, and nothing is asked twice."""

import pytest

from datashop_assets.asking.spending import SpendingLimits
from datashop_assets.blind_test.build import CUT, NOT_ASKED, TIE
from datashop_assets.blind_test.results import PAIRS, BlindTestResult
from datashop_assets.blind_test.steps import SIDES_TOLD_APART, blind_test
from datashop_assets.core.step import CheckContext, CheckResult, StepOutput
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.statistics.intervals import exact_interval
from datashop_assets_tests.blind_test.conftest import ASKED, Made, Reader

PROMPT = parse_prompt({"name": "P", "rubric": "{example}", "annotator": ASKED["generate"]}, "p", "p.yaml")


def checked(output: StepOutput[BlindTestResult]) -> CheckResult:
    return SIDES_TOLD_APART.evaluate(CheckContext(PROMPT, output, {}))


def counts(result: BlindTestResult) -> tuple[int, int, int]:
    assert result.right + result.wrong + result.abstentions == result.pairs
    return result.right, result.wrong, result.abstentions


@pytest.mark.parametrize("scoring", ["likelihood", "score_token", "generate"])
def test_an_annotator_that_knows_chooses_every_kept_document(made: Made, scoring: str) -> None:
    output = made.test(f"knows {scoring}", Reader(), scoring)
    result = output.result
    assert counts(result) == (40, 0, 0)
    assert result.share_right is not None
    assert (result.share_right.low, result.share_right.high) == exact_interval(40, 40)
    assert (result.share_right.n, result.share_right.unit) == (40, "pairs")
    assert {row["source"] for row in output.rows(PAIRS)} == set(result.by_source) == {"web", "books"}
    assert sum(one.pairs for one in result.by_source.values()) == len(list(output.rows(PAIRS))) == 40
    assert result.method == ("choice" if scoring == "generate" else "scores")
    assert result.tokens == (400 if scoring == "generate" else 800)
    assert checked(output).passed
    assert "the kept document in 40 of 40 pairs" in blind_test.describe(output)["blind test"]


def test_a_bias_for_the_first_place_shows_and_is_no_skill(made: Made) -> None:
    output = made.test("first", Reader(chooses=lambda first, second: "Choice: 1"))
    result = output.result
    assert counts(result) == (20, 20, 0)
    assert result.chose_first is not None
    assert result.chose_first.value == 1
    assert [result.by_place_of_kept[place].right for place in ("first", "second")] == [20, 0]
    assert not checked(output).passed
    assert "interval does not lie above" in checked(output).description
    assert "proof" in blind_test.describe(output)["the other document was chosen"]


def test_telling_the_sides_the_wrong_way_round_is_no_pass(made: Made) -> None:
    output = made.test("reversed", Reader(scores=lambda text: 0.1 if "proof" in text else 0.9), "likelihood")
    assert counts(output.result) == (0, 40, 0)
    assert not checked(output).passed


def test_every_kind_of_abstention_is_counted_by_its_reason(made: Made) -> None:
    def chooses(first: str, second: str) -> str:
        replies = ("Choice: neither", "no idea", "refused", f"Choice: {1 + ('proof' in second)}")
        return replies[len(first) % 4]

    output = made.test("unsure", Reader(chooses=chooses, fails_on="5 a river"))
    result, kinds = output.result, {reason.partition(":")[0] for reason in output.result.abstained}
    assert kinds == {"unparsed", "refused", "failed"}
    assert result.wrong == 0 < result.right
    assert counts(result)[2] == sum(row["outcome"] == "abstained" for row in output.rows(PAIRS)) > 20
    assert result.failed_calls == sum(n for reason, n in result.abstained.items() if reason.startswith("failed"))
    assert not checked(output).passed
    assert "more than 20% abstentions" in checked(output).description


def test_equal_scores_are_an_abstention(made: Made) -> None:
    output = made.test("equal", Reader(scores=lambda text: 0.5), "likelihood")
    assert output.result.abstained == {TIE: 40}
    assert output.result.share_right is None
    assert not checked(output).passed
    assert "makes no choice" in blind_test.describe(output)["blind test"]


def test_a_pair_that_the_model_does_not_take_whole_is_no_choice(made: Made) -> None:
    output = made.test("short", Reader(reads=120, chooses=lambda first, *_: "Choice: 1"))
    assert set(output.result.abstained) == {CUT}


def test_both_documents_are_shown_in_the_order_that_is_recorded(made: Made) -> None:
    output = made.test("order", reader := Reader())
    by_text = {request.text: request for request in reader.requests}
    for row in output.rows(PAIRS):
        texts = [row["kept_text"].strip(), row["other_text"].strip()]
        first, second = texts if row["kept_first"] else texts[::-1]
        assert any(0 < text.find(first) < text.find(second) for text in by_text)
    assert len(reader.questions) == 1


def test_a_killed_test_goes_on_and_a_finished_one_asks_nothing(made: Made) -> None:
    with pytest.raises(KeyboardInterrupt):
        made.test("killed", Reader(dies_after=15))
    again = list(made.test("killed", rest := Reader()).rows(PAIRS))
    whole = list(made.test("whole", Reader()).rows(PAIRS))
    nothing = list(made.test("killed", nobody := Reader()).rows(PAIRS))

    assert 40 - 15 <= len(rest.requests) < 40
    assert again == whole == nothing
    assert not nobody.requests


def test_failed_calls_are_asked_again_by_the_next_run(made: Made) -> None:
    first = made.test("fails", Reader(fails_on="3 a")).result
    second = made.test("fails", reader := Reader()).result
    assert first.failed_calls > 0
    assert len(reader.requests) == first.failed_calls
    assert second.failed_calls == 0
    assert counts(second) == (40, 0, 0)


def test_what_the_budget_has_no_room_for_is_counted_and_asked_once_there_is(made: Made) -> None:
    poor = made.test("budget", Reader(costs=700), limits=SpendingLimits(tokens=9000)).result
    rich = made.test("budget", Reader()).result
    assert poor.abstained[NOT_ASKED] == poor.failed_calls == 40 - poor.right > 0
    assert counts(rich) == (40, 0, 0)


def test_a_prompt_may_turn_it_off() -> None:
    off = {"name": "P", "rubric": "{example}", "annotator": ASKED["generate"], "blind_test": {"pairs": 0}}
    assert blind_test.configure(parse_prompt(off, "p", "p.yaml")) is None
    assert blind_test.configure(PROMPT) is not None


def test_a_processor_has_no_say_in_a_choice() -> None:
    other = {"name": "P", "rubric": "{example}", "annotator": ASKED["generate"], "processor": {"type": "medu"}}
    assert blind_test.configure(parse_prompt(other, "p", "p.yaml")) == blind_test.configure(PROMPT)


def test_without_an_annotator_it_says_so(made: Made) -> None:
    with pytest.raises(ValueError, match="need an annotator"):
        made.test("nobody", None)  # type: ignore[arg-type]
