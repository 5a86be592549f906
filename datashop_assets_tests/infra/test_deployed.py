"""Dagster deployed: the files that are deployed are taken by their schemas, and the services do their work."""

import importlib.resources
import re
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from pydantic import ValidationError

from datashop_assets.core.plan import State
from datashop_assets.graph import plan
from datashop_assets.prompts.store import PromptStore
from datashop_assets.runner import DatashopRunner
from datashop_assets.storage.root import Root
from datashop_assets_tests.infra.chart import Values
from datashop_assets_tests.infra.deployment import DEPLOYED, Deployment, Postgres, deployed, eventually
from datashop_assets_tests.infra.mutations import changed, leaves, misspell_key, other_type, remove
from datashop_assets_tests.small import experiment, small_pool, write_prompt

STAGES = ["pretraining_pool", "annotation_sample", "rubric", "pool_tokens"]
LAUNCH = """mutation($parameters: ExecutionParams!) { launchPipelineExecution(executionParams: $parameters) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack } } }"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"
RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
NO_SECRETS = {"key", "- key", "postgresqlSecretName", "generatePostgresqlPasswordSecret"}  # names and switches
PASSWORD = "planted-postgres-password"


def test_the_compose_file_is_one() -> None:
    import jsonschema

    package = importlib.resources.files("check_jsonschema.builtin_schemas")
    schema = orjson.loads((package / "vendor" / "compose-spec.json").read_bytes())
    compose = yaml.safe_load((DEPLOYED / "compose.yaml").read_text())
    jsonschema.validate(compose, schema)
    for name, service in compose["services"].items():
        assert "healthcheck" in service, name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_the_compose_file_runs_what_the_processes_below_run() -> None:
    compose = yaml.safe_load((DEPLOYED / "compose.yaml").read_text())
    for name, program in {
        "code-location": "dagster",
        "daemon": "dagster-daemon",
        "webserver": "datashop-webserver",
        "browse": "datashop-webserver",
    }.items():
        assert compose["services"][name]["command"][0] == program
    assert "--read-only" in compose["services"]["browse"]["command"]


HELM = yaml.safe_load((DEPLOYED / "helm-values.yaml").read_text())


def test_the_helm_values_are_those_that_the_chart_knows() -> None:
    Values.model_validate(HELM)


@pytest.mark.parametrize("mutation", [remove, misspell_key, other_type])
def test_mutated_helm_values_are_refused(mutation: Callable[[Any, Any], None]) -> None:
    taken = []
    for path in leaves(HELM):
        if isinstance(path[-1], int) or "env" in path[:-1] or path[-1] == "annotations":
            continue  # entries of lists, and names that are free
        try:
            Values.model_validate(changed(HELM, path, mutation))
        except ValidationError:
            continue
        taken.append(path)
    assert taken == []


def test_the_helm_values_and_the_compose_file_say_the_same() -> None:
    values = HELM
    (location,) = values["dagster-user-deployments"]["deployments"]
    compose = yaml.safe_load((DEPLOYED / "compose.yaml").read_text())["services"]["code-location"]["environment"]
    assert set(location["env"]) <= set(compose)
    settings = yaml.safe_load((DEPLOYED / "dagster.yaml").read_text())
    assert values["concurrency"]["runs"]["maxConcurrentRuns"] == settings["concurrency"]["runs"]["max_concurrent_runs"]
    assert values["concurrency"]["pools"]["defaultLimit"] == settings["concurrency"]["pools"]["default_limit"]
    assert values["dagsterDaemon"]["runRetries"]["maxRetries"] == settings["run_retries"]["max_retries"]
    assert values["pythonLogs"]["managedPythonLoggers"] == settings["python_logs"]["managed_python_loggers"]


def test_no_secret_has_a_value_in_the_files() -> None:
    for file in DEPLOYED.iterdir():
        for line in file.read_text().splitlines():
            name, _, value = line.strip().partition(":")
            if re.search("password|secret|token|key", name, re.IGNORECASE) and value:
                assert re.search(r"\$\{|env:", value) or name in NO_SECRETS, f"{file.name}: {line}"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory() as above:  # pytest's own folders are closed to other users
        Path(above).chmod(0o755)
        server = Postgres(Path(above) / "server", PASSWORD)
        server.create()
        server.start()
        yield server
        server.stop("immediate")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pool")
    return small_pool(folder, folder / "cache")


@pytest.fixture(scope="module")
def deployment(
    postgres: Postgres, pool: str, gcs_bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployed")
    write_prompt(folder / "prompts", "tides", pool)
    environment = {
        "DATASHOP_ROOT": str(folder / "root"),
        "DATASHOP_PROMPTS": str(folder / "prompts"),
        "DATASHOP_LOGS_BUCKET": gcs_bucket.removeprefix("gs://"),
    }
    with deployed(folder, postgres, **environment) as services:
        yield services


def execution(stages: Sequence[str]) -> dict[str, Any]:
    """What the UI asks for where somebody materializes stages of a prompt."""
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "datashop",
        "pipelineName": "datashop",
        "assetSelection": [{"path": [stage]} for stage in stages],
    }
    tags = [{"key": "dagster/partition", "value": "tides"}]
    return {"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}}


def launched(deployment: Deployment, *stages: str) -> str:
    """The id of the queued run."""
    answer = deployment.ask(LAUNCH, parameters=execution(stages))["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def status(deployment: Deployment, run: str) -> str:
    return str(deployment.ask(STATUS, id=run)["runOrError"]["status"])


def finished(deployment: Deployment, run: str, seconds: float = 120) -> str:
    """How a run ended; runs that were started in its place count, as `run_retries` starts them."""

    def ended() -> str:
        try:
            retried = [each for each in runs(deployment) if each["tags"].get("dagster/root_run_id") == run]
            states = [status(deployment, run), *(each["status"] for each in retried)]
        except urllib.error.HTTPError:  # a connection of the webserver's pool that PostgreSQL has closed
            return ""
        return "SUCCESS" if "SUCCESS" in states else ""

    return str(eventually(ended, seconds, lambda: logs(deployment)))


def runs(deployment: Deployment) -> list[dict[str, Any]]:
    found = deployment.ask(RUNS)["runsOrError"]["results"]
    return [{**each, "tags": {tag["key"]: tag["value"] for tag in each["tags"]}} for each in found]


def logs(deployment: Deployment) -> str:
    return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in deployment.folder.glob("*.log"))


def states(deployment: Deployment) -> dict[str, State]:
    root = Root(str(deployment.folder / "root"))
    planned = plan(PromptStore(deployment.folder / "prompts", root).load("tides"), root)
    return {name: each.state for name, each in planned.items()}


@pytest.mark.deploy
def test_a_run_goes_through_queue_and_code_location_and_finishes(deployment: Deployment) -> None:
    eventually(lambda: "tides" in partitions(deployment), 120, lambda: logs(deployment))  # the sensor's tick adds it
    run = launched(deployment, *STAGES[:3])
    assert finished(deployment, run) == "SUCCESS"
    assert {states(deployment)[name] for name in STAGES[:3]} == {State.CURRENT}


def partitions(deployment: Deployment) -> list[str]:
    query = """{ assetNodeOrError(assetKey: {path: ["rubric"]}) { ... on AssetNode { partitionKeys } } }"""
    return list(
        deployment.ask(query)["assetNodeOrError"].get("partitionKeys", [])
    )  # none before the location is loaded


REFUSED = [
    "{ reloadWorkspace { __typename } }",
    '{ deleteRun(runId: "a-run") { __typename } }',
    '{ terminateRun(runId: "a-run", terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }',
    '{ wipeAssets(assetPartitionRanges: [{assetKey: {path: ["rubric"]}}]) { __typename } }',
    """{ addDynamicPartition(partitionsDefName: "prompts", partitionKey: "x", repositorySelector:
      {repositoryName: "__repository__", repositoryLocationName: "datashop"}) { __typename } }""",
]


@pytest.mark.deploy
@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({"Host": "evil.example.com"}, "POST"),
        ({"Origin": "http://evil.example.com"}, "POST"),
        ({"Sec-Fetch-Site": "cross-site"}, "POST"),
        ({}, "GET"),
    ],
)
def test_another_site_changes_nothing(deployment: Deployment, headers: dict[str, str], method: str) -> None:
    before = runs(deployment)
    address = f"http://127.0.0.1:{deployment.ports['webserver']}/graphql"
    mutation = "mutation { reloadWorkspace { __typename } }"
    if method == "GET":
        request = urllib.request.Request(f"{address}?{urllib.parse.urlencode({'query': mutation})}", headers=headers)
    else:
        sent = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(address, orjson.dumps({"query": mutation}), sent)
    with pytest.raises(urllib.error.HTTPError, match=r"421|403|405"):
        urllib.request.urlopen(request, timeout=30)
    assert runs(deployment) == before


@pytest.mark.deploy
def test_pages_for_browsing_show_the_runs_and_change_nothing(deployment: Deployment) -> None:
    deployment.start("browse")
    eventually(lambda: deployment.ready("browse"), 90, lambda: logs(deployment))
    seen = [run["runId"] for run in deployment.ask(RUNS, "browse")["runsOrError"]["results"]]
    assert seen == [run["runId"] for run in runs(deployment)]
    [refused] = deployment.ask(LAUNCH, "browse", parameters=execution(STAGES)).values()
    assert refused["__typename"] == "UnauthorizedError"
    for mutation in REFUSED:
        [refused] = deployment.ask(f"mutation {mutation}", "browse").values()
        assert refused["__typename"] == "UnauthorizedError", mutation
    assert seen == [run["runId"] for run in runs(deployment)]
    deployment.kill("browse")


@pytest.mark.deploy
def test_the_daemon_is_killed_between_ticks_and_postgres_restarted_in_mid_run(
    deployment: Deployment, postgres: Postgres, pool: str
) -> None:
    run = launched(deployment, "pool_tokens", "decontamination", "control_lm")
    eventually(lambda: status(deployment, run) == "STARTED", 90, lambda: logs(deployment))
    deployment.kill("daemon")
    postgres.stop()
    time.sleep(1)
    postgres.start()
    deployment.start("daemon")
    assert finished(deployment, run, 200) == "SUCCESS"
    root = Root(str(deployment.folder / "root"))
    disturbed = plan(PromptStore(deployment.folder / "prompts", root).load("tides"), root)
    alone = DatashopRunner(experiment("tides", pool), Root(str(deployment.folder / "alone")))
    alone.run("pretraining_pool", "annotation_sample", "rubric", "pool_tokens", "decontamination", "control_lm")
    for name in ("pool_tokens", "control_lm"):
        made, again = disturbed[name].output.manifest, alone.plan()[name].output.manifest
        assert (made.plan_digest, made.content_digest) == (again.plan_digest, again.content_digest)


@pytest.mark.deploy
def test_logs_are_in_the_bucket_and_the_password_is_nowhere(
    deployment: Deployment, postgres: Postgres, gcs_bucket: str
) -> None:
    import gcsfs

    bucket = gcsfs.GCSFileSystem()
    kept = bucket.find(f"{gcs_bucket}/dagster")
    assert any(name.endswith(".err") for name in kept)
    planted = PASSWORD.encode()
    assert not [name for name in kept if planted in bucket.cat_file(name)]
    assert not [file for file in deployment.folder.rglob("*") if file.is_file() and planted in file.read_bytes()]
    assert planted not in postgres.dump()
