"""A run works on one version of its prompt, in all of its processes, and an edit ends what the sensor started."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import orjson
import pytest

from datashop_assets.core.plan import Plan, make_plan
from datashop_assets.graph import GRAPH
from datashop_assets.orchestration import pinning
from datashop_assets.orchestration.assets import PROMPTS
from datashop_assets.orchestration.home import home_folder, use_home
from datashop_assets.orchestration.launching import _origin
from datashop_assets.orchestration.pinning import VERSION, ChangedInRunError, hand_down, plan_of_run
from datashop_assets.orchestration.sensor import JOB, SENSOR, prompt_sensor
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.prompt import load_prompt
from datashop_assets.prompts.versions import PromptVersions, version_of
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import project
from datashop_assets_tests.orchestration.dagster_internals import load_workspace_process_context_from_yaml_paths
from datashop_assets_tests.orchestration.workshop import Workshop


def digests(plan: Plan) -> dict[str, str]:
    return {name: one.digest for name, one in plan.items()}


@pytest.fixture
def planned(workshop: Workshop) -> Callable[..., Plan]:
    """The plan that another process of the run works by."""
    workshop.write("numbers", rubric="First {example}")

    def plan(run: str = "one", **tags: str) -> Plan:
        pinning._plans.clear()
        return plan_of_run(dg.DagsterRun(JOB, run, tags=tags), "numbers", GRAPH, workshop.store, None)

    return plan


@pytest.mark.parametrize("edit", ["rubric", "gone", "broken"])
def test_every_process_of_a_run_plans_what_the_first_did_whatever_became_of_the_file(
    workshop: Workshop, planned: Callable[..., Plan], edit: str
) -> None:
    first = digests(planned())
    if edit == "gone":
        (workshop.place / "prompts" / "numbers.yaml").unlink()
    else:
        workshop.write("numbers", rubric="Second {example}" if edit == "rubric" else "none")
    assert digests(planned()) == first
    if edit == "rubric":
        assert digests(planned("another")) == digests(workshop.plan("numbers")) != first


def test_a_run_is_of_the_version_that_it_was_started_for(workshop: Workshop, planned: Callable[..., Plan]) -> None:
    first = workshop.plan("numbers")
    version = PromptVersions(workshop.store.root, "numbers").keep(first.prompt)
    workshop.write("numbers", rubric="Second {example}")
    assert digests(planned(**{VERSION: version})) == digests(first)
    retry = {VERSION: version, "dagster/parent_run_id": "one", "dagster/retry_number": "1"}
    assert digests(planned("retry", **retry)) == digests(first)


def test_what_a_person_executes_again_is_of_the_prompt_as_it_is_now(
    workshop: Workshop, planned: Callable[..., Plan]
) -> None:
    version = PromptVersions(workshop.store.root, "numbers").keep(workshop.store.load("numbers"))
    workshop.write("numbers", rubric="Second {example}")
    again = planned("again", **{VERSION: version, "dagster/parent_run_id": "one"})
    assert digests(again) == digests(workshop.plan("numbers"))


def test_a_plan_that_is_handed_down_is_the_one_that_steps_use(workshop: Workshop, planned: Callable[..., Plan]) -> None:
    plan = workshop.plan("numbers")
    hand_down("one", plan)
    workshop.write("numbers", rubric="Second {example}")
    assert plan_of_run(dg.DagsterRun(JOB, "one"), "numbers", GRAPH, workshop.store, None) is plan
    assert digests(planned()) == digests(plan)


def test_a_process_makes_one_plan_for_all_of_its_steps_also_where_the_file_was_edited(
    workshop: Workshop, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an executor of processes one a step, a run makes one plan a step."""
    made: list[Plan] = []
    monkeypatch.setattr(pinning, "make_plan", lambda *given: made.append(make_plan(*given)) or made[-1])
    run = dg.DagsterRun(JOB, "one")
    for process in (1, 2, 3):
        planned()
        assert len(made) == process
        for _ in GRAPH.names:  # further steps of the same process
            assert plan_of_run(run, "numbers", GRAPH, workshop.store, None) is made[-1]
    workshop.write("numbers", rubric="Second {example}")
    planned()
    assert len(made) == 4


def test_documents_that_change_in_mid_run_are_named(workshop: Workshop, planned: Callable[..., Plan]) -> None:
    planned()
    with workshop.documents().open("ab") as documents:
        documents.write(b"\n" + orjson.dumps({"id": "new", "text": "One more."}))
    with pytest.raises(ChangedInRunError, match="files that pretraining_pool is made from or the code have changed"):
        planned()


@pytest.mark.parametrize("damage", [b"{", b'{"name": 1}', None])
def test_a_version_that_cannot_be_read_is_named_with_the_fix(
    workshop: Workshop, planned: Callable[..., Plan], damage: bytes | None
) -> None:
    planned()
    folder, name = workshop.store.root.prompt("numbers"), f"versions/{version_of(workshop.store.load('numbers'))}.json"
    if damage is None:
        folder.remove(name)
    else:
        folder.write(name, damage)
    with pytest.raises(PromptError, match=rf"{folder.uri}/{name}(?s:.*)start the run again"):
        planned()


def test_every_prompt_that_comes_with_datashop_is_kept_as_it_was_read(workshop: Workshop) -> None:
    for path in sorted((project() / "prompts").glob("*.yaml")):
        prompt = load_prompt(path)
        versions = PromptVersions(workshop.store.root, prompt.slug)
        assert versions.load(versions.keep(prompt)) == prompt


class SlowServer(ThreadingHTTPServer):
    """Answers as an OpenAI-compatible server does, a request in a quarter of a second."""

    asked = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class SlowAnswers(BaseHTTPRequestHandler):
    server: SlowServer

    def do_GET(self) -> None:
        self._send({"data": [{"id": "made/model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        time.sleep(0.25)
        choice = {"message": {"role": "assistant", "content": "Final score: 3"}, "finish_reason": "stop"}
        self._send({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 4}})

    def _send(self, answer: object) -> None:
        body = orjson.dumps(answer)
        with suppress(OSError):  # who asked may be gone
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def slow_server() -> Iterator[SlowServer]:
    with SlowServer(("127.0.0.1", 0), SlowAnswers) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def launched(workshop: Workshop, instance: dg.DagsterInstance) -> Iterator[str]:
    """A run that the sensor asked for, in a process of its own under a code server, as the daemon launches it."""
    from datashop_assets.definitions import definitions

    plan = workshop.plan("numbers")
    tags = {VERSION: PromptVersions(plan.root, "numbers").keep(plan.prompt), "dagster/sensor_name": SENSOR}
    instance.add_dynamic_partitions(PROMPTS.name, ["numbers"])
    run = instance.create_run_for_job(
        definitions(read_settings()).resolve_job_def(JOB),
        tags={**tags, **PROMPTS.get_tags_for_partition_key("numbers")},
        asset_selection=frozenset(map(dg.AssetKey, GRAPH.up_to("annotations"))),
        remote_job_origin=_origin(),
    )
    workspace = str(project() / "workspace.yaml")
    with load_workspace_process_context_from_yaml_paths(instance, [workspace]) as context:
        instance.launch_run(run.run_id, context.create_request_context())
        yield run.run_id
    context._grpc_server_registry.wait_for_processes()  # Dagster leaves the code server to end by itself


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def test_an_edit_ends_the_worker_of_a_run_that_the_sensor_started_and_its_answers_are_kept(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotator = {
        "model": "made/model",
        "scoring": "generate",
        "sample": 200,
        "documents": 150,
        "second_round": {"documents": 0},
    }
    workshop.write("numbers", annotator=annotator)
    with slow_server() as server:
        settings = {"ANNOTATOR": "endpoints", "ANNOTATOR_URLS": server.address, "ANNOTATOR_CONCURRENCY": "1"}
        for name, value in {**workshop.environment, **{f"DATASHOP_{k}": v for k, v in settings.items()}}.items():
            monkeypatch.setenv(name, value)
        use_home(home_folder(read_settings()))
        with dg.DagsterInstance.get() as instance, launched(workshop, instance) as run:

            def ended() -> bool:
                found = instance.get_run_by_id(run)
                return found is not None and found.status is dg.DagsterRunStatus.CANCELED

            until(lambda: server.asked > 8, "the run asks the annotator")
            workshop.write("numbers", annotator=annotator, rubric="Second {example}")
            resources = {"storage": workshop.store, "annotator": workshop.deployment.annotator}
            with dg.build_sensor_context(instance=instance, resources=resources) as context:
                prompt_sensor(GRAPH)(context)
            until(ended, "the run is cancelled")
            asked = server.asked
            time.sleep(2)
            assert server.asked == asked < 150
    assert list(Path(workshop.store.root.uri).glob("answers/*/part-*")), "what was answered is kept"
    assert not list(Path(workshop.store.root.uri).glob("stages/*/*/lease.json"))
