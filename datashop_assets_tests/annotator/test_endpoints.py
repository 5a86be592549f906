"""Annotators behind addresses, against a server that misbehaves over real HTTP."""

import logging
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from datashop_assets.core.step import Resources
from datashop_assets.prompts.settings import TargetSet, Writing
from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Ended, Sampling
from datashop_assets.rubric.results import RubricConfig, TargetsConfig, WritingConfig, rubric_text
from datashop_assets.rubric.steps import rubric
from datashop_assets_tests.annotator.fleets import HASTY, QUESTION, Server, annotator, documents, fleet
from datashop_assets_tests.annotator.hostile_server import MODEL
from datashop_assets_tests.stages import run_step
from resources.annotator.endpoints.annotator import EndpointsAnnotator

KEY = "planted-key-1234567890"
TELLS = {7: Ended.REFUSED, 9: Ended.LENGTH, 11: Ended.FAILED}


@pytest.fixture(scope="module")
def good() -> Iterator[list[Server]]:
    with fleet(1) as servers:
        yield servers


@pytest.fixture(scope="module")
def plain() -> Iterator[list[Server]]:
    """No vLLM, and behind a key."""
    with fleet(1, key=KEY) as servers:
        yield servers


def check_every_answer(answers: list[Answer], number: int) -> None:
    assert len(answers) == number
    assert {answer.id for answer in answers} == {f"document-{index}" for index in range(number)}
    for answer in answers:
        index = int(answer.id.removeprefix("document-"))
        assert answer.ended == TELLS.get(index % 50, Ended.COMPLETE), answer
        assert answer.ended != Ended.COMPLETE or answer.raw == f"Final score: {index % 6}"
        assert answer.cut == (index % 50 == 13)


def die_and_come_back(server: Server, after: float, away: float) -> threading.Thread:
    def act() -> None:
        time.sleep(after)
        server.kill()
        time.sleep(away)
        server.start()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_every_document_ends_once_and_rightly_however_servers_misbehave(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with fleet(3, ills=1.0) as servers:
        away = die_and_come_back(servers[2], after=0.5, away=0.5)
        answers = list(annotator(servers, key=KEY).answer(documents(500), QUESTION))
        away.join()

    check_every_answer(answers, 500)
    assert KEY not in caplog.text
    assert KEY not in repr(answers)


@pytest.mark.faults
def test_twenty_thousand_documents_in_bounded_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with fleet(3, ills=1.0) as servers:
        away = die_and_come_back(servers[2], after=5, away=10)
        counts: Counter[Ended] = Counter()
        seen: set[str] = set()
        for answer in annotator(servers).answer(documents(20_000, length=20_000), QUESTION):
            check_every_answer([replace(answer, cut=False)], 1) if answer.id == "document-0" else None
            counts[answer.ended] += 1
            seen.add(answer.id)
        away.join()

    assert counts == {Ended.COMPLETE: 18_800, Ended.REFUSED: 400, Ended.LENGTH: 400, Ended.FAILED: 400}
    assert len(seen) == counts.total() == 20_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 150  # MB; the documents are 400


def test_an_endpoint_that_comes_back_is_asked_again() -> None:
    with fleet(2) as servers:
        away = die_and_come_back(servers[1], after=0, away=0.2)
        away.join()
        answers = list(annotator(servers).answer(until_asked(servers[1], 10), QUESTION))

    check_every_answer(answers, len(answers))


def until_asked(server: Server, times: int) -> Iterator[AnnotationRequest]:
    """Documents, one every 20 ms, until `server` has answered about so many of them."""
    end = time.monotonic() + 30
    for number, one in enumerate(documents(10_000)):
        if number % 10 == 9 and server.answered() >= times:
            return
        assert time.monotonic() < end, "it was not asked again"
        time.sleep(0.02)
        yield one


def test_a_dead_fleet_fails_every_document_with_the_reason_in_bounded_time() -> None:
    dead = Server()
    started = time.monotonic()
    policy = replace(HASTY, patience=1.0)
    answers = list(annotator([dead], policy).answer(documents(300), QUESTION))

    assert time.monotonic() - started < 5
    assert Counter(answer.ended for answer in answers) == {Ended.FAILED: 300}
    assert all(str(dead.port) in answer.reason for answer in answers)


def test_a_fleet_that_dies_under_way_fails_what_is_left() -> None:
    with fleet(1) as servers:
        answers = annotator(servers, replace(HASTY, patience=1.0)).answer(documents(400), QUESTION)
        first = [next(answers) for _ in range(100)]
        servers[0].kill()
        rest = list(answers)

    assert len({answer.id for answer in [*first, *rest]}) == 400
    assert any("no endpoint has answered" in answer.reason for answer in rest)


def test_a_plain_server_writes_replies_and_a_document_too_long_for_it_is_cut_by_what_it_answers(
    plain: list[Server],
) -> None:
    question = replace(QUESTION, reading=replace(QUESTION.reading, characters=20_000))
    asked = [
        AnnotationRequest("long", "worth 3 " + "y" * 50_000, "made"),
        AnnotationRequest("short", "worth 2", "made"),
    ]
    answers = {answer.id: answer for answer in annotator(plain, key=KEY).answer(asked, question)}

    assert {name: answer.raw for name, answer in answers.items()} == {
        "long": "Final score: 3",
        "short": "Final score: 2",
    }
    assert (answers["long"].cut, answers["short"].cut) == (True, False)
    assert len(answers["long"].text) > 2000


def test_a_plain_server_is_refused_for_what_needs_vllm_and_told_what_works(plain: list[Server]) -> None:
    question = replace(QUESTION, scoring="likelihood", options=("a", "b"))

    with pytest.raises(ValueError, match="score_token and likelihood need one, `scoring: generate` works"):
        list(annotator(plain, key=KEY).answer(documents(1), question))


def test_a_key_that_is_refused_is_an_error_with_a_fix_that_does_not_show_it(plain: list[Server]) -> None:
    with pytest.raises(ValueError, match=r"status 401.*DATASHOP_ANNOTATOR_KEY") as error:
        list(annotator(plain, key="wrong-key").answer(documents(1), QUESTION))

    assert "wrong-key" not in str(error.value)


def test_a_model_that_is_not_served_is_an_error_with_the_fix(good: list[Server]) -> None:
    with pytest.raises(ValueError, match=r"other does not exist.*annotator\.model: it lists made/model"):
        list(annotator(good).answer(documents(1), replace(QUESTION, model="other")))


def test_score_token_gives_the_probability_of_every_digit(good: list[Server]) -> None:
    question = replace(QUESTION, scoring="score_token", options=tuple("012345"))
    (answer,) = annotator(good).answer([AnnotationRequest("four", "worth 4", "made")], question)

    assert answer.ended == Ended.COMPLETE
    assert answer.probabilities is not None
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert max(answer.probabilities, key=lambda option: answer.probabilities[option]) == "4"  # type: ignore[index]


def test_words_are_lettered_in_an_order_of_the_documents_own_and_the_order_is_recorded(good: list[Server]) -> None:
    words = ("Great", "Good", "Okay", "Poor", "Useless")
    question = replace(QUESTION, scoring="score_token", options=words)
    asked = [AnnotationRequest(str(number), f"text {number}", "made") for number in range(12)]
    answers = list(annotator(good).answer(asked, question))
    orders = {tuple(orjson.loads(answer.raw)["options"].values()) for answer in answers}

    assert all(tuple(answer.probabilities or ()) == words for answer in answers)
    assert all(sorted(order) == sorted(words) for order in orders)
    assert len(orders) > 6


def test_another_seed_lists_the_options_in_another_order(good: list[Server]) -> None:
    words = ("Great", "Good", "Okay", "Poor", "Useless")
    asked = [AnnotationRequest(str(number), f"text {number}", "made") for number in range(12)]

    def orders(seed: int) -> dict[str, list[str]]:
        question = replace(QUESTION, scoring="score_token", options=words, sampling=Sampling(seed=seed))
        found = {one.id: orjson.loads(one.raw)["options"] for one in annotator(good).answer(asked, question)}
        return {name: list(options.values()) for name, options in found.items()}

    first, again, other = orders(0), orders(0), orders(1)
    assert first == again
    assert sum(first[name] != other[name] for name in first) > 8  # by chance all but one in ten are another


def test_a_rubric_is_written_by_servers_that_misbehave(tmp_path: Path) -> None:
    texts = {"algebra": ("a ROOT of it", "the RING of it", "a FIELD"), "history": ("the KING",)}
    targets = {name: TargetsConfig(documents=TargetSet(texts=one), fingerprint=None) for name, one in texts.items()}
    written = WritingConfig(targets=targets, settings=Writing(), model=MODEL, revision="")
    config = RubricConfig(text=None, written=written)
    with fleet(2, ills=1.0) as servers:
        tools = Resources(annotator=annotator(servers))
        made = run_step(rubric, tmp_path, config, resources=tools)
        asked = sum(server.requests() for server in servers)
        again = run_step(rubric, tmp_path, config, name="again", resources=tools)
        assert sum(server.requests() for server in servers) == asked

    assert "algebra: FIELD RING ROOT\n\nhistory: KING" in rubric_text(made)
    assert made.result.writing is not None
    assert made.result.writing.by_ending == {"complete": 6}
    assert rubric_text(again) == rubric_text(made)


def test_an_answer_says_which_server_gave_it(good: list[Server]) -> None:
    (answer,) = annotator(good).answer([AnnotationRequest("one", "worth 1", "made")], QUESTION)

    assert answer.endpoint == f"{good[0].url} made-1-abc"


def test_options_that_begin_alike_are_refused(good: list[Server]) -> None:
    question = replace(QUESTION, scoring="likelihood", answer_begins="It is about", options=("art", "algebra"))

    with pytest.raises(ValueError, match="begin with the same token"):
        list(annotator(good).answer(documents(1), question))


def test_what_is_longer_than_the_model_takes_is_cut_and_never_left_out(good: list[Server]) -> None:
    long = AnnotationRequest("long", "worth 3 " + "y" * 50_000, "made")
    (answer,) = annotator(good).answer([long], replace(QUESTION, reading=replace(QUESTION.reading, characters=20_000)))

    assert (answer.ended, answer.cut, answer.raw) == (Ended.COMPLETE, True, "Final score: 3")
    assert 3500 < len(answer.text) < 4096


def test_a_templates_marks_in_a_document_are_broken_up(good: list[Server]) -> None:
    (answer,) = annotator(good).answer([AnnotationRequest("marks", "a<|im_end|>b [INST] </s>", "made")], QUESTION)

    assert answer.text == "a< |im_end|>b [ INST] < /s>"


def test_a_document_that_no_request_can_hold_fails_alone(good: list[Server]) -> None:
    broken, fine = AnnotationRequest("broken", "half \ud800", "made"), AnnotationRequest("fine", "worth 2", "made")
    answers = {answer.id: answer for answer in annotator(good).answer([broken, fine], QUESTION)}

    assert (answers["broken"].ended, answers["fine"].ended) == (Ended.FAILED, Ended.COMPLETE)
    assert "surrogate" in answers["broken"].reason


def test_who_stops_listening_leaves_no_thread_behind(good: list[Server]) -> None:
    answers = annotator(good).answer(documents(400), QUESTION)
    next(answers)
    answers.close()  # type: ignore[attr-defined]

    assert "annotator" not in {thread.name for thread in threading.enumerate()}


def test_nothing_is_contacted_before_the_first_question() -> None:
    assert EndpointsAnnotator(["http://127.0.0.1:9/v1"], HASTY).identity("Llama-3.3-70B-Instruct") == (
        "meta-llama/Llama-3.3-70B-Instruct",
        "",
    )
