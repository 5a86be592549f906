"""From an answer to a status and a score."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.asking.replies import Judge, Judgement, OptionParsing, ProcessorConfig, WrittenParsing, processor
from datashop_assets.protocols.annotator import Answer, Ended, Status
from datashop_assets.protocols.processor import Parsed
from datashop_assets.storage.root import project

BY_REPLY = Judge.of(WrittenParsing(processor=ProcessorConfig(type="finalscore0-5", options={}, version="1")))
BY_TOKEN = Judge.of(OptionParsing(scores={str(score): score for score in range(6)}))


def answer(raw: str = "", ended: Ended = Ended.COMPLETE, probabilities: dict[str, float] | None = None) -> Answer:
    return Answer("d", ended, "", raw, probabilities, "text", False, 1, 1, 0.0, "here")


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6).filter(lambda odds: sum(odds) > 0.01))
def test_a_score_token_gives_expected_score_and_entropy(odds: list[float]) -> None:
    probabilities = {str(score): odd / sum(odds) for score, odd in enumerate(odds)}
    verdict = BY_TOKEN.judge(answer(probabilities=probabilities))
    assert verdict.status is Status.PARSED
    assert verdict.expected_score == pytest.approx(sum(p * int(score) for score, p in probabilities.items()), abs=1e-5)
    assert verdict.score == math.floor(float(verdict.expected_score or 0) + 0.5)
    assert 0 <= float(verdict.entropy or 0) <= math.log2(6) + 1e-5


def test_the_entropy_is_in_bits() -> None:
    even = {str(score): 1 / 6 for score in range(6)}
    assert BY_TOKEN.judge(answer(probabilities=even)).entropy == pytest.approx(2.58496)
    sure = {**dict.fromkeys(even, 0.0), "4": 1.0}
    assert BY_TOKEN.judge(answer(probabilities=sure)) == Judgement(Status.PARSED, "", 4, 4.0, 0.0)


@pytest.mark.parametrize(
    "probabilities",
    [
        None,
        {},
        {"0": 1.0},
        dict.fromkeys("012345", 0.1),
        dict.fromkeys("012345", math.nan),
        {**dict.fromkeys("01234", 0.2), "x": 0.0},
    ],
)
def test_what_are_no_probabilities_over_the_options_is_unparsed(probabilities: dict[str, float] | None) -> None:
    verdict = BY_TOKEN.judge(answer(probabilities=probabilities))
    assert (verdict.status, verdict.expected_score) == (Status.UNPARSED, None)
    assert "probabilities over the options" in verdict.reason


def test_a_score_before_the_cut_is_not_believed() -> None:
    verdict = BY_REPLY.judge(answer("Final score: 4, although", Ended.LENGTH))
    assert (verdict.status, verdict.score) == (Status.TRUNCATED, None)
    assert BY_REPLY.needs_repair(verdict)


def test_a_second_try_repairs_or_leaves_the_first_status_or_fails() -> None:
    first = BY_REPLY.judge(answer("A fine text."))
    repaired, unread, lost = (
        BY_REPLY.repaired(first, second)
        for second in (answer("Final score: 2"), answer("Hm."), answer(ended=Ended.FAILED))
    )
    assert (repaired.status, repaired.score) == (Status.REPAIRED, 2)
    assert (unread.status, unread.score) == (Status.UNPARSED, None)
    assert (lost.status, lost.score) == (Status.FAILED, None)
    assert all("does not say 'Final score:'" in verdict.reason for verdict in (repaired, unread, lost))


@pytest.mark.parametrize("score", [-0.1, 5.1, math.nan, math.inf])
def test_a_processor_that_gives_no_score_from_0_to_5_is_not_believed(score: float) -> None:
    class Wild:
        answers = ()

        def parse(self, reply: str) -> Parsed:
            return Parsed(score)

    verdict = Judge(Wild(), {}).judge(answer("x"))
    assert (verdict.status, verdict.score) == (Status.UNPARSED, None)
    assert "which is not from 0 to 5" in verdict.reason


def test_the_processor_in_the_documentation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (project() / "docs" / "processors.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_scores.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert processor("my_scores:Percent", {"highest": 100}).parse("Usefulness: 85%") == Parsed(4.25)
