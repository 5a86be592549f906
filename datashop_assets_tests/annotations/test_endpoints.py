"""What is recorded of each endpoint, and when endpoints are said to differ."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.annotations.endpoints import EndpointTally, Moments, ReadingTally
from datashop_assets.annotations.results import BY_CHANCE, EndpointSummary

ONE, TWO = "http://one/v1", "http://two/v1"


def row(endpoint: str, score: float | None, number: int = 1, stratum: int = 0, **more: Any) -> dict[str, Any]:
    status = "unparsed" if score is None else "parsed"
    return {
        "endpoint": endpoint, "expected_score": score, "round": number, "stratum": stratum, "status": status, **more,
    }  # fmt: skip


def summaries(rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> dict[str, EndpointSummary]:
    tally = EndpointTally()
    for one in rows:
        tally.add(one)
    return {one.address: one for one in tally.summaries()}


def test_status_and_mean_score_are_counted_by_address() -> None:
    rows = [
        row(f"{ONE} made-1", 4.0),
        row(f"{ONE} made-2", 2.0, otherwise="without seed"),
        row(ONE, None),
        row("", None),
    ]
    found = summaries(rows)

    assert list(found) == [ONE]
    assert (found[ONE].documents, found[ONE].by_status) == (3, {"parsed": 2, "unparsed": 1})
    assert found[ONE].mean_score is not None
    assert found[ONE].mean_score.value == 3.0
    assert found[ONE].otherwise == ["without seed"]
    assert (found[ONE].difference, found[ONE].p_value) == (None, None)


def test_an_endpoint_that_scores_higher_is_said_to_differ() -> None:
    random = Random(0)
    rows = [row(ONE, random.randint(0, 4)) for _ in range(400)]
    rows += [row(TWO, random.randint(1, 5)) for _ in range(400)]
    found = summaries(rows)

    assert found[TWO].difference is not None
    assert found[TWO].difference.low is not None
    assert found[TWO].difference.high is not None
    assert 0.5 < found[TWO].difference.low < 1.0 < found[TWO].difference.high < 1.5
    assert found[TWO].p_value is not None
    assert found[TWO].p_value < BY_CHANCE


def test_endpoints_that_score_alike_are_rarely_said_to_differ() -> None:
    random, alarms = Random(1), 0
    for _ in range(300):
        found = summaries(row(f"http://{random.randint(1, 4)}/v1", random.randint(0, 5)) for _ in range(200))
        alarms += any(one.p_value is not None and one.p_value < BY_CHANCE for one in found.values())

    assert alarms <= 9  # of 300; the level is 1%


def test_an_endpoint_of_the_second_round_alone_is_compared_within_its_strata() -> None:
    """The second round is drawn where scores are high, so that plain means would differ by 2 points."""
    random = Random(2)
    rows = [row(ONE, random.choice([0, 1])) for _ in range(200)]
    rows += [row((ONE, TWO)[place % 2], random.choice([4, 5]), 2, 1 + place % 3) for place in range(200)]
    found = summaries(rows)

    assert found[ONE].mean_score is not None
    assert found[TWO].mean_score is not None
    assert found[TWO].mean_score.value - found[ONE].mean_score.value > 1.5
    assert found[TWO].p_value is not None
    assert found[TWO].p_value > BY_CHANCE


def test_a_few_documents_are_not_compared() -> None:
    found = summaries([row(ONE, 0.0)] * 100 + [row(TWO, 5.0)] * 29)
    assert found[TWO].difference is None


def test_equal_scores_have_an_interval_all_the_same() -> None:
    found = summaries([row(ONE, 3.0)] * 20)
    assert found[ONE].mean_score is not None
    assert found[ONE].mean_score.low is not None
    assert found[ONE].mean_score.low < 3.0


def ceiling(texts: list[tuple[int, int]], endpoint: str = f"{ONE} made-1", second: str | None = None) -> int | None:
    """Of texts of these sizes, with these tokens each."""
    tally = ReadingTally()
    for size, tokens in texts:
        tally.add({"endpoint": endpoint, "text": "é" * (size // 2), "tokens_in": tokens, "raw_repair": second})
    return tally.ceiling


CUT = [(20_000, 4096), (24_100, 4096), (30_000, 4096), (9000, 2000), (40_000, 4096), (20_000, 4096)]


def test_a_ceiling_is_many_tokens_that_documents_of_different_length_have_alike() -> None:
    assert ceiling(CUT) == 4096
    assert ceiling(CUT[:5]) is None, "four documents"
    assert ceiling([*CUT, (50_000, 9000)]) is None, "one was read whole"
    assert ceiling([(20_000 + size, 4096) for size in range(0, 4000, 400)]) is None, "cut alike by characters"
    assert ceiling([(size, 90) for size in (100, 200, 300, 400, 500)]) is None, "short prompts"
    assert ceiling(CUT, "embedded") is None, "which says what it cuts"
    assert ceiling(CUT, second="Final score: 3") is None, "tokens of two tries"


def test_a_ceiling_of_one_endpoint_is_seen_beside_others() -> None:
    tally = ReadingTally()
    for size, tokens in CUT:
        for endpoint, read in ((ONE, tokens), (TWO, size // 4)):
            tally.add({"endpoint": endpoint, "text": "x" * size, "tokens_in": read, "raw_repair": None})
    assert tally.ceiling == 4096


@given(st.lists(st.floats(0, 5), min_size=2, max_size=30), st.integers(0, 30))
def test_moments_of_parts_are_those_of_the_whole(scores: list[float], cut: int) -> None:
    parts = Moments(), Moments()
    for place, score in enumerate(scores):
        parts[place >= cut].add(score)
    whole = parts[0].plus(parts[1])
    mean = sum(scores) / len(scores)

    assert whole.count == len(scores)
    assert whole.mean == pytest.approx(mean, abs=1e-9)
    assert whole.squares == pytest.approx(sum((score - mean) ** 2 for score in scores), abs=1e-7)
