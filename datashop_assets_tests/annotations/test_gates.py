"""The gates' figures, and what they show when they are not passed."""

from typing import Any

import polars as pl
import pytest
from scipy.stats import spearmanr

from datashop_assets.annotations.gates import COLUMNS, GATES, SHOWN, spread_out
from datashop_assets.prompts.annotator_settings import BLOCKING, Gates
from datashop_assets.storage.digests import unit_hash

SETTINGS = Gates()


def rows(*parts: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(parts)


def part(source: str, count: int, **columns: Any) -> pl.DataFrame:
    """Documents of a source whose scores depend on nothing; `columns` are functions of a document's place."""
    made = {
        "id": lambda place: f"{source}-{place}",
        "characters": lambda place: 100 + place,
        "status": lambda place: "parsed",
        "reason": lambda place: "",
        "expected_score": lambda place: 5 * unit_hash(source, str(place)),
        **columns,
    }
    table = {name: [value(place) for place in range(count)] for name, value in made.items()}
    return pl.DataFrame({**table, "source": source}, schema_overrides={"expected_score": pl.Float64}).select(COLUMNS)


def test_good_answers_pass_every_gate() -> None:
    answers = rows(part("books", 200), part("forum", 200))
    assert {name: gate(answers, SETTINGS).passed for name, gate in GATES.items()} == dict.fromkeys(GATES, True)


def test_length_and_score_are_compared_within_each_source() -> None:
    """Between the sources long documents score high; within them they do not."""
    short, long = part("short", 80), part("long", 80, characters=lambda place: 10_000 + place)
    tied = part("tied", 80, expected_score=lambda place: place // 8 / 2)
    assert GATES["length_score_band"](rows(short, long), SETTINGS).passed
    judged = GATES["length_score_band"](rows(short, long, tied), SETTINGS)
    assert not judged.passed
    assert "tied" in judged.says
    reference = {
        one["source"][0]: float(spearmanr(one["characters"], one["expected_score"])[0]) for one in (short, tied)
    }
    assert judged.figures["by_source"] == pytest.approx({**reference, "long": judged.figures["by_source"]["long"]})
    shown = spread_out(judged.look_at)
    assert [one["characters"] for one in shown] == [100, 120, 140, 159, 179]  # from the shortest to the longest
    assert {one["source"] for one in shown} == {"tied"}


def test_a_source_with_few_scores_or_equal_lengths_is_not_judged() -> None:
    few = part("few", 10, expected_score=lambda place: float(place))
    alike = part("alike", 50, characters=lambda place: 7)
    judged = GATES["length_score_band"](rows(few, alike), SETTINGS)
    assert (judged.passed, judged.figures["sources_not_judged"]) == (True, 2)
    assert "no source has enough scores" in judged.says


def test_a_source_whose_scores_are_all_alike_is_found() -> None:
    flat = part("flat", 40, expected_score=lambda place: 3.0)
    judged = GATES["spread_within_sources"](rows(part("books", 40), flat), SETTINGS)
    assert not judged.passed
    assert judged.figures["by_source"]["flat"] == 0
    assert set(judged.look_at["source"]) == {"flat"}


def test_lost_long_documents_are_seen_though_coverage_is_good() -> None:
    lost = part("books", 100, expected_score=lambda place: None if place >= 97 else float(place % 6))
    assert GATES["coverage"](lost, SETTINGS).passed
    judged = GATES["longest_decile_kept"](lost, SETTINGS)
    assert (judged.passed, judged.figures["share"]) == (False, 0.7)
    assert set(judged.look_at["id"]) == {"books-97", "books-98", "books-99"}


@pytest.mark.parametrize("score", [0.5, 4.5])
def test_scores_at_one_end_only_do_not_pass(score: float) -> None:
    judged = GATES["both_ends_used"](part("books", 40, expected_score=lambda place: score), SETTINGS)
    assert not judged.passed
    assert len(spread_out(judged.look_at)) == SHOWN


def test_thresholds_and_blocking_gates_are_the_prompts() -> None:
    some = part("books", 10, expected_score=lambda place: None if place < 3 else 2.0)
    assert not GATES["coverage"](some, SETTINGS).passed
    assert GATES["coverage"](some, Gates(coverage=0.7)).passed
    assert Gates().blocks("generate") == BLOCKING["generate"]
    assert Gates(blocking=("spread_within_sources",)).blocks("generate") == ("spread_within_sources",)


def test_no_answers_at_all_do_not_pass() -> None:
    nothing = part("books", 0)
    assert [name for name, gate in GATES.items() if gate(nothing, SETTINGS).passed] == [
        "length_score_band",
        "spread_within_sources",
    ]


def lost(place: int) -> None:
    """No score, whatever the document."""


def test_a_source_that_fails_whole_is_a_warning_that_names_it() -> None:
    """232 of 240 documents have a score: all gates would pass, and a source has none."""
    answers = rows(part("web", 232), part("books", 8, expected_score=lost, status=lambda place: "refused"))
    judged = GATES["coverage"](answers, SETTINGS)
    assert (judged.passed, judged.warns) == (True, True)
    assert judged.says == ("232 of 240 asked documents have a score (96.7%, at least 95%); books: 0 of 8 have a score")
    assert set(judged.look_at["source"]) == {"books"}
    assert judged.figures["sources_that_fail"]["books"]["high"] < 0.5


def test_a_source_without_parsed_replies_or_long_documents_is_named_too() -> None:
    unparsed = part("books", 8, expected_score=lost, status=lambda place: "unparsed")
    judged = GATES["unparsed_share"](rows(part("web", 232), unparsed), SETTINGS)
    assert (judged.passed, judged.warns) == (True, True)
    assert "books: 8 of 8 replies hold no score" in judged.says
    long = part("books", 12, characters=lambda place: 10_000 + place, expected_score=lost)
    judged = GATES["longest_decile_kept"](rows(part("web", 388), long), Gates(longest_decile=0.6))
    assert (judged.passed, judged.warns) == (True, True)
    assert "books: 0 of 12 of them have a score" in judged.says


@pytest.mark.parametrize(("good", "all_of_it"), [(8, 10), (9, 10), (0, 1), (1, 2)])
def test_ten_documents_do_not_cry_wolf(good: int, all_of_it: int) -> None:
    few = part("few", all_of_it, expected_score=lambda place: 3.0 if place < good else None)
    assert not GATES["coverage"](rows(part("web", 300), few), SETTINGS).warns


def test_of_many_good_sources_one_in_twenty_runs_at_most_names_one() -> None:
    """40 sources of 20 documents, of which 95 in 100 have a score, as the gate wants."""

    def answers(run: int) -> pl.DataFrame:
        made = [
            part(f"s{source}", 20, expected_score=lambda place, s=source: _kept(f"{run} {s} {place}"))
            for source in range(40)
        ]
        return rows(*made)

    alarms = sum("sources_that_fail" in GATES["coverage"](answers(run), SETTINGS).figures for run in range(40))
    assert alarms <= 5


def _kept(name: str) -> float | None:
    return 3.0 if unit_hash("kept", name) < 0.95 else None


def test_the_names_of_sources_are_data() -> None:
    hostile = part("a\x1b[31m\nb", 8, expected_score=lost)
    said = GATES["coverage"](rows(part("web", 232), hostile), SETTINGS).says
    assert r"a\u001b[31m b: 0 of 8 have a score" in said
