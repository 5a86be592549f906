"""What harness scores of two controls and a candidate are worth."""

import numpy as np
import pytest

from datashop_assets.evaluation.harness import Scores, compared, table
from datashop_assets.evaluation.results import Verdict


def seeds(task: str, measure: str, values: list[float]) -> list[Scores]:
    return [{task: {measure: value, "alias": task}} for value in values]


def test_more_is_better_and_judged_over_seeds() -> None:
    found = {
        "control": seeds("arc", "acc_norm,none", [0.30, 0.31, 0.29, 0.30]),
        "matched": seeds("arc", "acc_norm,none", [0.38, 0.42, 0.41, 0.39]),
        "trained": seeds("arc", "acc_norm,none", [0.40, 0.42, 0.39, 0.39]),
    }
    control, matched = compared(found, ["arc"])
    assert (control.against, control.verdict) == ("control", Verdict.BETTER)
    assert control.difference.value == pytest.approx(0.1)
    assert (matched.against, matched.verdict) == ("matched", Verdict.SAME)
    assert table([control]).splitlines()[-1].startswith("| arc | control | acc_norm | 0.300 | 0.400 | +0.100 |")


def test_all_tasks_are_corrected_together() -> None:
    one, two = [0.1, 0.2, 0.1], [0.2, 0.3, 0.25]
    alone = {"control": seeds("a", "acc,none", one), "trained": seeds("a", "acc,none", two)}
    [row] = compared(alone, ["a"])
    both = {
        model: [{"a": scores["a"], "b": {"exact_match,strict-match": 0.5}} for scores in found]
        for model, found in alone.items()
    }
    first, second = compared(both, ["a", "b"])
    assert row.p_corrected == row.p
    assert first.p_corrected == pytest.approx(2 * row.p)
    assert (second.measure, second.verdict) == ("exact_match", Verdict.SAME)


def test_models_that_are_alike_are_seldom_told_apart_by_few_questions() -> None:
    """Two seeds and 20 questions: in one of 14 trials both differ by as many, and would have no spread at all."""
    random, apart = np.random.default_rng(0), 0
    for _ in range(1000):
        right = random.binomial(20, 0.5, (2, 2)) / 20
        found = {
            model: [{"a": {"acc,none": score, "sample_len": 20}} for score in scores]
            for model, scores in zip(("control", "trained"), right.tolist(), strict=True)
        }
        apart += compared(found, ["a"])[0].verdict != Verdict.SAME
    assert apart / 1000 <= 0.05


def test_all_against_none_is_better_though_no_seed_differs_from_another() -> None:
    found = {
        model: [{"a": {"acc,none": score, "sample_len": 20}}] * 2
        for model, score in (("control", 0.0), ("trained", 1.0))
    }
    [row] = compared(found, ["a"])
    assert row.verdict == Verdict.BETTER
    assert row.difference.low is not None
    assert row.difference.high is not None
    assert 0 < row.difference.low < 1 < row.difference.high


def test_a_single_seed_is_not_judged() -> None:
    [row] = compared({"control": seeds("a", "acc,none", [0.1]), "trained": seeds("a", "acc,none", [0.9])}, ["a"])
    assert row.verdict == Verdict.NONE


def test_a_task_without_a_headline_is_refused() -> None:
    strange = seeds("a", "word_perplexity,none", [3.0])
    with pytest.raises(ValueError, match=r"task 'a' has none of acc_norm"):
        compared({"control": strange, "trained": strange}, ["a"])
