"""Intervals over seeds and over documents, by hand and against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.evaluation.comparison import SOURCES, EvaluationDocument, Losses, compared, measures
from datashop_assets.evaluation.results import Kind, Measure, Verdict
from datashop_assets.prompts.settings import Primary
from datashop_assets.statistics.figure import Figure

BITS = st.lists(st.lists(st.floats(1, 1e4), min_size=3, max_size=3), min_size=2, max_size=6)

NOTHING = np.zeros(3, dtype=np.int32)  # tokens, which are not read here


def compare(losses: Losses) -> Measure:
    return compared(losses, "control", Kind.TARGET, "", False)


def document(name: str, kind: Kind, source: str, size: int) -> EvaluationDocument:
    return EvaluationDocument(name, kind, source, size, NOTHING)


def test_bits_are_totalled_before_they_are_divided() -> None:
    losses = Losses(np.array([[10.0, 90.0]]), np.array([[20.0, 70.0]]), np.array([1, 99]))
    found = compare(losses)
    assert (found.control, found.trained) == (1.0, 0.9)
    assert found.difference.value == pytest.approx(-0.1)
    assert (found.documents, found.bytes) == (2, 100)


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    found = compare(Losses(np.array([[10.0, 20.0]]), np.array([[5.0, 6.0]]), np.array([4, 4])))
    assert (found.difference.low, found.difference.high) == (None, None)
    assert found.verdict == "no verdict: one seed has no interval"


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-0.3, -0.1, Verdict.BETTER),
        (0.1, 0.3, Verdict.WORSE),
        (-0.1, 0.1, Verdict.SAME),
        (0.0, 0.0, Verdict.SAME),
        (-0.2, 0.0, Verdict.SAME),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(low: float, high: float, wanted: Verdict) -> None:
    assert Verdict.by_interval(Figure(value=(low + high) / 2, low=low, high=high)) is wanted


def test_the_interval_over_documents_is_narrow_where_documents_agree_and_seeds_do_not() -> None:
    control = np.full((3, 200), 100.0)
    gains = np.array([[-30.0], [5.0], [10.0]])
    found = compare(Losses(control, control + gains, np.full(200, 50)))
    assert found.verdict is Verdict.SAME
    assert found.over_documents.high is not None
    assert found.over_documents.high < 0  # would be called better if documents were the unit


@settings(deadline=None, max_examples=40)
@given(BITS, BITS)
def test_exchanging_the_models_turns_the_sign(one: list[list[float]], two: list[list[float]]) -> None:
    seeds = min(len(one), len(two))
    first, second, sizes = np.array(one[:seeds]), np.array(two[:seeds]), np.array([10, 20, 30])
    forth, back = compare(Losses(first, second, sizes)), compare(Losses(second, first, sizes))
    assert forth.difference.value == pytest.approx(-back.difference.value)
    assert forth.difference.low == pytest.approx(-(back.difference.high or 0.0))
    opposite = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    assert back.verdict is opposite.get(forth.verdict, forth.verdict)


def test_losses_of_other_seeds_or_documents_are_refused() -> None:
    with pytest.raises(ValueError, match="both models need the same seeds and the same documents"):
        Losses(np.ones((2, 3)), np.ones((3, 3)), np.ones(3))


def test_a_verdict_that_no_document_would_decide_is_refused() -> None:
    documents = [document("d", Kind.TARGET, "s", 10)]
    bits = {"control": np.ones((2, 1)), "trained": np.ones((2, 1))}
    with pytest.raises(ValueError, match=r"primary.documents is 'general', and none of the 1 held-out documents is"):
        measures(bits, documents, Primary(documents="general", against="control"))


def test_sources_that_are_addresses_do_not_each_make_a_measure() -> None:
    random = np.random.default_rng(0)
    large = [document(f"l{n}", Kind.TARGET, "books", 900) for n in range(20)]
    small = [document(f"s{n}", Kind.TARGET, f"https://{n}.org", 90) for n in range(300)]
    bits = {"control": random.uniform(1, 2, (5, 320)), "trained": random.uniform(1, 2, (5, 320))}
    rows = measures(bits, [*small, *large], Primary(documents="target", against="control"))
    assert len(rows) == 1 + SOURCES + 1
    counts = {row.source: row.documents for row in rows}
    assert (counts[""], counts["books"], counts["(other sources)"]) == (320, 20, 300 - SOURCES + 1)


def against_both(shift: float, matched_shift: float) -> dict[tuple[str, str, str], Measure]:
    """Measures by control, kind and source, of a candidate with `shift` bits less a byte than the plain control."""
    random = np.random.default_rng(3)
    documents = [document(f"{kind}{n}", kind, f"source{n % 6}", 10) for kind in Kind for n in range(12)]
    noise = random.normal(0, 0.1, (5, len(documents)))
    bits = {
        "control": np.full((5, len(documents)), 40.0),
        "matched": np.full((5, len(documents)), 40.0 - 10 * (shift - matched_shift)),
        "trained": 40.0 - 10 * shift + noise,
    }
    found = measures(bits, documents, Primary(documents="target", against="control"))
    return {(one.against, one.kind, one.source): one for one in found}


def test_the_second_control_is_tested_without_a_correction_once_the_primary_found_a_difference() -> None:
    found = against_both(0.5, 0.2)
    second = found["matched", Kind.TARGET, ""]
    assert found["control", Kind.TARGET, ""].verdict is Verdict.BETTER
    assert second.verdict is Verdict.BETTER
    assert second.p_corrected == max(second.p or 0, found["control", Kind.TARGET, ""].p or 0)
    of_source = found["matched", Kind.TARGET, "source0"]
    assert (of_source.p_corrected or 0) > 5 * (of_source.p or 0)  # one of 26 that share a correction


def test_the_second_control_has_no_verdict_of_its_own_where_the_primary_found_none() -> None:
    found = against_both(0.0, 0.5)
    primary, second = found["control", Kind.TARGET, ""], found["matched", Kind.TARGET, ""]
    assert primary.verdict is Verdict.SAME
    assert (second.difference.high or 0) < 0
    assert second.p_corrected == primary.p
    assert second.verdict is Verdict.SAME


def test_a_source_that_is_all_of_its_kind_is_no_second_measure() -> None:
    documents = [document("a", Kind.TARGET, "books", 10), document("b", Kind.GENERAL, "books", 10)]
    documents.append(document("c", Kind.GENERAL, "web", 10))
    bits = {"control": np.ones((2, 3)), "trained": np.array([[0.5, 0.4, 0.7], [0.6, 0.5, 0.8]])}
    found = measures(bits, documents, Primary(documents="target", against="control"))
    assert [(one.kind, one.source) for one in found] == [
        (Kind.TARGET, ""),
        (Kind.GENERAL, ""),
        (Kind.GENERAL, "books"),
        (Kind.GENERAL, "web"),
    ]


def test_a_measure_comes_back_from_its_row_in_the_table() -> None:
    [found] = measures(
        {"control": np.ones((2, 1)), "trained": np.array([[0.5], [0.6]])},
        [document("d", Kind.TARGET, "s", 10)],
        Primary(documents="target", against="control"),
    )[:1]
    again = Measure.of_row(found.row())
    assert again.difference.interval() == found.difference.interval()
    assert again.over_documents.interval() == found.over_documents.interval()
    assert again.model_dump(exclude={"difference", "over_documents"}) == found.model_dump(
        exclude={"difference", "over_documents"}
    )
